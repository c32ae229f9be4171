/** One actor among others: a defect in it, a full mailbox, floods, and what the settings and discovery make it do. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Supervisor from "../../src/actors/Supervisor.ts"
import { limits, NodeConfig } from "../../src/config.ts"
import { format, tcp } from "../../src/schema/Address.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Discovery, type Sighting } from "../../src/services/Discovery.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { someId } from "../Some.ts"
import { changes, meet, type Node, start } from "./Nodes.ts"

describe("a defect in an actor", () => {
  it.effect("is logged once, ends that peer's links only, and the actor lives again", () => {
    const failures: Array<string> = []
    const logger = Logger.make(({ message, logLevel }) => {
      if (logLevel === "Error") failures.push(String(message))
    })
    return Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [bob, carol] = [yield* start(network.host("bob")), yield* start(network.host("carol"))]
      let isBroken = false
      const tamper = (registry: PeerRegistry["Service"]): PeerRegistry["Service"] => ({
        ...registry,
        update: (id, change) =>
          isBroken && id === bob.id ? Effect.die(new Error("the registry is broken")) : registry.update(id, change)
      })
      const alice = yield* start(network.host("alice"), tamper)
      const change = yield* changes(alice)
      for (const peer of [bob, carol]) yield* elapse(alice.connection.add(format(peer.address)))
      assert.deepStrictEqual([yield* elapse(change), yield* elapse(change)], [`up ${bob.id}`, `up ${carol.id}`])
      isBroken = true
      network.cut("alice", "bob")
      assert.strictEqual(yield* elapse(change), `down ${bob.id} closed`)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(failures.length, 1)
      isBroken = false
      assert.strictEqual(yield* elapse(change, { within: "5 seconds" }), `up ${bob.id}`)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* alice.shown, ["bob connected", "carol connected"])
      // With a session at hand, too: it is ended, and taken up again.
      isBroken = true
      yield* alice.connection.suggest(bob.id, tcp("192.0.2.77", 9090))
      assert.strictEqual(yield* elapse(change), `down ${bob.id} shutdown`)
      isBroken = false
      assert.strictEqual(yield* elapse(change, { within: "5 seconds" }), `up ${bob.id}`)
      assert.deepStrictEqual(yield* alice.held, { actors: 2, links: 2 })
      assert.strictEqual(failures.length, 2)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})

describe("a flood", () => {
  it.effect(
    "of forged announcements costs a bounded number of actors, and does not hold up the peers that were met",
    () =>
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make({ seed: 1 })
        const [alice, bob] = [yield* start(network.host("alice")), yield* start(network.host("bob"))]
        yield* elapse(alice.connection.add(format(bob.address)))
        for (let n = 0; n < 3000; n++) yield* alice.connection.suggest(someId(1000 + n), tcp("10.0.9.9", 9090))
        // Bob, and one that is about to be gone.
        assert.isAtMost((yield* alice.held).actors, limits.discoveredMax + 2)
        yield* TestClock.adjust("2 seconds")
        network.cut("alice", "bob")
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* alice.connection.connected, [bob.id])
        assert.isAtMost((yield* alice.registry.list).length, limits.discoveredMax + 1)
      })
  )

  it.effect("of suggestions for one peer neither waits nor dials more than once a second", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const alice = yield* start(network.host("alice"))
      network.host("bob")
      const bob = someId(1)
      for (let second = 0; second < 10; second++) {
        for (let n = 0; n < 200; n++) yield* alice.connection.suggest(bob, tcp("bob", 9090))
        yield* TestClock.adjust("1 second")
      }
      const dials = network.history().filter((each) => each.kind === "dial").length
      assert.isAtLeast(dials, 10)
      assert.isAtMost(dials, 25)
    })
  )
})

describe("too many peers", () => {
  it.effect("never push out what a person decided about one that is away", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [alice, bob] = [yield* start(network.host("alice")), yield* start(network.host("bob"))]
      const nowhere = tcp("10.0.9.9", 9090)
      // As an earlier run left them: the first is verified, one may send unasked, one was added, the others only met.
      for (let n = 0; n < limits.peersMax; n++) {
        yield* alice.registry.update(someId(1000 + n), (peer) => ({
          ...peer,
          lastSeen: 1,
          addresses: [nowhere],
          ...(n === 0 && { trust: "verified" as const }),
          ...(n === 1 && { accept: "everyone" as const }),
          ...(n === 2 && { added: true })
        }))
        yield* alice.connection.suggest(someId(1000 + n), nowhere)
      }
      yield* elapse(bob.connection.add(format(alice.address)))
      assert.include(yield* alice.shown, "bob connected")
      const [verified, everyone, added, met] = yield* Effect.forEach([0, 1, 2, 3], (n) =>
        alice.registry.get(someId(1000 + n))
      )
      assert.isTrue(verified?._tag === "Some" && verified.value.trust === "verified")
      assert.isTrue(everyone?._tag === "Some" && everyone.value.accept === "everyone")
      assert.isTrue(added?._tag === "Some" && added.value.added)
      assert.strictEqual(met?._tag, "None")
    })
  )
})

describe("the supervisor", () => {
  /** Sightings that a test makes up, for a node and its settings. */
  const supervise = Effect.fnUntraced(function* (node: Node, settings: Partial<NodeConfig["Service"]>) {
    const watchers: Array<(sighting: Sighting) => void> = []
    const discovery = Layer.succeed(Discovery, {
      watch: (listener) => Effect.sync(() => void watchers.push(listener)),
      sightings: Stream.never,
      announce: Effect.void,
      report: Effect.succeed({ interfaces: [], dropped: 0, deaf: null })
    })
    yield* Layer.build(
      Supervisor.layer.pipe(
        Layer.provide(discovery),
        Layer.provide([Layer.succeed(Connection, node.connection), Layer.succeed(PeerRegistry, node.registry)]),
        Layer.provide(NodeConfig.layer({ name: node.name, dataDir: "/nowhere", ...settings }))
      )
    )
    return (sighting: Sighting) => Effect.sync(() => watchers.forEach((tell) => tell(sighting)))
  })

  it.effect("suggests whom discovery hears, and lets no forged goodbye do anything", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [alice, bob] = [yield* start(network.host("alice")), yield* start(network.host("bob"))]
      const change = yield* changes(alice)
      const hear = yield* supervise(alice, {})
      const sighting = { id: bob.id, instance: bob.instance, name: "bob", address: bob.address }
      yield* hear({ kind: "here", ...sighting })
      assert.strictEqual(yield* elapse(change), `up ${bob.id}`)
      yield* hear({ kind: "goodbye", ...sighting })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* alice.connection.connected, [bob.id])
    })
  )

  it.effect("dials the peers of the settings until they answer", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const alice = yield* start(network.host("alice"))
      network.host("bob")
      const change = yield* changes(alice)
      yield* supervise(alice, { peers: [tcp("bob", 9090)] })
      yield* TestClock.adjust("5 minutes")
      const bob = yield* start(network.host("bob"))
      assert.strictEqual(yield* elapse(change, { within: "40 seconds" }), `up ${bob.id}`)
      network.cut("alice", "bob")
      assert.strictEqual(yield* elapse(change), `down ${bob.id} closed`)
      assert.strictEqual(yield* elapse(change), `up ${bob.id}`)
    })
  )
})

describe("meeting again", () => {
  it.effect("a peer that moved is found at its new address by the first word from there", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [alice, bob] = [yield* start(network.host("alice")), yield* start(network.host("bob"))]
      const change = yield* changes(alice)
      yield* meet(alice, bob)
      assert.strictEqual(yield* elapse(change), `up ${bob.id}`)
      network.unplug("bob", "lan")
      assert.strictEqual(yield* elapse(change, { within: "16 seconds" }), `down ${bob.id} silent`)
      network.plug("bob", "elsewhere")
      const [address = ""] = network.host("bob").addresses()
      yield* alice.connection.suggest(bob.id, tcp(address, 9090))
      // Perhaps a dial of the old address is under way: that has its limit.
      assert.strictEqual(yield* elapse(change, { within: "10 seconds" }), `up ${bob.id}`)
      const [shown] = yield* alice.registry.list
      assert.strictEqual(shown?.addresses[0], `${address}:9090`)
    })
  )
})

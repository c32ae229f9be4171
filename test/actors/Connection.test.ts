/** The front door of the actors, on a simulated network: meeting, losing, adding, removing, and nothing left behind. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { format, tcp } from "../../src/schema/Address.ts"
import type { Event } from "../../src/schema/Event.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { changes, meet, type Node, start } from "./Nodes.ts"

/** Alice and bob on one network. */
const two = Effect.fnUntraced(function* (settings: Partial<SimulatedNetwork.NetworkSettings> = {}) {
  const network = yield* SimulatedNetwork.make({ seed: 1, ...settings })
  const alice = yield* start(network.host("alice"))
  const bob = yield* start(network.host("bob"))
  return { network, alice, bob }
})

const connectedPair = Effect.fnUntraced(function* (settings: Partial<SimulatedNetwork.NetworkSettings> = {}) {
  const all = yield* two(settings)
  const [ofAlice, ofBob] = [yield* changes(all.alice), yield* changes(all.bob)]
  yield* elapse(all.alice.connection.add(format(all.bob.address)))
  assert.strictEqual(yield* elapse(ofAlice), `up ${all.bob.id}`)
  assert.strictEqual(yield* elapse(ofBob), `up ${all.alice.id}`)
  return { ...all, ofAlice, ofBob }
})

/** Shuts a node down, while time passes. */
const stop = (node: Node) => elapse(node.stop)

describe("meeting", () => {
  it.effect("both at the same moment ends in one session, the same on both sides, whatever the delays", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 60; seed++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { network, alice, bob } = yield* two({ seed, latency: `${seed % 7} millis`, jitter: "40 millis" })
            const [ofAlice, ofBob] = [yield* changes(alice), yield* changes(bob)]
            yield* meet(alice, bob)
            if (seed % 3 === 0) yield* Effect.forkChild(alice.connection.add(format(bob.address)))
            if (seed % 4 === 0) yield* Effect.forkChild(bob.connection.add(format(alice.address)))
            yield* TestClock.adjust("3 seconds")
            assert.deepStrictEqual(yield* alice.shown, ["bob connected"], `seed ${seed}`)
            assert.deepStrictEqual(yield* bob.shown, ["alice connected"], `seed ${seed}`)
            assert.strictEqual(network.linkCount(), 1, `seed ${seed}`)
            assert.deepStrictEqual(
              [yield* alice.held, yield* bob.held],
              [
                { actors: 1, links: 1 },
                { actors: 1, links: 1 }
              ]
            )
            assert.deepStrictEqual([yield* ofAlice, yield* ofBob], [`up ${bob.id}`, `up ${alice.id}`])
            // It is the same session: what is sent on either side arrives.
            yield* arrives(alice, bob)
            yield* arrives(bob, alice)
            yield* stop(alice)
            yield* stop(bob)
            assert.strictEqual(network.linkCount(), 0)
          })
        )
      }
    })
  )

  it.effect("fifty peers that connect at the same moment are all accepted and listed once each", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7, jitter: "20 millis" })
      const hub = yield* start(network.host("hub"))
      const peers = yield* Effect.forEach(Array.from({ length: 50 }), (_, n) => start(network.host(`peer${n}`)))
      yield* Effect.forEach(peers, (peer) => peer.connection.suggest(hub.id, hub.address), { discard: true })
      yield* TestClock.adjust("2 seconds")
      const listed = yield* hub.registry.list
      assert.strictEqual(listed.length, 50)
      assert.deepStrictEqual(new Set(listed.map((peer) => peer.id)), new Set(peers.map((peer) => peer.id)))
      assert.isTrue(listed.every((peer) => peer.state === "connected"))
      assert.strictEqual((yield* hub.connection.connected).length, 50)
      assert.deepStrictEqual(yield* hub.held, { actors: 50, links: 50 })
      yield* stop(hub)
      for (const peer of peers) assert.deepStrictEqual(yield* peer.shown, ["hub away"])
      yield* elapse(Effect.forEach(peers, (peer) => peer.stop, { concurrency: "unbounded" }))
      assert.strictEqual(network.linkCount(), 0)
    })
  )

  it.effect("tells whoever comes late of the sessions there are", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* connectedPair()
      assert.strictEqual(yield* yield* changes(bob), `up ${alice.id}`)
    })
  )
})

/** A frame of one arrives at the other. */
const arrives = Effect.fnUntraced(function* (from: Node, to: Node) {
  yield* Effect.scoped(
    Effect.gen(function* () {
      const inbox = yield* to.connection.inbox("Profile")
      yield* from.connection.send(to.id, { _tag: "Profile", name: from.name })
      while (true) {
        const item = yield* elapse(Queue.take(inbox))
        if (!("frame" in item)) continue
        assert.deepStrictEqual(item, { peer: from.id, frame: { _tag: "Profile", name: from.name } })
        return
      }
    })
  )
})

describe("losing a peer", () => {
  it.effect("a reset is noticed at once; it is away, and back when it answers again", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice } = yield* connectedPair()
      network.cut("alice", "bob")
      assert.strictEqual(yield* elapse(ofAlice, { within: "50 millis" }), `down ${bob.id} closed`)
      assert.strictEqual(yield* elapse(ofAlice, { within: "2 seconds" }), `up ${bob.id}`)
      assert.deepStrictEqual(yield* alice.shown, ["bob connected"])
    })
  )

  it.effect("silence is noticed within 15 s, and the peer is away until the network heals", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice } = yield* connectedPair()
      network.partition(["alice"], ["bob"])
      yield* TestClock.adjust("13 seconds")
      assert.deepStrictEqual(yield* alice.shown, ["bob connected"])
      assert.strictEqual(yield* elapse(ofAlice, { within: "1100 millis" }), `down ${bob.id} silent`)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* alice.shown, ["bob away"])
      yield* TestClock.adjust("1 minute")
      network.heal()
      assert.strictEqual(yield* elapse(ofAlice, { within: "31 seconds" }), `up ${bob.id}`)
      // Heard again, it is dialled at once.
      network.partition(["alice"], ["bob"])
      assert.strictEqual(yield* elapse(ofAlice), `down ${bob.id} silent`)
      yield* TestClock.adjust("2 minutes")
      network.heal()
      yield* meet(alice, bob)
      assert.strictEqual(yield* elapse(ofAlice, { within: "8 seconds" }), `up ${bob.id}`)
    })
  )

  it.effect("a network that hesitates for 8 s costs no session: what was dialled beside it is called off", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice } = yield* connectedPair()
      yield* TestClock.adjust("20 seconds")
      network.partition(["alice"], ["bob"])
      yield* TestClock.adjust("8 seconds")
      network.heal()
      assert.isTrue(Option.isNone(yield* elapse(Effect.timeoutOption(ofAlice, "1 minute"), { within: "2 minutes" })))
      assert.strictEqual(network.linkCount(), 1)
      assert.deepStrictEqual([yield* alice.shown, yield* bob.shown], [["bob connected"], ["alice connected"]])
    })
  )

  it.effect(
    "a link that is silent for 9 s is replaced by a new one, if that can be dialled, and not shown as away",
    () =>
      Effect.gen(function* () {
        const { network, alice, bob, ofAlice, ofBob } = yield* connectedPair()
        const shown = yield* watch(alice, (event) => event._tag === "PeerChanged")
        yield* TestClock.adjust("20 seconds")
        shown.length = 0
        network.halfOpen("alice", "bob")
        assert.strictEqual(yield* elapse(ofAlice, { within: "10 seconds" }), `down ${bob.id} duplicate`)
        assert.strictEqual(yield* elapse(ofAlice, { within: "10 millis" }), `up ${bob.id}`)
        assert.strictEqual(yield* elapse(ofBob), `down ${alice.id} duplicate`)
        assert.strictEqual(yield* elapse(ofBob), `up ${alice.id}`)
        yield* arrives(alice, bob)
        assert.deepStrictEqual(
          shown
            .flatMap((event) => (event._tag === "PeerChanged" ? [event.peer.state] : []))
            .filter((state) => state !== "connected"),
          []
        )
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(network.linkCount(), 1)
      })
  )

  for (const [what, isItself] of [
    ["that is heard at a new address and is silent at the old one is dialled there", false],
    ["that loses the address it speaks from dials anew by itself", true]
  ] as const) {
    it.effect(`a peer ${what}, within 2 s`, () =>
      Effect.gen(function* () {
        const { network, alice, bob, ofAlice, ofBob } = yield* connectedPair({ latency: "5 millis" })
        yield* TestClock.adjust("20 seconds")
        if (isItself) network.renumber("alice", "lan")
        else {
          network.renumber("bob", "lan")
          yield* TestClock.adjust("10 millis")
          const [host = ""] = network.host("bob").addresses()
          yield* alice.connection.suggest(bob.id, tcp(host, bob.address.port))
        }
        assert.match(yield* elapse(ofAlice, { within: "2 seconds" }), new RegExp(`^down ${bob.id}`))
        assert.strictEqual(yield* elapse(ofAlice, { within: "100 millis" }), `up ${bob.id}`)
        assert.match(yield* elapse(ofBob), new RegExp(`^down ${alice.id}`))
        assert.strictEqual(yield* elapse(ofBob), `up ${alice.id}`)
        yield* arrives(bob, alice)
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(network.linkCount(), 1)
      })
    )
  }

  it.effect("a peer that has several addresses and is heard at another keeps its session", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* connectedPair({ latency: "50 millis" })
      const dials = () => network.history().filter(({ kind }) => kind === "dial").length
      const before = dials()
      for (const host of network.host("bob").addresses()) {
        yield* alice.connection.suggest(bob.id, tcp(host, bob.address.port))
        yield* TestClock.adjust("3 seconds")
      }
      assert.strictEqual(dials(), before)
      assert.strictEqual(network.linkCount(), 1)
    })
  )

  it.effect("an idle session lives on", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* connectedPair()
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([yield* alice.shown, yield* bob.shown], [["bob connected"], ["alice connected"]])
      assert.strictEqual(network.linkCount(), 1)
    })
  )

  it.effect("a killed peer is away, and its next run is connected again without an alarm", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice } = yield* connectedPair()
      const alarms = yield* watch(alice, (event) => event._tag === "Alarm")
      network.kill("bob")
      yield* stop(bob)
      assert.strictEqual(yield* elapse(ofAlice, { within: "16 seconds" }), `down ${bob.id} silent`)
      assert.deepStrictEqual(yield* alice.shown, ["bob away"])
      network.boot("bob")
      const again = yield* start(network.host("bob"))
      assert.notStrictEqual(again.instance, bob.instance)
      assert.strictEqual(yield* elapse(ofAlice, { within: "31 seconds" }), `up ${bob.id}`)
      assert.deepStrictEqual(alarms, [])
    })
  )

  it.effect("a restarted peer replaces the session that its last run left behind", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice } = yield* connectedPair()
      network.kill("bob")
      yield* stop(bob)
      network.boot("bob")
      const again = yield* start(network.host("bob"))
      yield* again.connection.suggest(alice.id, alice.address)
      assert.strictEqual(yield* elapse(ofAlice, { within: "1 second" }), `down ${bob.id} replaced`)
      assert.strictEqual(yield* elapse(ofAlice, { within: "1 second" }), `up ${bob.id}`)
      yield* arrives(alice, again)
      assert.deepStrictEqual(yield* alice.held, { actors: 1, links: 1 })
    })
  )

  it.effect("two nodes with one identity: the newer one is kept, the older is told and stops dialling", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice } = yield* connectedPair()
      const alarms = yield* watch(bob, (event) => event._tag === "Alarm")
      const clone = yield* start(network.host("bob"))
      yield* elapse(clone.connection.add(format(alice.address)))
      assert.strictEqual(yield* elapse(ofAlice), `down ${bob.id} replaced`)
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(alarms[0], { _tag: "Alarm", kind: "clonedIdentity", peer: bob.id })
      assert.strictEqual(alarms.length, 1)
      assert.deepStrictEqual(yield* bob.shown, ["alice away"])
      assert.deepStrictEqual(yield* clone.shown, ["alice connected"])
    })
  )

  it.effect("leaves nothing behind after 200 connects and disconnects", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice, ofBob } = yield* connectedPair()
      for (let n = 0; n < 200; n++) {
        network.cut("alice", "bob")
        assert.strictEqual(yield* elapse(ofAlice), `down ${bob.id} closed`)
        assert.strictEqual(yield* elapse(ofBob), `down ${alice.id} closed`)
        // A session this long was a good one: the wait between dials stays short.
        if (n % 2 === 0) yield* meet(alice, bob)
        assert.strictEqual(yield* elapse(ofAlice), `up ${bob.id}`)
        assert.strictEqual(yield* elapse(ofBob), `up ${alice.id}`)
        yield* TestClock.adjust("10 seconds")
      }
      assert.strictEqual(network.linkCount(), 1)
      assert.deepStrictEqual(
        [yield* alice.held, yield* bob.held],
        [
          { actors: 1, links: 1 },
          { actors: 1, links: 1 }
        ]
      )
      yield* elapse(alice.connection.remove(bob.id))
      yield* elapse(bob.connection.remove(alice.id))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(
        [yield* alice.held, yield* bob.held],
        [
          { actors: 0, links: 0 },
          { actors: 0, links: 0 }
        ]
      )
      assert.strictEqual(network.linkCount(), 0)
    })
  )
})

/** The events that pass, collected for as long as the scope lives. */
const watch = Effect.fnUntraced(function* (node: Node, isWanted: (event: Event) => boolean) {
  const seen: Array<Event> = []
  yield* node.events.stream.pipe(
    Stream.filter(isWanted),
    Stream.runForEach((event) => Effect.sync(() => void seen.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  return seen
})

describe("adding by hand", () => {
  it.effect("each thing that can be wrong has its own message", () =>
    Effect.gen(function* () {
      const { network, alice } = yield* two()
      network.host("printer")
      network.stranger("printer", 9090)
      network.host("idle")
      const problem = (address: string) =>
        elapse(alice.connection.add(address)).pipe(
          Effect.flip,
          Effect.map((error) => error.message)
        )
      const messages = yield* Effect.forEach(
        ["host", "host:99999", ":", "10.9.9.9:9090", "idle:9090", "printer:9090", "nobody.example:9090", "alice:9090"],
        problem
      )
      assert.strictEqual(new Set(messages).size, messages.length)
      for (const [at, text] of [
        "the port is missing",
        "from 1 to 65535",
        "the host is missing",
        "cannot be reached",
        "refused the connection",
        "is not a Kith node",
        "no machine is known by the name",
        "is this node itself"
      ].entries()) {
        assert.include(messages[at], text)
      }
      assert.deepStrictEqual(yield* alice.registry.list, [])
      assert.deepStrictEqual(yield* alice.held, { actors: 0, links: 0 })
      assert.strictEqual(network.linkCount(), 0)
    })
  )

  it.effect("a peer that is not at its addresses leaves nothing behind; one that comes later is reached", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* two()
      network.host("idle")
      const failed = yield* Effect.flip(elapse(alice.connection.reach(bob.id, [tcp("idle", 9090)])))
      assert.include(failed.message, "refused the connection")
      assert.deepStrictEqual(yield* alice.held, { actors: 0, links: 0 })
      assert.isTrue(Option.isNone(yield* alice.registry.get(bob.id)))
      // Of two at one time the one that fails takes nothing from the other.
      const bad = yield* Effect.forkChild(alice.connection.reach(bob.id, [tcp("idle", 9090)]), {
        startImmediately: true
      })
      yield* elapse(alice.connection.reach(bob.id, [bob.address]))
      yield* Fiber.await(bad)
      assert.deepStrictEqual(yield* alice.connection.connected, [bob.id])
      assert.isTrue(Option.exists(yield* alice.registry.get(bob.id), ({ wanted }) => wanted))
    })
  )

  it.effect("returns the peer once its session is up, and again for one that is connected, over the same link", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice, ofBob } = yield* connectedPair()
      assert.strictEqual(yield* elapse(alice.connection.add(format(bob.address))), bob.id)
      assert.strictEqual(yield* elapse(bob.connection.add(format(alice.address))), alice.id)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(network.linkCount(), 1)
      const [one, other] = [yield* Effect.forkChild(ofAlice), yield* Effect.forkChild(ofBob)]
      yield* TestClock.adjust("1 second")
      assert.isUndefined(one.pollUnsafe())
      assert.isUndefined(other.pollUnsafe())
    })
  )

  it.effect("given up half-way leaves nothing open", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* two({ latency: "100 millis" })
      for (const moment of [50, 150, 350, 450, 550]) {
        const adding = yield* Effect.forkChild(alice.connection.add(format(bob.address)), { startImmediately: true })
        yield* TestClock.adjust(moment)
        yield* elapse(Fiber.interrupt(adding))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(network.linkCount(), 0, `after ${moment} ms`)
        assert.strictEqual((yield* alice.held).links, 0)
        assert.strictEqual((yield* bob.held).links, 0)
      }
      assert.strictEqual(yield* elapse(alice.connection.add(format(bob.address))), bob.id)
    })
  )
})

describe("removing", () => {
  it.effect("forgets the peer, says so, and leaves its key undialled until a person acts", () =>
    Effect.gen(function* () {
      const { network, alice, bob, ofAlice, ofBob } = yield* connectedPair()
      yield* elapse(alice.connection.remove(bob.id))
      assert.deepStrictEqual(yield* alice.registry.list, [])
      assert.strictEqual(yield* elapse(ofAlice), `down ${bob.id} removed`)
      assert.strictEqual(yield* elapse(ofBob), `down ${alice.id} removed`)
      yield* meet(alice, bob)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([yield* alice.registry.list, yield* bob.shown], [[], ["alice away"]])
      assert.deepStrictEqual(yield* alice.held, { actors: 0, links: 0 })
      assert.strictEqual(network.linkCount(), 0)
      // The other person acts: known again, though not dialled from here.
      assert.strictEqual(yield* elapse(bob.connection.add(format(alice.address))), alice.id)
      assert.deepStrictEqual(yield* alice.shown, ["bob connected"])
      const isAdded = Effect.map(
        alice.registry.get(bob.id),
        (known) => known._tag === "Some" && known.value.added === true
      )
      assert.isFalse(yield* isAdded, "nobody did so here")
      network.cut("alice", "bob")
      network.partition(["alice"], ["bob"])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* alice.shown, ["bob away"])
      network.heal()
      assert.strictEqual(yield* elapse(alice.connection.add(format(bob.address))), bob.id)
      assert.isTrue(yield* isAdded)
      yield* meet(alice, bob)
      assert.deepStrictEqual(yield* alice.shown, ["bob connected"])
    })
  )

  it.effect("while others are added, the list is right at every event", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 3, jitter: "10 millis" })
      const hub = yield* start(network.host("hub"))
      const peers = yield* Effect.forEach(Array.from({ length: 20 }), (_, n) => start(network.host(`peer${n}`)))
      const seen = yield* watch(hub, () => true)
      for (const [n, peer] of peers.entries()) {
        const adding = yield* Effect.forkChild(hub.connection.add(format(peer.address)), { startImmediately: true })
        const before = peers[n - 2]
        if (before !== undefined && n % 2 === 0) yield* elapse(hub.connection.remove(before.id))
        yield* elapse(Fiber.join(adding))
      }
      yield* TestClock.adjust("1 minute")
      const replayed = new Map<string, string>()
      for (const event of seen) {
        if (event._tag === "PeerChanged") replayed.set(event.peer.id, event.peer.state)
        if (event._tag === "PeerRemoved") assert.isTrue(replayed.delete(event.id))
      }
      const listed = yield* hub.registry.list
      assert.deepStrictEqual(replayed, new Map(listed.map((peer) => [peer.id, peer.state])))
      const kept = peers.filter((_, n) => n % 2 === 1 || n === 18)
      assert.deepStrictEqual(new Set(listed.map((peer) => peer.id)), new Set(kept.map((peer) => peer.id)))
      assert.isTrue(listed.every((peer) => peer.state === "connected"))
    })
  )
})

describe("the end of a node", () => {
  it.effect("says goodbye to all at the same time, within a second", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 5 })
      const hub = yield* start(network.host("hub"))
      const peers = yield* Effect.forEach(Array.from({ length: 10 }), (_, n) => start(network.host(`peer${n}`)))
      const heard = yield* Effect.forEach(peers, (peer) => changes(peer))
      for (const peer of peers) yield* elapse(hub.connection.add(format(peer.address)))
      // One of them is gone without a word, and must not hold up the others.
      network.halfOpen("hub", "peer3")
      yield* elapse(hub.stop, { within: "2 seconds" })
      for (const [n, next] of heard.entries()) {
        assert.strictEqual(yield* elapse(next), `up ${hub.id}`)
        assert.strictEqual(yield* elapse(next), `down ${hub.id} ${n === 3 ? "silent" : "shutdown"}`)
      }
    })
  )
})

/**
 * What a test can do to a network and to its machines while whole nodes run on them: one test for each verb, short
 * enough to be its example. Each fails where its verb does nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { isOver } from "../../src/schema/Offer.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import * as Simulation from "../../src/testing/Simulation.ts"

type Peer = SimulatedPeer.SimulatedPeer

const silently = <A, E>(program: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.provideService(Effect.scoped(program), References.MinimumLogLevel, "None")

/** In a world of its own: time passes by itself. */
const simulated = <E>(
  name: string,
  test: (network: SimulatedNetwork.SimulatedNetwork, alice: Peer, bob: Peer) => Effect.Effect<void, E>
) =>
  it(name, () => {
    const program = Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 11 })
      const alice = yield* SimulatedPeer.start(network, "alice", { accept: "everyone" })
      const bob = yield* SimulatedPeer.start(network, "bob", { accept: "everyone" })
      yield* alice.meets(bob)
      yield* bob.meets(alice)
      yield* test(network, alice, bob)
    })
    const exit = Simulation.runExit(silently(program))
    if (Exit.isFailure(exit)) throw exit.cause.reasons[0]
  })

const connected = (peer: Peer) => Effect.map(peer.run(Connection.use((one) => one.connected)), (ids) => ids.length)

const heard = (peer: Peer) =>
  Effect.map(peer.run(Chat.use((chat) => chat.history({ limit: 10 }))), (all) => all.map(({ text }) => text))

const say = (from: Peer, to: Peer, text: string) => from.run(Chat.use((chat) => chat.say(text, to.id)))

/** Sends a file and returns what became of it, and how many simulated milliseconds that took. */
const send = Effect.fnUntraced(function* (from: Peer, to: Peer) {
  from.disk.write("/letter.txt", "x".repeat(10_000))
  const began = yield* Clock.currentTimeMillis
  const [view] = yield* from.run(Transfer.use((transfer) => transfer.send(["/letter.txt"], [to.id])))
  const find = from.run(Transfer.use((transfer) => transfer.find(view?.id ?? assert.fail("nothing was sent"))))
  const ended = yield* Effect.repeat(Effect.andThen(Effect.sleep("10 millis"), find), {
    until: ({ state }) => isOver(state)
  })
  return { state: ended.state, took: (yield* Clock.currentTimeMillis) - began }
})

/** How often something happened between two machines so far. */
const count = (network: SimulatedNetwork.SimulatedNetwork, kind: string) =>
  network.history().filter((each) => each.kind === kind).length

describe("verbs of the network", () => {
  simulated("conditions: what is said takes as long as the path", (network, alice, bob) =>
    Effect.gen(function* () {
      network.conditions({ latency: "400 millis" })
      yield* say(alice, bob, "slowly")
      yield* Effect.sleep("390 millis")
      assert.deepStrictEqual(yield* heard(bob), [])
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* heard(bob), ["slowly"])
    })
  )

  simulated("conditions: a bandwidth bounds what a transfer takes", (network, alice, bob) =>
    Effect.gen(function* () {
      const quick = yield* send(alice, bob)
      network.conditions({ bandwidth: 10_000 })
      const slow = yield* send(alice, bob)
      assert.deepStrictEqual([quick.state, slow.state], ["done", "done"])
      // Ten thousand bytes, ten thousand a second.
      assert.isBelow(quick.took, 1000)
      assert.isAtLeast(slow.took, 1000)
    })
  )

  simulated("partition and heal: what was said meanwhile waits", (network, alice, bob) =>
    Effect.gen(function* () {
      network.partition(["alice"], ["bob"])
      yield* say(alice, bob, "can you hear me?")
      yield* Effect.sleep("5 seconds")
      assert.deepStrictEqual(yield* heard(bob), [])
      network.heal()
      yield* Effect.sleep("5 seconds")
      assert.deepStrictEqual(yield* heard(bob), ["can you hear me?"])
    })
  )

  simulated("cut: both lose their session at once, and meet again", (network, alice, bob) =>
    Effect.gen(function* () {
      const before = count(network, "linked")
      network.cut("alice", "bob")
      yield* Effect.sleep("1 millis")
      assert.deepStrictEqual([yield* connected(alice), yield* connected(bob)], [0, 0])
      yield* Effect.all([alice.meets(bob), bob.meets(alice)])
      assert.isAbove(count(network, "linked"), before)
    })
  )

  simulated("halfOpen: only silence tells, and another link is dialled", (network, alice, bob) =>
    Effect.gen(function* () {
      network.halfOpen("alice", "bob")
      yield* say(alice, bob, "into the void")
      yield* Effect.sleep("4 seconds")
      assert.deepStrictEqual(yield* heard(bob), [])
      yield* Effect.sleep("16 seconds")
      assert.deepStrictEqual(yield* heard(bob), ["into the void"])
    })
  )

  it("segments: a host on two of them talks to both sides, which do not reach each other", () => {
    const program = Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 12, routed: false })
      const left = yield* SimulatedPeer.start(network, "left", { segments: ["one"] })
      const middle = yield* SimulatedPeer.start(network, "middle", { segments: ["one", "other"] })
      const right = yield* SimulatedPeer.start(network, "right", { segments: ["other"] })
      yield* middle.meets(left, right)
      yield* Effect.sleep("10 seconds")
      return [yield* connected(left), yield* connected(middle), yield* connected(right)]
    })
    assert.deepStrictEqual(Simulation.runExit(silently(program)), Exit.succeed([1, 2, 1]))
  })
})

describe("verbs of a peer", () => {
  simulated("restart: it says goodbye, and comes back as another run of the same peer", (_, alice, bob) =>
    Effect.gen(function* () {
      const instance = bob.run(Identity.use((self) => Effect.succeed([self.id, self.instance])))
      const before = yield* instance
      yield* say(bob, alice, "back in a moment")
      yield* Effect.orDie(bob.restart)
      yield* alice.meets(bob)
      const after = yield* instance
      assert.strictEqual(after[0], before[0])
      assert.notStrictEqual(after[1], before[1])
      assert.deepStrictEqual(yield* heard(bob), ["back in a moment"])
    })
  )

  simulated(
    "kill: no goodbye; what was committed is there afterwards, what was not synced is not",
    (network, alice, bob) =>
      Effect.gen(function* () {
        bob.disk.writeAt(bob.disk.create("/draft", false), new Uint8Array([1, 2, 3]), 0)
        yield* say(bob, alice, "last words")
        const closed = count(network, "close")
        yield* bob.kill
        yield* Effect.sleep("100 millis")
        assert.isFalse(bob.isRunning())
        assert.deepStrictEqual(bob.disk.read("/draft"), new Uint8Array(3))
        assert.strictEqual(count(network, "close"), closed)
        assert.strictEqual(yield* connected(alice), 1)
        yield* Effect.orDie(bob.start)
        yield* alice.meets(bob)
        assert.deepStrictEqual(yield* heard(bob), ["last words"])
      })
  )

  simulated("slowDisk: each piece of work takes its time", (_, alice, bob) =>
    Effect.gen(function* () {
      const quick = yield* send(alice, bob)
      bob.slowDisk(500)
      const slow = yield* send(alice, bob)
      assert.deepStrictEqual([quick.state, slow.state], ["done", "done"])
      assert.isAbove(slow.took, quick.took + 1000)
    })
  )

  simulated("fillDisk: what does not fit is refused, and taken once there is room", (_, alice, bob) =>
    Effect.gen(function* () {
      bob.fillDisk(5000)
      assert.notStrictEqual((yield* send(alice, bob)).state, "done")
      bob.fillDisk(Number.POSITIVE_INFINITY)
      assert.strictEqual((yield* send(alice, bob)).state, "done")
    })
  )

  simulated("skewClock: messages carry the time it shows, and no session ends by it", (network, alice, bob) =>
    Effect.gen(function* () {
      const sentAt = (offset: Duration.Input) =>
        Effect.suspend(() => {
          bob.skewClock(offset)
          return Effect.map(say(bob, alice, "what time is it?"), (message) => message.sentAt)
        })
      const closed = count(network, "close")
      const [now, past] = [yield* sentAt(0), yield* sentAt("-1 day")]
      assert.strictEqual(past, now - 24 * 3600 * 1000)
      yield* Effect.sleep("1 minute")
      assert.strictEqual(count(network, "close"), closed)
      assert.strictEqual(yield* connected(alice), 1)
    })
  )
})

describe("standing still, moving, leaving", () => {
  simulated("a peer that is frozen for a moment misses nothing", (_, alice, bob) =>
    Effect.gen(function* () {
      bob.freeze()
      yield* alice.run(Chat.use((chat) => chat.say("are you there?", bob.id)))
      yield* Effect.sleep("8 seconds")
      assert.strictEqual(yield* connected(alice), 1)
      bob.thaw()
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* heard(bob), ["are you there?"])
    })
  )

  simulated("one that is frozen for longer is given up, and found again", (_, alice, bob) =>
    Effect.gen(function* () {
      bob.freeze()
      yield* Effect.sleep("16 seconds")
      assert.strictEqual(yield* connected(alice), 0)
      bob.thaw()
      yield* alice.meets(bob)
    })
  )

  simulated("a peer with a new address is found there", (network, alice, bob) =>
    Effect.gen(function* () {
      const before = bob.host.addresses()
      network.renumber("bob", "lan")
      const after = bob.host.addresses()
      assert.strictEqual(after.filter((each) => before.includes(each)).length, 0)
      yield* Effect.sleep("16 seconds")
      yield* alice.meets(bob)
    })
  )

  simulated("a path that works one way only is no session, until it is healed", (network, alice, bob) =>
    Effect.gen(function* () {
      network.oneWay(["alice"], ["bob"])
      yield* Effect.sleep("40 seconds")
      assert.deepStrictEqual([yield* connected(alice), yield* connected(bob)], [0, 0])
      network.heal()
      yield* Effect.all([alice.meets(bob), bob.meets(alice)])
    })
  )

  simulated("a restart and an unplugged card leave nothing open", (network, alice, bob) =>
    Effect.gen(function* () {
      yield* Effect.orDie(bob.restart)
      yield* alice.meets(bob)
      network.unplug("bob", "lan")
      yield* Effect.sleep("30 seconds")
      assert.strictEqual(yield* connected(alice), 0)
      network.plug("bob", "lan")
      yield* alice.meets(bob)
      yield* Effect.all([alice.stop, bob.stop])
      assert.deepStrictEqual(network.open(), { links: 0, listeners: 0, sockets: 0 })
    })
  )
})

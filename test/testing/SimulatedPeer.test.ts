/** Whole nodes on a simulated network: they find each other, talk, and survive what happens to them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { isOver } from "../../src/schema/Offer.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"

type Peer = SimulatedPeer.SimulatedPeer

const connected = (peer: Peer) => peer.run(Connection.use((connection) => connection.connected))

const meets = (peer: Peer, others: ReadonlyArray<Peer>) =>
  elapse(peer.meets(...others), { within: "20 seconds" }).pipe(
    Effect.andThen(connected(peer)),
    Effect.map((ids) =>
      assert.sameMembers(
        [...ids],
        others.map((other) => other.id)
      )
    )
  )

const say = (from: Peer, text: string, to: Peer | null) =>
  from.run(
    Effect.gen(function* () {
      const chat = yield* Chat
      const message = yield* chat.say(text, to?.id ?? null)
      return yield* chat.settled(message.id, "10 seconds")
    })
  )

const history = (peer: Peer) =>
  peer
    .run(Chat.use((chat) => chat.history({ limit: 100 })))
    .pipe(Effect.map((messages) => messages.map((message) => message.text)))

describe("SimulatedPeer", () => {
  it.effect("three peers on one segment find each other and talk", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [alice, bob, carol] = [
        yield* SimulatedPeer.start(network, "alice"),
        yield* SimulatedPeer.start(network, "bob"),
        yield* SimulatedPeer.start(network, "carol")
      ]
      yield* meets(alice, [bob, carol])
      yield* meets(bob, [alice, carol])
      assert.strictEqual((yield* elapse(say(alice, "hello all", null))).state, "delivered")
      assert.strictEqual((yield* elapse(say(bob, "hello alice", alice))).state, "delivered")
      assert.deepStrictEqual(yield* history(alice), ["hello all", "hello alice"])
      assert.deepStrictEqual(yield* history(carol), ["hello all"])
    })
  )

  it.effect("what was said to a peer that is away survives the death of both, and arrives once", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 3 })
      const alice = yield* SimulatedPeer.start(network, "alice", { discovery: false })
      const bob = yield* SimulatedPeer.start(network, "bob", { discovery: false })
      yield* elapse(alice.run(Connection.use(({ add }) => add("bob:9090"))))
      yield* elapse(say(alice, "one", bob))
      yield* bob.kill
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* elapse(say(alice, "two", bob))).state, "queued")
      yield* alice.kill
      yield* bob.start
      yield* alice.start
      // Nobody announces anything: where the other is was remembered.
      yield* meets(alice, [bob])
      assert.strictEqual((yield* elapse(say(alice, "three", bob))).state, "delivered")
      yield* bob.kill
      yield* bob.start
      yield* meets(bob, [alice])
      assert.deepStrictEqual(yield* history(bob), ["one", "two", "three"])
      assert.deepStrictEqual(yield* history(alice), ["one", "two", "three"])
    })
  )

  it.effect("a partition is noticed within 15 s and healed within 2 s", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 2 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob")
      yield* meets(alice, [bob])
      network.partition(["alice"])
      yield* TestClock.adjust("15100 millis")
      assert.deepStrictEqual([yield* connected(alice), yield* connected(bob)], [[], []])
      yield* TestClock.adjust("1 minute")
      network.heal()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([yield* connected(alice), yield* connected(bob)], [[bob.id], [alice.id]])
    })
  )

  it.effect("a killed peer is missed within 15 s, and found again when it is back", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 3 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob")
      yield* meets(alice, [bob])
      yield* bob.kill
      assert.isFalse(bob.isRunning())
      yield* TestClock.adjust("15100 millis")
      assert.deepStrictEqual(yield* connected(alice), [])
      yield* bob.start
      yield* meets(alice, [bob])
      assert.strictEqual((yield* elapse(say(alice, "welcome back", bob))).state, "delivered")
    })
  )

  it.effect("a peer that stops says goodbye, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 4 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob")
      yield* meets(alice, [bob])
      yield* elapse(bob.stop, { within: "2 seconds" })
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* connected(alice), [])
      assert.strictEqual(network.linkCount(), 0)
    })
  )
})

/** Some files, one of them large, and an empty directory. */
const putTree = (peer: Peer) => {
  const large = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 31 + (index >> 8)) & 255)
  peer.disk.write("/photos/large.bin", large)
  peer.disk.write("/photos/a/\u{1f600}.txt", "hello")
  peer.disk.write("/photos/a/empty.txt", "")
  peer.disk.directory("/photos/nothing")
}

/** Sends it, and waits for what becomes of it. */
const send = (from: Peer, path: string, to: Peer) =>
  from.run(
    Effect.gen(function* () {
      const transfer = yield* Transfer
      const [view] = yield* transfer.send([path], [to.id])
      const id = view?.id ?? assert.fail("nothing was sent")
      return yield* Effect.repeat(Effect.andThen(Effect.sleep(50), transfer.find(id)), {
        until: ({ state }) => isOver(state)
      })
    })
  )

describe("transfers", () => {
  it.effect("a tree arrives as it was, by the real services", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, bandwidth: 5_000_000 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob", { accept: "everyone" })
      yield* meets(alice, [bob])
      putTree(alice)
      const sent = yield* elapse(send(alice, "/photos", bob))
      assert.deepInclude(sent, { state: "done", error: null })
      assert.deepStrictEqual(bob.disk.tree(`${bob.received}/photos`), alice.disk.tree("/photos"))
      assert.deepStrictEqual(bob.disk.list(bob.received), ["photos"])
    })
  )

  it.effect("a full disk is told to both sides, and nothing is published", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 2 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob", { accept: "everyone" })
      yield* meets(alice, [bob])
      putTree(alice)
      bob.fillDisk(1_000_000)
      const sent = yield* elapse(send(alice, "/photos", bob))
      assert.notInclude(["done", "partial"], sent.state)
      assert.isNotNull(sent.error)
      assert.notInclude(bob.disk.list(bob.received), "photos")
    })
  )

  it.effect("a receiver that is killed in the middle has published nothing", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 3, bandwidth: 1_000_000 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob", { accept: "everyone" })
      yield* meets(alice, [bob])
      putTree(alice)
      yield* Effect.forkChild(send(alice, "/photos", bob))
      yield* TestClock.adjust("1500 millis")
      yield* bob.kill
      assert.deepStrictEqual(bob.disk.list(bob.received), [".kith"])
    })
  )
})

describe("one seed, one history of whole nodes", () => {
  const scenario = Effect.fnUntraced(function* (seed: number) {
    const network = yield* SimulatedNetwork.make({ seed, jitter: "3 millis", loss: 0.1 })
    const peers: Array<Peer> = []
    for (const name of ["alice", "bob", "carol", "dave"])
      peers.push(yield* SimulatedPeer.start(network, name, { accept: "everyone" }))
    const [alice, bob] = peers
    assert(alice !== undefined && bob !== undefined)
    yield* TestClock.adjust("5 seconds")
    yield* elapse(say(alice, "one", null))
    network.partition(["alice", "bob"])
    yield* TestClock.adjust("20 seconds")
    yield* elapse(say(bob, "two", null))
    putTree(alice)
    yield* Effect.forkChild(send(alice, "/photos", bob))
    yield* TestClock.adjust("300 millis")
    network.heal()
    yield* bob.kill
    yield* TestClock.adjust("5 seconds")
    yield* bob.start
    yield* TestClock.adjust("20 seconds")
    return { transcript: network.transcript(), fingerprint: network.fingerprint() }
  }, Effect.scoped)

  it.effect("is the same twice, to the byte", () =>
    Effect.gen(function* () {
      const one = yield* scenario(5)
      const two = yield* scenario(5)
      const lines = [one.transcript.split("\n"), two.transcript.split("\n")] as const
      const at = lines[0].findIndex((line, index) => line !== lines[1][index])
      assert.strictEqual(at, -1, `line ${at}: ${lines[0][at]} / ${lines[1][at]}`)
      assert.strictEqual(two.fingerprint, one.fingerprint)
      assert.notStrictEqual((yield* scenario(6)).fingerprint, one.fingerprint)
    })
  )
})

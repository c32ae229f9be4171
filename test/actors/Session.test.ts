/** A control link as a conversation, with a puppet at the other end that says what no honest node would. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { limits } from "../../src/config.ts"
import { format, tcp } from "../../src/schema/Address.ts"
import { encode, type Frame, frameMaxBytes, type FrameOf, helloMaxBytes } from "../../src/schema/Frame.ts"
import { Splitter } from "../../src/schema/FrameCodec.ts"
import { Instance, TransferId } from "../../src/schema/Id.ts"
import { type Link, LinkClosed } from "../../src/services/Transport.ts"
import * as Heartbeats from "../../src/actors/peers/Heartbeats.ts"
import * as Session from "../../src/actors/peers/Session.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"
import { start as startBare, inbound } from "../testing/SimulatedPair.ts"
import { changes, hello, puppet, start } from "./Nodes.ts"

/** Alice is a node; mallory has a key and a transport, and a link to her on which nothing was said. */
const linked = Effect.fnUntraced(function* () {
  const network = yield* SimulatedNetwork.make({ seed: 1 })
  const alice = yield* start(network.host("alice"))
  const mallory = yield* startBare(network.host("mallory"))
  const dial = Effect.map(elapse(mallory.transport.dial(alice.address, { protocol: "kith/1" })), puppet)
  return { network, alice, mallory, dial, self: mallory.identity, puppet: yield* dial }
})

/** The same, after both Hellos. */
const session = Effect.fnUntraced(function* () {
  const all = yield* linked()
  const change = yield* changes(all.alice)
  yield* all.puppet.say(hello(all.self))
  assert.deepInclude(yield* elapse(all.puppet.next), { _tag: "Hello", id: all.alice.id, name: "alice" })
  assert.strictEqual(yield* elapse(change), `up ${all.self.id}`)
  return { ...all, change }
})

const receipt = (n: number): FrameOf<"ChatReceipt"> => ({
  _tag: "ChatReceipt",
  epoch: someEpoch(1),
  seq: n,
  state: "delivered"
})

/** A hundred thousand bytes. */
const big: Frame = {
  _tag: "TransferDone",
  transfer: TransferId.make(someMessage(1)),
  outcome: "failed",
  failed: Array.from({ length: 100 }, () => ({ path: "x".repeat(1000), reason: "" })),
  error: ""
}

describe("the first frame", () => {
  it.effect("must be an acceptable Hello, or the link ends with a Goodbye that says why", () =>
    Effect.gen(function* () {
      const { alice, dial, self } = yield* linked()
      const cases: ReadonlyArray<readonly [reason: string, first: (link: Link) => Effect.Effect<void, unknown>]> = [
        ["idMismatch", (link) => puppet(link).say(hello({ ...self, id: someId(9) }))],
        ["idMismatch", (link) => puppet(link).say(hello({ ...self, id: alice.id }))],
        ["version", (link) => puppet(link).say(hello(self, { version: { major: 2, minor: 0 } }))],
        ["protocol", (link) => puppet(link).say({ _tag: "Ping", nonce: 1 })],
        ["protocol", (link) => puppet(link).sayJson({ ...hello(self), port: 0 })],
        ["protocol", (link) => puppet(link).sayJson({ _tag: "Unheard" })],
        ["protocol", (link) => puppet(link).sayJson("hello")],
        ["protocol", (link) => link.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: alice\r\n\r\n"))],
        ["protocol", (link) => link.write(new Uint8Array(4))],
        [
          "protocol",
          (link) => link.write(new Uint8Array([0, 0, (helloMaxBytes + 1) >>> 8, (helloMaxBytes + 1) & 255]))
        ],
        ["protocol", (link) => link.write(new Uint8Array([0, 0, 0, 1, 0xff]))],
        ["silent", () => Effect.void]
      ]
      for (const [reason, first] of cases) {
        const other = yield* dial
        yield* first(other.link)
        assert.deepInclude(yield* elapse(other.next), { _tag: "Goodbye", reason })
        yield* elapse(Effect.flip(other.link.read))
      }
      assert.deepStrictEqual(yield* alice.registry.list, [])
      assert.deepStrictEqual(yield* alice.held, { actors: 0, links: 0 })
      // The listener lives.
      const good = yield* dial
      yield* good.say(hello(self))
      assert.deepInclude(yield* elapse(good.next), { _tag: "Hello" })
    })
  )

  it.effect("may come byte by byte, and from a newer minor version with features we do not know", () =>
    Effect.gen(function* () {
      const { alice, puppet: other, self } = yield* linked()
      const newer = { version: { major: 1, minor: 7 }, features: ["telepathy"] }
      for (const byte of encode(hello(self, newer))) yield* other.link.write(new Uint8Array([byte]))
      assert.deepInclude(yield* elapse(other.next), { _tag: "Hello" })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* alice.connection.connected, [self.id])
    })
  )

  it.effect("of a peer that we dialled is judged alike, and the person who added it is told", () =>
    Effect.gen(function* () {
      const { alice, mallory, self } = yield* linked()
      const links = yield* inbound(mallory.transport)
      const answers: ReadonlyArray<readonly [reason: string, answer: Frame | null]> = [
        ["idMismatch", hello({ ...self, id: someId(9) })],
        ["version", hello(self, { version: { major: 2, minor: 0 } })],
        ["protocol", { _tag: "Ping", nonce: 1 }],
        ["full", { _tag: "Goodbye", reason: "full", message: "\u001b[2Jno room" }],
        ["silent", null]
      ]
      for (const [reason, answer] of answers) {
        const adding = yield* Effect.forkChild(Effect.flip(alice.connection.add("mallory:9090")), {
          startImmediately: true
        })
        const other = puppet(yield* elapse(Queue.take(links)))
        assert.deepInclude(yield* elapse(other.next), { _tag: "Hello", id: alice.id })
        if (answer !== null) yield* other.say(answer)
        const error = yield* elapse(Fiber.join(adding))
        assert.deepInclude(error, { _tag: "SessionError", reason })
        assert.notInclude(error.message, "\u001b")
        assert.strictEqual((yield* alice.held).links, 0)
      }
      assert.isFalse((yield* alice.registry.list).some((peer) => peer.state === "connected"))
    })
  )
})

describe("a session", () => {
  it.effect("ends with Goodbye when the bytes are no frames", () =>
    Effect.gen(function* () {
      for (const bytes of [
        [0, 0, 0, 0],
        [255, 255, 255, 255],
        [0, 0, 0, 2, 0xc3, 0x28],
        [0, 0, 0, 1, 0x7b]
      ]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { puppet: other, self, change, alice } = yield* session()
            yield* other.link.write(new Uint8Array(bytes))
            assert.deepInclude(yield* elapse(other.next), { _tag: "Goodbye", reason: "protocol" })
            assert.strictEqual(yield* elapse(change), `down ${self.id} protocol`)
            assert.deepStrictEqual(yield* alice.shown, ["puppet away"])
          })
        )
      }
    })
  )

  it.effect("skips what it does not know, and answers what its schema refuses, and lives", () =>
    Effect.gen(function* () {
      const { alice, self, puppet: other } = yield* session()
      const inbox = yield* alice.connection.inbox("ChatReceipt")
      yield* other.sayJson({ _tag: "Telepathy", thought: 1 })
      yield* other.sayJson({ ...receipt(1), seq: -1 })
      yield* other.sayJson({ ...receipt(1), state: "\ud800" })
      yield* other.sayJson([1, 2])
      yield* other.say(hello(self))
      yield* other.sayJson({ _tag: "Refused", frame: 1 })
      yield* other.say({ _tag: "Refused", frame: "Chat", reason: "no" })
      yield* other.sayJson({ ...receipt(2), shoeSize: 43 })
      const refused: Array<string> = []
      for (let n = 0; n < 4; n++) {
        const frame = yield* elapse(other.next)
        refused.push(frame._tag === "Refused" ? frame.frame : frame._tag)
      }
      assert.deepStrictEqual(refused, ["ChatReceipt", "ChatReceipt", "?", "Hello"])
      assert.deepStrictEqual(yield* Queue.take(inbox), { _tag: "Up", peer: self.id })
      assert.deepStrictEqual(yield* elapse(Queue.take(inbox)), { peer: self.id, frame: receipt(2) })
      yield* other.say({ _tag: "Ping", nonce: 77 })
      assert.deepStrictEqual(yield* elapse(other.next), { _tag: "Pong", nonce: 77 })
    })
  )

  it.effect("logs a peer that it does not understand once a minute, not once a frame", () => {
    let complaints = 0
    const logger = Logger.make(({ message }) => {
      if (String(message).includes("do not understand")) complaints++
    })
    return Effect.gen(function* () {
      const { puppet: other } = yield* session()
      for (let n = 0; n < 100; n++) yield* other.sayJson({ _tag: "Chat" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(complaints, 1)
      for (let n = 0; n < 15; n++) {
        yield* other.say({ _tag: "Pong", nonce: 0 })
        yield* TestClock.adjust("5 seconds")
      }
      yield* other.sayJson({ _tag: "Chat" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(complaints, 2)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("takes the peer's new name from its Profile", () =>
    Effect.gen(function* () {
      const { alice, puppet: other } = yield* session()
      yield* other.say({ _tag: "Profile", name: "Mallory the Second" })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* alice.shown, ["Mallory the Second connected"])
    })
  )

  it.effect("costs one Ping and one Pong in 5 s where nobody says anything", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [alice, bob] = [yield* start(network.host("alice")), yield* start(network.host("bob"))]
      const change = yield* changes(alice)
      yield* alice.connection.suggest(bob.id, bob.address)
      assert.strictEqual(yield* elapse(change), `up ${bob.id}`)
      yield* TestClock.adjust("1 second")
      const said = () => network.history().filter(({ kind }) => kind === "data").length
      const before = said()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(said() - before, 24)
    })
  )

  it.effect("asks a quiet peer that dialled after 6 s, and gives it up after 14", () =>
    Effect.gen(function* () {
      const { puppet: other, self, change } = yield* session()
      yield* TestClock.adjust("5900 millis")
      const asked = yield* Effect.forkChild(other.next, { startImmediately: true })
      yield* TestClock.adjust("50 millis")
      assert.isUndefined(asked.pollUnsafe())
      assert.deepStrictEqual(yield* elapse(Fiber.join(asked), { within: "100 millis" }), { _tag: "Ping", nonce: 0 })
      // Anything that is heard counts, not only an answer.
      yield* other.sayJson({ _tag: "Telepathy" })
      yield* TestClock.adjust("13900 millis")
      const down = yield* Effect.forkChild(change, { startImmediately: true })
      assert.isUndefined(down.pollUnsafe())
      assert.strictEqual(yield* elapse(Fiber.join(down), { within: "150 millis" }), `down ${self.id} silent`)
    })
  )

  it.effect("does not take a peer for dead that waits for a service of this node, nor seem dead to it", () =>
    Effect.gen(function* () {
      const { alice, puppet: other, self } = yield* session()
      const scope = yield* Scope.make()
      const inbox = yield* alice.connection.inbox("ChatReceipt").pipe(Scope.provide(scope))
      const count = limits.inboxMax + 10
      for (let n = 0; n < count; n++) yield* elapse(other.say(receipt(n)))
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* Queue.isFull(inbox))
      // Nobody reads for minutes: it goes on asking, and so is heard.
      for (let n = 0; n < 12; n++) {
        assert.deepInclude(yield* elapse(other.next, { within: "5100 millis" }), { _tag: "Ping" })
        yield* TestClock.adjust("4900 millis")
      }
      assert.deepStrictEqual(yield* alice.connection.connected, [self.id])
      assert.deepStrictEqual(yield* Queue.take(inbox), { _tag: "Up", peer: self.id })
      for (let n = 0; n < count; n++) {
        assert.deepStrictEqual(yield* elapse(Queue.take(inbox)), { peer: self.id, frame: receipt(n) })
      }
      // A service that goes away holds nobody up.
      for (let n = 0; n < count; n++) yield* elapse(other.say(receipt(n)))
      yield* Scope.close(scope, Exit.void)
      yield* other.say({ _tag: "Ping", nonce: 5 })
      while (true) {
        const frame = yield* elapse(other.next)
        if (frame._tag === "Pong") return assert.strictEqual(frame.nonce, 5)
      }
    })
  )

  it.effect("makes senders wait when the peer reads nothing, and gives it up in the end", () =>
    Effect.gen(function* () {
      const { alice, self, change, puppet: other } = yield* session()
      let sent = 0
      const sending = yield* alice.connection.send(self.id, big).pipe(
        Effect.tap(() => Effect.sync(() => sent++)),
        Effect.forever,
        Effect.flip,
        Effect.forkChild({ startImmediately: true })
      )
      for (let n = 0; n < 500; n++) yield* TestClock.adjust("1 millis")
      const held = sent
      assert.isAtLeast(held, limits.outgoingMax)
      assert.isBelow(held, limits.outgoingMax + 100)
      const pings = yield* other
        .say({ _tag: "Ping", nonce: 1 })
        .pipe(Effect.andThen(Effect.sleep("5 seconds")), Effect.forever, Effect.forkChild)
      yield* TestClock.adjust("28 seconds")
      assert.strictEqual(sent, held)
      assert.strictEqual(yield* elapse(change), `down ${self.id} stalled`)
      assert.deepInclude(yield* elapse(Fiber.join(sending)), { _tag: "NotConnected" })
      yield* Fiber.interrupt(pings)
    })
  )

  it.effect("writes many small frames at once, in their order", () =>
    Effect.gen(function* () {
      const { alice, self, puppet: other, network } = yield* session()
      const before = network.history().length
      const count = 200
      yield* Effect.forEach(Array.from({ length: count }), (_, n) => alice.connection.send(self.id, receipt(n)), {
        discard: true
      })
      for (let n = 0; n < count; n++) assert.deepStrictEqual(yield* elapse(other.next), receipt(n))
      const arrivals = network.history().slice(before)
      assert.isBelow(arrivals.length, count / 4)
    })
  )

  it.effect("tells what it was told: a Goodbye, of any reason, that came before the end of the link", () =>
    Effect.gen(function* () {
      for (const reason of ["shutdown", "holiday"]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { alice, self, change, puppet: other } = yield* session()
            yield* other.say({ _tag: "Goodbye", reason })
            yield* elapse(other.link.close)
            assert.strictEqual(yield* elapse(change), `down ${self.id} ${reason}`)
            const error = yield* Effect.flip(alice.connection.send(self.id, receipt(1)))
            assert.strictEqual(error.message, `not connected to ${self.id.slice(0, 8)}`)
          })
        )
      }
    })
  )
})

describe("the last words of a peer", () => {
  it.effect("are heard though the link takes nothing any more; they are not waited for long", () =>
    Effect.gen(function* () {
      const over = new LinkClosed({ clean: false, reason: "broken pipe" })
      for (const [delay, reason] of [
        ["150 millis", "removed"],
        ["1 minute", "closed"]
      ] as const) {
        const link: Link = {
          peer: someId(1),
          protocol: "kith/1",
          side: "dialled",
          remote: tcp("192.0.2.1", 9090),
          read: Effect.delay(Effect.succeed(encode({ _tag: "Goodbye", reason: "removed" })), delay),
          readFully: () => Effect.fail(over),
          write: () => Effect.fail(over),
          close: Effect.void,
          exportKey: () => Effect.fail(over)
        }
        const instance = Instance.make(someMessage(1))
        const opened = { link, hello: hello({ id: link.peer, instance }), splitter: new Splitter(frameMaxBytes) }
        const end = yield* Effect.gen(function* () {
          const session = yield* Session.make(opened, [], yield* Heartbeats.make)
          yield* session.send(receipt(1))
          const nothing = Effect.succeed(false)
          return yield* session.run({
            begin: Effect.void,
            frame: () => nothing,
            silent: () => true,
            complaint: () => Effect.void
          })
        }).pipe(Effect.scoped, (running) => elapse(running, { within: "1 second" }))
        assert.strictEqual(end.reason, reason)
      }
    })
  )
})

describe("a data link", () => {
  it.effect("goes to where the session came from, at the port of its Hello; else to another known address", () =>
    Effect.gen(function* () {
      const { alice, mallory, self } = yield* session()
      const links = yield* inbound(mallory.transport, "kith-data/1")
      const link = yield* elapse(alice.connection.openDataLink(self.id))
      assert.deepInclude(link, { peer: self.id, protocol: "kith-data/1", side: "dialled" })
      assert.strictEqual(format(link.remote), format(tcp("10.0.0.2", 9090)))
      yield* elapse(Queue.take(links))
    })
  )

  it.effect("is refused for a peer without a session, and given up in 3 s", () =>
    Effect.gen(function* () {
      const { network, alice, self } = yield* session()
      assert.deepInclude(yield* Effect.flip(Effect.scoped(alice.connection.openDataLink(someId(9)))), {
        _tag: "NotConnected"
      })
      network.partition(["alice"], ["mallory"])
      const error = yield* elapse(Effect.flip(Effect.scoped(alice.connection.openDataLink(self.id))), {
        within: "3100 millis"
      })
      assert.deepInclude(error, { _tag: "DialError", problem: "unreachable" })
    })
  )
})

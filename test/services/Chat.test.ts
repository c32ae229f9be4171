/** Chat: exactly once and in order, whatever the link does, and a state that never lies. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { limits } from "../../src/config.ts"
import { decode, encode, type Frame, frameMaxBytes } from "../../src/schema/Frame.ts"
import { Instance } from "../../src/schema/Id.ts"
import type { Message } from "../../src/schema/Message.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import { chatMaxBytes } from "../../src/schema/Text.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Database, DatabaseError, type Memory, makeMemory, type Query } from "../../src/services/Database.ts"
import { Events } from "../../src/services/Events.ts"
import { Identity } from "../../src/services/Identity.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"
import * as FakeConnection from "./FakeConnection.ts"

/** A node that has nothing but chat; it remembers what is in this database, or begins without a memory. */
const makeNode = Effect.fnUntraced(function* (n: number, memory?: Memory) {
  const id = someId(n)
  const fake = FakeConnection.make()
  const identity = Layer.succeed(Identity, {
    id,
    instance: Instance.make("a".repeat(26)),
    certificate: "",
    privateKey: Redacted.make("")
  })
  const context = yield* Layer.build(
    Chat.layer.pipe(
      Layer.provideMerge(PeerRegistry.layerMemory),
      Layer.provideMerge(Events.layer),
      Layer.provideMerge(MessageStore.layer),
      Layer.provide((memory ?? (yield* makeMemory)).layer),
      Layer.provide([fake.layer, identity, SecureRandom.layerWebCrypto])
    )
  )
  const chat = Context.get(context, Chat)
  const registry = Context.get(context, PeerRegistry)
  const changes = yield* Queue.unbounded<{
    readonly _tag: "MessageAdded" | "MessageChanged"
    readonly message: Message
  }>()
  yield* Context.get(context, Events).stream.pipe(
    Stream.runForEach((event) =>
      event._tag === "MessageAdded" || event._tag === "MessageChanged" ? Queue.offer(changes, event) : Effect.void
    ),
    Effect.forkScoped({ startImmediately: true })
  )
  /** Makes a peer known, and perhaps more. */
  const know = (peer: number, change: { readonly trust?: "verified" | "blocked"; readonly name?: string } = {}) =>
    registry.update(someId(peer), (record) => ({ ...record, ...change }))
  const texts = Effect.map(chat.history({ limit: 100_000 }), (messages) => messages.map((message) => message.text))
  /** The message of the next event that satisfies this. */
  const next = Effect.fnUntraced(function* (is: (message: Message, tag: string) => boolean) {
    for (;;) {
      const event = yield* Queue.take(changes)
      if (is(event.message, event._tag)) return event.message
    }
  })
  return { id, fake, chat, registry, know, texts, changes, next }
})

type Node = Effect.Success<ReturnType<typeof makeNode>>

/** A session between two nodes; frames cross it as bytes. Ends when told. */
const join = Effect.fnUntraced(function* (a: Node, b: Node) {
  const carry = (from: Node, to: Node) => (frame: Frame) => {
    const bytes = encode(frame)
    assert.isAtMost(bytes.length - 4, frameMaxBytes)
    const decoded = decode(bytes.subarray(4))
    assert.isTrue(decoded._tag === "Success" && decoded.success._tag === "Known")
    return decoded._tag === "Success" && decoded.success._tag === "Known"
      ? to.fake.deliver(from.id, decoded.success.frame)
      : Effect.void
  }
  yield* b.fake.up(a.id, carry(b, a))
  yield* a.fake.up(b.id, carry(a, b))
  return { cut: Effect.andThen(a.fake.down(b.id), b.fake.down(a.id)) }
})

/** One direction of a link that carries so many frames before it dies unnoticed. */
const carrying = (carries: number, from: Node, to: Node) => {
  let left = carries
  return (frame: Frame) => (left-- > 0 ? to.fake.deliver(from.id, frame) : Effect.void)
}

/** A session whose other side is the test: what was sent is in a queue. */
const session = Effect.fnUntraced(function* (node: Node, peer: number) {
  const sent = yield* Queue.unbounded<Frame>()
  yield* node.fake.up(someId(peer), (frame) => Queue.offer(sent, frame))
  const chat = Effect.gen(function* () {
    const frame = yield* Queue.take(sent)
    assert.isTrue(frame._tag === "Chat")
    return frame._tag === "Chat" ? frame : yield* Effect.die("not a chat frame")
  })
  return { sent, chat, deliver: (frame: Frame) => node.fake.deliver(someId(peer), frame) }
})

const pair = Effect.gen(function* () {
  const a = yield* makeNode(1)
  const b = yield* makeNode(2)
  yield* a.know(2, { name: "bob" })
  yield* b.know(1, { name: "alice" })
  return { a, b }
})

const chatFrame = (seq: number, change: Partial<Extract<Frame, { _tag: "Chat" }>> = {}): Frame => ({
  _tag: "Chat",
  id: someMessage(seq),
  epoch: someEpoch(1),
  first: 1,
  seq,
  toEveryone: false,
  sentAt: 1,
  text: `message ${seq}`,
  ...change
})

/** As long as a message may be. */
const fill = (unit: string) => unit.repeat(Math.floor(chatMaxBytes / Buffer.byteLength(unit)))

describe("Chat.say", () => {
  it.effect("arrives, once, and is then known to be delivered", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      yield* join(a, b)
      yield* TestClock.adjust("5 seconds")
      const said = yield* a.chat.say("hello", b.id)
      assert.deepStrictEqual(said, {
        id: said.id,
        from: a.id,
        to: b.id,
        text: "hello",
        sentAt: 5000,
        state: "queued",
        recipients: [{ peer: b.id, state: "queued" }]
      })
      const settled = yield* a.chat.settled(said.id, "1 minute")
      assert.strictEqual(settled.state, "delivered")
      assert.deepStrictEqual(yield* b.chat.history({ limit: 10 }), [
        { id: said.id, from: a.id, to: b.id, text: "hello", sentAt: 5000, state: "delivered", recipients: [] }
      ])
      assert.deepStrictEqual(yield* a.chat.history({ limit: 10 }), [settled])
      // Told in order: added, sent (or at once delivered), delivered.
      const events = (yield* Queue.takeAll(a.changes)).map((event) => `${event._tag} ${event.message.state}`)
      assert.strictEqual(events[0], "MessageAdded queued")
      assert.strictEqual(events.at(-1), "MessageChanged delivered")
    })
  )

  it.effect("both ways at once, each in its order", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      yield* join(a, b)
      const many = Array.from({ length: 200 }, (_, n) => n)
      yield* Effect.all(
        [
          Effect.forEach(many, (n) => a.chat.say(`a${n}`, b.id)),
          Effect.forEach(many, (n) => b.chat.say(`b${n}`, null))
        ],
        { concurrency: 2 }
      )
      yield* a.next((message) => message.text === "a199" && message.state === "delivered")
      yield* b.next((message) => message.text === "b199" && message.state === "delivered")
      const from = (name: string) => many.map((n) => `${name}${n}`)
      for (const node of [a, b]) {
        const texts = yield* node.texts
        assert.deepStrictEqual(
          texts.filter((text) => text.startsWith("a")),
          from("a")
        )
        assert.deepStrictEqual(
          texts.filter((text) => text.startsWith("b")),
          from("b")
        )
      }
    })
  )

  it.effect("any text from 1 byte to 64 KiB arrives exactly as it was", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      yield* join(a, b)
      const texts = ["a", "\u0000", "\u0001", '"', "\\", "é", "\u2028", "\ufffd", "\ufeff", "😀", "\u007f"].flatMap(
        (unit) => [unit, fill(unit)]
      )
      texts.push(
        "שלום \u202eevil\u202c",
        "e\u0301",
        "👩‍👩‍👧‍👦",
        "\u001b[2J",
        "a\r\nb\tc",
        " ",
        "\n",
        "__proto__",
        "</script>"
      )
      for (const text of texts) {
        const { id } = yield* a.chat.say(text, b.id)
        yield* a.chat.settled(id, "1 minute")
      }
      assert.deepStrictEqual(yield* b.texts, texts)
    })
  )

  it.effect.prop("any well-formed text arrives as it was", [Schema.String], ([text]) =>
    Effect.gen(function* () {
      if (text === "" || !text.isWellFormed()) return
      const { a, b } = yield* pair
      yield* join(a, b)
      const { id } = yield* a.chat.say(text, null)
      assert.strictEqual((yield* a.chat.settled(id, "1 minute")).state, "delivered")
      assert.deepStrictEqual(yield* b.texts, [text])
    }).pipe(Effect.scoped)
  )

  it.effect("refuses, in words, what cannot be sent, and keeps nothing of it", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      yield* a.know(3, { trust: "blocked", name: "mallory" })
      const problem = (text: string, to: PeerId | null) =>
        Effect.map(Effect.flip(a.chat.say(text, to)), (error) => error.message)
      const nobody = yield* problem("hello", null)
      assert.include(nobody, "nobody is connected")
      yield* join(a, b)
      assert.include(yield* problem("", b.id), "it is empty")
      assert.include(yield* problem("a\ud800b", b.id), "lone surrogate")
      assert.include(yield* problem("a".repeat(chatMaxBytes + 1), b.id), "65537 bytes long, of at most 65536")
      assert.include(yield* problem("é".repeat(chatMaxBytes / 2) + "a", null), "65537 bytes")
      assert.include(yield* problem("hello", a.id), "this node itself")
      assert.include(yield* problem("hello", someId(9)), "is known")
      assert.include(yield* problem("hello", someId(3)), "mallory is blocked")
      assert.deepStrictEqual(yield* a.texts, [])
      assert.deepStrictEqual(yield* b.texts, [])
    })
  )

  it.effect("to everyone: who is connected or verified, and nobody else", () =>
    Effect.gen(function* () {
      const a = yield* makeNode(1)
      yield* a.know(2)
      yield* a.know(3, { trust: "verified" })
      yield* a.know(4)
      yield* a.know(5, { trust: "blocked" })
      const two = yield* session(a, 2)
      const five = yield* session(a, 5)
      const { id, recipients, to } = yield* a.chat.say("all", null)
      assert.isNull(to)
      assert.deepStrictEqual(
        recipients.map((one) => one.peer),
        [someId(2), someId(3)]
      )
      const frame = yield* two.chat
      assert.isTrue(frame.toEveryone)
      yield* two.deliver({ _tag: "ChatReceipt", epoch: frame.epoch, seq: 1, state: "delivered" })
      const message = yield* a.next((one) => one.recipients[0]?.state === "delivered")
      // The least advanced recipient is away.
      assert.strictEqual(message.state, "queued")
      assert.strictEqual((yield* settledSoon(a, id)).state, "queued")
      // It comes back: the message goes out, and all is well.
      const three = yield* session(a, 3)
      const late = yield* three.chat
      assert.strictEqual(late.id, id)
      yield* TestClock.adjust(limits.sentNoted)
      assert.strictEqual((yield* a.next((one) => one.recipients[1]?.state === "sent")).state, "sent")
      yield* three.deliver({ _tag: "ChatReceipt", epoch: late.epoch, seq: 1, state: "delivered" })
      assert.strictEqual((yield* a.chat.settled(id, "1 minute")).state, "delivered")
      assert.strictEqual(yield* Queue.size(five.sent), 0)
      assert.notStrictEqual(late.epoch, frame.epoch, "peers cannot link what they were sent by its counters")
    })
  )

  it.effect("beyond the outbox's bound refuses, and names the peer", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      for (let n = 0; n < limits.outboxMax; n++) yield* a.chat.say("x", b.id)
      const error = yield* Effect.flip(a.chat.say("one too many", b.id))
      assert.include(error.message, "1000 messages already wait for bob")
      yield* join(a, b)
      yield* a.next((message) => message.state === "delivered")
      yield* a.next((message, tag) => tag === "MessageChanged" && message.state === "delivered")
      yield* a.chat.settled((yield* a.chat.history({ limit: 1 }))[0]?.id ?? someMessage(0), "1 minute")
      assert.lengthOf(yield* b.texts, limits.outboxMax)
      yield* a.chat.say("there is room again", b.id)
    })
  )

  it.effect("counts bytes too: 64 KiB each to a peer that is away", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      const large = "a".repeat(chatMaxBytes)
      for (let n = 0; n < limits.outboxBytes / chatMaxBytes; n++) yield* a.chat.say(large, b.id)
      assert.include((yield* Effect.flip(a.chat.say(large, b.id))).message, "already wait for bob")
    })
  )
})

/** The message after half a minute of patience. */
const settledSoon = Effect.fnUntraced(function* (node: Node, id: Message["id"]) {
  const fiber = yield* Effect.forkChild(node.chat.settled(id, "30 seconds"))
  yield* TestClock.adjust("30 seconds")
  return yield* Fiber.join(fiber)
})

describe("Chat and a peer that is away", () => {
  it.effect("keeps the message as queued, and delivers it at the peer's return", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      const { id } = yield* a.chat.say("are you there?", b.id)
      assert.strictEqual((yield* settledSoon(a, id)).state, "queued")
      yield* join(a, b)
      assert.strictEqual((yield* a.chat.settled(id, "1 minute")).state, "delivered")
      assert.deepStrictEqual(yield* b.texts, ["are you there?"])
    })
  )

  it.effect("a session that ends before the receipt puts it back to queued, and the next one sends it again", () =>
    Effect.gen(function* () {
      const a = yield* makeNode(1)
      yield* a.know(2)
      const first = yield* session(a, 2)
      yield* a.chat.say("one", someId(2))
      yield* a.chat.say("two", someId(2))
      const one = yield* first.chat
      yield* TestClock.adjust(limits.sentNoted)
      yield* a.next((message) => message.text === "two" && message.state === "sent")
      yield* first.deliver({ _tag: "ChatReceipt", epoch: one.epoch, seq: 1, state: "delivered" })
      yield* a.next((message) => message.text === "one" && message.state === "delivered")
      yield* a.fake.down(someId(2))
      yield* a.next((message) => message.text === "two" && message.state === "queued")
      yield* a.chat.say("three", someId(2))
      const second = yield* session(a, 2)
      const frames = [yield* second.chat, yield* second.chat]
      assert.deepStrictEqual(
        frames.map((frame) => [frame.text, frame.seq, frame.first]),
        [
          ["two", 2, 2],
          ["three", 3, 2]
        ]
      )
      yield* second.deliver({ _tag: "ChatReceipt", epoch: one.epoch, seq: 3, state: "delivered" })
      yield* a.next((message) => message.text === "three" && message.state === "delivered")
    })
  )

  it.effect("is noted as sent a moment after it was written, unless its receipt is quicker", () =>
    Effect.gen(function* () {
      const a = yield* makeNode(1)
      yield* a.know(2)
      const peer = yield* session(a, 2)
      const states: Array<string> = []
      const seen = (message: Message, tag: string) => {
        if (tag === "MessageChanged") states.push(`${message.text} ${message.state}`)
        return message.text === "two" && message.state === "delivered"
      }
      yield* a.chat.say("one", someId(2))
      const { epoch } = yield* peer.chat
      yield* peer.deliver({ _tag: "ChatReceipt", epoch, seq: 1, state: "delivered" })
      yield* TestClock.adjust(limits.sentNoted)
      yield* a.chat.say("two", someId(2))
      yield* peer.chat
      yield* TestClock.adjust(limits.sentNoted)
      yield* peer.deliver({ _tag: "ChatReceipt", epoch, seq: 2, state: "delivered" })
      yield* a.next(seen)
      assert.deepStrictEqual(states, ["one delivered", "two sent", "two delivered"])
    })
  )

  it.effect("a peer that does not read delays nobody else, not even its own receipts' handling", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      yield* a.know(3)
      yield* join(a, b)
      const stuck = yield* Deferred.make<void>()
      yield* a.fake.up(someId(3), () => Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never))
      yield* a.chat.say("to the one that does not read", someId(3))
      yield* Deferred.await(stuck)
      // It talks to us all the same; we owe it receipts that cannot be written.
      for (let seq = 1; seq <= 100; seq++) yield* a.fake.deliver(someId(3), chatFrame(seq))
      const { id } = yield* a.chat.say("to the other", b.id)
      assert.strictEqual((yield* a.chat.settled(id, "1 minute")).state, "delivered")
      // And its end is noticed though it is stuck in a write.
      yield* a.fake.down(someId(3))
      const again = yield* session(a, 3)
      assert.strictEqual((yield* again.chat).text, "to the one that does not read")
    })
  )

  it.effect("a write that was under way when the session ended does not count as sent", () =>
    Effect.gen(function* () {
      const node = yield* makeNode(1)
      yield* node.know(2)
      const entered = yield* Deferred.make<void>()
      const released = yield* Deferred.make<void>()
      yield* node.fake.up(someId(2), () =>
        Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(released))
      )
      const { id } = yield* node.chat.say("hello", someId(2))
      yield* Deferred.await(entered)
      yield* node.fake.down(someId(2))
      // Let it be handled; nothing shows that it was.
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      yield* Deferred.succeed(released, undefined)
      assert.strictEqual((yield* settledSoon(node, id)).state, "queued")
      const again = yield* session(node, 2)
      assert.strictEqual((yield* again.chat).id, id)
    })
  )

  it.effect("a session that replaces another without an end between is sent everything unacknowledged", () =>
    Effect.gen(function* () {
      const node = yield* makeNode(1)
      yield* node.know(2)
      const first = yield* session(node, 2)
      yield* node.chat.say("one", someId(2))
      assert.strictEqual((yield* first.chat).first, 1)
      const second = yield* session(node, 2)
      yield* node.chat.say("two", someId(2))
      // Before the word of the new session is heard it may go out alone: the peer knows that something is missing.
      const frames = [yield* second.chat, yield* second.chat]
      if (frames[0]?.seq === 2) frames.push(yield* second.chat)
      assert.deepStrictEqual(
        frames.slice(-2).map((frame) => [frame.first, frame.text]),
        [
          [1, "one"],
          [1, "two"]
        ]
      )
    })
  )

  it.effect("a receipt that is here before the write is over counts, and stays", () =>
    Effect.gen(function* () {
      const node = yield* makeNode(1)
      yield* node.know(2)
      yield* node.fake.up(someId(2), (frame) =>
        frame._tag === "Chat"
          ? Effect.andThen(
              node.fake.deliver(someId(2), {
                _tag: "ChatReceipt",
                epoch: frame.epoch,
                seq: frame.seq,
                state: "delivered"
              }),
              node.next((message) => message.state === "delivered")
            )
          : Effect.void
      )
      const { id } = yield* node.chat.say("quick", someId(2))
      yield* node.chat.settled(id, "1 minute")
      assert.strictEqual((yield* node.chat.say("again", someId(2))).state, "queued")
      yield* node.chat.settled((yield* node.chat.history({ limit: 1 }))[0]?.id ?? id, "1 minute")
      assert.deepStrictEqual(
        (yield* node.chat.history({ limit: 2 })).map((message) => message.state),
        ["delivered", "delivered"]
      )
    })
  )

  it.effect("an acknowledgement that falls due while another is written is written too", () =>
    Effect.gen(function* () {
      const node = yield* makeNode(1)
      const receipts = yield* Queue.unbounded<number>()
      const released = yield* Deferred.make<void>()
      yield* node.fake.up(someId(2), (frame) =>
        frame._tag === "ChatReceipt"
          ? Effect.andThen(Queue.offer(receipts, frame.seq), Deferred.await(released))
          : Effect.void
      )
      yield* node.fake.deliver(someId(2), chatFrame(1))
      assert.strictEqual(yield* Queue.take(receipts), 1)
      yield* node.fake.deliver(someId(2), chatFrame(2))
      yield* node.next((message) => message.text === "message 2")
      yield* Effect.yieldNow
      yield* Deferred.succeed(released, undefined)
      assert.strictEqual(yield* Queue.take(receipts), 2)
    })
  )

  it.effect("a receiver that restarts shows what is new, and not again what it had acknowledged", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      const { cut } = yield* join(a, b)
      const { id } = yield* a.chat.say("one", b.id)
      yield* a.chat.settled(id, "1 minute")
      yield* cut
      yield* a.chat.say("two", b.id)
      yield* a.chat.say("three", b.id)
      // The same peer without a memory.
      const reborn = yield* makeNode(2)
      yield* reborn.know(1)
      yield* join(a, reborn)
      yield* a.next((message) => message.text === "three" && message.state === "delivered")
      assert.deepStrictEqual(yield* reborn.texts, ["two", "three"])
    })
  )

  it.effect("a sender that restarts begins a new epoch, and both are shown", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      const { cut } = yield* join(a, b)
      yield* a.chat.settled((yield* a.chat.say("before", b.id)).id, "1 minute")
      yield* cut
      const reborn = yield* makeNode(1)
      yield* reborn.know(2)
      yield* join(reborn, b)
      yield* reborn.chat.settled((yield* reborn.chat.say("after", b.id)).id, "1 minute")
      assert.deepStrictEqual(yield* b.texts, ["before", "after"])
    })
  )
})

describe("Chat after a restart", () => {
  it.effect("has its history, newest and by page, and finds words in it", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeMemory, yield* makeMemory]
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const [a, b] = [yield* makeNode(1, alice), yield* makeNode(2, bob)]
          yield* a.know(2)
          yield* b.know(1)
          yield* join(a, b)
          for (const text of ["one", "two", "three"]) yield* a.chat.settled((yield* a.chat.say(text, b.id)).id, 1000)
          yield* b.chat.settled((yield* b.chat.say("four", null)).id, 1000)
          return yield* a.chat.history({ limit: 10 })
        })
      )
      const a = yield* makeNode(1, alice)
      assert.deepStrictEqual(yield* a.chat.history({ limit: 10 }), before)
      assert.deepStrictEqual(
        before.map((message) => message.text),
        ["one", "two", "three", "four"]
      )
      const first = yield* a.chat.page({ limit: 3 })
      assert.deepStrictEqual(first.items, before.slice(1).toReversed())
      const rest = yield* a.chat.page({ limit: 3, before: first.before ?? 0, peer: someId(2) })
      assert.deepStrictEqual(rest, { items: before.slice(0, 1), before: null })
      const { items } = yield* a.chat.search("THR", { limit: 10 })
      assert.deepStrictEqual(
        items.map(({ message }) => message.text),
        ["three"]
      )
      assert.strictEqual((yield* a.chat.settled(before[0]?.id ?? someMessage(0), 0)).state, "delivered")
    })
  )

  it.effect("what waited goes out, in order and once, whichever side was restarted and whatever was under way", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeMemory, yield* makeMemory]
      const said: Array<string> = []
      // Links that carry so many frames each way before they die unnoticed.
      for (const carries of [0, 1, 2, 0, 3, 1, 5]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const [a, b] = [yield* makeNode(1, alice), yield* makeNode(2, bob)]
            yield* a.know(2)
            yield* b.know(1)
            yield* b.fake.up(a.id, carrying(carries, b, a))
            yield* a.fake.up(b.id, carrying(carries, a, b))
            for (let n = 0; n < 3; n++) said.push((yield* a.chat.say(`${said.length}`, b.id)).text)
            for (let n = 0; n < 50 * carries; n++) yield* Effect.yieldNow
          })
        )
      }
      const [a, b] = [yield* makeNode(1, alice), yield* makeNode(2, bob)]
      yield* a.know(2)
      for (const { state } of (yield* a.chat.history({ limit: 100 })).slice(-3)) assert.strictEqual(state, "queued")
      yield* join(a, b)
      yield* Effect.forEach(yield* a.chat.history({ limit: 100 }), ({ id }) => a.chat.settled(id, "1 minute"))
      assert.deepStrictEqual(yield* b.texts, said)
      assert.isTrue((yield* a.chat.history({ limit: 100 })).every((message) => message.state === "delivered"))
    })
  )

  it.effect("a database that was put back, older than what the peer has seen, loses nothing that is said then", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeMemory, yield* makeMemory]
      const fill = Effect.gen(function* () {
        const [a, b] = [yield* makeNode(1, alice), yield* makeNode(2, bob)]
        yield* a.know(2)
        yield* join(a, b)
        for (const text of ["one", "two"]) yield* a.chat.settled((yield* a.chat.say(text, b.id)).id, 1000)
        const { items } = yield* a.chat.page({ limit: 1 })
        return items
      })
      yield* Effect.scoped(fill)
      const b = yield* makeNode(2, bob)
      // The copy: it counts with the same epoch, but only to one.
      const old = yield* makeMemory
      const epoch = (yield* Effect.provide(
        Effect.gen(function* () {
          const store = yield* MessageStore
          return yield* store.outboxes
        }),
        MessageStore.layer.pipe(Layer.provide(alice.layer), Layer.fresh)
      ))[0]?.epoch
      assert.isDefined(epoch)
      yield* Effect.provide(
        MessageStore.use((store) =>
          store.append(
            { ...oneMessage(1), from: someId(1), to: someId(2), recipients: [{ peer: someId(2), state: "queued" }] },
            [epoch ?? someEpoch(1)]
          )
        ),
        MessageStore.layer.pipe(Layer.provide(old.layer), Layer.fresh)
      )
      const a = yield* makeNode(1, old)
      yield* a.know(2)
      yield* join(a, b)
      assert.strictEqual((yield* a.chat.settled(oneMessage(1).id, "1 minute")).state, "delivered")
      assert.deepStrictEqual(yield* b.texts, ["one", "two", "from the copy"])
    })
  )

  it.effect("what nobody came for in 30 days is not sent any more, and what came later still is", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeMemory, yield* makeMemory]
      const a = yield* makeNode(1, alice)
      yield* a.know(2)
      const old = yield* a.chat.say("old", someId(2))
      yield* TestClock.adjust("20 days")
      yield* a.chat.say("young", someId(2))
      yield* TestClock.adjust("11 days")
      assert.strictEqual((yield* a.chat.settled(old.id, 0)).state, "expired")
      const b = yield* makeNode(2, bob)
      yield* join(a, b)
      yield* a.next((message) => message.text === "young" && message.state === "delivered")
      assert.deepStrictEqual(yield* b.texts, ["young"])
    })
  )
})

/** What a database holds that was put back. */
const oneMessage = (n: number): Message => ({
  id: someMessage(n),
  from: someId(1),
  to: null,
  text: "from the copy",
  sentAt: 0,
  state: "queued",
  recipients: []
})

describe("Chat and what was read", () => {
  it.effect("is told at once, or when the peer is back; unread counts go down", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeMemory, yield* makeMemory]
      const a = yield* makeNode(1, alice)
      yield* a.know(2)
      const [one, two, three] = yield* Effect.scoped(
        Effect.gen(function* () {
          const b = yield* makeNode(2, bob)
          const { cut } = yield* join(a, b)
          const said = yield* Effect.forEach(["one", "two", "three"], (text) => a.chat.say(text, b.id))
          yield* Effect.forEach(said, ({ id }) => a.chat.settled(id, "1 minute"))
          assert.deepStrictEqual(yield* b.chat.unread, [{ peer: a.id, toEveryone: false, count: 3 }])
          yield* b.chat.markRead(a.id, said[0]?.id ?? someMessage(0))
          yield* a.next((message) => message.text === "one" && message.state === "read")
          yield* cut
          yield* b.chat.markRead(a.id, said[1]?.id ?? someMessage(0))
          assert.deepStrictEqual(yield* b.chat.unread, [{ peer: a.id, toEveryone: false, count: 1 }])
          return said.map(({ id }) => id)
        })
      )
      // It was told nothing of the second while it was away, and the other side was restarted since.
      yield* join(a, yield* makeNode(2, bob))
      yield* a.next((message) => message.text === "two" && message.state === "read")
      const states = yield* Effect.forEach([one, two, three], (id) =>
        Effect.map(a.chat.settled(id ?? someMessage(0), 0), ({ state }) => state)
      )
      assert.deepStrictEqual(states, ["read", "read", "delivered"])
    })
  )
})

describe("Chat and what was read of several conversations", () => {
  it.effect("a sender learns of no more than was read, whichever conversation is read first", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* makeNode(1), yield* makeNode(2)]
      yield* a.know(2)
      yield* join(a, b)
      const said = yield* Effect.forEach([null, b.id, null], (to, n) => a.chat.say(`m${n}`, to))
      yield* Effect.forEach(said, ({ id }) => a.chat.settled(id, "1 minute"))
      yield* b.chat.markRead(null)
      yield* a.next((message) => message.text === "m0" && message.state === "read")
      assert.deepStrictEqual(yield* b.chat.unread, [{ peer: a.id, toEveryone: false, count: 1 }])
      const [, direct, last] = said
      assert(direct !== undefined && last !== undefined)
      assert.strictEqual((yield* a.chat.settled(last.id, 0)).state, "delivered", "what came before it is unread")
      yield* b.chat.markRead(a.id, last.id)
      assert.strictEqual((yield* b.chat.unread).length, 1, "a message of another conversation says nothing")
      yield* b.chat.markRead(a.id, direct.id)
      yield* a.next((message) => message.text === "m2" && message.state === "read")
      assert.strictEqual((yield* a.chat.settled(direct.id, 0)).state, "read")
      assert.deepStrictEqual(yield* b.chat.unread, [])
    })
  )
})

describe("Chat and a disk that refuses", () => {
  const full = new DatabaseError({ reason: "full", path: "kith.db", problem: "the disk is full", remedy: "Make room" })

  /** A database that takes nothing while it is full. */
  const makeDisk = Effect.map(makeMemory, (memory) => {
    const state = { isFull: false }
    const refuse = <A>(work: Effect.Effect<A, DatabaseError>) =>
      Effect.suspend(() => (state.isFull ? Effect.fail(full) : work))
    const layer = Layer.effect(
      Database,
      Effect.map(Database, (database) => ({
        ...database,
        write: (work) => refuse(database.write(work)),
        together: <I, A>(atOnce: number, work: (asked: ReadonlyArray<I>) => Query<ReadonlyArray<A>>) => {
          const ask = database.together(atOnce, work)
          return (asked: I) => refuse(ask(asked))
        }
      }))
    ).pipe(Layer.provideMerge(memory.layer))
    return Object.assign(state, { memory: { ...memory, layer } })
  })

  it.effect("stops at once though what came cannot be kept, and takes it in the next run", () =>
    Effect.gen(function* () {
      const a = yield* makeNode(1)
      const disk = yield* makeDisk
      const scope = yield* Scope.make()
      const b = yield* Scope.provide(makeNode(2, disk.memory), scope)
      yield* a.know(2)
      const link = yield* join(a, b)
      disk.isFull = true
      const { id } = yield* a.chat.say("keep this", b.id)
      // Until it waits for room.
      yield* TestClock.adjust("1 second")
      const stopped = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isDefined(stopped.pollUnsafe())
      yield* link.cut
      disk.isFull = false
      const again = yield* makeNode(2, disk.memory)
      yield* join(a, again)
      yield* a.next((message) => message.id === id && message.state === "delivered")
      assert.deepStrictEqual(yield* again.texts, ["keep this"])
    })
  )

  it.effect("says so to whoever speaks, acknowledges nothing, and goes on when there is room", () =>
    Effect.gen(function* () {
      const a = yield* makeNode(1)
      const disk = yield* makeDisk
      const b = yield* makeNode(2, disk.memory)
      yield* a.know(2)
      yield* b.know(1)
      yield* join(a, b)
      disk.isFull = true
      assert.include((yield* Effect.flip(b.chat.say("no room", a.id))).message, "the disk is full")
      const { id } = yield* a.chat.say("keep this", b.id)
      assert.strictEqual((yield* a.chat.settled(id, 0)).state, "queued")
      yield* TestClock.adjust(limits.sentNoted)
      yield* a.next((message) => message.id === id && message.state === "sent")
      disk.isFull = false
      yield* TestClock.adjust(limits.faultRetry)
      yield* a.next((message) => message.id === id && message.state === "delivered")
      assert.deepStrictEqual(yield* b.texts, ["keep this"])
    })
  )
})

describe("Chat and what a peer should not do", () => {
  /** A node, a session whose other side is the test, and a way to know that all before was handled. */
  const victim = Effect.gen(function* () {
    const node = yield* makeNode(1)
    yield* node.know(2)
    const { sent, chat, deliver } = yield* session(node, 2)
    const receipts: Array<number> = []
    /** The number of the last receipt once everything delivered so far was handled. */
    const acknowledgedUpTo = Effect.fnUntraced(function* (seq: number) {
      for (;;) {
        const frame = yield* Queue.take(sent)
        if (frame._tag !== "ChatReceipt") continue
        receipts.push(frame.seq)
        if (frame.seq === seq) return
      }
    })
    return { node, sent, chat, deliver, acknowledgedUpTo, receipts }
  })

  it.effect("duplicates are acknowledged again and not shown again", () =>
    Effect.gen(function* () {
      const { node, deliver, acknowledgedUpTo } = yield* victim
      for (const seq of [1, 2, 1, 2, 2, 3]) yield* deliver(chatFrame(seq))
      yield* acknowledgedUpTo(3)
      yield* deliver(chatFrame(1))
      yield* acknowledgedUpTo(3)
      assert.deepStrictEqual(yield* node.texts, ["message 1", "message 2", "message 3"])
    })
  )

  it.effect("nothing above a gap is shown or acknowledged until the gap is filled", () =>
    Effect.gen(function* () {
      const { node, deliver, acknowledgedUpTo, receipts } = yield* victim
      for (const seq of [1, 3, 4, 2, 4, 3, 4]) yield* deliver(chatFrame(seq))
      yield* acknowledgedUpTo(4)
      assert.deepStrictEqual(yield* node.texts, ["message 1", "message 2", "message 3", "message 4"])
      assert.deepStrictEqual(
        receipts,
        receipts.toSorted((a, b) => a - b)
      )
    })
  )

  it.effect("a number far ahead is ignored, and the next right one is shown", () =>
    Effect.gen(function* () {
      const { node, deliver, acknowledgedUpTo } = yield* victim
      yield* deliver(chatFrame(1))
      yield* deliver(chatFrame(Number.MAX_SAFE_INTEGER, { text: "far" }))
      yield* deliver(chatFrame(0, { first: 0, text: "zero" }))
      yield* deliver(chatFrame(2))
      yield* acknowledgedUpTo(2)
      assert.deepStrictEqual(yield* node.texts, ["message 1", "message 2"])
    })
  )

  it.effect("an id it used before is not shown again, whatever its text; another peer's use of it is its own", () =>
    Effect.gen(function* () {
      const { node, deliver, acknowledgedUpTo } = yield* victim
      yield* deliver(chatFrame(1, { text: "first" }))
      yield* deliver(chatFrame(2, { id: someMessage(1), text: "other" }))
      yield* acknowledgedUpTo(2)
      yield* node.know(3)
      const third = yield* session(node, 3)
      yield* third.deliver(chatFrame(1, { text: "from another" }))
      yield* Queue.take(third.sent)
      assert.deepStrictEqual(yield* node.texts, ["first", "from another"])
    })
  )

  it.effect("receipts for what was never sent, or of another epoch, change nothing", () =>
    Effect.gen(function* () {
      const { node, chat, deliver } = yield* victim
      const said = yield* node.chat.say("hello", someId(2))
      const { epoch } = yield* chat
      yield* TestClock.adjust(limits.sentNoted)
      yield* node.next((message) => message.state === "sent")
      const receipt = (seq: number, of = epoch): Frame => ({ _tag: "ChatReceipt", epoch: of, seq, state: "read" })
      yield* deliver(receipt(2))
      yield* deliver(receipt(Number.MAX_SAFE_INTEGER))
      yield* deliver(receipt(1, someEpoch(7)))
      yield* deliver(receipt(0))
      // A receipt from a peer that it was not sent to.
      yield* node.fake.deliver(someId(8), receipt(1))
      assert.strictEqual((yield* settledSoon(node, said.id)).state, "sent")
      yield* deliver(receipt(1))
      assert.strictEqual((yield* node.chat.settled(said.id, "1 minute")).state, "read")
      // Back to delivered is no way a message goes.
      yield* deliver({ _tag: "ChatReceipt", epoch, seq: 1, state: "delivered" })
      yield* deliver(chatFrame(1))
      yield* node.next((message) => message.from === someId(2))
      assert.strictEqual((yield* node.chat.settled(said.id, "1 minute")).state, "read")
    })
  )

  it.effect("a flood of epochs costs bounded memory and blocks nothing", () =>
    Effect.gen(function* () {
      const { node, deliver } = yield* victim
      for (let n = 0; n < 2000; n++) yield* deliver(chatFrame(1, { epoch: someEpoch(n), id: someMessage(n) }))
      yield* node.next((message) => message.id === someMessage(1999))
      const { id } = yield* node.chat.say("still here", someId(2))
      yield* TestClock.adjust(limits.sentNoted)
      yield* node.next((message) => message.id === id && message.state === "sent")
    })
  )
})

describe("Chat.history and settled", () => {
  it.effect("the newest, oldest first, of one conversation or of all", () =>
    Effect.gen(function* () {
      const { a, b } = yield* pair
      yield* a.know(3, { trust: "verified" })
      yield* join(a, b)
      yield* a.chat.say("to bob", b.id)
      yield* a.chat.say("to all", null)
      yield* a.chat.say("to three", someId(3))
      yield* b.chat.say("from bob", a.id)
      yield* a.next((message) => message.text === "from bob")
      const texts = (options: { readonly limit: number; readonly peer?: PeerId }) =>
        Effect.map(a.chat.history(options), (messages) => messages.map((message) => message.text))
      assert.deepStrictEqual(yield* texts({ limit: 10 }), ["to bob", "to all", "to three", "from bob"])
      assert.deepStrictEqual(yield* texts({ limit: 2 }), ["to three", "from bob"])
      assert.deepStrictEqual(yield* texts({ limit: 0 }), [])
      assert.deepStrictEqual(yield* texts({ limit: 10, peer: b.id }), ["to bob", "to all", "from bob"])
      assert.deepStrictEqual(yield* texts({ limit: 10, peer: someId(3) }), ["to all", "to three"])
      assert.deepStrictEqual(yield* texts({ limit: 10, peer: someId(4) }), [])
    })
  )

  it.effect("settled knows only this node's own messages", () =>
    Effect.gen(function* () {
      const { a } = yield* pair
      assert.strictEqual((yield* Effect.flip(a.chat.settled(someMessage(1), 0)))._tag, "MessageRefused")
    })
  )
})

/** Texts of what others sent to this node. */
const received = (node: Node) =>
  Effect.map(node.chat.history({ limit: 1000 }), (messages) =>
    messages.filter((message) => message.from !== node.id).map((message) => message.text)
  )

describe("Chat over a link that fails", () => {
  const Step = Schema.Struct({
    what: Schema.Literals(["sayA", "sayA", "sayB", "sayB", "cut", "wait"]),
    /** How many frames the next session carries in each direction before it falls silent. */
    carries: Schema.Literals([0, 1, 2, 3, 1000])
  })

  it.effect.prop(
    "every message is shown exactly once and in order on the other side",
    [Arbitrary.array(Arbitrary.schema(Step), { maxLength: 30 })],
    ([steps]) =>
      Effect.gen(function* () {
        const { a, b } = yield* pair
        /** A session that drops everything after so many frames each way, as a link does that is about to die. */
        const connect = Effect.fnUntraced(function* (carries: number) {
          yield* b.fake.up(a.id, carrying(carries, b, a))
          yield* a.fake.up(b.id, carrying(carries, a, b))
        })
        const cut = Effect.andThen(a.fake.down(b.id), b.fake.down(a.id))
        const said = { a: new Array<string>(), b: new Array<string>() }
        yield* connect(1000)
        for (const { what, carries } of steps) {
          if (what === "sayA") said.a.push((yield* a.chat.say(`a${said.a.length}`, b.id)).text)
          if (what === "sayB") said.b.push((yield* b.chat.say(`b${said.b.length}`, a.id)).text)
          if (what === "wait") for (let i = 0; i < carries; i++) yield* Effect.yieldNow
          if (what === "cut") yield* Effect.andThen(cut, connect(carries))
        }
        yield* Effect.andThen(cut, connect(1_000_000))
        for (const node of [a, b]) {
          for (const message of yield* node.chat.history({ limit: 1000 })) {
            if (message.from === node.id) {
              assert.strictEqual((yield* node.chat.settled(message.id, "1 minute")).state, "delivered")
            }
          }
        }
        assert.deepStrictEqual(yield* received(b), said.a)
        assert.deepStrictEqual(yield* received(a), said.b)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 150 } }
  )
})

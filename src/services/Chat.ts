/**
 * Messages to everyone or to one peer: each shown exactly once and in order, each with a state that never lies.
 * Owns the history, the per-peer outbox and counters. It reads Connection's inbox for as long as its layer lives.
 *
 * Each session has one fiber that writes to it, so that a peer that reads slowly delays nobody else. It starts when
 * the session comes up and is interrupted when it goes down. What was shown is remembered while the process lives.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../config.ts"
import { MessageRefused } from "../schema/Failure.ts"
import type { Frame, FrameOf } from "../schema/Frame.ts"
import { Epoch, idBytes, MessageId } from "../schema/Id.ts"
import type { Message, MessageState } from "../schema/Message.ts"
import { base32, type PeerId, short } from "../schema/PeerId.ts"
import { byteLength, chatMaxBytes } from "../schema/Text.ts"
import * as History from "./ChatHistory.ts"
import * as State from "./ChatState.ts"
import { Connection, type Inbound, type SessionChange } from "./Connection.ts"
import { Events } from "./Events.ts"
import { Identity } from "./Identity.ts"
import { PeerRegistry } from "./PeerRegistry.ts"

/** Defined in schema/, since the API carries them. */
export { MessageRefused } from "../schema/Failure.ts"

export class Chat extends Context.Service<
  Chat,
  {
    /**
     * Sends to one peer, or (null) to everyone who is connected or verified now. It returns as soon as the message
     * is kept; its state advances as receipts come (`delivered`), and stays `queued` while the peer is away.
     */
    readonly say: (text: string, to: PeerId | null) => Effect.Effect<Message, MessageRefused>
    /** Waits until every recipient has it, or `patience` is over; then the message as it stands. */
    readonly settled: (id: Message["id"], patience: Duration.Input) => Effect.Effect<Message, MessageRefused>
    /** The newest `limit` messages, oldest first; `peer` narrows to one conversation. */
    readonly history: (options: {
      readonly limit: number
      readonly peer?: PeerId
    }) => Effect.Effect<ReadonlyArray<Message>>
    /** The same page by page, the newest first; `before` of one page begins the next, and is null after the last. */
    readonly page: (options: {
      readonly limit: number
      readonly before?: number
      readonly peer?: PeerId
    }) => Effect.Effect<{ readonly items: ReadonlyArray<Message>; readonly before: number | null }>
  }
>()("kith/services/Chat") {
  static readonly layer: Layer.Layer<
    Chat,
    never,
    Connection | PeerRegistry | Events | Identity | SecureRandom.SecureRandom
  > = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

/** Chat frames and receipts that were not acted on, by reason: a peer that errs or lies. */
export const chatFramesIgnored = Metric.counter("kith_chat_frames_ignored_total", {
  description: "Chat frames and receipts that were not acted on, by reason",
  incremental: true
})

const ignored = (reason: "gap" | "duplicateId" | "neverSent") =>
  Metric.update(Metric.withAttributes(chatFramesIgnored, { reason }), 1)

/** A message on its way, and the latch of those who wait for it. */
interface Outgoing {
  readonly kept: History.Kept
  /** Opened once every recipient has it. */
  readonly settled: Latch.Latch
}

/** What goes on between this node and one peer. */
interface Conversation {
  readonly peer: PeerId
  outbox: State.Outbox<Outgoing>
  inbox: State.Inbox
  /** Acknowledgements to write: the last number of each epoch. */
  readonly owed: Map<Epoch, number>
  /** Whether there is a session. */
  up: boolean
  /** Open while there may be something to write. */
  readonly wake: Latch.Latch
}

const refusal = (text: string): string | undefined => {
  if (text === "") return "it is empty"
  if (!text.isWellFormed()) return "it holds half a character (a lone surrogate), which cannot be sent"
  const bytes = byteLength(text)
  return bytes > chatMaxBytes ? `it is ${bytes} bytes long, of at most ${chatMaxBytes}. Send it as a file` : undefined
}

const make = Effect.gen(function* () {
  const connection = yield* Connection
  const registry = yield* PeerRegistry
  const events = yield* Events
  const { id: self } = yield* Identity
  const random = yield* SecureRandom.SecureRandom

  const history = History.make(limits)
  const conversations = new Map<PeerId, Conversation>()
  /** Messages that some recipient does not have yet. */
  const underway = new Map<MessageId, Outgoing>()
  const writers = yield* FiberMap.make<PeerId>()
  // A change and the word of it are one step, so that watchers learn of changes in the order they happened.
  const turn = yield* Semaphore.make(1)
  const inTurn = <A, E>(change: Effect.Effect<A, E>) => Effect.uninterruptible(turn.withPermit(change))

  const randomId = Effect.map(random.randomBytes(idBytes), base32)

  /** What goes on with this peer. */
  const converse = Effect.fnUntraced(function* (peer: PeerId) {
    const epoch = Epoch.make(yield* randomId)
    const known = conversations.get(peer)
    if (known !== undefined) return known
    const conversation: Conversation = {
      peer,
      outbox: State.emptyOutbox(epoch),
      inbox: [],
      owed: new Map(),
      up: false,
      wake: Latch.makeUnsafe(false)
    }
    conversations.set(peer, conversation)
    return conversation
  })

  /** Beyond the bound, forgets the oldest conversations in which nothing goes on; a later one begins a new epoch. */
  const forgetIdle = Effect.sync(() => {
    for (const one of conversations.values()) {
      if (conversations.size <= limits.peersMax) return
      if (!one.up && one.outbox.pending.length === 0) conversations.delete(one.peer)
    }
  })

  /** Records how far a message got with one recipient, and tells. Call it in turn. */
  const advance = Effect.fnUntraced(function* (outgoing: Outgoing, peer: PeerId, state: MessageState) {
    const before = outgoing.kept.message
    if (before.recipients.every((one) => one.peer !== peer || one.state === state)) return
    const recipients = before.recipients.map((one) => (one.peer === peer ? { peer, state } : one))
    const message = { ...before, recipients, state: State.leastAdvanced(recipients.map((one) => one.state)) }
    outgoing.kept.message = message
    yield* events.publish({ _tag: "MessageChanged", message })
    if (State.isBehind(message.state, "delivered")) return
    underway.delete(message.id)
    yield* outgoing.settled.open
  })

  /** Writes to one session what there is to write, for as long as it is not interrupted. */
  const write = Effect.fnUntraced(
    function* (conversation: Conversation) {
      const { peer, owed, wake } = conversation
      for (;;) {
        yield* wake.await
        yield* wake.close
        for (const [epoch, seq] of owed) {
          yield* connection.send(peer, { _tag: "ChatReceipt", epoch, seq, state: "delivered" })
          if (owed.get(epoch) === seq) owed.delete(epoch)
        }
        for (;;) {
          const item = State.nextToWrite(conversation.outbox)
          if (item === undefined) break
          conversation.outbox = State.writing(conversation.outbox, item)
          yield* connection.send(peer, frameOf(conversation.outbox, item))
          const isSent = Effect.suspend(() =>
            State.isPending(conversation.outbox, item) ? advance(item.value, peer, "sent") : Effect.void
          )
          yield* inTurn(isSent)
        }
      }
    },
    // The session ended a moment ago; the word of it, which makes everything unacknowledged wait again, is on its way.
    Effect.catchTag("NotConnected", () => Effect.void)
  )

  const up = Effect.fnUntraced(function* (peer: PeerId) {
    const conversation = yield* converse(peer)
    conversation.up = true
    conversation.outbox = State.rewind(conversation.outbox)
    yield* conversation.wake.open
    yield* FiberMap.run(writers, peer, write(conversation))
  })

  const down = Effect.fnUntraced(function* (peer: PeerId) {
    // Its writer first: what it wrote last must not be marked as sent after it was marked as waiting.
    yield* FiberMap.remove(writers, peer)
    const conversation = yield* converse(peer)
    conversation.up = false
    conversation.owed.clear()
    conversation.outbox = State.rewind(conversation.outbox)
    yield* inTurn(Effect.forEach(conversation.outbox.pending, (item) => advance(item.value, peer, "queued")))
    yield* forgetIdle
  })

  const received = Effect.fnUntraced(function* (peer: PeerId, frame: FrameOf<"Chat">) {
    const conversation = yield* converse(peer)
    const { inbox, verdict, last } = State.receive(conversation.inbox, frame)
    conversation.inbox = inbox
    if (verdict === "gap") return yield* ignored("gap")
    if (verdict === "new" && history.get(peer, frame.id) !== undefined) yield* ignored("duplicateId")
    else if (verdict === "new") {
      const message: Message = {
        id: frame.id,
        from: peer,
        to: frame.toEveryone ? null : self,
        text: frame.text,
        sentAt: frame.sentAt,
        state: "delivered",
        recipients: []
      }
      yield* inTurn(
        Effect.suspend(() => {
          history.add(message)
          return events.publish({ _tag: "MessageAdded", message })
        })
      )
    }
    owe(conversation, frame.epoch, last)
    yield* conversation.wake.open
  })

  const acknowledged = Effect.fnUntraced(function* (peer: PeerId, receipt: FrameOf<"ChatReceipt">) {
    const conversation = yield* converse(peer)
    const result = State.acknowledge(conversation.outbox, receipt)
    if (result === undefined) return yield* ignored("neverSent")
    conversation.outbox = result.outbox
    yield* inTurn(Effect.forEach(result.advanced, (outgoing) => advance(outgoing, peer, receipt.state)))
  })

  const handle = (next: Inbound<"Chat" | "ChatReceipt"> | SessionChange): Effect.Effect<void> => {
    if ("_tag" in next) return next._tag === "Up" ? up(next.peer) : down(next.peer)
    return next.frame._tag === "Chat" ? received(next.peer, next.frame) : acknowledged(next.peer, next.frame)
  }

  const inbox = yield* connection.inbox("Chat", "ChatReceipt")
  yield* Queue.take(inbox).pipe(
    Effect.flatMap((next) =>
      handle(next).pipe(
        Effect.catchCauseIf(
          (cause) => !Cause.hasInterruptsOnly(cause),
          (cause) => Effect.logError("What a peer sent for chat could not be handled", cause)
        ),
        Effect.annotateLogs("peer", next.peer)
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )

  const recipientsOf = Effect.fnUntraced(function* (to: PeerId | null) {
    if (to === self) return yield* new MessageRefused({ problem: "it is addressed to this node itself" })
    if (to !== null) {
      const peer = yield* registry.get(to)
      if (Option.isNone(peer)) return yield* new MessageRefused({ problem: `no peer ${short(to)} is known` })
      if (peer.value.trust === "blocked") {
        return yield* new MessageRefused({ problem: `${peer.value.name} is blocked` })
      }
      return [to]
    }
    const connected = new Set(yield* connection.connected)
    const peers = (yield* registry.list)
      .filter((peer) => peer.id !== self && peer.trust !== "blocked")
      .filter((peer) => peer.trust === "verified" || connected.has(peer.id))
      .map((peer) => peer.id)
    return peers.length > 0 ? peers : yield* new MessageRefused({ problem: "nobody is connected" })
  })

  /** Nothing, if this peer's outbox takes a message of so many bytes more. */
  const checkRoom = Effect.fnUntraced(function* (conversation: Conversation, bytes: number) {
    const { pending } = conversation.outbox
    const waiting = pending.reduce((sum, item) => sum + item.value.kept.bytes, 0)
    if (pending.length < limits.outboxMax && waiting + bytes <= limits.outboxBytes) return
    const name = Option.match(yield* registry.get(conversation.peer), {
      onNone: () => short(conversation.peer),
      onSome: (peer) => peer.name
    })
    return yield* new MessageRefused({
      problem: `${pending.length} messages already wait for ${name}. Wait until they are delivered`
    })
  })

  const say = Effect.fn("Chat.say")(function* (text: string, to: PeerId | null) {
    const problem = refusal(text)
    if (problem !== undefined) return yield* new MessageRefused({ problem })
    const peers = yield* recipientsOf(to)
    const message: Message = {
      id: MessageId.make(yield* randomId),
      from: self,
      to,
      text,
      sentAt: yield* Clock.currentTimeMillis,
      state: "queued",
      recipients: peers.map((peer) => ({ peer, state: "queued" }))
    }
    return yield* inTurn(
      Effect.gen(function* () {
        const recipients = yield* Effect.forEach(peers, converse)
        yield* Effect.forEach(recipients, (one) => checkRoom(one, byteLength(text)), { discard: true })
        const outgoing = { kept: history.add(message), settled: Latch.makeUnsafe(false) }
        underway.set(message.id, outgoing)
        for (const one of recipients) one.outbox = State.enqueue(one.outbox, outgoing)
        yield* events.publish({ _tag: "MessageAdded", message })
        yield* Effect.forEach(recipients, (one) => one.wake.open, { discard: true })
        yield* forgetIdle
        return message
      })
    )
  })

  const settled = Effect.fn("Chat.settled")(function* (id: MessageId, patience: Duration.Input) {
    const outgoing = underway.get(id)
    if (outgoing !== undefined) {
      yield* Effect.timeoutOption(outgoing.settled.await, patience)
      return outgoing.kept.message
    }
    const kept = history.get(self, id)
    return kept !== undefined
      ? kept.message
      : yield* new MessageRefused({ problem: `none of this node's has the id ${id}` })
  })

  return Chat.of({
    say,
    settled,
    history: ({ limit, peer }) => Effect.sync(() => history.newest(limit, peer)),
    page: (options) => Effect.sync(() => history.page(options))
  })
})

const frameOf = (outbox: State.Outbox<Outgoing>, { seq, value }: State.Item<Outgoing>): Frame => {
  const { id, sentAt, text, to } = value.kept.message
  const { epoch } = outbox
  return { _tag: "Chat", id, epoch, first: State.first(outbox), seq, toEveryone: to === null, sentAt, text }
}

/** Notes an acknowledgement to write; later ones of an epoch stand for earlier ones, and old epochs make room. */
const owe = (conversation: Conversation, epoch: Epoch, seq: number): void => {
  if (seq === 0) return
  conversation.owed.set(epoch, seq)
  for (const oldest of conversation.owed.keys()) {
    if (conversation.owed.size <= State.epochsMax) return
    conversation.owed.delete(oldest)
  }
}

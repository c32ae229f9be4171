/**
 * Messages to everyone or to one peer: each shown exactly once and in order, each with a state that never lies,
 * whatever is restarted. What is said, shown or acknowledged is in the MessageStore before anyone is told; ChatSessions
 * writes it to the peers. It reads Connection's inbox, and takes back what waits too long, as long as its layer lives.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { limits } from "../config.ts"
import { MessageRefused } from "../schema/Failure.ts"
import { Epoch, idBytes, MessageId } from "../schema/Id.ts"
import type { Message } from "../schema/Message.ts"
import { base32, type PeerId, short } from "../schema/PeerId.ts"
import { byteLength, chatMaxBytes } from "../schema/Text.ts"
import { makeInbox } from "./chat/ChatInbox.ts"
import { makeSessions } from "./chat/ChatSessions.ts"
import { Connection } from "./Connection.ts"
import type { DatabaseError } from "./Database.ts"
import { Events } from "./Events.ts"
import { Identity } from "./Identity.ts"
import { type Found, MessageStore, type OutboxFull, type Page, type PageOptions, type Unread } from "./MessageStore.ts"
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
      readonly to?: "everyone"
    }) => Effect.Effect<{ readonly items: ReadonlyArray<Message>; readonly before: number | null }>
    /** Messages that hold all of the words, the newest first, by page as above. No query is wrong. */
    readonly search: (query: string, options: PageOptions) => Effect.Effect<Page<Found>>
    /** How many messages nobody here has read, of each sender, to this node and to everyone. */
    readonly unread: Effect.Effect<ReadonlyArray<Unread>>
    /**
     * A person read the conversation with this peer, or (null) with everyone, up to this message, or all of it. Those
     * who wrote are told so, now or when they are back.
     */
    readonly markRead: (peer: PeerId | null, upTo?: Message["id"]) => Effect.Effect<void>
  }
>()("kith/services/Chat") {
  static readonly layer: Layer.Layer<
    Chat,
    never,
    Connection | PeerRegistry | MessageStore | Events | Identity | SecureRandom.SecureRandom
  > = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

/** Random ids that are made at one time. */
const idsAtOnce = 64

const refusal = (text: string): string | undefined => {
  if (text === "") return "it is empty"
  if (!text.isWellFormed()) return "it holds half a character (a lone surrogate), which cannot be sent"
  const bytes = byteLength(text)
  return bytes > chatMaxBytes ? `it is ${bytes} bytes long, of at most ${chatMaxBytes}. Send it as a file` : undefined
}

/** Whether a recipient may still get it. */
const isUnderway = (message: Message): boolean =>
  message.recipients.some(({ state }) => state === "queued" || state === "sent")

const make = Effect.gen(function* () {
  const connection = yield* Connection
  const registry = yield* PeerRegistry
  const store = yield* MessageStore
  const events = yield* Events
  const { id: self } = yield* Identity
  const random = yield* SecureRandom.SecureRandom
  /** Asked for many at a time: the call takes longer than the bytes. */
  const spareIds: Array<string> = []
  const randomIds = (count: number) =>
    Effect.suspend(() => {
      if (spareIds.length >= count) return Effect.succeed(spareIds.splice(-count))
      const asked = Math.max(count, idsAtOnce)
      return Effect.map(random.randomBytes(asked * idBytes), (bytes) => {
        for (let at = 0; at < asked; at++) spareIds.push(base32(bytes.subarray(at * idBytes, (at + 1) * idBytes)))
        return spareIds.splice(-count)
      })
    })
  const freshEpoch = Effect.map(random.randomBytes(idBytes), (bytes) => Epoch.make(base32(bytes)))

  let isRefused = false
  /** Says what the disk refused: once, until it takes something again. */
  const complain = (error: DatabaseError) => {
    const isSaid = isRefused || error.reason === "closed"
    isRefused = true
    return isSaid
      ? Effect.void
      : Effect.logError("The database does not keep what is said; peers will send it again").pipe(
          Effect.annotateLogs({ path: error.path, problem: error.problem })
        )
  }
  const took = Effect.sync(() => {
    isRefused = false
  })
  const orLog = <A>(effect: Effect.Effect<A, DatabaseError>): Effect.Effect<A | undefined> =>
    Effect.matchEffect(effect, {
      onFailure: (error) => Effect.as(complain(error), undefined),
      onSuccess: (value) => Effect.as(took, value)
    })

  /** Those who wait until a message is with all of its recipients. */
  const waiters = new Map<MessageId, Set<Latch.Latch>>()
  const tell = (changed: ReadonlyArray<Message>) =>
    Effect.forEach(
      changed,
      (message) => {
        if (!isUnderway(message)) for (const latch of waiters.get(message.id) ?? []) latch.openUnsafe()
        return events.publish({ _tag: "MessageChanged", message })
      },
      { discard: true }
    )

  const sessions = yield* makeSessions({ connection, store, orLog, tell })

  const { handle } = makeInbox({ events, freshEpoch, orLog, self, sessions, store, tell })

  /** Takes back what waited too long. */
  const expire = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (;;) {
      const expired = yield* orLog(store.expire(Math.floor(now - Duration.toMillis(limits.outboxExpires))))
      if (expired === undefined || expired.length === 0) return
      yield* tell(expired)
      // Numbers of a session have no gaps.
      const peers = new Set(expired.flatMap((message) => message.recipients.map(({ peer }) => peer)))
      yield* Effect.forEach(peers, sessions.restart, { discard: true })
    }
  })

  // Sessions of an earlier run are over.
  yield* orLog(store.requeue(null))
  const inbox = yield* connection.inbox("Chat", "ChatReceipt")
  yield* Queue.takeBetween(inbox, 1, limits.chatAtOnce).pipe(Effect.flatMap(handle), Effect.forever, Effect.forkScoped)
  yield* Effect.andThen(expire, Effect.sleep(limits.outboxLook)).pipe(Effect.forever, Effect.forkScoped)

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

  const full = Effect.fnUntraced(function* ({ peer, waiting }: OutboxFull) {
    const name = Option.match(yield* registry.get(peer), { onNone: () => short(peer), onSome: ({ name }) => name })
    return yield* new MessageRefused({
      problem: `${waiting} messages already wait for ${name}. Wait until they are delivered`
    })
  })

  const say = Effect.fn("Chat.say")(function* (text: string, to: PeerId | null) {
    const problem = refusal(text)
    if (problem !== undefined) return yield* new MessageRefused({ problem })
    const peers = yield* recipientsOf(to)
    // Not one epoch for all: nobody is to know by its number who else got it.
    const [id = "", ...fresh] = yield* randomIds(1 + peers.length)
    const message: Message = {
      id: MessageId.make(id),
      from: self,
      to,
      text,
      sentAt: Math.floor(yield* Clock.currentTimeMillis),
      state: "queued",
      recipients: peers.map((peer) => ({ peer, state: "queued" }))
    }
    const room = { messages: limits.outboxMax, bytes: limits.outboxBytes }
    const epochs = fresh.map((one) => Epoch.make(one))
    return yield* store.append(message, epochs, room).pipe(
      Effect.catchTags({
        OutboxFull: full,
        DatabaseError: (error) => Effect.fail(new MessageRefused({ problem: `it cannot be kept: ${error.message}` }))
      }),
      Effect.andThen(events.publish({ _tag: "MessageAdded", message })),
      Effect.andThen(Effect.sync(() => peers.forEach(sessions.wake))),
      Effect.as(message),
      // What is kept is told, and sent.
      Effect.uninterruptible
    )
  })

  const own = Effect.fnUntraced(function* (id: MessageId) {
    const found = yield* Effect.orDie(store.get(self, id))
    return Option.isSome(found)
      ? found.value
      : yield* new MessageRefused({ problem: `none of this node's has the id ${id}` })
  })

  const settled = Effect.fn("Chat.settled")(function* (id: MessageId, patience: Duration.Input) {
    const latch = Latch.makeUnsafe(false)
    const others = waiters.get(id) ?? new Set()
    waiters.set(id, others.add(latch))
    const leave = Effect.sync(() => {
      if (others.delete(latch) && others.size === 0) waiters.delete(id)
    })
    return yield* Effect.gen(function* () {
      const message = yield* own(id)
      if (!isUnderway(message)) return message
      yield* Effect.timeoutOption(latch.await, patience)
      return yield* own(id)
    }).pipe(Effect.ensuring(leave))
  })

  const history = Effect.fn("Chat.history")(function* (options: { readonly limit: number; readonly peer?: PeerId }) {
    const found: Array<Message> = []
    let before: number | null | undefined
    while (found.length < options.limit && before !== null) {
      const page: Page<Message> = yield* store.history({
        ...options,
        limit: options.limit - found.length,
        ...(before !== undefined && { before })
      })
      found.push(...page.items)
      before = page.before
    }
    return found.toReversed()
  }, Effect.orDie)

  const markRead = Effect.fn("Chat.markRead")(
    function* (conversation: PeerId | null, upTo?: MessageId) {
      const { isChanged, receipts } = yield* store.markRead(conversation, upTo)
      if (!isChanged) return
      const there = new Set(yield* connection.connected)
      for (const { epoch, peer, seq } of receipts)
        if (there.has(peer)) sessions.owe(peer, { epoch, seq, state: "read" })
      const left = (yield* store.unread).filter((one) => (one.toEveryone ? null : one.peer) === conversation)
      const unread = left.reduce((sum, { count }) => sum + count, 0)
      yield* events.publish({ _tag: "MessagesRead", peer: conversation, unread })
    },
    Effect.orDie,
    Effect.uninterruptible
  )

  // A database that cannot be read any more is a defect of the machine: whoever asks is told that it failed.
  return Chat.of({
    say,
    settled,
    history,
    page: (options) => Effect.orDie(store.history(options)),
    search: (query, options) => Effect.orDie(store.search(query, options)),
    unread: Effect.orDie(store.unread),
    markRead
  })
})

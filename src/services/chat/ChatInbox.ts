/**
 * What peers send for chat, and what becomes of it: messages are kept, then shown and acknowledged, each once and in
 * order; receipts carry our own further. A part of Chat, which takes it from Connection's inbox. Owns nothing.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { limits } from "../../config.ts"
import type { FrameOf } from "../../schema/Frame.ts"
import type { Epoch } from "../../schema/Id.ts"
import type { Message } from "../../schema/Message.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { ChatSessions } from "./ChatSessions.ts"
import type { Inbound, SessionChange } from "../Connection.ts"
import type { DatabaseError } from "../database/DatabaseError.ts"
import type { Events } from "../Events.ts"
import type { Arrival, MessageStore } from "../MessageStore.ts"
import * as Metrics from "../Metrics.ts"
import { makePeerReport } from "../peers/PeerReport.ts"

const ignored = (reason: "gap" | "duplicateId" | "neverSent") => Metrics.count(Metrics.chatFramesIgnored, { reason })

type FromPeer = Inbound<"Chat" | "ChatReceipt">

/** A frame that cannot be handled stops nothing else. */
const guard = (effect: Effect.Effect<void>) =>
  Effect.catchCauseIf(
    effect,
    (cause) => !Cause.hasInterruptsOnly(cause),
    (cause) => Effect.logError("What a peer sent for chat could not be handled", cause)
  )

export const makeInbox = (options: {
  readonly self: PeerId
  readonly store: MessageStore["Service"]
  readonly events: Events["Service"]
  readonly sessions: ChatSessions
  readonly freshEpoch: Effect.Effect<Epoch>
  /** Does what may fail for the disk's sake; undefined, and a word about it, where it did. */
  readonly orLog: <A>(effect: Effect.Effect<A, DatabaseError>) => Effect.Effect<A | undefined>
  /** Tells that these messages got further. */
  readonly tell: (changed: ReadonlyArray<Message>) => Effect.Effect<void>
}) => {
  const { events, freshEpoch, orLog, self, sessions, store, tell } = options

  /**
   * Room may be made. Until then peers wait, as they do when we read slowly: what is not kept is not acknowledged. Only
   * that waiting is interrupted: a node can stop meanwhile, and what is kept is shown.
   */
  const keep = Effect.fnUntraced(function* (arrivals: ReadonlyArray<Arrival>) {
    for (;;) {
      let mayPass = false
      const look = ({ reason }: DatabaseError) =>
        Effect.sync(() => {
          mayPass = reason === "full" || reason === "busy"
        })
      const verdicts = yield* orLog(Effect.tapError(store.receive(arrivals), look))
      if (!mayPass) return verdicts
      yield* Effect.interruptible(Effect.sleep(limits.faultRetry))
    }
  })

  /** Shows what is new of these and acknowledges all of them, once that is safe. */
  const received = Effect.fnUntraced(function* (chats: ReadonlyArray<Inbound<"Chat">>) {
    if (chats.length === 0) return
    const arrivals = chats.map(({ frame, peer }) => ({ ...frame, peer, to: frame.toEveryone ? null : self }))
    const verdicts = yield* keep(arrivals)
    // One receipt stands for all before it: whoever writes it may do so at once.
    const owed = new Map<string, { readonly peer: PeerId; readonly epoch: Epoch; readonly seq: number }>()
    for (const [at, { last, message, verdict }] of (verdicts ?? []).entries()) {
      if (verdict === "gap" || verdict === "duplicateId") yield* ignored(verdict)
      if (message !== null) yield* events.publish({ _tag: "MessageAdded", message })
      const chat = chats[at]
      if (chat === undefined || verdict === "gap") continue
      const { frame, peer } = chat
      owed.set(`${peer} ${frame.epoch}`, { peer, epoch: frame.epoch, seq: last })
    }
    for (const { epoch, peer, seq } of owed.values()) sessions.owe(peer, { epoch, seq, state: "delivered" })
  }, Effect.uninterruptible)

  /** Peers that spoke of numbers that were never given, in the session they have. */
  const renumbered = new Set<PeerId>()
  const renumberings = makePeerReport({ atOnce: 1 })

  const acknowledged = Effect.fnUntraced(function* (peer: PeerId, { epoch, seq, state }: FrameOf<"ChatReceipt">) {
    const advanced = yield* orLog(store.advance(peer, { epoch, seq, state }))
    if (advanced === undefined) return
    if (!advanced.isAhead) {
      sessions.acknowledged(peer, { epoch, seq })
      return yield* tell(advanced.changed)
    }
    yield* ignored("neverSent")
    // Or this database is a copy that was put back, and the peer saw later ones: then it takes nothing but a new count.
    if (state === "read" || renumbered.has(peer)) return
    renumbered.add(peer)
    yield* renumberings(
      peer,
      Effect.logWarning("A peer acknowledges messages that were never sent; what waits for it is numbered anew")
    )
    yield* tell((yield* orLog(store.requeue(peer))) ?? [])
    yield* orLog(store.renumber(peer, yield* freshEpoch))
    yield* sessions.restart(peer)
  }, Effect.uninterruptible)

  const changed = (change: SessionChange) => {
    if (change._tag === "Up") return sessions.up(change.peer)
    renumbered.delete(change.peer)
    return sessions.down(change.peer)
  }

  /** What came between two changes of sessions. All of it goes into one transaction. */
  const frames = (some: ReadonlyArray<FromPeer>): Effect.Effect<void> =>
    some.length === 0
      ? Effect.void
      : Effect.all(
          [
            guard(received(some.flatMap(({ frame, peer }) => (frame._tag === "Chat" ? [{ frame, peer }] : [])))),
            ...some.flatMap(({ frame, peer }) =>
              frame._tag === "Chat" ? [] : [guard(acknowledged(peer, frame)).pipe(Effect.annotateLogs("peer", peer))]
            )
          ],
          { concurrency: "unbounded", discard: true }
        )

  const handle = Effect.fnUntraced(function* (batch: ReadonlyArray<FromPeer | SessionChange>) {
    let some: Array<FromPeer> = []
    for (const next of batch) {
      if ("frame" in next) {
        some.push(next)
        continue
      }
      yield* frames(some)
      some = []
      yield* guard(changed(next)).pipe(Effect.annotateLogs("peer", next.peer))
    }
    yield* frames(some)
  })

  /** Handles these in their order. */
  return { handle }
}

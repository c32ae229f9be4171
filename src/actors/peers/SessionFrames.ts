/**
 * What a session does with each frame it reads: its own business, or its handler's. Owns nothing.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Frame, GoodbyeReason } from "../../schema/Frame.ts"
import type { Decoded } from "../../schema/FrameCodec.ts"
import { inert } from "../../schema/Text.ts"
import * as Metrics from "../../services/Metrics.ts"
import type { LinkClosed } from "../../services/Transport.ts"

/** Why a session ended. */
export interface End {
  /** As in a Goodbye, or `closed` (the link ended), `stalled` (the peer takes nothing), `interrupted`. */
  readonly reason: string
  /** More of it, for the log; safe to show. */
  readonly detail: string
  /** What is still to be said to the peer, or null if it knows or cannot hear. */
  readonly goodbye: GoodbyeReason | null
}

/** What a session does with what it reads. */
export interface Handler {
  /** Once, before the first frame. The heartbeat runs meanwhile. */
  readonly begin: Effect.Effect<void>
  /** Every frame that is not the session's own business; false if nobody wants it. May wait. */
  readonly frame: (frame: Frame) => Effect.Effect<boolean>
  /** Nothing was heard for `limits.doubtful`; told once for each silence, and again if it says false. Never waits. */
  readonly silent: () => boolean
  /** The peer broke the protocol in a way that it is told of; the link lives. */
  readonly complaint: (text: string) => Effect.Effect<void>
}

export const closed = (error: LinkClosed): End => ({ reason: "closed", detail: inert(error.reason), goodbye: null })

export const ended = (reason: GoodbyeReason | "stalled", detail: string): End => ({
  reason,
  detail,
  goodbye: reason === "stalled" ? "silent" : reason
})

/** Queues a frame to be written, if there is room. */
type Post = (frame: Frame) => void

const skip = Metric.update(Metrics.framesSkipped, 1)

const refuse = Effect.fnUntraced(function* (post: Post, tag: string, reason: string, handler: Handler) {
  yield* Metric.update(Metrics.framesRefused, 1)
  // A tag longer than a Word was cut, and an empty one has no name.
  post({ _tag: "Refused", frame: inert(tag).slice(0, 16).toWellFormed() || "?", reason })
  yield* handler.complaint(`its ${inert(tag).slice(0, 16)} was refused: ${inert(reason)}`)
})

/** Does what a frame asks for; returns an end if it was the last. */
export const act = Effect.fnUntraced(function* (post: Post, decoded: Decoded<Frame>, handler: Handler) {
  if (decoded._tag === "Unknown") return yield* skip
  if (decoded._tag === "Invalid") {
    // Two sides that refuse each other's refusals would never come to an end.
    if (decoded.tag === "Refused") return yield* skip
    return yield* refuse(post, decoded.tag, decoded.reason, handler)
  }
  const { frame } = decoded
  switch (frame._tag) {
    case "Goodbye": {
      const end: End = { reason: inert(frame.reason), detail: inert(frame.message ?? ""), goodbye: null }
      return end
    }
    case "Ping":
      return post({ _tag: "Pong", nonce: frame.nonce })
    case "Pong":
      return
    case "Refused":
      return yield* handler.complaint(`it refused our ${inert(frame.frame)}: ${inert(frame.reason)}`)
    case "Hello":
      return yield* refuse(post, "Hello", "a session has one Hello from each side, its first frame", handler)
    default:
      if (!(yield* handler.frame(frame))) yield* skip
      return
  }
})

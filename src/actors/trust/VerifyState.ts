/**
 * Comparing words with one peer, decided: who sends what when, how often the peer may ask, and how long to wait after
 * words that differed. Pure: a message and the state give the next state and what TrustActors is to do.
 *
 * Of two comparisons that cross, the one begun by the smaller id goes on, and the other side answers it. A peer is
 * verified here only when the person here and the peer have both confirmed the same comparison, in one session: the
 * end of the session ends it, and what belongs to another comparison is not heard.
 */
import * as Duration from "effect/Duration"
import { limits } from "../../config.ts"
import type { FrameOf } from "../../schema/Frame.ts"
import type { Bytes32, VerificationId } from "../../schema/Id.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { CancelReason, Verification, VerificationState } from "../../schema/Verification.ts"
import { commit, type Comparison, words } from "../../schema/Verify.ts"

/** Answers to requests that are refused, in the time in which prompts are counted; later ones get none. */
const refusalsMax = 10

interface Part {
  readonly comparison: Comparison
  readonly begunBy: Verification["begunBy"]
  readonly nonce: Bytes32
}

type Underway = Part &
  (
    | { readonly stage: "committed" }
    | { readonly stage: "answered"; readonly commitment: Bytes32 }
    | {
        readonly stage: "comparing"
        readonly words: ReadonlyArray<string>
        readonly confirmedHere: boolean
        readonly confirmedThere: boolean
      }
  )

export interface VerifyState {
  readonly self: PeerId
  readonly peer: PeerId
  readonly underway: Underway | null
  /** When the peer asked for comparisons that were shown, and when requests of it were refused and answered. */
  readonly prompts: ReadonlyArray<number>
  readonly refusals: ReadonlyArray<number>
  /** Words that differed in a row, and until when nothing is begun because of them. */
  readonly mismatches: number
  readonly notBefore: number
}

/** What is new for each comparison: from a secure random source, and from the session as it is now. */
export interface Fresh {
  readonly nonce: Bytes32
  readonly binding: Bytes32
}

export type VerifyFrame = FrameOf<"VerifyCommit" | "VerifyNonce" | "VerifyReveal" | "VerifyConfirm" | "VerifyCancel">

export type VerifyMessage =
  /** A person here asks for it; `mayBegin` was asked before. */
  | { readonly _tag: "Begin"; readonly verification: VerificationId; readonly fresh: Fresh }
  /** The peer asks for it. `hasRoom`: not too many comparisons, with all peers, are under way. */
  | {
      readonly _tag: "Asked"
      readonly frame: FrameOf<"VerifyCommit">
      readonly fresh: Fresh
      readonly hasRoom: boolean
    }
  | { readonly _tag: "Frame"; readonly frame: Exclude<VerifyFrame, { readonly _tag: "VerifyCommit" }> }
  /** A person here says whether the words are the same. */
  | { readonly _tag: "Answer"; readonly verification: VerificationId; readonly same: boolean }
  | { readonly _tag: "Cancel"; readonly verification: VerificationId }
  | { readonly _tag: "Deadline"; readonly verification: VerificationId }
  /** The session is over. */
  | { readonly _tag: "Down" }

export type VerifyAction =
  | { readonly _tag: "Send"; readonly frame: VerifyFrame }
  | { readonly _tag: "Show"; readonly verification: Verification }
  /** Tell `Deadline` after `limits.verifyDeadline`. */
  | { readonly _tag: "Wait"; readonly verification: VerificationId }
  | { readonly _tag: "Verified" }

export type Step = readonly [state: VerifyState, actions: ReadonlyArray<VerifyAction>]

export const initial = (self: PeerId, peer: PeerId): VerifyState => ({
  self,
  peer,
  underway: null,
  prompts: [],
  refusals: [],
  mismatches: 0,
  notBefore: Number.NEGATIVE_INFINITY
})

const within = Duration.toMillis(limits.verifyPromptsWithin)

/** Nothing is lost by forgetting it. */
export const isIdle = (state: VerifyState, now: number): boolean =>
  state.underway === null &&
  now - state.notBefore >= within &&
  [...state.prompts, ...state.refusals].every((at) => now - at >= within)

/** Why a person may not begin a comparison now, or null. What is under way can be joined. */
export const mayBegin = (state: VerifyState, now: number): string | null =>
  state.underway === null && now < state.notBefore
    ? `the words differed the last time. Try again in ${Math.ceil((state.notBefore - now) / 1000)} s`
    : null

/** What is shown of the comparison under way. */
export const shown = (state: VerifyState): Verification | null =>
  state.underway === null ? null : view(state.underway, state.peer)

const view = (underway: Underway, peer: PeerId): Verification => ({
  id: underway.comparison.verification,
  peer,
  begunBy: underway.begunBy,
  state: underway.stage !== "comparing" ? "waiting" : underway.confirmedHere ? "confirmed" : "comparing",
  words: underway.stage === "comparing" ? underway.words : [],
  reason: null
})

/** The whole machine. `now` is monotonic, in milliseconds. */
export const transition = (before: VerifyState, message: VerifyMessage, now: number): Step => {
  const recent = (at: number) => now - at < within
  const state = { ...before, prompts: before.prompts.filter(recent), refusals: before.refusals.filter(recent) }
  const { underway } = state
  if (message._tag === "Begin")
    return underway === null ? begin(state, message.verification, message.fresh) : [state, []]
  if (message._tag === "Frame") return received(state, message.frame, now)
  if (message._tag === "Asked") {
    const { frame } = message
    return underway?.comparison.verification === frame.verification
      ? broken(state, underway, now)
      : asked(state, frame, message, now)
  }
  if (underway === null) return [state, []]
  if (message._tag === "Down") return end(state, underway, "cancelled", "the connection was lost")
  if (message.verification !== underway.comparison.verification) return [state, []]
  switch (message._tag) {
    case "Answer":
      return answer(state, underway, message.same, now)
    case "Cancel":
      return tell("cancelled", end(state, underway, "cancelled", "it was cancelled here"))
    case "Deadline":
      return tell("expired", end(state, underway, "expired", "nobody answered in time"))
  }
}

const begin = (state: VerifyState, verification: VerificationId, { binding, nonce }: Fresh): Step => {
  const comparison = { verification, initiator: state.self, responder: state.peer, binding }
  const underway: Underway = { stage: "committed", comparison, begunBy: "here", nonce }
  return [
    { ...state, underway },
    [
      { _tag: "Wait", verification },
      send({ _tag: "VerifyCommit", verification, commitment: commit(comparison, nonce) }),
      show(underway, state.peer)
    ]
  ]
}

const send = (frame: VerifyFrame): VerifyAction => ({ _tag: "Send", frame })

const show = (underway: Underway, peer: PeerId): VerifyAction => ({ _tag: "Show", verification: view(underway, peer) })

type Reply = Extract<VerifyMessage, { readonly _tag: "Frame" }>["frame"]

const received = (state: VerifyState, frame: Reply, now: number): Step => {
  const { underway } = state
  if (underway === null || underway.comparison.verification !== frame.verification) {
    // The peer waits for an answer to something that is over here; that it is over it may not know.
    const waits = frame._tag === "VerifyNonce" || frame._tag === "VerifyReveal"
    return waits ? refuse(state, frame.verification, "cancelled", now) : [state, []]
  }
  switch (frame._tag) {
    case "VerifyNonce":
      return underway.stage === "committed"
        ? compare(state, underway, { initiator: underway.nonce, responder: frame.nonce })
        : broken(state, underway, now)
    case "VerifyReveal":
      return underway.stage === "answered" && commit(underway.comparison, frame.nonce) === underway.commitment
        ? compare(state, underway, { initiator: frame.nonce, responder: underway.nonce })
        : broken(state, underway, now)
    case "VerifyConfirm":
      if (underway.stage !== "comparing") return broken(state, underway, now)
      if (underway.confirmedHere) return verified(state, underway)
      return [{ ...state, underway: { ...underway, confirmedThere: true } }, []]
    case "VerifyCancel":
      return cancelled(state, underway, frame.reason, now)
  }
}

/** The peer asks for a comparison. */
const asked = (
  state: VerifyState,
  { commitment, verification }: FrameOf<"VerifyCommit">,
  { fresh, hasRoom }: { readonly fresh: Fresh; readonly hasRoom: boolean },
  now: number
): Step => {
  const { underway } = state
  const crosses = underway !== null && underway.stage === "committed"
  // It will answer ours.
  if (crosses && state.self < state.peer) return [state, []]
  if (underway !== null && !crosses) return refuse(state, verification, "busy", now)
  if (!crosses && now < state.notBefore) return refuse(state, verification, "backOff", now)
  if (!crosses && state.prompts.length >= limits.verifyPromptsMax) return refuse(state, verification, "tooMany", now)
  if (!crosses && !hasRoom) return refuse(state, verification, "busy", now)
  const comparison = { verification, initiator: state.peer, responder: state.self, binding: fresh.binding }
  const begunBy = crosses ? "here" : "peer"
  const next: Underway = { stage: "answered", comparison, begunBy, nonce: fresh.nonce, commitment }
  const given = crosses ? end(state, underway, "cancelled", "both sides asked for it; the other's goes on")[1] : []
  return [
    { ...state, underway: next, prompts: crosses ? state.prompts : [...state.prompts, now] },
    [
      ...given,
      { _tag: "Wait", verification },
      send({ _tag: "VerifyNonce", verification, nonce: fresh.nonce }),
      show(next, state.peer)
    ]
  ]
}

/** Says that there is nothing, a few times; a peer that goes on asking gets no more answers. */
const refuse = (state: VerifyState, verification: VerificationId, reason: CancelReason, now: number): Step =>
  state.refusals.length >= refusalsMax
    ? [state, []]
    : [{ ...state, refusals: [...state.refusals, now] }, [send({ _tag: "VerifyCancel", verification, reason })]]

const compare = (
  state: VerifyState,
  before: Underway,
  nonces: { readonly initiator: Bytes32; readonly responder: Bytes32 }
): Step => {
  const { begunBy, comparison, nonce } = before
  const underway: Underway = {
    stage: "comparing",
    comparison,
    begunBy,
    nonce,
    words: words(comparison, nonces),
    confirmedHere: false,
    confirmedThere: false
  }
  const { verification } = comparison
  const reveal = before.stage === "committed" ? [send({ _tag: "VerifyReveal", verification, nonce })] : []
  return [{ ...state, underway }, [...reveal, show(underway, state.peer)]]
}

const answer = (state: VerifyState, underway: Underway, same: boolean, now: number): Step => {
  // Once said, it stands: the other side may have acted on it.
  if (underway.stage !== "comparing" || underway.confirmedHere) return [state, []]
  if (!same) return tell("mismatch", differed(state, underway, "the words are not the same, someone here said", now))
  const confirmed: Underway = { ...underway, confirmedHere: true }
  const confirm = send({ _tag: "VerifyConfirm", verification: underway.comparison.verification })
  if (!underway.confirmedThere) return [{ ...state, underway: confirmed }, [confirm, show(confirmed, state.peer)]]
  const [next, actions] = verified(state, confirmed)
  return [next, [confirm, ...actions]]
}

const verified = (state: VerifyState, underway: Underway): Step => {
  const [next, actions] = end(state, underway, "verified", null)
  return [{ ...next, mismatches: 0, notBefore: Number.NEGATIVE_INFINITY }, [{ _tag: "Verified" }, ...actions]]
}

/** Words that differ, or what looks like someone trying to make them equal: the next attempt has to wait. */
const differed = (state: VerifyState, underway: Underway, reason: string, now: number): Step =>
  end(penalised(state, now), underway, "mismatch", reason)

const penalised = (state: VerifyState, now: number): VerifyState => {
  const first = Duration.toMillis(limits.verifyAgainFirst)
  const wait = Math.min(Duration.toMillis(limits.verifyAgainMax), first * 2 ** Math.min(30, state.mismatches))
  return { ...state, mismatches: state.mismatches + 1, notBefore: now + wait }
}

/** What came is not what has to come next. */
const broken = (state: VerifyState, underway: Underway, now: number): Step =>
  tell("protocol", end(penalised(state, now), underway, "cancelled", "the other side did not keep to the rules"))

const cancelled = (state: VerifyState, underway: Underway, reason: string, now: number): Step => {
  switch (reason) {
    case "mismatch":
      return differed(state, underway, "the words are not the same, someone on the other side said", now)
    case "expired":
      return end(state, underway, "expired", "the other side did not answer in time")
    case "busy":
      return end(state, underway, "cancelled", "the other side is comparing words already")
    case "tooMany":
      return end(state, underway, "cancelled", "the other side was asked too often. Try again in 10 minutes")
    case "backOff":
      return end(state, underway, "cancelled", "the words differed the last time, and the other side still waits")
    default:
      return end(state, underway, "cancelled", "the other side ended it")
  }
}

const end = (state: VerifyState, underway: Underway, as: VerificationState, reason: string | null): Step => [
  { ...state, underway: null },
  [{ _tag: "Show", verification: { ...view(underway, state.peer), state: as, words: [], reason } }]
]

/** The same, after a word to the other side. */
const tell = (reason: CancelReason, [state, actions]: Step): Step => {
  const over = actions.find((action) => action._tag === "Show")
  const cancel = over === undefined ? [] : [send({ _tag: "VerifyCancel", verification: over.verification.id, reason })]
  return [state, [...cancel, ...actions]]
}

/** A comparison of words as every face shows it: two people look at four words each, and say whether they are equal. */
import * as Schema from "effect/Schema"
import { VerificationId } from "./Id.ts"
import { PeerId } from "./PeerId.ts"

/**
 * waiting: for the other side's part of the words. comparing: the words are shown. confirmed: equal, says the person
 * here; the other side has not said so yet. The rest is final. verified: both said equal. mismatch: one said they
 * differ, so someone may stand between. cancelled: ended without an answer. expired: no answer in time.
 */
export const VerificationState = Schema.Literals([
  "waiting",
  "comparing",
  "confirmed",
  "verified",
  "mismatch",
  "cancelled",
  "expired"
])
export type VerificationState = typeof VerificationState.Type

export const Verification = Schema.Struct({
  id: VerificationId,
  peer: PeerId,
  /** Who asked for it. */
  begunBy: Schema.Literals(["here", "peer"]),
  state: VerificationState,
  /** In their order; empty while they are not known, and once it is over. */
  words: Schema.Array(Schema.String),
  /** Why it is over without success, in a sentence, or null. */
  reason: Schema.NullOr(Schema.String)
})
export type Verification = typeof Verification.Type

/** Nothing leaves these states. */
export const isOver = (state: VerificationState): boolean =>
  state === "verified" || state === "mismatch" || state === "cancelled" || state === "expired"

/**
 * Why one side ends it. A newer peer may say more; that counts as `cancelled`.
 * - mismatch: a person says that the words differ
 * - busy: another comparison with this peer, or too many in all, are under way
 * - tooMany, backOff: it was asked for too often, or too soon after words that differed
 * - protocol: what came was not what has to come
 */
export type CancelReason = "cancelled" | "mismatch" | "expired" | "busy" | "tooMany" | "backOff" | "protocol"

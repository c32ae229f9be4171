/** A transfer as every face shows it, from the offer on. The field names are what scripts rely on. */
import * as Schema from "effect/Schema"
import { GroupId, TransferId } from "./Id.ts"
import { PeerId } from "./PeerId.ts"

export const TransferState = Schema.Literals([
  "offered",
  "queued",
  "waiting",
  "running",
  "stalled",
  "paused",
  "done",
  "partial",
  "failed",
  "cancelled",
  "declined"
])
export type TransferState = typeof TransferState.Type

/** States that nothing leaves. */
export const isOver = (state: TransferState): boolean =>
  state === "done" || state === "partial" || state === "failed" || state === "cancelled" || state === "declined"

/** What to do about names that exist at the receiver. */
export const ConflictPolicy = Schema.Literals(["rename", "skip", "overwrite"])
export type ConflictPolicy = typeof ConflictPolicy.Type

/** An entry that was left out or failed, and why. */
export const EntryProblem = Schema.Struct({ path: Schema.String, reason: Schema.String })
export type EntryProblem = typeof EntryProblem.Type

export const Transfer = Schema.Struct({
  id: TransferId,
  direction: Schema.Literals(["send", "receive"]),
  state: TransferState,
  group: GroupId,
  peer: PeerId,
  /** What was offered, in a word: the name of its one top entry, or "3 items". */
  name: Schema.String,
  files: Schema.Natural,
  directories: Schema.Natural,
  /** Bytes safe at the receiver so far. */
  bytes: Schema.Natural,
  totalBytes: Schema.Natural,
  /** Smoothed; 0 when not running. */
  bytesPerSecond: Schema.Natural,
  /** Why it is not done, in a sentence, or null. */
  error: Schema.NullOr(Schema.String),
  /** Receiving: the absolute paths of what was published. */
  published: Schema.Array(Schema.String),
  /** Entries that were left out or failed; at most 100 are kept, `problemCount` counts all. */
  problems: Schema.Array(EntryProblem),
  problemCount: Schema.Natural,
  /** Milliseconds since 1970. */
  startedAt: Schema.Int
})
export type Transfer = typeof Transfer.Type

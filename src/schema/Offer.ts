/** A transfer as every face shows it, from the offer on. The field names are what scripts rely on. */
import * as Effect from "effect/Effect"
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

/** Which transfers have their turn first. */
export const TransferPriority = Schema.Literals(["low", "normal", "high"])
export type TransferPriority = typeof TransferPriority.Type

/** Names of what was published that are kept and told. */
export const publishedMax = 64

/** Those among the names of what was published that are not what they were offered as. */
export const renamedOf = <A extends { readonly path: string; readonly name: string }>(names: ReadonlyArray<A>) =>
  names.filter(({ name, path }) => name !== path).slice(0, publishedMax)

/** States that nothing leaves. */
export const isOver = (state: TransferState): boolean =>
  state === "done" || state === "partial" || state === "failed" || state === "cancelled" || state === "declined"

/** What to do about names that exist at the receiver. */
export const ConflictPolicy = Schema.Literals(["rename", "skip", "overwrite"])
export type ConflictPolicy = typeof ConflictPolicy.Type

/**
 * Why an entry does not come.
 * - leftOut: the sender cannot send it, or the receiver cannot store it; known before anything of it moves
 * - failed: it was to come, and something went wrong with it
 */
export const ProblemKind = Schema.Literals(["leftOut", "failed"])
export type ProblemKind = typeof ProblemKind.Type

/** An entry that was left out or failed, and why. */
export const EntryProblem = Schema.Struct({
  // What was kept before there were kinds has none.
  kind: ProblemKind.pipe(Schema.withDecodingDefaultKey(Effect.succeed<ProblemKind>("leftOut"))),
  path: Schema.String,
  reason: Schema.String
})
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
  /** Files of which every byte is safe. */
  filesDone: Schema.optionalKey(Schema.Natural),
  /** Smoothed; 0 when not running. */
  bytesPerSecond: Schema.Natural,
  /** Until it is done at this speed; null when that cannot be said. */
  secondsLeft: Schema.optionalKey(Schema.NullOr(Schema.Natural)),
  /** The whole list is known: walked by the sender, read and found good by the receiver. */
  listed: Schema.optionalKey(Schema.Boolean),
  /** The sender still lists it: files, directories and bytes are what was found so far. */
  listing: Schema.optionalKey(Schema.Boolean),
  /** Receiving, while it waits for an answer: bytes free where it would go, less what other transfers still need. */
  freeBytes: Schema.optionalKey(Schema.Natural),
  priority: Schema.optionalKey(TransferPriority),
  /** Which side paused it, or null. */
  pausedBy: Schema.optionalKey(Schema.NullOr(Schema.Literals(["here", "peer", "both"]))),
  /** Receiving, once it is over: its sender was not verified, and neither a person nor the policy here had taken or declined it. */
  unanswered: Schema.optionalKey(Schema.Boolean),
  /** Why it is not done, in a sentence, or null. */
  error: Schema.NullOr(Schema.String),
  /** Receiving: the absolute paths of what was published. Sending: its names below the peer's receive folder. */
  published: Schema.Array(Schema.String),
  /** What was offered under a name that was taken, and is called otherwise now; at most 64. */
  renamed: Schema.optionalKey(Schema.Array(Schema.Struct({ path: Schema.String, name: Schema.String }))),
  /** Files that the receiver had already with the same bytes: they stayed as they are, and were not sent. */
  skipped: Schema.optionalKey(Schema.Natural),
  /**
   * Once it is done: SHA-256 over the digests of its files in the order of the list (docs/PROTOCOL.md), in base32. Both
   * ends made it, of what each of them read or wrote, and it is the same at both.
   */
  digest: Schema.optionalKey(Schema.String),
  /** Entries that the receiver chose not to take: how many, and the first 100 by name. */
  notTaken: Schema.optionalKey(Schema.Struct({ count: Schema.Natural, paths: Schema.Array(Schema.String) })),
  /** Entries that were left out or failed; at most 100 are kept, `problemCount` counts all. */
  problems: Schema.Array(EntryProblem),
  problemCount: Schema.Natural,
  /** Those of them that failed. */
  failedCount: Schema.optionalKey(Schema.Natural),
  /** Milliseconds since 1970. */
  startedAt: Schema.Int
})
export type Transfer = typeof Transfer.Type

/** Problems of one kind: how many, and those that are named. */
export const problemsOf = (
  { failedCount = 0, problemCount, problems }: Pick<Transfer, "failedCount" | "problemCount" | "problems">,
  kind: ProblemKind
): { readonly count: number; readonly named: ReadonlyArray<EntryProblem> } => ({
  count: kind === "failed" ? failedCount : problemCount - failedCount,
  named: problems.filter((problem) => problem.kind === kind)
})

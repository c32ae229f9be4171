/** One entry of a transfer's list as every face shows it, and what became of it. */
import * as Schema from "effect/Schema"
import type { Range } from "./Ranges.ts"

/**
 * - offered: nobody has answered yet
 * - taken: it is to come
 * - notTaken: the receiver chose to do without it
 * - leftOut: the sender cannot send it, or the receiver cannot store it
 * - failed: it will not come
 * - done: every byte of it is safe at the receiver
 * - same: the receiver has the same bytes already
 */
const EntryState = Schema.Literals(["offered", "taken", "notTaken", "leftOut", "failed", "done", "same"])
type EntryState = typeof EntryState.Type

export const ListedEntry = Schema.Struct({
  /** Its place in the list; what the sender left out stands at the end. */
  index: Schema.Natural,
  /** As text: it may be what no path can be. */
  path: Schema.String,
  kind: Schema.Literals(["f", "d"]),
  size: Schema.Natural,
  /** Milliseconds since 1970. */
  mtime: Schema.Int,
  executable: Schema.Boolean,
  state: EntryState,
  /** Why it was left out or failed, where that is known. */
  reason: Schema.NullOr(Schema.String),
  /** Of its block digests, hex, once all of them are known. */
  digest: Schema.NullOr(Schema.String)
})
export type ListedEntry = typeof ListedEntry.Type

/** Most entries in one answer. */
export const entriesShownMax = 1000

/** Most ranges of a choice: every second entry of what a page shows of a list. */
export const rangesMax = 10_000

const isInOrder = (ranges: ReadonlyArray<Range>): boolean =>
  ranges.every(([first], at) => {
    const [before, count] = ranges[at - 1] ?? [0, 0]
    return first >= before + count
  })

/** Entries by their indexes, as `[first, count]`: in order, and apart from each other. */
export const EntryRanges = Schema.Array(
  Schema.Tuple([Schema.Natural, Schema.Natural.check(Schema.isGreaterThanOrEqualTo(1))])
).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(rangesMax),
  Schema.makeFilter((ranges) => isInOrder(ranges) || "they are not in order, or overlap", {
    expected: "ranges in order that do not overlap"
  })
)

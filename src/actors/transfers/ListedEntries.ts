/**
 * The list of a transfer as it is shown, a part at a time: what was offered, what became of each entry, and at its end
 * what the sender left out. Pure.
 */
import type { Digests } from "../../schema/Digests.ts"
import type { EntryList, NewEntry } from "../../schema/EntryList.ts"
import type { EntryProblem } from "../../schema/Offer.ts"
import type { ListedEntry } from "../../schema/ListedEntry.ts"
import type { Ranges } from "../../schema/Ranges.ts"
import type { Intake } from "./receive/Intake.ts"
import type { SafeCount } from "./send/SafeCount.ts"

/** What became of one entry. */
export type Fate = Pick<ListedEntry, "state" | "reason" | "digest">

const plain = (state: Fate["state"]): Fate => ({ state, reason: null, digest: null })

/** At most `limit` of them, from `from` on. */
export const listing = (
  offered: {
    /** How many are offered in all, and those of them that are shown, from `from` on. */
    readonly length: number
    readonly found: ReadonlyArray<NewEntry>
  },
  leftOut: ReadonlyArray<EntryProblem>,
  fateOf: (at: number) => Fate,
  { from, limit }: { readonly from: number; readonly limit: number }
): ReadonlyArray<ListedEntry> => {
  const all = offered.length + leftOut.length
  const shown: Array<ListedEntry> = []
  for (let index = from; index < Math.min(all, from + limit); index++) {
    const entry = offered.found[index - from]
    const aside = leftOut[index - offered.length]
    if (entry !== undefined) {
      const { executable, kind, mtime, path, size } = entry
      shown.push({ index, path, kind, size, mtime, executable, ...fateOf(index) })
    } else if (aside !== undefined) {
      const nothing = { kind: "f", size: 0, mtime: 0, executable: false, digest: null } as const
      shown.push({ index, path: aside.path, ...nothing, state: "leftOut", reason: aside.reason })
    }
  }
  return shown
}

/** At the receiver. `reasons`: why entries cannot be stored here, as far as they are kept. */
export const receivedFate = (
  intake: Intake,
  at: number,
  known: { readonly isAccepted: boolean; readonly reasons: ReadonlyMap<number, string> }
): Fate => {
  const { entries, failed, leftOut, settled } = intake
  const reason = failed.get(at)
  if (reason !== undefined) return { state: "failed", reason, digest: null }
  const unstored = known.reasons.get(at)
  if (unstored !== undefined) return { state: "leftOut", reason: unstored, digest: null }
  if (leftOut.has(at)) return plain(known.isAccepted ? "notTaken" : "leftOut")
  if (!known.isAccepted) return plain("offered")
  const first = entries.firstBlock(at)
  const count = entries.blockCount(at)
  if (count === 0 || settled.missing(first, first + count) !== undefined) return plain("taken")
  const state = intake.counterparts.whole.has(at) ? "same" : "done"
  return { state, reason: null, digest: intake.digests.over(first, count) ?? null }
}

/** At the sender. `taken`: what the receiver takes, if not all of it. */
export const sentFate = (
  entries: EntryList,
  at: number,
  known: {
    readonly isAccepted: boolean
    readonly failed: ReadonlyMap<number, string>
    readonly taken: Ranges | undefined
    readonly safe: SafeCount
    readonly digests: Digests
  }
): Fate => {
  const reason = known.failed.get(at)
  if (reason !== undefined) return { state: "failed", reason, digest: null }
  if (known.taken !== undefined && !known.taken.has(at)) return plain("notTaken")
  if (!known.isAccepted) return plain("offered")
  const first = entries.firstBlock(at)
  const count = entries.blockCount(at)
  if (count === 0 || !known.safe.has(first, count)) return plain("taken")
  return { state: "done", reason: null, digest: known.digests.over(first, count) ?? null }
}

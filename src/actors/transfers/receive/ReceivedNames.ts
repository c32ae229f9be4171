/** Which entries of a transfer are in its staging, and which names it publishes. Pure. */
import { top } from "../../../schema/RelativePath.ts"
import type { StagedEntry } from "../../../services/FileStore.ts"
import type { Intake } from "./Intake.ts"
import type { ReceiveJournal } from "./ReceiveJournal.ts"

/** Whether a path is surely still in the staging: not published, nor about to be when another run ended. */
export const isUnpublished = (journal: ReceiveJournal) => {
  const { chosen } = journal.publication
  return (path: Parameters<typeof top>[0]): boolean => !chosen.has(top(path))
}

/** The entries that are stored here and of this sort, as the store takes them. */
export function* entriesOf(intake: Intake, wanted: (at: number) => boolean): Generator<StagedEntry> {
  const { entries, leftOut } = intake
  for (let at = 0; at < entries.length; at++) {
    if (leftOut.has(at) || !wanted(at)) continue
    const kind = entries.isDirectory(at) ? "d" : "f"
    yield { path: entries.path(at), kind, mtime: entries.mtime(at), executable: entries.isExecutable(at) }
  }
}

/** The names to publish, in the order of the list; `but`: entries that do not count. */
export const topsOf = (intake: Intake, but?: ReadonlyMap<number, unknown>): Set<string> => {
  const { entries, leftOut } = intake
  const tops = new Set<string>()
  for (let at = 0; at < entries.length; at++) {
    if (!leftOut.has(at) && but?.has(at) !== true) tops.add(top(entries.path(at)))
  }
  return tops
}

/** The names that are there already, and of which nothing is staged. */
export const stayingOf = ({ counterparts, entries, failed, leftOut }: Intake): Array<string> => {
  const staying = new Set<string>()
  for (const [first, count] of counterparts.whole.toArray()) {
    for (let at = first; at < first + count; at++) staying.add(top(entries.path(at)))
  }
  for (let at = 0; at < entries.length && staying.size > 0; at++) {
    if (!counterparts.whole.has(at) && !leftOut.has(at) && !failed.has(at)) staying.delete(top(entries.path(at)))
  }
  return [...staying]
}

/**
 * The part of an offer that a person takes: what patterns or ranges name, with the directories that it is in. Owns
 * nothing.
 */
import * as Effect from "effect/Effect"
import { limits } from "../../../config.ts"
import type { EntryList } from "../../../schema/EntryList.ts"
import { compile } from "../../../schema/Glob.ts"
import type { Transfer as View } from "../../../schema/Offer.ts"
import { type Range, Ranges } from "../../../schema/Ranges.ts"

/** Entries looked at between two chances for others to run. */
const stride = 2000

/** What a person wants of a list: what one of the patterns names, and only in these ranges, where they are said. */
export interface Wanted {
  readonly only?: ReadonlyArray<string>
  readonly ranges?: ReadonlyArray<Range>
}

/** Whether that is everything. */
export const isAll = ({ only, ranges }: Wanted): boolean => only === undefined && ranges === undefined

/** Why it is not to be had of a list of this many entries, or undefined if it is. */
export const beyond = ({ ranges = [] }: Wanted, length: number): string | undefined =>
  ranges.some(([first, count]) => first + count > length)
    ? `its list has ${length} entries, and more than those were asked for`
    : undefined

/** What is not taken. */
export interface Choice {
  readonly refused: Ranges
  readonly shown: NonNullable<View["notTaken"]>
}

/** What is left when this is taken, or undefined where this is nothing. */
export const choose = Effect.fn("Choice.choose")(function* (
  entries: EntryList,
  leftOut: Ranges,
  { only, ranges }: Wanted
) {
  const glob = only === undefined ? undefined : compile(only)
  const within = new Ranges()
  for (const [first, count] of ranges ?? []) within.add(first, count)
  const named = new Uint8Array(entries.length)
  const above = new Set<string>()
  let any = false
  for (let at = 0; at < entries.length; at++) {
    if (at % stride === stride - 1) yield* Effect.yieldNow
    if (leftOut.has(at) || (ranges !== undefined && !within.has(at))) continue
    const path = entries.path(at)
    if (glob?.(path) === false) continue
    any = true
    named[at] = 1
    for (let cut = path.lastIndexOf("/"); cut > 0; cut = path.lastIndexOf("/", cut - 1)) {
      const directory = path.slice(0, cut)
      if (above.has(directory)) break
      above.add(directory)
    }
  }
  if (!any) return undefined
  const refused = new Ranges()
  const paths: Array<string> = []
  for (let at = 0; at < entries.length; at++) {
    if (at % stride === stride - 1) yield* Effect.yieldNow
    if (named[at] === 1 || leftOut.has(at) || (entries.isDirectory(at) && above.has(entries.path(at)))) continue
    refused.add(at)
    if (paths.length < limits.problemsShownMax) paths.push(entries.path(at))
  }
  return { refused, shown: { count: refused.size, paths } } satisfies Choice
})

/** Bytes of these entries. */
export const bytesOf = (entries: EntryList, which: Ranges): number => {
  let bytes = 0
  for (const [first, count] of which.toArray()) for (let at = first; at < first + count; at++) bytes += entries.size(at)
  return bytes
}

/** What remains of a list without these entries: its totals, and its ranges in order. */
export const without = (entries: EntryList, leftOut: Ranges) => {
  let { bytes, directories, files } = entries.totals
  const taken: Array<Range> = []
  let from = 0
  for (const [first, count] of leftOut.toArray()) {
    if (first > from) taken.push([from, first - from])
    from = first + count
    for (let at = first; at < from; at++) {
      bytes -= entries.size(at)
      if (entries.isDirectory(at)) directories--
      else files--
    }
  }
  if (from < entries.length) taken.push([from, entries.length - from])
  return { totals: { files, directories, bytes }, taken }
}

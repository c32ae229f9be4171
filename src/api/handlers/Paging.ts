/** Parts of lists, so that one answer is never large. A cursor says after which item to go on, and survives its removal. Pure. */

/** The first `limit` of the sorted items that come after the cursor, and the cursor of what comes next. */
export const pageOf = <A, C>(
  items: ReadonlyArray<A>,
  options: {
    readonly limit: number
    readonly after: C | undefined
    readonly cursorOf: (item: A) => C
    /** Below 0 where the first comes before the second. */
    readonly compare: (a: C, b: C) => number
  }
): { readonly items: ReadonlyArray<A>; readonly next: C | null } => {
  const { after, compare, cursorOf, limit } = options
  const rest = items
    .filter((item) => after === undefined || compare(cursorOf(item), after) > 0)
    .toSorted((a, b) => compare(cursorOf(a), cursorOf(b)))
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  return { items: page, next: last !== undefined && rest.length > page.length ? cursorOf(last) : null }
}

/** Text by its code units, which is the same everywhere. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A transfer's place, by when it began: the newest first. */
export const cursorOfTransfer = (transfer: { readonly startedAt: number; readonly id: string }): string =>
  `${Math.max(0, transfer.startedAt)}.${transfer.id}`

export const newestFirst = (a: string, b: string): number => {
  const [timeA = "", idA = ""] = a.split(".")
  const [timeB = "", idB = ""] = b.split(".")
  return Number(timeB) - Number(timeA) || byText(idA, idB)
}

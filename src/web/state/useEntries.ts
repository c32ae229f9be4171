/** The list of a transfer, read part by part while it is looked at, up to what a browser can show well. */
import { useEffect, useState } from "react"
import type { ListedEntry } from "../../schema/ListedEntry.ts"
import { entriesShownMax } from "../../schema/ListedEntry.ts"
import type { Transfer } from "../../schema/Offer.ts"
import { ask } from "./Client.ts"
import { entriesReadMax } from "./OfferTree.ts"

export interface Entries {
  readonly items: ReadonlyArray<ListedEntry>
  /** Everything is here, or as much as is read. */
  readonly complete: boolean
  /** There is more than what is read. */
  readonly truncated: boolean
  readonly problem: string | null
}

const nothing: Entries = { items: [], complete: false, truncated: false, problem: null }

export const useEntries = (id: Transfer["id"], listed: boolean): Entries => {
  const [entries, setEntries] = useState(nothing)
  useEffect(() => {
    const shown = new AbortController()
    const { signal } = shown
    const read = async () => {
      const items: Array<ListedEntry> = []
      let after: number | null | undefined
      while (!signal.aborted && after !== null && items.length < entriesReadMax) {
        const from = after
        const answer = await ask((client) =>
          client.transfers.entries({
            params: { id },
            query: { limit: entriesShownMax, ...(from !== undefined && { after: from }) }
          })
        )
        if (signal.aborted) return
        if (!answer.ok) return setEntries({ items, complete: true, truncated: false, problem: answer.problem })
        items.push(...answer.value.items)
        after = answer.value.next
      }
      setEntries({ items, complete: true, truncated: after !== null, problem: null })
    }
    setEntries(nothing)
    if (listed) void read()
    return () => shown.abort()
  }, [id, listed])
  return entries
}

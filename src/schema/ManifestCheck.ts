/**
 * Reads a peer's manifest page by page and refuses what is dangerous or untrue before anything is asked or written:
 * pages out of order, duplicates, a file that is also a directory, too many entries, totals that are not the sum.
 * Paths were checked by their schema. Every answer is a reason to refuse the whole offer, or undefined. Pure.
 */
import type { DataFrame } from "./Block.ts"
import { EntryList } from "./EntryList.ts"
import { entriesMax, type LeftOut, type Totals } from "./Manifest.ts"

export type Page = Extract<DataFrame, { readonly _tag: "Page" }>

/** Most blocks in one offer: 64 TiB of the smallest ones. */
export const blocksMax = 2 ** 26

const show = (path: string): string => JSON.stringify(path.length > 120 ? `${path.slice(0, 120)}…` : path)

/** Where the memory of a list is counted. */
export interface MemoryRoom {
  /** Whether the list may now take so much, in bytes. */
  readonly allows: (bytes: number) => boolean
  /** It is on disk now, and takes so much there. */
  readonly spooled: (bytes: number) => void
}

export class ManifestCheck {
  readonly entries: EntryList
  private readonly entriesMax: number
  private readonly memoryMax: number | MemoryRoom
  /** What the sender says it left out. */
  leftOut: LeftOut | undefined
  private pages = 0
  private stated: Totals | undefined

  constructor(options: {
    readonly seed: number
    /** Memory it may take here: in bytes, or as is counted elsewhere. */
    readonly memoryMax: number | MemoryRoom
    readonly entriesMax?: number
  }) {
    this.entries = new EntryList(options.seed)
    this.entriesMax = options.entriesMax ?? entriesMax
    this.memoryMax = options.memoryMax
  }

  /** The next page to ask for. */
  get next(): number {
    return this.pages
  }

  /** True once the page with the totals was read. */
  get complete(): boolean {
    return this.stated !== undefined
  }

  /** Takes the next page. */
  add(page: Page): string | undefined {
    if (this.complete || page.page !== this.pages) return `page ${page.page} of its list came out of turn`
    if (page.entries.length === 0 && page.totals === undefined) return "its list has an empty page"
    for (const [path, kind, size, mtime, executable] of page.entries) {
      if (this.entries.length >= this.entriesMax) return `it lists more than ${this.entriesMax} entries`
      if (kind === "d" && (size !== 0 || executable !== 0))
        return `the directory ${show(path)} has a size or is a program`
      if (!this.entries.append({ path, kind, size, mtime, executable: executable === 1 })) {
        return `it lists ${show(path)} twice`
      }
    }
    const { blocks, bytes } = this.entries.totals
    if (!Number.isSafeInteger(bytes) || blocks > blocksMax) return "its sizes add up to more than can be counted"
    if (!this.fits) return "its list is too long to be held here"
    this.pages++
    if (page.totals === undefined && page.leftOut !== undefined) return "it names what it left out before its end"
    this.stated = page.totals
    this.leftOut = page.leftOut
    return page.totals === undefined ? undefined : this.untrue(page.totals)
  }

  private get fits(): boolean {
    const { memory } = this.entries
    return typeof this.memoryMax === "number" ? memory <= this.memoryMax : this.memoryMax.allows(memory)
  }

  private untrue(stated: Totals): string | undefined {
    const counted = this.entries.totals
    if (this.entries.length === 0) return "it lists nothing"
    const wrong = (["files", "directories", "bytes", "blocks"] as const).find((key) => stated[key] !== counted[key])
    return wrong === undefined ? undefined : `it states ${stated[wrong]} ${wrong}, but lists ${counted[wrong]}`
  }

  /** Whether one of the entries from `from` up to `to` is below another that is a file. */
  clash(from: number, to: number): string | undefined {
    let checked = ""
    for (let at = from; at < Math.min(to, this.entries.length); at++) {
      const path = this.entries.path(at)
      const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")))
      // Neighbours mostly share a directory.
      if (parent === checked) continue
      for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
        const above = this.entries.find(path.slice(0, end))
        if (above >= 0 && !this.entries.isDirectory(above)) {
          return `it lists ${show(path.slice(0, end))} as a file and as a directory`
        }
      }
      checked = parent
    }
    return undefined
  }
}

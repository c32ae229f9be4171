/**
 * A whole manifest in memory: entries in order, their pages and the numbering of their blocks. Kept as columns and
 * one store of path bytes, about 60 bytes and the path for each entry, since an offer may have a million of them.
 * Pure, but appended to in place: one owner while it grows, then read by all.
 */
import {
  blockCount,
  blockSize,
  type Entry,
  entriesMax,
  leftOutMaxBytes,
  pageMaxBytes,
  type Totals
} from "./Manifest.ts"
import { HashIndex } from "./HashIndex.ts"
import type { RelativePath } from "./RelativePath.ts"

/** One block of one file. */
export interface BlockPlace {
  /** Index of its entry. */
  readonly entry: number
  /** Where in the file it begins. */
  readonly offset: number
  /** Bytes, at least 1. */
  readonly length: number
}

export interface NewEntry {
  readonly path: RelativePath
  readonly kind: "f" | "d"
  readonly size: number
  readonly mtime: number
  readonly executable: boolean
}

const storeBytes = 1024 * 1024

/** A store of paths is four times as large as the one before, up to that: most lists are short, and many may be held. */
const firstStoreBytes = 16 * 1024

/** Bytes of a page kept for all but its entries. */
const pageSlackBytes = leftOutMaxBytes + 1024

const directoryFlag = 1
const executableFlag = 2

const grown = <A extends Float64Array | Uint32Array | Uint8Array>(from: A, into: A): A => {
  into.set(from)
  return into
}

export class EntryList {
  private capacity = 256
  private count = 0
  private sizes = new Float64Array(this.capacity)
  private mtimes = new Float64Array(this.capacity)
  private flags = new Uint8Array(this.capacity)
  private blocks = new Float64Array(this.capacity)
  /** Where each path is: store number times `storeBytes`, and the offset in it. */
  private places = new Uint32Array(this.capacity)
  private lengths = new Uint32Array(this.capacity)
  private stores: Array<Buffer> = []
  private storeUsed = 0
  private storeSize = 0
  private storesSize = 0
  private lastPlaced = 0
  private pageStarts: Array<number> = [0]
  private pageBytes = pageSlackBytes
  private sums = { files: 0, directories: 0, bytes: 0, blocks: 0 }
  private readonly index: HashIndex

  /** `seed`: any 32-bit number that a peer cannot know. */
  constructor(seed: number) {
    this.index = new HashIndex(seed)
  }

  get length(): number {
    return this.count
  }

  get totals(): Totals {
    return { ...this.sums }
  }

  /** Memory that this list holds, in bytes, roughly. */
  get memory(): number {
    return this.capacity * 50 + this.storesSize
  }

  /** Adds an entry; false, and nothing added, where its path is there already or the list is full. */
  append(entry: NewEntry): boolean {
    if (this.count >= entriesMax || this.find(entry.path) >= 0) return false
    if (this.count === this.capacity) this.grow()
    const at = this.count++
    const bytes = this.store(at, entry.path)
    this.sizes[at] = entry.size
    this.mtimes[at] = entry.mtime
    this.flags[at] = (entry.kind === "d" ? directoryFlag : 0) | (entry.executable ? executableFlag : 0)
    this.blocks[at] = this.sums.blocks
    this.index.add(entry.path, at)
    this.sums.bytes += entry.size
    if (entry.kind === "d") this.sums.directories++
    else {
      this.sums.files++
      this.sums.blocks += blockCount(entry.size)
    }
    this.paginate(at, bytes, entry)
    return true
  }

  path(at: number): RelativePath {
    const place = this.places[at] ?? 0
    const offset = place % storeBytes
    const store = this.stores[(place - offset) / storeBytes]
    // It was a RelativePath when it was stored, and is read back byte for byte.
    return (store?.toString("utf8", offset, offset + (this.lengths[at] ?? 0)) ?? "") as RelativePath
  }

  isDirectory(at: number): boolean {
    return ((this.flags[at] ?? 0) & directoryFlag) !== 0
  }

  isExecutable(at: number): boolean {
    return ((this.flags[at] ?? 0) & executableFlag) !== 0
  }

  size(at: number): number {
    return this.sizes[at] ?? 0
  }

  /** Milliseconds since 1970; at the sender with the fraction that its file system keeps. */
  mtime(at: number): number {
    return this.mtimes[at] ?? 0
  }

  /** Number of its first block, or the one it would have. */
  firstBlock(at: number): number {
    return this.blocks[at] ?? 0
  }

  /** How many blocks it has. */
  blockCount(at: number): number {
    return this.isDirectory(at) ? 0 : blockCount(this.size(at))
  }

  /** The index of the entry with this path, or -1. */
  find(path: string): number {
    return this.index.find(path, (at) => this.path(at) === path)
  }

  /** Whose block this is, or undefined beyond the last. */
  place(block: number): BlockPlace | undefined {
    if (block < 0 || block >= this.sums.blocks) return undefined
    const entry = this.entryOf(block)
    const size = this.size(entry)
    const offset = (block - this.firstBlock(entry)) * blockSize(size)
    return { entry, offset, length: Math.min(blockSize(size), size - offset) }
  }

  /** Its bytes; 0 beyond the last. */
  blockLength(block: number): number {
    if (block < 0 || block >= this.sums.blocks) return 0
    const entry = this.entryOf(block)
    const size = this.size(entry)
    const most = blockSize(size)
    return Math.min(most, size - (block - this.firstBlock(entry)) * most)
  }

  /** The last entry that starts at or before this block: those without blocks start where the next one does. */
  private entryOf(block: number): number {
    // Mostly it is the one that was asked for last, or the next.
    for (let at = this.lastPlaced; at < this.lastPlaced + 2 && at + 1 < this.count; at++) {
      if (this.firstBlock(at) <= block && block < this.firstBlock(at + 1)) return (this.lastPlaced = at)
    }
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.blocks[middle] ?? 0) <= block) low = middle + 1
      else high = middle
    }
    return (this.lastPlaced = low - 1)
  }

  get pages(): number {
    return this.pageStarts.length
  }

  /** How many entries a page has. */
  pageLength(number: number): number {
    return (this.pageStarts[number + 1] ?? this.count) - (this.pageStarts[number] ?? this.count)
  }

  /** The entries of a page as they travel, or undefined beyond the last. */
  page(number: number): Array<Entry> | undefined {
    const start = this.pageStarts[number]
    if (start === undefined) return undefined
    const end = this.pageStarts[number + 1] ?? this.count
    return Array.from({ length: end - start }, (_, i) => this.entry(start + i))
  }

  /** At most `limit` entries from `from` on, as they were appended. */
  part({ from, limit }: { readonly from: number; readonly limit: number }): Array<NewEntry> {
    const count = Math.max(0, Math.min(limit, this.count - from))
    return Array.from({ length: count }, (_, i) => {
      const [path, kind, size, mtime, executable] = this.entry(from + i)
      return { path, kind, size, mtime, executable: executable === 1 }
    })
  }

  entry(at: number): Entry {
    return [
      this.path(at),
      this.isDirectory(at) ? "d" : "f",
      this.size(at),
      Math.floor(this.mtime(at)),
      this.isExecutable(at) ? 1 : 0
    ]
  }

  private store(at: number, path: string): number {
    const bytes = Buffer.byteLength(path)
    if (this.storeUsed + bytes > this.storeSize) {
      this.storeSize = Math.min(storeBytes, this.storeSize === 0 ? firstStoreBytes : 4 * this.storeSize)
      this.storesSize += this.storeSize
      this.stores.push(Buffer.allocUnsafeSlow(this.storeSize))
      this.storeUsed = 0
    }
    const last = this.stores.length - 1
    this.stores[last]?.write(path, this.storeUsed)
    this.places[at] = last * storeBytes + this.storeUsed
    this.lengths[at] = bytes
    this.storeUsed += bytes
    return bytes
  }

  private paginate(at: number, pathBytes: number, entry: NewEntry): void {
    let quotes = 0
    for (let i = entry.path.indexOf('"'); i >= 0; i = entry.path.indexOf('"', i + 1)) quotes++
    // ["path","f",size,mtime,0], : at most 16 digits each, and the marks between.
    const bytes = pathBytes + quotes + 48
    if (this.pageBytes + bytes > pageMaxBytes && at > 0) {
      this.pageStarts.push(at)
      this.pageBytes = pageSlackBytes
    }
    this.pageBytes += bytes
  }

  private grow(): void {
    this.capacity *= 2
    this.sizes = grown(this.sizes, new Float64Array(this.capacity))
    this.mtimes = grown(this.mtimes, new Float64Array(this.capacity))
    this.flags = grown(this.flags, new Uint8Array(this.capacity))
    this.blocks = grown(this.blocks, new Float64Array(this.capacity))
    this.places = grown(this.places, new Uint32Array(this.capacity))
    this.lengths = grown(this.lengths, new Uint32Array(this.capacity))
  }
}

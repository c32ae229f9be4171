/**
 * What a receiver has of a transfer and what it still wants, over all its lanes: the blocks that are written, those
 * that are the same in a file that was here before, the entries that failed or were left out, and how far each file has
 * come. Pure, but changed in place: one owner.
 */
import type { ConflictPolicy } from "../../../schema/Offer.ts"
import { Digests } from "../../../schema/Digests.ts"
import type { BlockPlace, EntryList } from "../../../schema/EntryList.ts"
import { type Range, Ranges } from "../../../schema/Ranges.ts"
import { Counterparts } from "./Counterparts.ts"

export class Intake {
  readonly entries: EntryList
  /** Entries that are not stored here. */
  readonly leftOut: Ranges
  /** Blocks of which nothing remains to be done: written, of files that stay as they are, failed, or left out. */
  readonly settled = new Ranges()
  /** What may be here already. */
  counterparts: Counterparts
  /** Entries that cannot be had, and why. */
  readonly failed = new Map<number, string>()
  /** Of the blocks that are written, or the same. */
  readonly digests = new Digests()
  /** Bytes written, or the same. */
  bytes = 0
  /** Files of which every byte is written, or about to be. */
  filesDone = 0
  /** Blocks that were handed to the disk. */
  private readonly begun = new Ranges()
  /** Blocks still to be written of files that have several and are begun. */
  private readonly remaining = new Map<number, number>()

  constructor(entries: EntryList, leftOut: Ranges, policy: ConflictPolicy = "rename") {
    this.entries = entries
    this.leftOut = leftOut
    this.counterparts = new Counterparts(entries, policy)
    for (const [first, count] of leftOut.toArray()) {
      for (let at = first; at < first + count; at++) this.settled.add(entries.firstBlock(at), entries.blockCount(at))
    }
  }

  get complete(): boolean {
    return this.settled.size === this.entries.totals.blocks
  }

  /** Bytes of all entries that are wanted. */
  get totalBytes(): number {
    let bytes = this.entries.totals.bytes
    for (const [first, count] of this.leftOut.toArray()) {
      for (let at = first; at < first + count; at++) bytes -= this.entries.size(at)
    }
    return bytes
  }

  /** Whether a block is to be handed to the disk: it was not before, and is still wanted. */
  begins(number: number): boolean {
    return !this.settled.has(number) && this.begun.add(number) > 0
  }

  /** To be called as a block is about to be written: whether its file is whole with it. */
  finishes(place: BlockPlace): boolean {
    const left = (this.remaining.get(place.entry) ?? this.entries.blockCount(place.entry)) - 1
    if (left > 0) this.remaining.set(place.entry, left)
    else {
      this.remaining.delete(place.entry)
      this.filesDone++
    }
    return left === 0
  }

  /** What is done where names exist was decided: before any block. */
  decide(policy: ConflictPolicy): void {
    this.counterparts = new Counterparts(this.entries, policy)
  }

  /** The first run from `from` on that is neither here nor the same. */
  missing(from: number): Range | undefined {
    const { blocks } = this.entries.totals
    for (let at = from; ;) {
      const run = this.settled.missing(at, blocks)
      if (run === undefined) return undefined
      const end = run[0] + run[1]
      const found = this.counterparts.same.missing(run[0], end)
      if (found !== undefined) return found
      at = end
    }
  }

  /** A block is on its way to the disk: it counts from now on. */
  written(number: number, place: BlockPlace): void {
    if (this.counterparts.remove(number)) this.bytes -= place.length
    if (this.settled.add(number) > 0 && !this.failed.has(place.entry)) this.bytes += place.length
    this.counterparts.differs(place.entry)
  }

  /** What is here for this entry was looked at. A file of which a block was written will not stay as it is. */
  looked(entry: number, mark: number): void {
    this.counterparts.found(entry, mark)
    const first = this.entries.firstBlock(entry)
    const end = first + this.entries.blockCount(entry)
    if (this.settled.found(first, end) !== undefined) this.counterparts.differs(entry)
  }

  /** A block is the same in the file that was here before. */
  same(number: number, place: BlockPlace, digest: Uint8Array): void {
    const { counterparts } = this
    const { entry } = place
    if (this.settled.has(number) || counterparts.same.has(number) || counterparts.mark(entry) === 0) return
    this.digests.set(number, digest)
    this.bytes += place.length
    if (!counterparts.add(number, entry)) return
    this.filesDone++
    this.settled.add(this.entries.firstBlock(entry), this.entries.blockCount(entry))
  }

  /** The file that was here before is not what it was: what was the same in it is asked for again. */
  unsame(entry: number): void {
    const { counterparts } = this
    if (counterparts.mark(entry) === 0) return
    const isWhole = counterparts.whole.has(entry)
    if (isWhole) this.filesDone--
    for (const [first, count] of counterparts.sameIn(entry)) {
      for (let number = first; number < first + count; number++) {
        counterparts.remove(number)
        if (isWhole) this.settled.remove(number)
        this.bytes -= this.entries.place(number)?.length ?? 0
      }
    }
    counterparts.drop(entry)
  }

  /** A block that an earlier run wrote and kept account of. */
  restore(number: number, digest: Uint8Array): void {
    const place = this.entries.place(number)
    // Bytes that came after all, since what was the same had changed.
    if (place !== undefined && this.counterparts.whole.has(place.entry)) this.unsame(place.entry)
    if (place === undefined || this.settled.has(number)) return
    this.begun.add(number)
    this.finishes(place)
    this.written(number, place)
    this.digests.set(number, digest)
  }

  /** A block that an earlier run found to be the same in a file that was then what `mark` says. */
  restoreSame(number: number, digest: Uint8Array, mark: number): void {
    const place = this.entries.place(number)
    if (place === undefined || this.failed.has(place.entry)) return
    if (this.counterparts.mark(place.entry) !== mark) {
      this.unsame(place.entry)
      this.looked(place.entry, mark)
    }
    this.same(number, place, digest)
  }

  /** These entries are not wanted, as was decided before any block of them came. */
  leave(entries: Ranges): void {
    for (const [first, count] of entries.toArray()) {
      this.leftOut.add(first, count)
      for (let at = first; at < first + count; at++) {
        this.settled.add(this.entries.firstBlock(at), this.entries.blockCount(at))
      }
    }
  }

  /** How far into the file of this entry something was written, in bytes. */
  extent(entry: number): number {
    const first = this.entries.firstBlock(entry)
    for (let number = first + this.entries.blockCount(entry) - 1; number >= first; number--) {
      const place = this.settled.has(number) ? this.entries.place(number) : undefined
      if (place !== undefined) return place.offset + place.length
    }
    return 0
  }

  /** What was written of this entry is not there any more. */
  forget(entry: number): void {
    const first = this.entries.firstBlock(entry)
    const end = first + this.entries.blockCount(entry)
    if (end > first && this.settled.missing(first, end) === undefined) this.filesDone--
    for (let number = first; number < end; number++) {
      this.begun.remove(number)
      if (this.settled.remove(number)) this.bytes -= this.entries.place(number)?.length ?? 0
    }
    this.remaining.delete(entry)
  }

  /** An entry cannot be had; false if that was known. */
  fail(entry: number, reason: string): boolean {
    if (this.failed.has(entry)) return false
    this.failed.set(entry, reason)
    this.unsame(entry)
    const first = this.entries.firstBlock(entry)
    const end = first + this.entries.blockCount(entry)
    for (let number = first; number < end; number++) {
      if (this.settled.has(number)) this.bytes -= this.entries.place(number)?.length ?? 0
    }
    this.settled.add(first, end - first)
    return true
  }
}

/**
 * What a receiver has of a transfer and what it still wants, over all its lanes: the blocks that are written, the
 * entries that failed or were left out, and how far each file has come. Pure, but changed in place: one owner.
 */
import { Digests } from "../schema/Digests.ts"
import type { BlockPlace, EntryList } from "../schema/EntryList.ts"
import { Ranges } from "../schema/Ranges.ts"

export class Intake {
  readonly entries: EntryList
  /** Entries that are not stored here. */
  readonly leftOut: Ranges
  /** Blocks that will not be asked for: written, failed, or left out. */
  readonly settled = new Ranges()
  /** Entries that cannot be had, and why. */
  readonly failed = new Map<number, string>()
  /** Of the blocks that are written. */
  readonly digests = new Digests()
  /** Bytes written. */
  bytes = 0
  /** Files of which every byte is written, or about to be. */
  filesDone = 0
  /** Blocks still to be written of files that have several and are begun. */
  private readonly remaining = new Map<number, number>()

  constructor(entries: EntryList, leftOut: Ranges) {
    this.entries = entries
    this.leftOut = leftOut
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

  /** A block is on its way to the disk: it counts from now on. */
  written(number: number, place: BlockPlace): void {
    if (this.settled.add(number) > 0 && !this.failed.has(place.entry)) this.bytes += place.length
  }

  /** A block that an earlier run wrote and kept account of. */
  restore(number: number, digest: Uint8Array): void {
    const place = this.entries.place(number)
    if (place === undefined || this.settled.has(number)) return
    this.finishes(place)
    this.written(number, place)
    this.digests.set(number, digest)
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
      if (this.settled.remove(number)) this.bytes -= this.entries.place(number)?.length ?? 0
    }
    this.remaining.delete(entry)
  }

  /** An entry cannot be had; false if that was known. */
  fail(entry: number, reason: string): boolean {
    if (this.failed.has(entry)) return false
    this.failed.set(entry, reason)
    const first = this.entries.firstBlock(entry)
    const end = first + this.entries.blockCount(entry)
    for (let number = first; number < end; number++) {
      if (this.settled.has(number)) this.bytes -= this.entries.place(number)?.length ?? 0
    }
    this.settled.add(first, end - first)
    return true
  }
}

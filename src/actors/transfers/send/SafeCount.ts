/**
 * What is safe at a receiver: bytes, and files of which every byte is. A block is counted once, however often it is
 * said. Pure, but changed in place: one owner.
 */
import type { EntryList } from "../../../schema/EntryList.ts"
import { Ranges } from "../../../schema/Ranges.ts"

export class SafeCount {
  bytes = 0
  files = 0
  private readonly entries: EntryList
  private readonly safe = new Ranges()
  /** Blocks still to come of files that are begun. */
  private readonly remaining = new Map<number, number>()

  constructor(entries: EntryList) {
    this.entries = entries
  }

  add(first: number, count: number): void {
    const end = first + count
    for (let number = first; number < end;) {
      const run = this.safe.missing(number, end)
      if (run === undefined) break
      number = run[0] + run[1]
      for (let block = run[0]; block < number; block++) this.one(block)
    }
    this.safe.add(first, count)
  }

  /** Whether all of these are safe. */
  has(first: number, count: number): boolean {
    return this.safe.missing(first, first + count) === undefined
  }

  private one(block: number): void {
    const place = this.entries.place(block)
    if (place === undefined) return
    this.bytes += place.length
    const left = (this.remaining.get(place.entry) ?? this.entries.blockCount(place.entry)) - 1
    if (left > 0) this.remaining.set(place.entry, left)
    else {
      this.remaining.delete(place.entry)
      this.files++
    }
  }
}

/**
 * Files that come and may be in the receive folder already: which are to be compared, which of their blocks are the
 * same there, and what follows. A file that is the same in all its blocks stays as it is where the policy is to skip;
 * of any other the blocks that are the same are copied from there, so that they need not be sent. Pure, but changed in
 * place: its owner is the intake, which knows what is written.
 */
import type { EntryList } from "../../../schema/EntryList.ts"
import type { ConflictPolicy } from "../../../schema/Offer.ts"
import { type Range, Ranges } from "../../../schema/Ranges.ts"

export class Counterparts {
  private readonly entries: EntryList
  /** Whether files are compared at all. */
  readonly isActive: boolean
  /** Whether a file that is wholly the same stays as it is. */
  private readonly isKept: boolean
  /** By entry: what its counterpart was when it was looked at (FileStore), 0 where there is none. */
  private marks = new Float64Array(0)
  /** Entries that were looked at. */
  private readonly looked = new Ranges()
  /** Blocks that are the same there, and were not copied. */
  readonly same = new Ranges()
  /** Those of them that are to be copied, and that nobody copies now. */
  readonly copies = new Ranges()
  /** Entries that will not stay as they are. */
  private readonly differing = new Ranges()
  /** Entries that do: every block is the same. */
  readonly whole = new Ranges()

  constructor(entries: EntryList, policy: ConflictPolicy) {
    this.entries = entries
    this.isActive = policy !== "rename"
    this.isKept = policy === "skip"
  }

  mark(entry: number): number {
    return this.marks[entry] ?? 0
  }

  isLooked(entry: number): boolean {
    return this.looked.has(entry)
  }

  /** What is there for this entry. */
  found(entry: number, mark: number): void {
    if (this.marks.length === 0) this.marks = new Float64Array(this.entries.length)
    this.looked.add(entry)
    this.marks[entry] = mark
  }

  /** Entries of which blocks were found the same, that stay or are still to be copied. */
  *compared(): Generator<number> {
    for (let entry = 0; entry < this.marks.length; entry++) {
      if (this.mark(entry) > 0 && this.sameIn(entry, 1).length > 0) yield entry
    }
  }

  /** A block is the same; true if with it the whole file stays as it is. */
  add(number: number, entry: number): boolean {
    this.same.add(number)
    if (this.differing.has(entry)) this.copies.add(number)
    else if (this.missesNone(entry)) {
      if (!this.isKept) this.differs(entry)
      else return this.whole.add(entry) > 0
    }
    return false
  }

  /** The file will not stay as it is: what is the same of it is to be copied. */
  differs(entry: number): void {
    if (this.mark(entry) === 0 || this.differing.add(entry) === 0) return
    for (const [first, count] of this.sameIn(entry)) this.copies.add(first, count)
  }

  /** A block was written, or is not wanted any more: it need not be copied. */
  remove(number: number): boolean {
    this.copies.remove(number)
    return this.same.remove(number)
  }

  /** What is there is not what it was, or does not matter any more: it is not looked at again. */
  drop(entry: number): void {
    this.whole.remove(entry)
    this.found(entry, 0)
  }

  /** The next blocks to copy, of at most so many bytes but at least one; they are the caller's now. */
  takeCopies(bytes: number, blocks: number): Array<number> {
    const [first = 0, count = 0] = this.copies.found(0, this.entries.totals.blocks) ?? []
    const taken: Array<number> = []
    let sum = 0
    for (let number = first; number < first + count && taken.length < blocks; number++) {
      sum += this.entries.place(number)?.length ?? 0
      if (taken.length > 0 && sum > bytes) break
      taken.push(number)
    }
    for (const number of taken) this.copies.remove(number)
    return taken
  }

  /** Whoever was to copy it has not. */
  giveBack(number: number): void {
    if (this.same.has(number)) this.copies.add(number)
  }

  /** The blocks of an entry that are the same, in runs. */
  sameIn(entry: number, max = Number.POSITIVE_INFINITY): Array<Range> {
    const first = this.entries.firstBlock(entry)
    const end = first + this.entries.blockCount(entry)
    const runs: Array<Range> = []
    for (let at = first; at < end && runs.length < max;) {
      const run = this.same.found(at, end)
      if (run === undefined) break
      runs.push(run)
      at = run[0] + run[1]
    }
    return runs
  }

  private missesNone(entry: number): boolean {
    const first = this.entries.firstBlock(entry)
    return this.same.missing(first, first + this.entries.blockCount(entry)) === undefined
  }
}

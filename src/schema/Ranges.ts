/**
 * A set of whole numbers kept as ranges: which blocks are here, which entries were left out. Mostly they come in
 * order, so the list stays short and adding is cheap. Pure, but changed in place: one owner.
 */

/** `[first, count]` */
export type Range = readonly [first: number, count: number]

export class Ranges {
  /** Ascending, apart from each other: starts and ends (exclusive) by index. */
  private starts: Array<number> = []
  private ends: Array<number> = []
  private total = 0

  /** How many numbers are in the set. */
  get size(): number {
    return this.total
  }

  /** Index of the first range that ends after `n`. */
  private after(n: number): number {
    let low = 0
    let high = this.ends.length
    // In order is the rule: look at the end before searching.
    if (high === 0 || (this.ends[high - 1] ?? 0) <= n) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.ends[middle] ?? 0) <= n) low = middle + 1
      else high = middle
    }
    return low
  }

  has(n: number): boolean {
    const start = this.starts[this.after(n)]
    return start !== undefined && start <= n
  }

  /** Adds `count` numbers from `first`; returns how many were new. */
  add(first: number, count = 1): number {
    if (count <= 0) return 0
    let start = first
    let end = first + count
    // Every range that touches the new one melts into it.
    let from = this.after(first)
    if (from > 0 && this.ends[from - 1] === first) from--
    let to = from
    let known = 0
    while (to < this.starts.length && (this.starts[to] ?? 0) <= end) {
      const s = this.starts[to] ?? 0
      const e = this.ends[to] ?? 0
      known += e - s
      start = Math.min(start, s)
      end = Math.max(end, e)
      to++
    }
    if (to === from + 1) {
      this.starts[from] = start
      this.ends[from] = end
    } else if (from === this.starts.length) {
      this.starts.push(start)
      this.ends.push(end)
    } else {
      this.starts.splice(from, to - from, start)
      this.ends.splice(from, to - from, end)
    }
    const added = end - start - known
    this.total += added
    return added
  }

  /** Takes one number out; true if it was in. */
  remove(n: number): boolean {
    const at = this.after(n)
    const start = this.starts[at]
    const end = this.ends[at]
    if (start === undefined || end === undefined || start > n) return false
    if (start === n && end === n + 1) {
      this.starts.splice(at, 1)
      this.ends.splice(at, 1)
    } else if (start === n) this.starts[at] = n + 1
    else if (end === n + 1) this.ends[at] = n
    else {
      this.starts.splice(at + 1, 0, n + 1)
      this.ends.splice(at, 0, n)
    }
    this.total--
    return true
  }

  /** The first run of numbers in `[from, below)` that are not in the set, or undefined if all are. */
  missing(from: number, below: number): Range | undefined {
    let at = from
    for (let i = this.after(from); at < below; i++) {
      const start = this.starts[i]
      if (start === undefined || start >= below) return [at, below - at]
      if (start > at) return [at, start - at]
      at = this.ends[i] ?? at
    }
    return undefined
  }

  /** The first run of numbers in `[from, below)` that are in the set, or undefined if none is. */
  found(from: number, below: number): Range | undefined {
    const i = this.after(from)
    const start = Math.max(from, this.starts[i] ?? below)
    return start < below ? [start, Math.min(below, this.ends[i] ?? below) - start] : undefined
  }

  toArray(): Array<Range> {
    return this.starts.map((start, i): Range => [start, (this.ends[i] ?? start) - start])
  }
}

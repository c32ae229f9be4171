/**
 * How the lanes of one transfer share its blocks: each asks for the next ones that nobody has and nobody asked for, so
 * none waits for another; what a lost lane had asked for is free again at once. `LaneShare` is common to the lanes of
 * one intake; `Asked` is one lane's part, what it asked for and was not answered, which is the flow control.
 */
import type * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { limits } from "../config.ts"
import { wantsMax } from "../schema/Block.ts"
import { type Range, Ranges } from "../schema/Ranges.ts"
import type { Intake } from "./Intake.ts"
import { lanesMax } from "./SendState.ts"

export class LaneShare {
  readonly intake: Intake
  /** Blocks that some lane asked for; what became of them is in the intake. */
  private readonly claimed = new Ranges()
  /** Opens when there may be something to do for a lane that has nothing to do. */
  private readonly news = Latch.makeUnsafe(false)
  /** Grows when blocks become free behind those that were asked for last. */
  releases = 0
  /** Written by lanes that are over, and not synced: for the next that syncs. */
  private left = new Ranges()

  constructor(intake: Intake) {
    this.intake = intake
  }

  /** The first run from `from` on that is neither here nor asked for. */
  free(from: number): Range | undefined {
    const { entries, settled } = this.intake
    const { blocks } = entries.totals
    for (let at = from; ;) {
      const missing = settled.missing(at, blocks)
      if (missing === undefined) return undefined
      const end = missing[0] + missing[1]
      const found = this.claimed.missing(missing[0], end)
      if (found !== undefined) return found
      at = end
    }
  }

  claim(first: number, count: number): void {
    this.claimed.add(first, count)
  }

  /** A lane is over: what it asked for may be asked for by the others. */
  release(claims: Ranges): void {
    for (const [first, count] of claims.toArray()) {
      for (let block = first; block < first + count; block++) this.claimed.remove(block)
    }
    this.releases++
    this.wake()
  }

  /** A lane ended before these blocks, which it wrote, were kept account of. */
  leave(written: Ranges): void {
    for (const [first, count] of written.toArray()) this.left.add(first, count)
  }

  /** What other lanes left, for whoever asks first. */
  takeLeft(): Ranges {
    const { left } = this
    this.left = new Ranges()
    return left
  }

  wake(): void {
    this.news.openUnsafe()
  }

  /** Waits for the next news: those before it are forgotten. */
  get changed(): Effect.Effect<void> {
    this.news.closeUnsafe()
    return this.news.await
  }
}

/** Bytes asked for and not answered: as much as a fast link with a long way holds. */
const windowBytes = 16 * 1024 * 1024

/** Ranges under way; fewer than a sender keeps, so that it goes on listening. */
export const rangesMax = 32

export class Asked {
  /** All that it ever asked for. */
  readonly claims = new Ranges()
  private readonly share: LaneShare
  private readonly ranges: Array<{ first: number; count: number }> = []
  private cursor = 0
  private releases = 0
  private blocks = 0
  private bytes = 0

  constructor(share: LaneShare) {
    this.share = share
  }

  /** The block that must come next: answers come in the order of the asking. */
  get next(): number | undefined {
    return this.ranges[0]?.first
  }

  /** What to ask for now: nothing while half of the window is still under way. */
  more(): Array<Range> {
    const asking: Array<Range> = []
    if (this.bytes > windowBytes / 2 || this.blocks > wantsMax / 2) return asking
    const { share } = this
    const { entries } = share.intake
    if (this.releases !== share.releases) {
      this.releases = share.releases
      this.cursor = 0
    }
    while (this.bytes < windowBytes && this.blocks < wantsMax && this.ranges.length < rangesMax) {
      const run = share.free(this.cursor)
      if (run === undefined) break
      const [first, count] = run
      let taken = 0
      while (taken < count && this.bytes < windowBytes && this.blocks < wantsMax) {
        this.bytes += entries.place(first + taken)?.length ?? 0
        this.blocks++
        taken++
      }
      share.claim(first, taken)
      this.claims.add(first, taken)
      this.cursor = first + taken
      this.ranges.push({ first, count: taken })
      asking.push([first, taken])
    }
    return asking
  }

  /** The next block was answered, by its bytes or by a failure. */
  answered(): void {
    const range = this.ranges[0]
    if (range === undefined) return
    this.bytes -= this.share.intake.entries.place(range.first)?.length ?? 0
    this.blocks--
    range.first++
    range.count--
    if (range.count === 0) this.ranges.shift()
  }
}

/** Lanes that a transfer is worth: one opens quickly and is enough for little, several fill a long or busy way. */
export const lanesFor = (intake: Intake, max: number): number =>
  intake.totalBytes - intake.bytes >= limits.lanesFrom ? Math.min(max, lanesMax) : 1

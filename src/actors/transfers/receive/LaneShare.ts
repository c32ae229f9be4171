/**
 * How the lanes of one transfer share its blocks: each asks for the next ones that nobody has and nobody asked for, so
 * none waits for another; what a lost lane had asked for is free again at once. `LaneShare` is common to the lanes of
 * one intake; `Asked` is one lane's part, what it asked for and was not answered, which is the flow control.
 */
import type * as Latch from "effect/Latch"
import { limits } from "../../../config.ts"
import { wantsMax } from "../../../schema/Block.ts"
import { type Range, Ranges } from "../../../schema/Ranges.ts"
import type { Intake } from "./Intake.ts"
import { lanesMax } from "../send/SendState.ts"

/** Blocks that a lane has dealt with, and that were not kept account of. */
export interface Done {
  /** Written, and not synced. */
  readonly written: Ranges
  /** Found the same in files that are here. */
  readonly same: Ranges
}

export const nothingDone = (): Done => ({ written: new Ranges(), same: new Ranges() })

/** Adds what one has done to another's. */
export const add = (to: Done, from: Done): void => {
  for (const [first, count] of from.written.toArray()) to.written.add(first, count)
  for (const [first, count] of from.same.toArray()) to.same.add(first, count)
}

export class LaneShare {
  readonly intake: Intake
  /** Blocks that some lane asked for; what became of them is in the intake. */
  private readonly claimed = new Ranges()
  /** The claims of each lane. */
  private readonly lanes = new Set<Ranges>()
  /** Opened when there may be something to do for those who have nothing to do. */
  private readonly idle = new Set<Latch.Latch>()
  /** Grows when blocks become free behind those that were asked for last. */
  releases = 0
  /** By lanes that are over: for the next that syncs. */
  private left = nothingDone()

  constructor(intake: Intake) {
    this.intake = intake
  }

  /** The first run from `from` on that is neither here nor asked for. */
  free(from: number): Range | undefined {
    for (let at = from; ;) {
      const missing = this.intake.missing(at)
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

  /** A lane asks from now on; what it asks for is added to its claims. */
  enter(claims: Ranges): void {
    this.lanes.add(claims)
  }

  /** A lane is over: what it asked for may be asked for by the others, and what it had done is theirs to report. */
  leave(claims: Ranges, done: Done = nothingDone()): void {
    this.lanes.delete(claims)
    add(this.left, done)
    for (const [first, count] of claims.toArray()) this.release(first, count)
  }

  /** What other lanes left, for whoever asks first. */
  takeLeft(): Done {
    const { left } = this
    this.left = nothingDone()
    return left
  }

  /** These may be asked for anew. */
  release(first: number, count: number): void {
    for (let block = first; block < first + count; block++) {
      this.claimed.remove(block)
      for (const claims of this.lanes) claims.remove(block)
    }
    this.releases++
    this.wake()
  }

  /** What was the same in this entry's counterpart is not to be relied on any more. */
  unsame(entry: number): void {
    const again = this.intake.counterparts.sameIn(entry)
    this.intake.unsame(entry)
    for (const [first, count] of again) this.release(first, count)
  }

  wake(): void {
    for (const latch of this.idle) latch.openUnsafe()
  }

  /** Opens these at every news, until told otherwise. */
  listen(...latches: ReadonlyArray<Latch.Latch>): () => void {
    for (const latch of latches) this.idle.add(latch)
    return () => latches.forEach((latch) => this.idle.delete(latch))
  }
}

/** Bytes asked for and not answered: as much as a fast link with a long way holds. */
const windowBytes = 16 * 1024 * 1024

/** Ranges under way; fewer than a sender keeps, so that it goes on listening. */
const rangesMax = 32

/** What was asked for: blocks that are wanted, or one that is compared, with the digest of what is here. */
interface Item {
  first: number
  count: number
  readonly digest: Uint8Array | undefined
}

/** What it counts for in the window. Most of what is compared is the same, which is said in a few bytes. */
const weight = (length: number, isCompared: boolean): number => (isCompared ? length / 8 : length)

export class Asked {
  /** All that it ever asked for. */
  readonly claims = new Ranges()
  private readonly share: LaneShare
  private items: Array<Item> = []
  /** The item that comes next. */
  private head = 0
  private cursor = 0
  private releases = 0
  private blocks = 0
  private bytes = 0
  private wants = 0

  constructor(share: LaneShare) {
    this.share = share
    share.enter(this.claims)
  }

  private get item(): Item | undefined {
    return this.items[this.head]
  }

  /** The block that must come next: answers come in the order of the asking. */
  get next(): number | undefined {
    return this.item?.first
  }

  /** Of what is here in place of the next block, if that is compared. */
  get compared(): Uint8Array | undefined {
    return this.item?.digest
  }

  /** False while half of the window is still under way. */
  get hasRoom(): boolean {
    return this.bytes <= windowBytes / 2 && this.blocks <= wantsMax / 2 && this.wants < rangesMax
  }

  /** The next run to ask for, claimed from now on: at most so many blocks, and no more than the window takes. */
  claim(blocksMax = wantsMax): Range | undefined {
    const { share } = this
    if (this.releases !== share.releases) {
      this.releases = share.releases
      this.cursor = 0
    }
    const run = share.free(this.cursor)
    if (run === undefined) return undefined
    const [first, count] = run
    let taken = 0
    for (let bytes = this.bytes; taken < Math.min(count, blocksMax, wantsMax - this.blocks); taken++) {
      if (bytes >= windowBytes && taken > 0) break
      bytes += share.intake.entries.blockLength(first + taken)
    }
    share.claim(first, taken)
    this.claims.add(first, taken)
    this.cursor = first + taken
    return [first, taken]
  }

  /** These are asked for now. `digest`: it is one block, and compared. */
  push(first: number, count: number, digest?: Uint8Array): void {
    for (let number = first; number < first + count; number++) {
      this.bytes += weight(this.lengthOf(number), digest !== undefined)
    }
    this.blocks += count
    if (digest === undefined) this.wants++
    this.items.push({ first, count, digest })
  }

  /** The next block was answered, by its bytes, by being the same, or by a failure. */
  answered(): void {
    const { item } = this
    if (item === undefined) return
    this.bytes -= weight(this.lengthOf(item.first), item.digest !== undefined)
    this.blocks--
    item.first++
    item.count--
    if (item.count > 0) return
    if (item.digest === undefined) this.wants--
    this.head++
    if (this.head < 1024) return
    this.items = this.items.slice(this.head)
    this.head = 0
  }

  private lengthOf(number: number): number {
    return this.share.intake.entries.blockLength(number)
  }
}

/** Lanes that a transfer is worth: one opens quickly and is enough for little, several fill a long or busy way. */
export const lanesFor = (intake: Intake, max: number): number =>
  intake.totalBytes - intake.bytes >= limits.lanesFrom ? Math.min(max, lanesMax) : 1

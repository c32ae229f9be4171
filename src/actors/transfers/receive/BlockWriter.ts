/**
 * Blocks of one lane on their way to the disk: batches are verified and written one after the other, synced every `limits.syncBytes`
 * or `limits.syncEvery`, kept account of, and then reported Safe. It owns nothing: what it is given to write, and the
 * memory that is in, belongs to the lane.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import { limits } from "../../../config.ts"
import type { BlockPlace, EntryList } from "../../../schema/EntryList.ts"
import type { Range } from "../../../schema/Ranges.ts"
import type { FileStoreError, Staging } from "../../../services/FileStore.ts"
import type { Lease, Leases } from "../BlockPool.ts"
import { type DataLane, LaneError } from "../DataLane.ts"
import { add, type Done, type LaneShare, nothingDone } from "./LaneShare.ts"

/** A block that has come. */
export interface Block {
  readonly number: number
  readonly digest: Uint8Array
  readonly place: BlockPlace
  readonly bytes: Uint8Array
  /** It is what its digest says; of others that is seen before they are written. */
  readonly isVerified: boolean
}

/** A block is not what its digest says. */
export const corrupt = ({ number, place }: Pick<Block, "number" | "place">, entries: EntryList): LaneError =>
  new LaneError({
    problem: "corrupt",
    detail: `block ${number} of ${entries.path(place.entry)} is not what its digest says`
  })

/** Blocks that go to the disk together, and the memory they are in. */
export interface Batch {
  readonly blocks: Array<Block>
  readonly lease: Lease
  used: number
  /** Not received but read from files that are here. */
  readonly isCopied: boolean
}

export interface Writing {
  readonly staging: Staging
  readonly share: LaneShare
  /** The first were synced, the others are the same in files that are here: keeps that, before the sender hears of it. */
  readonly keep: (written: ReadonlyArray<Range>, same: ReadonlyArray<Range>) => Effect.Effect<void, FileStoreError>
  /** The intake's bytes have changed. */
  readonly onProgress: () => void
  /** The first block that was right has come. */
  readonly onBlock: Effect.Effect<void>
}

export const isEqual = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

/** Ranges in one Safe. */
const safeMax = 4096

export class BlockWriter {
  private readonly lane: DataLane
  private readonly writing: Writing
  private readonly leases: Leases
  private readonly batches: Queue.Dequeue<Batch, Cause.Done>
  /** Not reported yet. */
  private done = nothingDone()
  private unsafeBytes = 0
  /** Being synced, and not kept account of yet. */
  private reporting = nothingDone()
  private readonly full = Latch.makeUnsafe(false)
  private begun = false

  constructor(lane: DataLane, writing: Writing, leases: Leases, batches: Queue.Dequeue<Batch, Cause.Done>) {
    this.lane = lane
    this.writing = writing
    this.leases = leases
    this.batches = batches
  }

  /** A block is the same in a file that is here. */
  found(number: number): void {
    this.done.same.add(number)
  }

  /** What it has done and could not report. */
  get unreported(): Done {
    add(this.done, this.reporting)
    return this.done
  }

  /** A block that was right has come: said once. */
  readonly onRight = Effect.suspend(() => {
    if (this.begun) return Effect.void
    this.begun = true
    return this.writing.onBlock
  })

  /** Verifies batches and hands them to the disk, one after the other. */
  readonly write: Effect.Effect<void, FileStoreError | LaneError> = Effect.gen({ self: this }, function* () {
    while (true) {
      const batch = yield* Queue.take(this.batches)
      yield* Effect.uninterruptible(this.store(batch))
      yield* this.leases.give(batch.lease)
      if (this.unsafeBytes >= limits.syncBytes) yield* this.full.open
    }
  }).pipe(Effect.catchTag("Done", () => Effect.void))

  /** What is not what its digest says is not written: if it was received that ends the lane. */
  private store(batch: Batch): Effect.Effect<void, FileStoreError | LaneError> {
    return Effect.gen({ self: this }, function* () {
      const { share, staging } = this.writing
      const right = batch.blocks.filter(({ isVerified }) => isVerified)
      const unknown = batch.blocks.filter(({ isVerified }) => !isVerified)
      const wrong: Array<Block> = []
      const digests = unknown.length === 0 ? [] : yield* staging.digests(unknown.map(({ bytes }) => bytes))
      for (const [at, block] of unknown.entries()) {
        const digest = digests[at]
        ;(digest !== undefined && isEqual(digest, block.digest) ? right : wrong).push(block)
      }
      if (right.length > 0) yield* this.writeDown(right)
      if (batch.isCopied) {
        for (const { place } of wrong) share.unsame(place.entry)
        return
      }
      if (right.length > 0) yield* this.onRight
      const [first] = wrong
      if (first === undefined) return
      return yield* corrupt(first, share.intake.entries)
    })
  }

  private writeDown(right: ReadonlyArray<Block>): Effect.Effect<void, FileStoreError> {
    const { onProgress, share, staging } = this.writing
    const { intake } = share
    return Effect.suspend(() => {
      const blocks = right.filter(({ number }) => intake.begins(number))
      return Effect.map(
        staging.write(
          blocks.map(({ bytes, place }) => ({
            path: intake.entries.path(place.entry),
            mtime: intake.entries.mtime(place.entry),
            executable: intake.entries.isExecutable(place.entry),
            offset: place.offset,
            bytes,
            finish: intake.finishes(place)
          }))
        ),
        () => {
          for (const { digest, number, place } of blocks) {
            intake.written(number, place)
            intake.digests.set(number, digest)
            if (intake.failed.has(place.entry)) continue
            this.done.written.add(number)
            this.unsafeBytes += place.length
          }
          if (intake.complete || intake.counterparts.copies.size > 0) share.wake()
          onProgress()
        }
      )
    })
  }

  /** Makes durable what was written, from time to time, and says so. */
  readonly sync: Effect.Effect<never, LaneError | FileStoreError> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.timeoutOption(this.full.await, limits.syncEvery)
      yield* this.full.close
      yield* this.report
    }
  })

  /** Syncs what was written so far, and reports it with what is the same. */
  get report(): Effect.Effect<void, LaneError | FileStoreError> {
    return Effect.gen({ self: this }, function* () {
      const { keep, share, staging } = this.writing
      add(this.done, share.takeLeft())
      const written = this.done.written.toArray()
      const same = this.done.same.toArray()
      const ranges = [...written, ...same]
      if (ranges.length === 0) return
      this.reporting = this.done
      this.done = nothingDone()
      this.unsafeBytes = 0
      if (written.length > 0) yield* staging.sync
      yield* keep(written, same)
      this.reporting = nothingDone()
      for (let at = 0; at < ranges.length; at += safeMax) {
        yield* this.lane.send({ _tag: "Safe", ranges: ranges.slice(at, at + safeMax) satisfies Array<Range> })
      }
    })
  }
}

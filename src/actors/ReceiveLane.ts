/**
 * Pulling blocks over one lane: asks for what is missing, verifies each block before it counts, hands batches to the
 * disk, syncs what was written every `limits.syncBytes` or `limits.syncEvery` and reports it Safe. It ends when every
 * block is settled, or with the lane. Whatever was handed to the disk is waited for and counted, however it ends.
 */
import { hash } from "node:crypto"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import { limits } from "../config.ts"
import type { DataFrame } from "../schema/Block.ts"
import type { BlockPlace } from "../schema/EntryList.ts"
import { type Range, Ranges } from "../schema/Ranges.ts"
import type { FileStoreError, Staging } from "../services/FileStore.ts"
import type { BlockPool, Lease, Leases } from "./BlockPool.ts"
import { broken, type DataLane, LaneError } from "./DataLane.ts"
import type { Intake } from "./Intake.ts"
import type { Claimant } from "./FairQueue.ts"
import type { Gate } from "./RateLimiter.ts"
import { Asked, type LaneShare, rangesMax } from "./LaneShare.ts"

export interface Taking {
  readonly intake: Intake
  /** Common to the lanes of this intake. */
  readonly share: LaneShare
  readonly staging: Staging
  /** In whose turn it has memory. */
  readonly claimant: Claimant
  /** How fast its blocks may come. */
  readonly gate: Gate
  /** The entries that are taken, to be told to the sender; nothing where that is all. */
  readonly taken: ReadonlyArray<Range>
  /** These blocks are synced: keeps that, before the sender hears of it. */
  readonly keep: (ranges: ReadonlyArray<Range>) => Effect.Effect<void, FileStoreError>
  /** The intake's bytes have changed. */
  readonly onProgress: () => void
  /** A block that was right has come. */
  readonly onBlock: Effect.Effect<void>
  readonly onFailed: (entry: number, reason: string) => void
}

/** A batch goes to the disk with this many bytes or blocks. */
const batchBytes = 1024 * 1024
const batchBlocks = 256

/** Wants that are not sent yet: as many as can be under way. */
const wantsWaiting = rangesMax

/** Ranges in one Safe. */
const safeMax = 4096

interface Block {
  readonly number: number
  readonly digest: Uint8Array
  readonly place: BlockPlace
  readonly bytes: Uint8Array
}

/** Verified blocks that go to the disk together, and the memory they are in. */
interface Batch {
  readonly blocks: Array<Block>
  readonly lease: Lease
  used: number
}

export const pullBlocks = (
  lane: DataLane,
  taking: Taking,
  pool: BlockPool
): Effect.Effect<void, LaneError | FileStoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* tellTaken(lane, taking.taken)
      const leases = yield* pool.leases("receive", taking.claimant)
      const puller = new Puller(lane, taking, leases, {
        batches: yield* Queue.bounded<Batch, Cause.Done>(2),
        wants: yield* Queue.bounded<DataFrame>(wantsWaiting)
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => puller.leave()))
      const work = Effect.all([puller.pull, puller.write], { concurrency: "unbounded", discard: true })
      const beside = [puller.ask, puller.sync, lane.watch(() => puller.waiting)]
      yield* Effect.raceFirst(work, Effect.raceAllFirst(beside))
      // Every block is here: that the sender may not hear it any more changes nothing.
      yield* Effect.catchTag(puller.report, "LaneError", () => Effect.void)
    })
  )

const tellTaken = (lane: DataLane, taken: ReadonlyArray<Range>): Effect.Effect<void, LaneError> => {
  const frames: Array<DataFrame> = []
  for (let at = 0; at < taken.length; at += safeMax) {
    frames.push({ _tag: "Taken", ranges: taken.slice(at, at + safeMax), last: at + safeMax >= taken.length })
  }
  return lane.send(...frames)
}

class Puller {
  private readonly lane: DataLane
  private readonly taking: Taking
  private readonly leases: Leases
  private readonly batches: Queue.Queue<Batch, Cause.Done>
  private readonly wants: Queue.Queue<DataFrame>
  private readonly asked: Asked
  /** Written, but not synced. */
  private unsafe = new Ranges()
  private unsafeBytes = 0
  /** Being synced, and not kept account of yet. */
  private reporting = new Ranges()
  private readonly full = Latch.makeUnsafe(false)
  private batch: Batch | undefined
  private begun = false

  constructor(
    lane: DataLane,
    taking: Taking,
    leases: Leases,
    queues: { readonly batches: Queue.Queue<Batch, Cause.Done>; readonly wants: Queue.Queue<DataFrame> }
  ) {
    this.lane = lane
    this.taking = taking
    this.leases = leases
    this.batches = queues.batches
    this.wants = queues.wants
    this.asked = new Asked(taking.share)
  }

  /** It is over: what it asked for, and what it wrote and could not report, is for other lanes. */
  leave(): void {
    const { share } = this.taking
    share.leave(this.unsafe)
    share.leave(this.reporting)
    share.release(this.asked.claims)
  }

  /** True while the sender owes something. */
  get waiting(): boolean {
    return this.asked.next !== undefined
  }

  /** Asks, and takes what comes, until nothing is missing. */
  readonly pull: Effect.Effect<void, LaneError> = Effect.gen({ self: this }, function* () {
    while (true) {
      for (const [first, count] of this.asked.more()) yield* Queue.offer(this.wants, { _tag: "Want", first, count })
      if (this.asked.next === undefined) {
        yield* this.flush
        if (this.taking.intake.complete) break
        // The rest was asked for by other lanes, or is on its way to the disk: either may fail.
        yield* this.taking.share.changed
        continue
      }
      const incoming = yield* this.lane.read
      if (incoming._tag === "Block") yield* this.take(incoming, this.asked.next)
      else yield* this.failed(incoming.frame, this.asked.next)
      // The disk may as well work while the link has nothing.
      if (!this.lane.hasMore && Queue.sizeUnsafe(this.batches) === 0) yield* this.flush
    }
    yield* Queue.end(this.batches)
  })

  /** Sends what is asked. Reading goes on meanwhile: a sender that waits for us to read may not read us. */
  readonly ask: Effect.Effect<never, LaneError> = Effect.gen({ self: this }, function* () {
    while (true) yield* this.lane.send(...(yield* Queue.takeAll(this.wants)))
  })

  /** One block: only the one whose turn it is, only of its length, only if its digest is right. */
  private take(
    incoming: { readonly number: number; readonly digest: Uint8Array; readonly length: number },
    expected: number
  ): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      const { digest, length, number } = incoming
      const place = this.taking.intake.entries.place(number)
      if (place === undefined) return yield* broken(`block ${number} is beyond the end`)
      if (number !== expected) return yield* broken(`block ${number} was not asked for, block ${expected} was`)
      if (length !== place.length)
        return yield* broken(`block ${number} has ${length} bytes instead of ${place.length}`)
      const batch = yield* this.room(length)
      const bytes = batch.lease.buffer.subarray(batch.used, batch.used + length)
      yield* this.lane.body(bytes, this.taking.gate)
      if (!hash("sha256", bytes, "buffer").equals(digest)) {
        const detail = `block ${number} of ${this.taking.intake.entries.path(place.entry)} is not what its digest says`
        return yield* new LaneError({ problem: "corrupt", detail })
      }
      batch.used += length
      batch.blocks.push({ number, digest, place, bytes })
      this.asked.answered()
      if (!this.begun) {
        this.begun = true
        yield* this.taking.onBlock
      }
    })
  }

  private failed(frame: DataFrame, expected: number): Effect.Effect<void, LaneError> {
    if (frame._tag !== "EntryFailed") return Effect.fail(broken(`a ${frame._tag} came instead of a block`))
    const { intake, onFailed } = this.taking
    const isKnown = intake.failed.has(frame.entry)
    // Said again for blocks that were asked for before it was heard, here or on another lane.
    if (!isKnown && intake.entries.place(expected)?.entry !== frame.entry) {
      return Effect.fail(broken(`entry ${frame.entry} failed, which was not its turn`))
    }
    return Effect.sync(() => {
      intake.fail(frame.entry, frame.reason)
      if (intake.complete) this.taking.share.wake()
      while (this.asked.next !== undefined && intake.entries.place(this.asked.next)?.entry === frame.entry) {
        this.asked.answered()
      }
      if (!isKnown) onFailed(frame.entry, frame.reason)
      this.taking.onProgress()
    })
  }

  /** A batch with room for a block of this length. */
  private room(length: number): Effect.Effect<Batch> {
    return Effect.gen({ self: this }, function* () {
      const batch = this.batch
      if (
        batch !== undefined &&
        batch.blocks.length < batchBlocks &&
        batch.used + length <= batch.lease.buffer.length
      ) {
        return batch
      }
      yield* this.flush
      const fresh: Batch = { blocks: [], lease: yield* this.leases.take(Math.max(length, batchBytes)), used: 0 }
      this.batch = fresh
      return fresh
    })
  }

  private get flush(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { batch } = this
      if (batch === undefined || batch.blocks.length === 0) return Effect.void
      this.batch = undefined
      return Effect.asVoid(Queue.offer(this.batches, batch))
    })
  }

  /** Hands batches to the disk, one after the other. */
  readonly write: Effect.Effect<void, FileStoreError> = Effect.gen({ self: this }, function* () {
    while (true) {
      const batch = yield* Queue.take(this.batches)
      yield* Effect.uninterruptible(this.store(batch))
      yield* this.leases.give(batch.lease)
      if (this.unsafeBytes >= limits.syncBytes) yield* this.full.open
    }
  }).pipe(Effect.catchTag("Done", () => Effect.void))

  private store(batch: Batch): Effect.Effect<void, FileStoreError> {
    const { intake, onProgress, staging } = this.taking
    return Effect.suspend(() =>
      staging.write(
        batch.blocks.map(({ bytes, place }) => ({
          path: intake.entries.path(place.entry),
          mtime: intake.entries.mtime(place.entry),
          executable: intake.entries.isExecutable(place.entry),
          offset: place.offset,
          bytes,
          finish: intake.finishes(place)
        }))
      )
    ).pipe(
      Effect.map(() => {
        for (const { digest, number, place } of batch.blocks) {
          intake.written(number, place)
          intake.digests.set(number, digest)
          if (intake.failed.has(place.entry)) continue
          this.unsafe.add(number)
          this.unsafeBytes += place.length
        }
        if (intake.complete) this.taking.share.wake()
        onProgress()
      })
    )
  }

  /** Makes durable what was written, from time to time, and says so. */
  readonly sync: Effect.Effect<never, LaneError | FileStoreError> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.timeoutOption(this.full.await, limits.syncEvery)
      yield* this.full.close
      yield* this.report
    }
  })

  /** Syncs what was written so far and reports it. */
  get report(): Effect.Effect<void, LaneError | FileStoreError> {
    return Effect.gen({ self: this }, function* () {
      const { keep, share, staging } = this.taking
      for (const [first, count] of share.takeLeft().toArray()) this.unsafe.add(first, count)
      const ranges = this.unsafe.toArray()
      if (ranges.length === 0) return
      this.reporting = this.unsafe
      this.unsafe = new Ranges()
      this.unsafeBytes = 0
      yield* staging.sync
      yield* keep(ranges)
      this.reporting = new Ranges()
      for (let at = 0; at < ranges.length; at += safeMax) {
        yield* this.lane.send({ _tag: "Safe", ranges: ranges.slice(at, at + safeMax) satisfies Array<Range> })
      }
    })
  }
}

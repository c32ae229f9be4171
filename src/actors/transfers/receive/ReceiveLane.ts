/**
 * Pulling blocks over one lane: asks for what is missing (Asking), hands batches on to be verified and written
 * (BlockWriter), and copies what is here already (Copying). It ends when every block is settled, or with
 * the lane. Whatever was handed to the disk is waited for and counted, however it ends.
 */
import { hash } from "node:crypto"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { DataFrame } from "../../../schema/Block.ts"
import type { Range } from "../../../schema/Ranges.ts"
import type { FileStoreError } from "../../../services/FileStore.ts"
import { Asking } from "./Asking.ts"
import type { BlockPool, Leases } from "../BlockPool.ts"
import { type Batch, type Block, BlockWriter, corrupt, isEqual, type Writing } from "./BlockWriter.ts"
import { Copying } from "./Copying.ts"
import { broken, type DataLane, type LaneError } from "../DataLane.ts"
import type { Claimant } from "../FairQueue.ts"
import type { Intake } from "./Intake.ts"
import type { Arriving } from "../LaneInput.ts"
import type { Gate } from "../RateLimiter.ts"

export interface Taking extends Writing {
  /** In whose turn it has memory. */
  readonly claimant: Claimant
  /** How fast its blocks may come. */
  readonly gate: Gate
  /** The entries that are taken, to be told to the sender; nothing where that is all. */
  readonly taken: ReadonlyArray<Range>
  readonly onFailed: (entry: number, reason: string) => void
}

/** A batch goes to the disk with this many bytes or blocks. */
const batchBytes = 1024 * 1024
const batchBlocks = 256

/**
 * Blocks from this size on are verified as they come, while the processor has them at hand; smaller ones many at a time, in
 * the file store's thread.
 */
const atOnceBytes = 64 * 1024

/** Ranges in one Taken. */
const takenMax = 4096

export const pullBlocks = (
  lane: DataLane,
  taking: Taking,
  pool: BlockPool
): Effect.Effect<void, LaneError | FileStoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* tellTaken(lane, taking.taken)
      const { share, staging } = taking
      const leases = yield* pool.leases("receive", taking.claimant)
      const batches = yield* Queue.bounded<Batch, Cause.Done>(2)
      const asking = new Asking(lane, share, staging, leases)
      const copying = new Copying(share, staging, leases, batches)
      const writer = new BlockWriter(lane, taking, leases, batches)
      const puller = new Puller(lane, taking, { leases, batches, asking, writer })
      const deaf = share.listen(asking.news, asking.sent, copying.news)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          deaf()
          copying.leave()
          share.leave(asking.asked.claims, writer.unreported)
        })
      )
      const work = Effect.all([puller.pull, writer.write], { concurrency: "unbounded", discard: true })
      const beside = [asking.ask, copying.copy, writer.sync, lane.watch(() => puller.waiting)]
      yield* Effect.raceFirst(work, Effect.raceAllFirst(beside))
      // Every block is here: that the sender may not hear it any more changes nothing.
      yield* Effect.catchTag(writer.report, "LaneError", () => Effect.void)
    })
  )

const tellTaken = (lane: DataLane, taken: ReadonlyArray<Range>): Effect.Effect<void, LaneError> => {
  const frames: Array<DataFrame> = []
  for (let at = 0; at < taken.length; at += takenMax) {
    frames.push({ _tag: "Taken", ranges: taken.slice(at, at + takenMax), last: at + takenMax >= taken.length })
  }
  return lane.send(...frames)
}

interface Parts {
  readonly leases: Leases
  readonly batches: Queue.Queue<Batch, Cause.Done>
  readonly asking: Asking
  readonly writer: BlockWriter
}

class Puller {
  private readonly lane: DataLane
  private readonly taking: Taking
  private readonly parts: Parts
  private batch: Batch | undefined

  constructor(lane: DataLane, taking: Taking, parts: Parts) {
    this.lane = lane
    this.taking = taking
    this.parts = parts
  }

  private get intake(): Intake {
    return this.taking.share.intake
  }

  /** True while the sender owes something. */
  get waiting(): boolean {
    return this.parts.asking.asked.next !== undefined
  }

  /** Takes what comes, until nothing is missing. */
  readonly pull: Effect.Effect<void, LaneError> = Effect.gen({ self: this }, function* () {
    const { asking, batches } = this.parts
    while (true) {
      asking.sent.closeUnsafe()
      const { next } = asking.asked
      if (next === undefined) {
        yield* this.flush
        if (this.intake.complete) break
        // The rest was asked for by other lanes, is copied, or on its way to the disk: each may fail.
        yield* asking.sent.await
        continue
      }
      const here = this.lane.here
      if (here === undefined && this.lane.isPartial) {
        // The disk may as well work while the link has nothing.
        if (Queue.sizeUnsafe(batches) === 0) yield* this.flush
        yield* this.lane.more
        continue
      }
      const incoming = here ?? (yield* this.lane.read)
      if (incoming._tag === "Block") {
        const more = this.take(incoming, next)
        if (more !== undefined) yield* more
      } else if (incoming.frame._tag === "Same") yield* this.same(incoming.frame.number, next)
      else yield* this.failed(incoming.frame, next)
    }
    yield* Queue.end(batches)
  })

  /** One block: only the one whose turn it is, only of its length. What remains to be done, where it is not here yet. */
  private take(block: Arriving, expected: number): Effect.Effect<void, LaneError> | undefined {
    const { length, number } = block
    const place = this.intake.entries.place(number)
    if (place === undefined) return Effect.fail(broken(`block ${number} is beyond the end`))
    if (number !== expected) {
      return Effect.fail(broken(`block ${number} was not asked for, block ${expected} was`))
    }
    if (length !== place.length) {
      return Effect.fail(broken(`block ${number} has ${length} bytes instead of ${place.length}`))
    }
    const { gate } = this.taking
    const batch = this.hasRoom(length)
    const bytes = batch?.lease.buffer.subarray(batch.used, batch.used + length)
    if (batch !== undefined && bytes !== undefined && this.lane.bodyNow(bytes, gate)) {
      return this.taken(batch, { ...block, place, bytes })
    }
    return Effect.gen({ self: this }, function* () {
      const batch = yield* this.room(length)
      const bytes = batch.lease.buffer.subarray(batch.used, batch.used + length)
      yield* this.lane.body(bytes, gate)
      const more = this.taken(batch, { ...block, place, bytes })
      if (more !== undefined) yield* more
    })
  }

  /** All of it is here. Whether a small one is right is seen when it is stored. */
  private taken(batch: Batch, block: Omit<Block, "isVerified">): Effect.Effect<void, LaneError> | undefined {
    const { compared } = this.parts.asking.asked
    const { bytes, digest, number } = block
    // Whoever compares nothing answers with bytes that are here already.
    const isCopy = compared !== undefined && isEqual(compared, digest)
    const isAtOnce = isCopy || bytes.length >= atOnceBytes
    const isVerified = isAtOnce && isEqual(hash("sha256", bytes, "buffer"), digest)
    if (isAtOnce && !isVerified) return Effect.fail(corrupt(block, this.intake.entries))
    if (isCopy) return this.same(number, number)
    batch.used += bytes.length
    batch.blocks.push({ ...block, isVerified })
    this.parts.asking.answered()
    return undefined
  }

  /** What is here in place of a block that was compared is the same. */
  private same(number: number, expected: number): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      const { asking, writer } = this.parts
      const { compared } = asking.asked
      if (number !== expected || compared === undefined) {
        return yield* broken(`block ${number} is said to be the same, and was not compared`)
      }
      const { counterparts, entries } = this.intake
      const place = entries.place(number)
      if (place !== undefined) this.intake.same(number, place, compared)
      if (counterparts.same.has(number)) writer.found(number)
      // What was compared has changed meanwhile: its bytes are needed after all.
      else if (!this.intake.settled.has(number)) this.taking.share.release(number, 1)
      if (this.intake.complete || counterparts.copies.size > 0) this.taking.share.wake()
      this.taking.onProgress()
      asking.answered()
      yield* writer.onRight
    })
  }

  private failed(frame: DataFrame, expected: number): Effect.Effect<void, LaneError> {
    if (frame._tag !== "EntryFailed") return Effect.fail(broken(`a ${frame._tag} came instead of a block`))
    const { intake } = this
    const { asking } = this.parts
    const isKnown = intake.failed.has(frame.entry)
    // Said again for blocks that were asked for before it was heard, here or on another lane.
    if (!isKnown && intake.entries.place(expected)?.entry !== frame.entry) {
      return Effect.fail(broken(`entry ${frame.entry} failed, which was not its turn`))
    }
    return Effect.sync(() => {
      intake.fail(frame.entry, frame.reason)
      if (intake.complete) this.taking.share.wake()
      for (let { next } = asking.asked; next !== undefined; { next } = asking.asked) {
        if (intake.entries.place(next)?.entry !== frame.entry) break
        asking.answered()
      }
      if (!isKnown) this.taking.onFailed(frame.entry, frame.reason)
      this.taking.onProgress()
    })
  }

  /** The batch, if it has room for a block of this length. */
  private hasRoom(length: number): Batch | undefined {
    const { batch } = this
    const isFull =
      batch === undefined || batch.blocks.length >= batchBlocks || batch.used + length > batch.lease.buffer.length
    return isFull ? undefined : batch
  }

  /** A batch with room for it. */
  private room(length: number): Effect.Effect<Batch> {
    return Effect.gen({ self: this }, function* () {
      const batch = this.hasRoom(length)
      if (batch !== undefined) return batch
      yield* this.flush
      const lease = yield* this.parts.leases.take(Math.max(length, batchBytes))
      const fresh: Batch = { blocks: [], lease, used: 0, isCopied: false }
      this.batch = fresh
      return fresh
    })
  }

  private get flush(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { batch } = this
      if (batch === undefined || batch.blocks.length === 0) return Effect.void
      this.batch = undefined
      return Effect.asVoid(Queue.offer(this.parts.batches, batch))
    })
  }
}

/**
 * What one lane asks for, in the order in which it is answered: blocks that are wanted, and blocks that are compared
 * with what may be here already. What is here is read and digested a chunk at a time, while what was asked for before
 * is under way. It ends with the lane; it owns nothing but what it has claimed.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { DataFrame } from "../../../schema/Block.ts"
import { Bytes32 } from "../../../schema/Id.ts"
import { base32 } from "../../../schema/PeerId.ts"
import type { FileStoreError, Staging } from "../../../services/FileStore.ts"
import type { Leases } from "../BlockPool.ts"
import { chunkBlocks, plan, type Planned } from "../send/ChunkReads.ts"
import { readHere } from "./Copying.ts"
import type { DataLane, LaneError } from "../DataLane.ts"
import { Asked, type LaneShare } from "./LaneShare.ts"

export class Asking {
  readonly asked: Asked
  /** Opened when there may be room, or more to ask for. */
  readonly news = Latch.makeUnsafe(false)
  /** Opened when something was asked for. */
  readonly sent = Latch.makeUnsafe(false)
  private readonly lane: DataLane
  private readonly share: LaneShare
  private readonly staging: Staging
  private readonly leases: Leases

  constructor(lane: DataLane, share: LaneShare, staging: Staging, leases: Leases) {
    this.lane = lane
    this.share = share
    this.staging = staging
    this.leases = leases
    this.asked = new Asked(share)
  }

  /** The next block was answered. */
  answered(): void {
    this.asked.answered()
    if (this.asked.hasRoom) this.news.openUnsafe()
  }

  /** Asks for whatever there is to ask for, as fast as it is answered. */
  readonly ask: Effect.Effect<never, LaneError | FileStoreError> = Effect.gen({ self: this }, function* () {
    const { isActive } = this.share.intake.counterparts
    while (true) {
      this.news.closeUnsafe()
      const wants: Array<DataFrame> = []
      while (this.asked.hasRoom) {
        const run = this.asked.claim(isActive ? chunkBlocks : undefined)
        if (run === undefined) break
        const [first, count] = run
        // Those that are found to be here are asked for in their turn.
        if (isActive) yield* this.compare(first, count)
        else wants.push(this.want(first, count))
      }
      if (wants.length > 0) yield* this.send(wants)
      yield* this.news.await
    }
  })

  private want(first: number, count: number): DataFrame {
    this.asked.push(first, count)
    return { _tag: "Want", first, count }
  }

  /** They are asked for before they are sent: the answer to the first may be here before the last is on its way. */
  private send(frames: ReadonlyArray<DataFrame>): Effect.Effect<void, LaneError> {
    return Effect.suspend(() => {
      this.sent.openUnsafe()
      return this.lane.send(...frames)
    })
  }

  /** Asks for a run of blocks of which some may be here. */
  private compare(first: number, count: number): Effect.Effect<void, LaneError | FileStoreError> {
    return Effect.gen({ self: this }, function* () {
      const { counterparts, entries } = this.share.intake
      yield* this.lookFor(first, count)
      const end = first + count
      for (let at = first; at < end;) {
        const isHere = (number: number) => counterparts.mark(entries.place(number)?.entry ?? 0) > 0
        let stop = at + 1
        while (stop < end && isHere(stop) === isHere(at)) stop++
        if (isHere(at)) {
          const chunk = plan(entries, at, stop)
          yield* this.send(yield* this.digest(chunk))
          at += chunk.length
        } else {
          yield* this.send([this.want(at, stop - at)])
          at = stop
        }
      }
    })
  }

  /** Looks which of the files that these blocks are of are here. */
  private lookFor(first: number, count: number): Effect.Effect<void, FileStoreError> {
    return Effect.gen({ self: this }, function* () {
      const { intake } = this.share
      const { counterparts, entries } = intake
      const unknown: Array<number> = []
      for (let number = first; number < first + count; number++) {
        const entry = entries.place(number)?.entry ?? 0
        if (!counterparts.isLooked(entry) && unknown.at(-1) !== entry) unknown.push(entry)
      }
      if (unknown.length === 0) return
      const marks = yield* this.staging.counterparts(
        unknown.map((entry) => ({ path: entries.path(entry), size: entries.size(entry) }))
      )
      // Another lane may have looked meanwhile.
      for (const [i, entry] of unknown.entries()) {
        if (!counterparts.isLooked(entry)) intake.looked(entry, marks[i] ?? 0)
      }
    })
  }

  /** The blocks that are here, as they are compared. A file that is not what it was is wanted from there on. */
  private digest(chunk: ReadonlyArray<Planned>): Effect.Effect<ReadonlyArray<DataFrame>, FileStoreError> {
    return Effect.gen({ self: this }, function* () {
      const { lease, read } = yield* readHere(this.share, this.staging, this.leases, chunk)
      const here = chunk.map((block) => read(block))
      const digests = yield* this.staging.digests(here.filter((bytes) => bytes !== undefined))
      const frames: Array<DataFrame> = []
      let next = 0
      for (const [at, { entry, number }] of chunk.entries()) {
        const digest = here[at] === undefined ? undefined : digests[next++]
        // Another lane may have seen meanwhile that it has changed.
        if (digest === undefined || this.share.intake.counterparts.mark(entry) === 0) {
          frames.push(this.want(number, 1))
          continue
        }
        this.asked.push(number, 1, digest)
        frames.push({ _tag: "Compare", number, digest: Bytes32.make(base32(digest)) })
      }
      yield* this.leases.give(lease)
      return frames
    })
  }
}

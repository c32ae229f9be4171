/**
 * Copying blocks from files that are in the receive folder already: those that are the same as what would be sent, of
 * files that are not. Each is read again and verified, as if it had come by the link, and goes to the disk with what
 * has. It ends with its lane; what it took and did not hand over is for another to copy.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type { BlockPlace } from "../../../schema/EntryList.ts"
import type { Staging } from "../../../services/FileStore.ts"
import type { Lease, Leases } from "../BlockPool.ts"
import type { Batch, Block } from "./BlockWriter.ts"
import type { LaneShare } from "./LaneShare.ts"

/** Bytes and blocks in one go. */
const copyBytes = 1024 * 1024
const copyBlocks = 256

/** A block, and where in a buffer what is here in its place goes. */
interface Place extends BlockPlace {
  readonly number: number
  readonly at: number
}

/**
 * Reads what is here in place of these blocks. `read` gives the bytes of one; undefined where the file is not what it
 * was, which is not relied on any more then. The lease is the caller's.
 */
export const readHere = Effect.fnUntraced(function* (
  share: LaneShare,
  staging: Staging,
  leases: Leases,
  places: ReadonlyArray<Place>
) {
  const { counterparts, entries } = share.intake
  const last = places.at(-1)
  const lease = yield* leases.take(last === undefined ? 0 : last.at + last.length)
  const parts = places.map(({ at, entry, length, offset }) => {
    return { path: entries.path(entry), mark: counterparts.mark(entry), offset, length, at }
  })
  const isGood = yield* staging.readCounterparts(parts, lease.buffer)
  const good = new Set(places.filter((_, i) => isGood[i]))
  const read = (place: Place): Uint8Array | undefined => {
    // Another part of the same file may have shown that it has changed.
    if (counterparts.mark(place.entry) === 0) return undefined
    if (good.has(place)) return lease.buffer.subarray(place.at, place.at + place.length)
    share.unsame(place.entry)
    return undefined
  }
  return { lease, read } satisfies { readonly lease: Lease; readonly read: typeof read }
})

export class Copying {
  /** Opened when there may be something to copy. */
  readonly news = Latch.makeUnsafe(false)
  private readonly share: LaneShare
  private readonly staging: Staging
  private readonly leases: Leases
  private readonly batches: Queue.Enqueue<Batch>
  private taken: Array<number> = []

  constructor(share: LaneShare, staging: Staging, leases: Leases, batches: Queue.Enqueue<Batch>) {
    this.share = share
    this.staging = staging
    this.leases = leases
    this.batches = batches
  }

  /** Copies whatever there is to copy. */
  readonly copy: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    const { counterparts } = this.share.intake
    while (true) {
      this.news.closeUnsafe()
      const numbers = counterparts.takeCopies(copyBytes, copyBlocks)
      if (numbers.length === 0) {
        yield* this.news.await
        continue
      }
      this.taken = [...this.taken.filter((number) => counterparts.same.has(number)), ...numbers]
      yield* this.some(numbers)
    }
  })

  /** It is over: what was taken and not written is for others. */
  leave(): void {
    for (const number of this.taken) this.share.intake.counterparts.giveBack(number)
    this.taken = []
    this.share.wake()
  }

  private some(numbers: ReadonlyArray<number>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { digests, entries } = this.share.intake
      const places: Array<Place> = []
      let used = 0
      for (const number of numbers) {
        const place = entries.place(number)
        if (place === undefined) continue
        places.push({ ...place, number, at: used })
        used += place.length
      }
      const { lease, read } = yield* readHere(this.share, this.staging, this.leases, places)
      const blocks: Array<Block> = []
      for (const place of places) {
        const { number } = place
        const bytes = read(place)
        const digest = digests.get(number)
        if (bytes !== undefined && digest !== undefined)
          blocks.push({ number, digest, place, bytes, isVerified: false })
      }
      if (blocks.length === 0) yield* this.leases.give(lease)
      else yield* Queue.offer(this.batches, { blocks, lease, used, isCopied: true })
    })
  }
}

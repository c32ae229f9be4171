/**
 * Serving one lane: the receiver asks for pages and blocks, this answers in the order of the asking. Three fibers
 * work in step: one hears what is asked, one reads the next chunk from disk and digests it, one writes the chunk
 * before. Small blocks travel many to a chunk. It ends when the link does.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { type DataFrame, encodeFrame } from "../../../schema/Block.ts"
import type { EntryList } from "../../../schema/EntryList.ts"
import type { Bytes32 } from "../../../schema/Id.ts"
import type { Range } from "../../../schema/Ranges.ts"
import type { Source } from "../../../services/FileStore.ts"
import type { BlockPool, Leases } from "../BlockPool.ts"
import { cutAfter, load, plan, type Planned, recordsOf } from "./ChunkReads.ts"
import { broken, type DataLane, type LaneError } from "../DataLane.ts"
import type { Claimant } from "../FairQueue.ts"
import type { Gate } from "../RateLimiter.ts"
import type { Loaded, Reader, SharedReads } from "./SharedReads.ts"

/** What is served, and what became known while serving it. */
interface Serving {
  readonly entries: EntryList
  /** Says a page of the list, once it is full. */
  readonly page: (number: number, say: (frame: DataFrame) => Effect.Effect<void>) => Effect.Effect<void>
  readonly source: Source
  /** What the transfers of its group read together. */
  readonly reads: SharedReads
  /** In whose turn it has memory. */
  readonly claimant: Claimant
  /** How fast its blocks may go. */
  readonly gate: Gate
  /** Entries that cannot be sent, and why. */
  readonly failed: Map<number, string>
  readonly onFailed: (entry: number, reason: string) => void
  /** The receiver takes these entries, and no others once it said the last of them. */
  readonly onTaken: (ranges: ReadonlyArray<Range>, last: boolean) => void
  /** The receiver will not ask for these again. */
  readonly onSafe: (ranges: ReadonlyArray<Range>) => void
}

/** Asks not answered yet. A receiver may have more under way than this: they wait in the link. */
const asksMax = 256

/** What is written next, and what is to be done with its memory then. */
interface Chunk {
  readonly records: ReadonlyArray<Uint8Array>
  /** False for pages of the list, which no speed cap is about. */
  readonly isBlocks: boolean
  readonly written: Effect.Effect<void>
}

type Ask = Extract<DataFrame, { readonly _tag: "WantPage" | "Want" | "Compare" }>

export const serve = (lane: DataLane, serving: Serving, pool: BlockPool): Effect.Effect<void, LaneError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const asked = yield* Queue.bounded<Ask>(asksMax)
      const ready = yield* Queue.bounded<Chunk>(1)
      const chunks: Chunks = {
        serving,
        pool,
        leases: yield* pool.leases("send", serving.claimant),
        reader: yield* serving.reads.reader
      }
      let writing = false
      const write = Effect.gen(function* () {
        while (true) {
          const chunk = yield* Queue.take(ready)
          writing = true
          yield* chunk.isBlocks ? lane.writeThrough(chunk.records, serving.gate) : lane.write(chunk.records)
          writing = false
          yield* chunk.written
        }
      })
      yield* Effect.all([hear(lane, serving, asked), prepare(chunks, asked, ready), write, lane.watch(() => writing)], {
        concurrency: "unbounded",
        discard: true
      })
    })
  )

const hear = (lane: DataLane, serving: Serving, asked: Queue.Enqueue<Ask>) =>
  Effect.gen(function* () {
    const { entries } = serving
    let taken = 0
    while (true) {
      const incoming = yield* lane.read
      if (incoming._tag === "Block") return yield* broken("a block came from the receiver")
      const { frame } = incoming
      switch (frame._tag) {
        case "WantPage":
          yield* Queue.offer(asked, frame)
          break
        case "Want":
          if (frame.first + frame.count > entries.totals.blocks)
            return yield* broken(`block ${frame.first + frame.count - 1} is wanted`)
          yield* Queue.offer(asked, frame)
          break
        case "Compare":
          if (frame.number >= entries.totals.blocks) return yield* broken(`block ${frame.number} is compared`)
          yield* Queue.offer(asked, frame)
          break
        case "Taken":
          for (const [first, count] of frame.ranges) {
            // In order, so that there are never more ranges than entries.
            if (first < taken || count < 1) return yield* broken("what is taken is not in order")
            taken = first + count
          }
          if (taken > serving.entries.length) return yield* broken(`entry ${taken - 1} is taken`)
          serving.onTaken(frame.ranges, frame.last)
          break
        case "Safe":
          if (frame.ranges.some(([first, count]) => first + count > entries.totals.blocks)) {
            return yield* broken("too much is safe")
          }
          serving.onSafe(frame.ranges)
          break
        default:
          return yield* broken(`a ${frame._tag} came from the receiver`)
      }
    }
  })

/** What chunks are made with. */
interface Chunks {
  readonly serving: Serving
  readonly pool: BlockPool
  readonly leases: Leases
  readonly reader: Reader
}

const prepare = (chunks: Chunks, asked: Queue.Dequeue<Ask>, ready: Queue.Enqueue<Chunk>) =>
  Effect.gen(function* () {
    const { page } = chunks.serving
    while (true) {
      for (const ask of merged(yield* Queue.takeAll(asked))) {
        if (ask._tag === "Blocks") {
          yield* answer(chunks, ask, ready)
          continue
        }
        yield* page(ask.page, (frame) =>
          Effect.asVoid(Queue.offer(ready, { records: [encodeFrame(frame)], isBlocks: false, written: Effect.void }))
        )
      }
    }
  })

/** Blocks in a row that were asked for. */
interface Blocks {
  readonly _tag: "Blocks"
  readonly first: number
  end: number
  /** What the receiver has in place of some of them. */
  readonly compared: Map<number, Bytes32>
}

/** Asks in their order, those for blocks in a row as one: what is asked one by one is read and written together too. */
const merged = (asks: ReadonlyArray<Ask>) => {
  const all: Array<Blocks | Extract<Ask, { readonly _tag: "WantPage" }>> = []
  for (const ask of asks) {
    if (ask._tag === "WantPage") {
      all.push(ask)
      continue
    }
    const [first, count] = ask._tag === "Want" ? [ask.first, ask.count] : [ask.number, 1]
    const last = all.at(-1)
    const row: Blocks =
      last?._tag === "Blocks" && last.end === first ? last : { _tag: "Blocks", first, end: first, compared: new Map() }
    row.end = first + count
    if (ask._tag === "Compare") row.compared.set(ask.number, ask.digest)
    if (row !== last) all.push(row)
  }
  return all
}

const answer = Effect.fnUntraced(function* (chunks: Chunks, asked: Blocks, ready: Queue.Enqueue<Chunk>) {
  const { entries, reads } = chunks.serving
  for (let first = asked.first; first < asked.end;) {
    const end = reads.isShared ? Math.min(asked.end, cutAfter(entries, first)) : asked.end
    const planned = plan(entries, first, end)
    yield* Queue.offer(ready, yield* blocksOf(chunks, planned, asked.compared))
    first += planned.length
  }
})

/** A chunk, read for this lane alone or together with the others of the group. */
const blocksOf = Effect.fnUntraced(function* (
  chunks: Chunks,
  planned: ReadonlyArray<Planned>,
  compared: ReadonlyMap<number, Bytes32>
) {
  const { leases, pool, reader, serving } = chunks
  const { claimant, failed, reads } = serving
  const first = planned[0]?.number ?? 0
  // What is known to fail here alone is not the business of the others.
  if (!reads.isShared || planned.some(({ entry }) => failed.has(entry))) {
    const loaded = yield* load(serving, planned, leases.take, () => {})
    note(serving, loaded)
    const { lease } = loaded
    const written = lease === undefined ? Effect.void : leases.give(lease)
    return { records: recordsOf(loaded, failed, compared), isBlocks: true, written }
  }
  const together = load(
    serving,
    planned,
    (bytes) => pool.take(claimant, bytes),
    (lease) => pool.forget(lease)
  )
  const { loaded, written } = yield* reader.use(first, first + planned.length, together)
  note(serving, loaded)
  return { records: recordsOf(loaded, failed, compared), isBlocks: true, written }
})

const note = ({ failed, onFailed, reads }: Serving, { blocks, failures }: Loaded) => {
  for (const { number, record } of blocks) if (record !== undefined) reads.digests.set(number, record.digest)
  for (const [entry, reason] of failures) {
    if (failed.has(entry)) continue
    failed.set(entry, reason)
    onFailed(entry, reason)
  }
}

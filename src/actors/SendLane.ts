/**
 * Serving one lane: the receiver asks for pages and blocks, this answers in the order of the asking. Three fibers
 * work in step: one hears what is asked, one reads the next chunk from disk and digests it, one writes the chunk
 * before. Small blocks travel many to a chunk. It ends when the link does.
 */
import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { blockHeadBytes, type DataFrame, encodeBlockHead, encodeFrame, headerBytes } from "../schema/Block.ts"
import type { BlockPlace, EntryList } from "../schema/EntryList.ts"
import type { Range } from "../schema/Ranges.ts"
import type { Source, SourcePart } from "../services/FileStore.ts"
import type { BlockPool, Lease, Leases } from "./BlockPool.ts"
import { broken, type DataLane, type LaneError } from "./DataLane.ts"
import type { Gate } from "./RateLimiter.ts"

/** What is served, and what became known while serving it. */
export interface Serving {
  readonly entries: EntryList
  readonly source: Source
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
const asksMax = 64

/** Bytes of blocks, and blocks, in one chunk. */
const chunkBytes = 1024 * 1024
const chunkBlocks = 256

const recordHead = headerBytes + blockHeadBytes

interface Planned extends BlockPlace {
  readonly number: number
  /** Where in the chunk its bytes are, after its head. */
  readonly at: number
}

/** What is written next. */
interface Chunk {
  readonly records: ReadonlyArray<Uint8Array>
  readonly lease: Lease | undefined
}

type Ask = Extract<DataFrame, { readonly _tag: "WantPage" | "Want" }>

export const serve = (lane: DataLane, serving: Serving, pool: BlockPool): Effect.Effect<void, LaneError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const asked = yield* Queue.bounded<Ask>(asksMax)
      const ready = yield* Queue.bounded<Chunk>(1)
      const leases = yield* pool.leases("send")
      let writing = false
      const write = Effect.gen(function* () {
        while (true) {
          const chunk = yield* Queue.take(ready)
          writing = true
          yield* chunk.lease === undefined ? lane.write(chunk.records) : lane.writeThrough(chunk.records, serving.gate)
          writing = false
          if (chunk.lease !== undefined) yield* leases.give(chunk.lease)
        }
      })
      yield* Effect.all(
        [hear(lane, serving, asked), prepare(serving, leases, asked, ready), write, lane.watch(() => writing)],
        {
          concurrency: "unbounded",
          discard: true
        }
      )
    })
  )

const hear = (lane: DataLane, serving: Serving, asked: Queue.Enqueue<Ask>) =>
  Effect.gen(function* () {
    const { blocks } = serving.entries.totals
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
          if (frame.first + frame.count > blocks)
            return yield* broken(`block ${frame.first + frame.count - 1} is wanted`)
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
          if (frame.ranges.some(([first, count]) => first + count > blocks)) return yield* broken("too much is safe")
          serving.onSafe(frame.ranges)
          break
        default:
          return yield* broken(`a ${frame._tag} came from the receiver`)
      }
    }
  })

const prepare = (serving: Serving, leases: Leases, asked: Queue.Dequeue<Ask>, ready: Queue.Enqueue<Chunk>) =>
  Effect.gen(function* () {
    const { entries } = serving
    while (true) {
      const ask = yield* Queue.take(asked)
      if (ask._tag === "WantPage") {
        const page = entries.page(ask.page)
        // Pages are asked for ahead: those after the last are not there to be sent.
        if (page === undefined) continue
        const totals = ask.page === entries.pages - 1 ? { totals: entries.totals } : {}
        const frame: DataFrame = { _tag: "Page", page: ask.page, entries: page, ...totals }
        yield* Queue.offer(ready, { records: [encodeFrame(frame)], lease: undefined })
        continue
      }
      const end = ask.first + ask.count
      for (let first = ask.first; first < end;) {
        const planned = plan(entries, first, end)
        yield* Queue.offer(ready, yield* fill(serving, leases, planned))
        first += planned.length
      }
    }
  })

/** The blocks from `first` on that make the next chunk, at least one. */
const plan = (entries: EntryList, first: number, end: number): Array<Planned> => {
  const planned: Array<Planned> = []
  let at = 0
  for (let number = first; number < end && planned.length < chunkBlocks; number++) {
    const place = entries.place(number)
    if (place === undefined || (at > 0 && at + place.length > chunkBytes)) break
    planned.push({ ...place, number, at: at + recordHead })
    at += recordHead + place.length
  }
  return planned
}

/** Reads and digests a chunk. In place of the blocks of an entry that cannot be sent stands one EntryFailed. */
const fill = Effect.fnUntraced(function* (serving: Serving, leases: Leases, planned: ReadonlyArray<Planned>) {
  const { entries, failed, source } = serving
  const wanted = planned.filter((block) => !failed.has(block.entry))
  const last = wanted.at(-1)
  let lease: Lease | undefined
  if (last !== undefined) {
    lease = yield* leases.take(last.at + last.length)
    const problems = yield* source.read(
      wanted.map((block) => partOf(entries, block)),
      lease.buffer
    )
    for (const [i, problem] of problems.entries()) {
      const entry = wanted[i]?.entry
      if (problem === null || entry === undefined || failed.has(entry)) continue
      failed.set(entry, problem)
      serving.onFailed(entry, problem)
    }
  }
  return { records: assemble(planned, failed, lease?.buffer ?? new Uint8Array(0)), lease }
})

const partOf = (entries: EntryList, block: Planned): SourcePart => ({
  path: entries.path(block.entry),
  size: entries.size(block.entry),
  mtime: entries.mtime(block.entry),
  offset: block.offset,
  length: block.length,
  at: block.at
})

/** As few pieces as can be: good blocks that lie side by side are one. */
const assemble = (planned: ReadonlyArray<Planned>, failed: Map<number, string>, buffer: Uint8Array) => {
  const records: Array<Uint8Array> = []
  let from = 0
  let to = 0
  let told = -1
  const cut = (next: number) => {
    if (to > from) records.push(buffer.subarray(from, to))
    from = next
    to = next
  }
  for (const block of planned) {
    const reason = failed.get(block.entry)
    const end = block.at + block.length
    if (reason === undefined) {
      const bytes = buffer.subarray(block.at, end)
      const digest = hash("sha256", bytes, "buffer")
      buffer.set(encodeBlockHead({ number: block.number, digest, length: block.length }), block.at - recordHead)
      if (to !== block.at - recordHead) cut(block.at - recordHead)
      to = end
    } else if (told !== block.entry) {
      cut(end)
      records.push(encodeFrame({ _tag: "EntryFailed", entry: block.entry, reason }))
      told = block.entry
    }
  }
  cut(0)
  return records
}

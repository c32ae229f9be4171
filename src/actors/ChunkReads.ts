/**
 * Chunks of blocks as they are read, digested and written in one go: many small blocks, or one large one. Where a chunk
 * is cut depends on the list alone as far as it can, so that the transfers of a group read the same ones. Owns nothing.
 */
import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import { blockHeadBytes, encodeBlockHead, encodeFrame, headerBytes } from "../schema/Block.ts"
import type { BlockPlace, EntryList } from "../schema/EntryList.ts"
import type { Source, SourcePart } from "../services/FileStore.ts"
import type { Lease } from "./BlockPool.ts"
import type { Loaded } from "./SharedReads.ts"

/** Bytes of blocks, and blocks, in one chunk. */
const chunkBytes = 1024 * 1024
const chunkBlocks = 256

const recordHead = headerBytes + blockHeadBytes

export interface Planned extends BlockPlace {
  readonly number: number
  /** Where in the chunk its bytes are, after its head. */
  readonly at: number
}

/** The blocks from `first` on that make the next chunk, at least one. */
export const plan = (entries: EntryList, first: number, end: number): Array<Planned> => {
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

/**
 * Where the chunk ends that block `first` is in, if all blocks are cut into chunks beginning with every 256th: whoever
 * begins in the middle of one is in step after it.
 */
export const cutAfter = (entries: EntryList, first: number): number => {
  const window = first - (first % chunkBlocks)
  for (let at = window; ;) {
    const end = at + Math.max(1, plan(entries, at, window + chunkBlocks).length)
    if (end > first) return end
    at = end
  }
}

/** Reads and digests a chunk. In place of the blocks of an entry that cannot be sent stands one EntryFailed. */
export const load = (
  from: { readonly entries: EntryList; readonly source: Source; readonly failed: ReadonlyMap<number, string> },
  planned: ReadonlyArray<Planned>,
  take: (bytes: number) => Effect.Effect<Lease>,
  forget: (lease: Lease) => void
): Effect.Effect<Loaded> =>
  Effect.suspend(() => {
    const { entries, failed, source } = from
    const wanted = planned.filter((block) => !failed.has(block.entry))
    const last = wanted.at(-1)
    if (last === undefined) {
      const records = assemble(planned, failed, new Uint8Array(0))
      return Effect.succeed<Loaded>({ records, lease: undefined, failures: [] })
    }
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(take(last.at + last.length)), (lease) =>
        restore(
          Effect.suspend(() =>
            source.read(
              wanted.map((block) => partOf(entries, block)),
              lease.buffer
            )
          )
        ).pipe(
          // Whatever reads into it may still do so.
          Effect.onInterrupt(() => Effect.sync(() => forget(lease))),
          Effect.map((problems): Loaded => {
            const failures = new Map<number, string>()
            for (const [i, problem] of problems.entries()) {
              const entry = wanted[i]?.entry
              if (problem !== null && entry !== undefined && !failures.has(entry)) failures.set(entry, problem)
            }
            const all = failures.size === 0 ? failed : new Map([...failed, ...failures])
            return { records: assemble(planned, all, lease.buffer), lease, failures: [...failures] }
          })
        )
      )
    )
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
const assemble = (planned: ReadonlyArray<Planned>, failed: ReadonlyMap<number, string>, buffer: Uint8Array) => {
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

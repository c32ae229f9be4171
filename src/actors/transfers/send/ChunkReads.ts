/**
 * Chunks of blocks as they are read, digested and written in one go: many small blocks, or one large one. Where a chunk
 * is cut depends on the list alone as far as it can, so that the transfers of a group read the same ones. Owns nothing.
 */
import * as Effect from "effect/Effect"
import { blockHeadBytes, encodeBlockHead, encodeFrame, headerBytes } from "../../../schema/Block.ts"
import type { BlockPlace, EntryList } from "../../../schema/EntryList.ts"
import type { Bytes32 } from "../../../schema/Id.ts"
import { base32 } from "../../../schema/PeerId.ts"
import type { Source, SourcePart } from "../../../services/FileStore.ts"
import type { Lease } from "../BlockPool.ts"
import type { Loaded, LoadedBlock } from "./SharedReads.ts"

/** Bytes of blocks, and blocks, in one chunk. */
const chunkBytes = 1024 * 1024
export const chunkBlocks = 256

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

/** Reads and digests a chunk, and puts the head of each block's record before it. */
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
      const blocks = planned.map(({ entry, number }) => ({ number, entry, record: undefined }))
      return Effect.succeed<Loaded>({ blocks, lease: undefined, failures: [] })
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
          Effect.map((read): Loaded => {
            const failures = new Map<number, string>()
            wanted.forEach(({ entry }, i) => {
              const found = read[i]
              if (!(found instanceof Uint8Array) && !failures.has(entry))
                failures.set(entry, found ?? "it was not read")
            })
            let next = 0
            const blocks = planned.map((block): LoadedBlock => {
              const { entry, number } = block
              const digest = block === wanted[next] ? read[next++] : undefined
              const isGood = digest instanceof Uint8Array && !failures.has(entry)
              return { number, entry, record: isGood ? recordOf(block, digest, lease.buffer) : undefined }
            })
            return { blocks, lease, failures: [...failures] }
          })
        )
      )
    )
  })

const recordOf = ({ at, length, number }: Planned, digest: Uint8Array, buffer: Uint8Array) => {
  buffer.set(encodeBlockHead({ number, digest, length }), at - recordHead)
  return { from: at - recordHead, to: at + length, digest }
}

const partOf = (entries: EntryList, block: Planned): SourcePart => ({
  path: entries.path(block.entry),
  size: entries.size(block.entry),
  mtime: entries.mtime(block.entry),
  offset: block.offset,
  length: block.length,
  at: block.at
})

/**
 * A chunk as it travels, in as few pieces as can be: records that lie side by side are one. In place of the blocks of
 * an entry that cannot be sent stands one EntryFailed, and in place of a block that the receiver has, Same.
 */
export const recordsOf = (
  { blocks, lease }: Loaded,
  failed: ReadonlyMap<number, string>,
  compared: ReadonlyMap<number, Bytes32>
): ReadonlyArray<Uint8Array> => {
  const records: Array<Uint8Array> = []
  let from = 0
  let to = 0
  let told = -1
  const cut = (next: number) => {
    if (to > from && lease !== undefined) records.push(lease.buffer.subarray(from, to))
    from = next
    to = next
  }
  for (const { entry, number, record } of blocks) {
    const theirs = compared.get(number)
    if (record === undefined) {
      cut(to)
      const reason = failed.get(entry) ?? "it cannot be read"
      if (told !== entry) records.push(encodeFrame({ _tag: "EntryFailed", entry, reason }))
      told = entry
    } else if (theirs !== undefined && theirs === base32(record.digest)) {
      cut(to)
      records.push(encodeFrame({ _tag: "Same", number }))
    } else {
      if (to !== record.from) cut(record.from)
      to = record.to
    }
  }
  cut(to)
  return records
}

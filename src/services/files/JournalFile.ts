/**
 * Journals and lists in files that grow: read back record by record, never all at once, and cut at the first record
 * that is not whole. Appending is in the order of the calls. Owns nothing: the files belong to whoever opened them.
 */
import * as Effect from "effect/Effect"
import type { EntryList } from "../../schema/EntryList.ts"
import { encode, frame, type JournalRecord, recordMaxBytes, replay, unframe } from "../../schema/Journal.ts"
import { ManifestDigest, pageText, parsePage } from "../../schema/ManifestText.ts"
import type { AppendFile, FileStoreError } from "../FileStore.ts"

/** Read at once; more than any record. */
const readBytes = 2 * recordMaxBytes

/** Written at once. */
const writeBytes = 1024 * 1024

const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  if (a.length === 0) return b
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** Feeds the file to `take`, which says how many of the bytes it has used up; returns the offset of the first not used. */
const feed = Effect.fnUntraced(function* (file: AppendFile, take: (bytes: Uint8Array) => number) {
  let rest: Uint8Array = new Uint8Array(0)
  let used = 0
  for (let offset = 0; ;) {
    const bytes = yield* file.read(offset, readBytes)
    offset += bytes.length
    rest = concat(rest, bytes)
    const taken = take(rest)
    used += taken
    rest = rest.slice(taken)
    // Nothing more, or something that no record is as long as: what is left makes no sense.
    if (bytes.length < readBytes || rest.length >= readBytes) return used
    yield* Effect.yieldNow
  }
})

/** Reads a journal back and cuts off what cannot be believed. `each` returns false to stop: nothing is cut then. */
export const readJournal = Effect.fn("JournalFile.read")(function* (
  file: AppendFile,
  each: (record: JournalRecord) => boolean | void
): Effect.fn.Return<void, FileStoreError> {
  let stopped = false
  const used = yield* feed(file, (bytes) => {
    const { length, records } = replay(bytes)
    for (const record of records) stopped ||= each(record) === false
    return stopped ? 0 : length
  })
  if (!stopped) yield* file.cut(used)
})

/** Appends records; durable when it returns, unless told otherwise. */
export const appendRecords = Effect.fn("JournalFile.append")(function* (
  file: AppendFile,
  records: Iterable<JournalRecord>,
  options: { readonly isLazy?: boolean } = {}
): Effect.fn.Return<void, FileStoreError> {
  let waiting: Array<Uint8Array> = []
  let bytes = 0
  for (const record of records) {
    const encoded = encode(record)
    waiting.push(encoded)
    bytes += encoded.length
    if (bytes < writeBytes) continue
    yield* file.append(Buffer.concat(waiting))
    waiting = []
    bytes = 0
  }
  if (bytes > 0) yield* file.append(Buffer.concat(waiting))
  if (options.isLazy !== true) yield* file.sync
})

/** Writes the whole list, durably; returns its digest. */
export const writeManifest = Effect.fn("JournalFile.writeManifest")(function* (file: AppendFile, entries: EntryList) {
  // What an interrupted run has written of it may be another list.
  yield* file.cut(0)
  const digest = new ManifestDigest()
  for (let page = 0; page < entries.pages; page++) {
    const body = Buffer.from(pageText(entries, page))
    digest.add(body)
    yield* file.append(frame(body))
  }
  yield* file.sync
  return digest.hex
})

/** Reads a list back into an empty one; its digest, or undefined where it is not whole. */
export const readManifest = Effect.fn("JournalFile.readManifest")(function* (file: AppendFile, into: EntryList) {
  const digest = new ManifestDigest()
  let isGood = true
  yield* feed(file, (bytes) => {
    let used = 0
    for (let found = unframe(bytes, 0); found !== undefined && isGood; found = unframe(bytes, used)) {
      digest.add(found.body)
      const entries = parsePage(Buffer.from(found.body).toString())
      isGood = entries !== undefined && entries.every((entry) => into.append(entry))
      used = found.next
    }
    return used
  })
  return isGood ? digest.hex : undefined
})

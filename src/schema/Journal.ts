/**
 * The journal of a transfer: what is safely on disk, as records appended to one file beside what they speak of.
 *
 * A record is a 4-byte big-endian length, the CRC-32 of the body (4 bytes), and the body: UTF-8 JSON, the encoding of
 * one `JournalRecord`. Records are written only after what they speak of was synced. A crash may leave a torn last
 * record, or one whose bytes never reached the disk: reading stops at the first record that is not whole, and what
 * follows it is not believed. Pure.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { crc32 } from "node:zlib"
import type { Digests } from "./Digests.ts"
import { GroupId, TransferId } from "./Id.ts"
import { Totals } from "./Manifest.ts"
import { ConflictPolicy, EntryProblem, Transfer } from "./Offer.ts"
import { PeerId } from "./PeerId.ts"
import type { Range } from "./Ranges.ts"

/** Another layout is another version; a journal of a newer one is refused, never guessed at. */
export const journalVersion = 1

/** Largest body of one record. */
export const recordMaxBytes = 1024 * 1024

/** Blocks, and ranges, in one record. */
const blocksPerRecord = 4096
export const rangesPerRecord = 4096

const headBytes = 8

const Count = Schema.Natural
const ranges = Schema.Array(Schema.Tuple([Count, Count]))

export const JournalRecord = Schema.TaggedUnion({
  /** First, always, of what is kept of one transfer. */
  Begun: {
    version: Schema.Literal(journalVersion),
    transfer: TransferId,
    group: GroupId,
    peer: PeerId,
    role: Schema.Literals(["send", "receive"]),
    name: Schema.String,
    startedAt: Schema.Natural
  },
  /** First, always, of what is kept of a group: what was picked, once for all its transfers. */
  Gathered: { version: Schema.Literal(journalVersion), group: GroupId },
  /** Sender: a file or directory that a person picked, and the name it is offered under. */
  Picked: { as: Schema.String, path: Schema.String, name: Schema.String, kind: Schema.Literals(["f", "d"]) },
  /**
   * The list is whole, in the file `manifest` beside this one. `manifest` is its digest, hex: a resumed transfer is of
   * the same list or it is another one. `problems` names what was left out, as far as it is listed.
   */
  Listed: {
    manifest: Schema.String,
    totals: Totals,
    problems: Schema.Array(EntryProblem),
    problemCount: Count
  },
  /** Receiver, in its data directory: where the data and its journal are. */
  Staged: { root: Schema.String, staging: Schema.String },
  /** Receiver: entries (`[first, count]`) that are not stored here. */
  LeftOut: { entries: ranges },
  /** The offer was taken. At the receiver, how names that exist are treated. */
  Accepted: { conflict: Schema.NullOr(ConflictPolicy) },
  /**
   * Blocks `first` on; one 32-byte digest each, base64 in one piece. At the receiver they are on disk and synced; at the
   * sender that is what was sent.
   */
  Blocks: { first: Count, digests: Schema.String },
  /**
   * Receiver: the sender has the same blocks as the files that are in the receive folder already. `marks`: of each of
   * those files, in order, what it was when its blocks were read.
   */
  Same: { first: Count, digests: Schema.String, marks: Schema.Array(Count) },
  /** Sender: the receiver says that it has these blocks (`[first, count]`) safely. */
  Safe: { ranges },
  /** This entry will not arrive. */
  Failed: { entry: Count, reason: Schema.String },
  /** About to publish these top entries under these names: after a crash, look there before publishing again. */
  Publishing: { moves: Schema.Array(Schema.Struct({ top: Schema.String, name: Schema.String })) },
  Published: { moves: Schema.Array(Schema.Struct({ top: Schema.String, path: Schema.String })) },
  Paused: { by: Schema.Literals(["here", "there"]) },
  Resumed: {},
  /** Another run took it up. */
  Reopened: {},
  /** Last, if anything is: how it ended, as it was shown. */
  Ended: { view: Transfer }
})
export type JournalRecord = typeof JournalRecord.Type

const Json = Schema.fromJsonString(JournalRecord)
const encodeJson = Schema.encodeSync(Json)
const decodeJson = Schema.decodeUnknownExit(Json)
const encoder = new TextEncoder()
const utf8 = new TextDecoder("utf-8", { fatal: true })

/** A body with its length and checksum before it. */
export const frame = (body: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(headBytes + body.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, body.length)
  view.setUint32(4, crc32(body))
  bytes.set(body, headBytes)
  return bytes
}

/** The body that begins here, if it is whole and right, and where the next one begins. */
export const unframe = (
  bytes: Uint8Array,
  at: number
): { readonly body: Uint8Array; readonly next: number } | undefined => {
  if (bytes.length - at < headBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(at)
  const next = at + headBytes + length
  if (length === 0 || length > recordMaxBytes || next > bytes.length) return undefined
  const body = bytes.subarray(at + headBytes, next)
  return crc32(body) === view.getUint32(at + 4) ? { body, next } : undefined
}

/** The bytes of one record. */
export const encode = (record: JournalRecord): Uint8Array => frame(encoder.encode(encodeJson(record)))

/** What a journal's bytes say, as far as they can be believed. */
interface Replay {
  readonly records: ReadonlyArray<JournalRecord>
  /** Bytes of whole records: a file longer than this has a torn tail, to be cut off before anything is appended. */
  readonly length: number
}

const decodeOne = (body: Uint8Array): JournalRecord | undefined => {
  try {
    const decoded = decodeJson(utf8.decode(body))
    return Exit.isSuccess(decoded) ? decoded.value : undefined
  } catch {
    return undefined
  }
}

/** Reads records until the bytes end or stop making sense. Never fails: what cannot be believed is not there. */
export const replay = (bytes: Uint8Array): Replay => {
  const records: Array<JournalRecord> = []
  let length = 0
  for (let found = unframe(bytes, 0); found !== undefined; found = unframe(bytes, length)) {
    const record = decodeOne(found.body)
    if (record === undefined) break
    records.push(record)
    length = found.next
  }
  return { records, length }
}

/** Digests of blocks that follow each other, as a record has them. */
export const packDigests = (digests: ReadonlyArray<Uint8Array>): string => Buffer.concat(digests).toString("base64")

/** And back; a remainder that is no whole digest is dropped. */
export const unpackDigests = (packed: string): Array<Uint8Array> => {
  const bytes = Buffer.from(packed, "base64")
  return Array.from({ length: Math.floor(bytes.length / 32) }, (_, i) => bytes.subarray(i * 32, i * 32 + 32))
}

/** Runs that are each short enough for one record. */
export function* inRecords(ranges: ReadonlyArray<Range>): Generator<Range> {
  for (const [start, total] of ranges) {
    for (let first = start; first < start + total; first += blocksPerRecord) {
      yield [first, Math.min(blocksPerRecord, start + total - first)]
    }
  }
}

/** These blocks with their digests, each run as far as they are known. */
export function* blockRecords(digests: Digests, ranges: ReadonlyArray<Range>): Generator<JournalRecord> {
  for (const [first, count] of inRecords(ranges)) {
    const known: Array<Uint8Array> = []
    for (let number = first; number < first + count; number++) {
      const digest = digests.get(number)
      if (digest === undefined) break
      known.push(digest)
    }
    if (known.length > 0) yield { _tag: "Blocks", first, digests: packDigests(known) }
  }
}

/**
 * What travels on a data link: one lane of one transfer.
 *
 * Both directions carry records: a byte of kind, a 4-byte big-endian length, and a body. A `frame` record's
 * body is JSON, as on a control link (`DataFrame`). A `block` record's body is an 8-byte big-endian block
 * number, the block's SHA-256 (32 bytes), and the block's bytes; the length counts all three. The receiver
 * pulls: it asks with frames and is answered with frames and blocks. Pure.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { codec } from "./FrameCodec.ts"
import { Bytes32, TransferId } from "./Id.ts"
import { blockMaxBytes, Entry, LeftOut, pageMaxBytes, Size, Totals } from "./Manifest.ts"
import { Reason } from "./Text.ts"

const Number_ = Schema.Natural

/** Most blocks asked for and not yet answered, on one lane. */
export const wantsMax = 4096

export const DataFrame = Schema.TaggedUnion({
  /** First, from the side that dialled. The TLS session says who asks; a higher attempt takes over the lane. */
  Attach: { transfer: TransferId, lane: Number_, attempt: Number_ },
  AttachReply: { accepted: Schema.Boolean, reason: Reason },
  /** Receiver: send me this page of the manifest. */
  WantPage: { page: Number_ },
  /** Sender: that page. The last one states the totals, and what was left out. */
  Page: {
    page: Number_,
    entries: Schema.Array(Entry),
    totals: Schema.optionalKey(Totals),
    leftOut: Schema.optionalKey(LeftOut)
  },
  /** Sender, while a page that is wanted is not full yet: how far its list has come. */
  Listing: { files: Number_, directories: Number_, bytes: Size },
  /**
   * Receiver, before it wants blocks, where it does not take all: the ranges (`[first, count]`) of entries that it
   * takes, by their index in the manifest, in order; `last` with the last of them.
   */
  Taken: {
    ranges: Schema.Array(Schema.Tuple([Number_, Number_])).check(Schema.isMaxLength(4096)),
    last: Schema.Boolean
  },
  /** Receiver: send me blocks `first` to `first + count - 1`. */
  Want: { first: Number_, count: Number_.check(Schema.isBetween({ minimum: 1, maximum: wantsMax })) },
  /** Receiver: what I have in place of this block has this digest (SHA-256). Answered by Same or by the block. */
  Compare: { number: Number_, digest: Bytes32 },
  /** Sender, in place of the bytes of a block that was compared: it has that digest. */
  Same: { number: Number_ },
  /** Receiver: these ranges (`[first, count]`) are on disk and will not be asked for again. */
  Safe: { ranges: Schema.Array(Schema.Tuple([Number_, Number_])).check(Schema.isMaxLength(4096)) },
  /** Sender, in place of the wanted blocks of this entry (its index in the manifest): it cannot be sent. */
  EntryFailed: { entry: Number_, reason: Reason }
})
export type DataFrame = typeof DataFrame.Type

export const { decode, encode: encodeFramed } = codec(DataFrame, new Set(Object.keys(DataFrame.cases)))

/** Kind and length. */
export const headerBytes = 5

/** Number and digest, the head of a block record's body. */
export const blockHeadBytes = 8 + 32

export const kinds = { frame: 1, block: 2 } as const

interface Header {
  readonly kind: "frame" | "block"
  /** Bytes of body that follow. */
  readonly length: number
}

/** The other side sent what this protocol does not have; the link ends. */
export class RecordError extends Schema.TaggedError<RecordError>()("RecordError", { detail: Schema.String }) {
  override get message(): string {
    return `bad record on a data link: ${this.detail}`
  }
}

/** Reads a record's 5-byte header and checks its length before anything is set aside for it. */
export const decodeHeader = (bytes: Uint8Array): Result.Result<Header, RecordError> => {
  if (bytes.length < headerBytes) return Result.fail(new RecordError({ detail: `a head of ${bytes.length} bytes` }))
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
  const kind = view.getUint8(0)
  const length = view.getUint32(1)
  if (kind === kinds.frame) {
    return length >= 1 && length <= pageMaxBytes
      ? Result.succeed({ kind: "frame", length })
      : Result.fail(new RecordError({ detail: `a frame of ${length} bytes, of at most ${pageMaxBytes}` }))
  }
  if (kind === kinds.block) {
    return length > blockHeadBytes && length <= blockHeadBytes + blockMaxBytes
      ? Result.succeed({ kind: "block", length })
      : Result.fail(
          new RecordError({ detail: `a block of ${length - blockHeadBytes} bytes, of at most ${blockMaxBytes}` })
        )
  }
  return Result.fail(new RecordError({ detail: `an unknown kind of record, ${kind}` }))
}

/** A frame as a record. */
export const encodeFrame = (frame: DataFrame): Uint8Array => {
  const framed = encodeFramed(frame)
  const bytes = new Uint8Array(framed.length + 1)
  bytes[0] = kinds.frame
  bytes.set(framed, 1)
  return bytes
}

/** The 45 bytes that stand before a block's bytes. */
export const encodeBlockHead = (block: {
  readonly number: number
  readonly digest: Uint8Array
  readonly length: number
}) => {
  const bytes = new Uint8Array(headerBytes + blockHeadBytes)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, kinds.block)
  view.setUint32(1, blockHeadBytes + block.length)
  view.setBigUint64(5, BigInt(block.number))
  bytes.set(block.digest, 13)
  return bytes
}

/** Number and digest from the first 40 bytes of a block record's body. */
export const decodeBlockHead = (
  bytes: Uint8Array
): Result.Result<{ readonly number: number; readonly digest: Uint8Array }, RecordError> => {
  if (bytes.length < blockHeadBytes) {
    return Result.fail(new RecordError({ detail: `a block's head of ${bytes.length} bytes` }))
  }
  const number = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0)
  return number > BigInt(Number.MAX_SAFE_INTEGER)
    ? Result.fail(new RecordError({ detail: `block number ${number}` }))
    : Result.succeed({ number: Number(number), digest: new Uint8Array(bytes.subarray(8, blockHeadBytes)) })
}

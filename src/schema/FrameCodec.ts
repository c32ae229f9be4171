/**
 * How frames are cut from a stream of bytes, decoded and encoded. On the wire a frame is a 4-byte big-endian length and
 * that many bytes of UTF-8 JSON, the encoding of a tagged union. A bad length, UTF-8 or JSON ends the link (`FrameError`);
 * what else a frame may turn out to be is `Decoded`. Pure.
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The stream of bytes is not frames: nothing after this point can be understood. */
export class FrameError extends Schema.TaggedError<FrameError>()("FrameError", {
  problem: Schema.Literals(["length", "utf8", "json"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `bad ${this.problem} in a frame: ${this.detail}`
  }
}

/** What one frame's bytes turned out to be. */
export type Decoded<A> =
  | { readonly _tag: "Known"; readonly frame: A }
  | { readonly _tag: "Unknown"; readonly tag: string }
  | { readonly _tag: "Invalid"; readonly tag: string; readonly reason: string }

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** A union's encoder and decoder between values and the bodies of frames. */
export const codec = <A extends { readonly _tag: string }>(
  schema: Schema.Codec<A, unknown>,
  known: ReadonlySet<string>
) => {
  const decodeUnknown = Schema.decodeUnknownResult(schema)
  const encodeSync = Schema.encodeUnknownSync(schema)

  const decode = (body: Uint8Array): Result.Result<Decoded<A>, FrameError> => {
    let text: string
    try {
      text = utf8.decode(body)
    } catch {
      return Result.fail(new FrameError({ problem: "utf8", detail: `${body.length} bytes are not UTF-8` }))
    }
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      return Result.fail(new FrameError({ problem: "json", detail: `${body.length} bytes are not JSON` }))
    }
    if (!Predicate.hasProperty(json, "_tag") || typeof json._tag !== "string") {
      return Result.succeed({ _tag: "Invalid", tag: "?", reason: "a frame is an object with a _tag" })
    }
    const tag = json._tag
    if (!known.has(tag)) return Result.succeed({ _tag: "Unknown", tag: tag.slice(0, 16).toWellFormed() || "?" })
    return Result.succeed(
      Result.match(decodeUnknown(json), {
        onSuccess: (frame): Decoded<A> => ({ _tag: "Known", frame }),
        onFailure: (error): Decoded<A> => ({
          _tag: "Invalid",
          tag,
          reason: error.message.replace(/\s+/g, " ").slice(0, 160).toWellFormed()
        })
      })
    )
  }

  /** The frame with its length before it, ready to write. */
  const encode = (frame: A): Uint8Array => {
    const body = encoder.encode(JSON.stringify(encodeSync(frame)))
    const bytes = new Uint8Array(4 + body.length)
    new DataView(bytes.buffer).setUint32(0, body.length)
    bytes.set(body, 4)
    return bytes
  }

  return { decode, encode }
}

/**
 * Cuts a stream of bytes into the bodies of frames, however it was split. A length over the limit is refused
 * when its four bytes are there, before anything is set aside for it.
 */
export class Splitter {
  /** Unread bytes stand from `start` to `end`. One growing buffer: a peer that sends byte by byte costs no more. */
  private buffer = new Uint8Array(0)
  private start = 0
  private end = 0
  private limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  /** The limit for the frames still to come, raised once the peer is known. */
  setLimit(limit: number): void {
    this.limit = limit
  }

  /** Bytes of an unfinished frame held here. */
  get buffered(): number {
    return this.end - this.start
  }

  /** Adds bytes (copied, so they may be reused by the caller). */
  push(bytes: Uint8Array): void {
    if (this.end + bytes.length > this.buffer.length) this.makeRoom(bytes.length)
    this.buffer.set(bytes, this.end)
    this.end += bytes.length
  }

  /** The next whole body; undefined until more bytes come. */
  next(): Result.Result<Uint8Array | undefined, FrameError> {
    if (this.buffered < 4) return Result.succeed(undefined)
    const length = new DataView(this.buffer.buffer, this.start, 4).getUint32(0)
    if (length === 0 || length > this.limit) {
      return Result.fail(new FrameError({ problem: "length", detail: `${length} bytes, of at most ${this.limit}` }))
    }
    if (this.buffered < 4 + length) return Result.succeed(undefined)
    const body = this.buffer.slice(this.start + 4, this.start + 4 + length)
    this.start += 4 + length
    if (this.buffered === 0) {
      this.start = 0
      this.end = 0
      // A link is mostly idle: it keeps what ordinary frames need, not what its largest one did.
      if (this.buffer.length > keptBytes) this.buffer = new Uint8Array(0)
    }
    return Result.succeed(body)
  }

  /** Moves what is unread to the front of a buffer that holds this many bytes more. */
  private makeRoom(count: number): void {
    const unread = this.buffer.subarray(this.start, this.end)
    const needed = unread.length + count
    if (needed > this.buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.buffer.length))
      larger.set(unread)
      this.buffer = larger
    } else {
      this.buffer.copyWithin(0, this.start, this.end)
    }
    this.end = unread.length
    this.start = 0
  }
}

/** Buffer space that a link keeps between frames. */
const keptBytes = 16 * 1024

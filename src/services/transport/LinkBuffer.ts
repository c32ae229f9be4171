/**
 * The receiving half of a link: chunks go in as they arrive, `read` and `readFully` take bytes out, in order, until
 * the end. It knows nothing of sockets, so the simulated transport uses the same one.
 *
 * It owns what has arrived and nobody has read, which is bounded by whoever pushes: above `highWater` it asks for a
 * pause (`isFull`), and calls `onRoom` once there is room again. It ends with `end` (after what has arrived) or
 * `discard` (at once). One reader at a time.
 */
import * as Effect from "effect/Effect"
import type { LinkClosed } from "../Transport.ts"

/** Small chunks share a segment of this size: a peer that sends single bytes must not cost an object for each. */
const segmentBytes = 16 * 1024

/** An owned chunk of at least this size is kept as it is; a smaller one is cheaper to copy. */
const keepBytes = 4 * 1024

interface Segment {
  readonly bytes: Uint8Array
  start: number
  end: number
  /** Whether bytes may be appended: a chunk that was kept is not ours to write into. */
  readonly open: boolean
}

/** A reader that waits, and the block it wants filled; without one it wants whatever comes. */
interface Waiting {
  readonly into: Uint8Array | undefined
  filled: number
  readonly resume: (result: Effect.Effect<Uint8Array, LinkClosed>) => void
}

const nothing = new Uint8Array(0)

/** Not `slice`: that of a Node Buffer copies nothing. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

/** Node's own copy: that of typed arrays is three times as slow into memory that threads share. */
export const copyInto = (into: Uint8Array, at: number, from: Uint8Array, start = 0, end = from.length): void => {
  Buffer.prototype.copy.call(from, into, at, start, end)
}

export class LinkBuffer {
  readonly #highWater: number
  readonly #onRoom: () => void
  #segments: Array<Segment> = []
  #size = 0
  #waiting: Waiting | undefined
  #closed: LinkClosed | undefined
  #roomWanted = false

  constructor(options: {
    /** Bytes above which the pushing side should pause. */
    readonly highWater: number
    /** Called when at most half of that is left, or a reader waits, after `isFull` had been seen. */
    readonly onRoom: () => void
  }) {
    this.#highWater = options.highWater
    this.#onRoom = options.onRoom
  }

  /** Bytes that have arrived and are not read. */
  get size(): number {
    return this.#size
  }

  /** True above `highWater`: whoever sees it pauses, and hears of room by `onRoom`. */
  get isFull(): boolean {
    if (this.#size <= this.#highWater) return false
    this.#roomWanted = true
    return true
  }

  /** Why nothing more will arrive, if it is so. What has arrived before may still be unread. */
  get closed(): LinkClosed | undefined {
    return this.#closed
  }

  /**
   * Takes bytes that arrived. Of a `borrowed` chunk nothing is kept after the return; an `owned` one is never changed
   * by anyone again. After the end it does nothing.
   */
  push(chunk: Uint8Array, ownership: "owned" | "borrowed"): void {
    if (this.#closed !== undefined || chunk.length === 0) return
    const waiting = this.#waiting
    if (waiting === undefined) return this.#append(chunk, ownership)
    // The reader may read again before `resume` returns: everything must be in its place by then.
    if (waiting.into === undefined) {
      this.#waiting = undefined
      return waiting.resume(Effect.succeed(ownership === "owned" ? chunk : copyOf(chunk)))
    }
    const wanted = waiting.into.length - waiting.filled
    if (chunk.length < wanted) {
      copyInto(waiting.into, waiting.filled, chunk)
      waiting.filled += chunk.length
      return
    }
    copyInto(waiting.into, waiting.filled, chunk, 0, wanted)
    this.#waiting = undefined
    if (chunk.length > wanted) this.#append(chunk.subarray(wanted), ownership)
    waiting.resume(Effect.succeed(waiting.into))
  }

  /** Nothing more will arrive. What has arrived can still be read; then every read fails with this. */
  end(closed: LinkClosed): void {
    if (this.#closed !== undefined) return
    this.#closed = closed
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resume(Effect.fail(closed))
  }

  /** Drops what has arrived: from now on every read fails. */
  discard(closed: LinkClosed): void {
    this.#segments = []
    this.#size = 0
    this.end(closed)
  }

  /** The next bytes, at least one. They are the caller's until the next read. */
  readonly read: Effect.Effect<Uint8Array, LinkClosed> = Effect.suspend(() => {
    const head = this.#shift()
    return head === undefined ? this.#wait(undefined, 0) : Effect.succeed(head)
  })

  /** Fills all of `into`. Interrupting it loses nothing: the next read begins where this one did. */
  readFully(into: Uint8Array): Effect.Effect<void, LinkClosed> {
    return Effect.suspend(() => {
      const filled = this.#take(into)
      this.#noteRoom()
      return filled === into.length ? Effect.void : Effect.asVoid(this.#wait(into, filled))
    })
  }

  #wait(into: Uint8Array | undefined, filled: number): Effect.Effect<Uint8Array, LinkClosed> {
    return Effect.callback((resume) => {
      if (this.#waiting !== undefined) return resume(Effect.die(new Error("a link has one reader at a time")))
      // The fiber may have given way between looking and coming here: what arrived meanwhile is first.
      const head = into === undefined ? this.#shift() : undefined
      if (head !== undefined) return resume(Effect.succeed(head))
      const more = into === undefined ? 0 : this.#take(into.subarray(filled))
      if (into !== undefined && filled + more === into.length) {
        this.#noteRoom()
        return resume(Effect.succeed(into))
      }
      const waiting: Waiting = { into, filled: filled + more, resume }
      if (this.#closed !== undefined) return resume(Effect.fail(this.#closed))
      this.#waiting = waiting
      this.#noteRoom()
      return Effect.sync(() => this.#forget(waiting))
    })
  }

  /** An interrupted reader: what was put into its block goes back to where it came from. */
  #forget(waiting: Waiting): void {
    if (this.#waiting !== waiting) return
    this.#waiting = undefined
    if (waiting.filled === 0) return
    const bytes = copyOf((waiting.into ?? nothing).subarray(0, waiting.filled))
    this.#segments.unshift({ bytes, start: 0, end: bytes.length, open: false })
    this.#size += bytes.length
  }

  #append(chunk: Uint8Array, ownership: "owned" | "borrowed"): void {
    this.#size += chunk.length
    if (ownership === "owned" && chunk.length >= keepBytes) {
      this.#segments.push({ bytes: chunk, start: 0, end: chunk.length, open: false })
      return
    }
    const tail = this.#segments.at(-1)
    if (tail?.open === true && tail.bytes.length - tail.end >= chunk.length) {
      tail.bytes.set(chunk, tail.end)
      tail.end += chunk.length
      return
    }
    // A reader that keeps up leaves nothing behind, so the first segment is small.
    const bytes = new Uint8Array(Math.max(tail === undefined ? segmentBytes / 16 : segmentBytes, chunk.length))
    bytes.set(chunk)
    this.#segments.push({ bytes, start: 0, end: chunk.length, open: true })
  }

  /** The first of what has arrived. */
  #shift(): Uint8Array | undefined {
    const head = this.#segments.shift()
    if (head === undefined) return undefined
    this.#size -= head.end - head.start
    this.#noteRoom()
    return head.bytes.subarray(head.start, head.end)
  }

  /** Moves what is there into `into`, and says how much that was. */
  #take(into: Uint8Array): number {
    let filled = 0
    for (let head = this.#segments[0]; head !== undefined && filled < into.length; head = this.#segments[0]) {
      const count = Math.min(head.end - head.start, into.length - filled)
      copyInto(into, filled, head.bytes, head.start, head.start + count)
      filled += count
      head.start += count
      if (head.start === head.end) this.#segments.shift()
    }
    this.#size -= filled
    return filled
  }

  #noteRoom(): void {
    if (!this.#roomWanted || (this.#size > this.#highWater / 2 && this.#waiting === undefined)) return
    this.#roomWanted = false
    this.#onRoom()
  }
}

/**
 * One end of a simulated link, where it is, and the direction that leads away from it, which keeps its order. It
 * behaves like TCP under TLS. What is written arrives one latency later; at most `windowBytes` are on their way or
 * unread, then the writer waits. While the path is interrupted the bytes wait, and arrive after it is whole again, as
 * retransmitted ones would. Bytes for an end that is gone are answered by a reset.
 *
 * An end belongs to the scope it was acquired in: `destroy` resets the link, unless `close` ended it first.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { LinkBuffer } from "../services/transport/LinkBuffer.ts"
import { LinkClosed } from "../services/Transport.ts"
import type { Kind } from "./History.ts"
import type { Medium } from "./Medium.ts"
import type { SimulatedRandom } from "./SimulatedRandom.ts"
import { micros } from "./Plan.ts"
import { notice, type Place } from "./Host.ts"

/** Bytes written and not yet read in one direction: what two kernels would hold. */
export const windowBytes = 256 * 1024

/** The most that travels as one. */
const segmentBytes = 64 * 1024

/** What TCP waits at least before it sends again. */
const retransmission = micros("200 millis")

/** `close` waits this long for its bytes to arrive. */
const closeWait = micros("1 second")

/** Something on its way: it happens at the other end, in its order. A reset is not sent again when it is lost. */
interface Segment {
  readonly isReset: boolean
  readonly arrive: () => void
}

interface Underway extends Segment {
  /** `#drops` when it was sent. */
  readonly drops: number
}

/** What an end knows of its link. */
export interface Between {
  readonly medium: Medium
  /** Nothing arrives any more, and nobody is told. */
  readonly isHalfOpen: boolean
  readonly other: (end: LinkEnd) => LinkEnd
  readonly note: (kind: Kind, from: LinkEnd, bytes?: Uint8Array, detail?: string) => void
  readonly forgetIfGone: () => void
}

export class LinkEnd {
  readonly #link: Between
  readonly #random: SimulatedRandom
  readonly place: Place
  readonly name: string
  readonly buffer: LinkBuffer
  /** Sent, not yet at the other end. */
  #transit = 0
  #lastArrival = 0
  #lineFree = 0
  #held: Array<Underway> = []
  #writer: (() => void) | undefined
  #finished: Deferred.Deferred<void> | undefined
  /** Why writes fail, once they do. */
  over: LinkClosed | undefined
  /** Nobody owns it any more. */
  isGone = false
  /** Counts its ends with its machine: what it had sent before is not sent again. */
  #drops = 0

  constructor(link: Between, place: Place, name: string, random: SimulatedRandom) {
    this.#link = link
    this.#random = random
    this.place = place
    this.name = name
    this.buffer = new LinkBuffer({ highWater: windowBytes / 2, onRoom: () => this.#far.#noteRoom() })
  }

  get #far(): LinkEnd {
    return this.#link.other(this)
  }

  /** Bytes that may be written now. */
  get #room(): number {
    return windowBytes - this.#transit - this.#far.buffer.size
  }

  /** Asking a full buffer makes it tell us when that changes. */
  #hasRoom(): boolean {
    if (this.#room > 0) return true
    void this.#far.buffer.isFull
    return false
  }

  #noteRoom(): void {
    if (this.#writer === undefined || (this.over === undefined && !this.#hasRoom())) return
    const resume = this.#writer
    this.#writer = undefined
    notice(this.place.host, resume)
  }

  private readonly awaitRoom = Effect.callback<void>((resume) => {
    if (this.#writer !== undefined) return resume(Effect.die(new Error("a link has one writer at a time")))
    if (this.over !== undefined || this.#hasRoom()) return resume(Effect.void)
    const writer = () => resume(Effect.void)
    this.#writer = writer
    return Effect.sync(() => {
      if (this.#writer === writer) this.#writer = undefined
    })
  })

  readonly write = (...chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, LinkClosed> =>
    Effect.suspend(() => this.#writeAll(new Chunks(chunks)))

  #writeAll(left: Chunks): Effect.Effect<void, LinkClosed> {
    for (let room = this.#room; this.over === undefined && room > 0; room = this.#room) {
      if (left.size === 0) return Effect.void
      this.#sendBytes(left.take(Math.min(room, segmentBytes)))
    }
    if (this.over !== undefined) return Effect.fail(this.over)
    return Effect.flatMap(this.awaitRoom, () => this.#writeAll(left))
  }

  #sendBytes(bytes: Uint8Array): void {
    this.#transit += bytes.length
    this.#send(bytes.length, {
      isReset: false,
      arrive: () => {
        this.#transit -= bytes.length
        this.#far.#receive(bytes)
        this.#noteRoom()
      }
    })
  }

  #receive(bytes: Uint8Array): void {
    this.#link.note("data", this.#far, bytes)
    if (this.isGone) return this.#sendReset("nobody reads it")
    this.buffer.push(bytes, "owned")
  }

  /** Puts it on the line: it arrives after all that was sent before it. */
  #send(size: number, segment: Segment): void {
    const { timeline, topology } = this.#link.medium
    const conditions = topology.conditions(this.place, this.#far.place)
    const now = timeline.now()
    this.#lineFree = Math.max(now, this.#lineFree) + (size * 1_000_000) / (conditions.bandwidth ?? Infinity)
    const jitter = conditions.jitter === 0 ? 0 : this.#random.next() * conditions.jitter
    const underway = { ...segment, drops: this.#drops }
    this.#lastArrival = Math.max(this.#lastArrival, Math.round(this.#lineFree + conditions.latency + jitter))
    timeline.schedule(this.#lastArrival - now, () => this.#arrive(underway))
  }

  #arrive(segment: Underway): void {
    if (this.#link.isHalfOpen || segment.drops !== this.#drops) return this.#link.note("vanished", this)
    const isWhole = this.#link.medium.topology.reaches(this.place, this.#far.place)
    if (isWhole && this.#held.length === 0) return notice(this.#far.place.host, segment.arrive)
    // What comes while others still wait to be sent again has to wait with them.
    if (isWhole || !segment.isReset) this.#held.push(segment)
  }

  /** The path may be whole again: what waited is sent once more, unless its sender is gone with its machine. */
  resume(): void {
    const { timeline, topology } = this.#link.medium
    if (this.#held.length === 0 || !topology.reaches(this.place, this.#far.place)) return
    const held = this.#held
    const latency = topology.conditions(this.place, this.#far.place).latency
    timeline.schedule(retransmission + latency, () => {
      // Interrupted again meanwhile: all of it goes on waiting.
      if (this.#held !== held || !topology.reaches(this.place, this.#far.place)) return
      this.#held = []
      for (const segment of held) this.#arrive(segment)
    })
  }

  #end(closed: LinkClosed): void {
    this.over ??= closed
    this.buffer.end(closed)
    this.#noteRoom()
  }

  #sendReset(reason: string): void {
    this.#send(0, {
      isReset: true,
      arrive: () => {
        this.#link.note("reset", this, undefined, reason)
        this.#far.#end(new LinkClosed({ clean: false, reason: "the other side reset it" }))
        this.#link.forgetIfGone()
      }
    })
  }

  /** The dialler's last message of the handshake, on which the other side's handler starts. */
  open(handshaken: () => void): void {
    this.#send(0, {
      isReset: false,
      arrive: () => {
        this.#link.note("linked", this)
        handshaken()
      }
    })
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isGone) return Effect.void
    if (this.over !== undefined) return Effect.sync(() => this.destroy())
    const finished = Deferred.makeUnsafe<void>()
    this.#finished = finished
    this.over = new LinkClosed({ clean: true, reason: "this node ended it" })
    this.buffer.discard(this.over)
    this.#noteRoom()
    this.#send(0, {
      isReset: false,
      arrive: () => {
        this.#link.note("close", this)
        this.#far.#end(new LinkClosed({ clean: true, reason: "the other side ended it" }))
        Deferred.doneUnsafe(finished, Effect.void)
      }
    })
    return Effect.raceFirst(Deferred.await(finished), this.#link.medium.timeline.sleep(closeWait)).pipe(
      Effect.ensuring(Effect.sync(() => this.destroy()))
    )
  })

  /** The end of its scope. A link that was not closed in order is reset. */
  destroy(): void {
    if (this.isGone) return
    const isOrderly = this.#finished !== undefined ? Deferred.isDoneUnsafe(this.#finished) : this.over !== undefined
    if (!isOrderly) this.#sendReset("dropped")
    this.#leave(this.over ?? new LinkClosed({ clean: false, reason: "this node dropped it" }))
    this.#link.forgetIfGone()
  }

  /** Without a word to the other side: its machine is gone, or both sides are told another way. */
  drop(reason: string): void {
    this.#leave(new LinkClosed({ clean: false, reason }))
    this.#held = []
    this.#drops++
  }

  #leave(closed: LinkClosed): void {
    this.isGone = true
    this.over ??= closed
    this.buffer.discard(this.over)
    this.#noteRoom()
  }
}

/** Bytes of several chunks, taken in order. */
class Chunks {
  #chunks: Array<Uint8Array>
  size: number

  constructor(chunks: ReadonlyArray<Uint8Array>) {
    this.#chunks = chunks.filter((chunk) => chunk.length > 0)
    this.size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  take(most: number): Uint8Array {
    const taken = new Uint8Array(Math.min(most, this.size))
    let filled = 0
    for (let head = this.#chunks[0]; head !== undefined && filled < taken.length; head = this.#chunks[0]) {
      const part = head.subarray(0, taken.length - filled)
      taken.set(part, filled)
      filled += part.length
      if (part.length === head.length) this.#chunks.shift()
      else this.#chunks[0] = head.subarray(part.length)
    }
    this.size -= filled
    return taken
  }
}

/**
 * Records over a link: the two ends of one lane of a transfer. It reads frames and blocks, writes them in whole
 * records, and says in one error why the lane is over. It owns nothing: the link belongs to whoever opened it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../../config.ts"
import {
  blockHeadBytes,
  type DataFrame,
  decode,
  decodeBlockHead,
  decodeHeader,
  encodeFrame,
  headerBytes
} from "../../schema/Block.ts"
import { helloMaxBytes } from "../../schema/Frame.ts"
import { pageMaxBytes } from "../../schema/Manifest.ts"
import type { Link, LinkClosed } from "../../services/Transport.ts"
import { type Arriving, LaneInput, recordHead } from "./LaneInput.ts"
import { type Gate, open } from "./RateLimiter.ts"

/**
 * Why a lane is over.
 * - lost: the link ended
 * - stalled: nothing moved for `limits.stalled`
 * - protocol: the other side said what it may not, so trying again is pointless
 * - corrupt: a block was not what its digest says
 * - refused: the other side does not want this lane
 */
export class LaneError extends Schema.TaggedError<LaneError>()("LaneError", {
  problem: Schema.Literals(["lost", "stalled", "protocol", "corrupt", "refused"]),
  detail: Schema.String
}) {
  override get message(): string {
    switch (this.problem) {
      case "lost":
        return `the data link was lost (${this.detail})`
      case "stalled":
        return `nothing moved for ${Duration.toSeconds(limits.stalled)} seconds`
      case "protocol":
        return `the other side broke the protocol: ${this.detail}`
      case "corrupt":
        return this.detail
      case "refused":
        return `the other side refused the data link: ${this.detail}`
    }
  }
}

/** What comes next on a lane. After a Block its `length` bytes are to be read with `body`. */
type Incoming = { readonly _tag: "Frame"; readonly frame: DataFrame } | Arriving

type Attach = Extract<DataFrame, { readonly _tag: "Attach" }>

/** A block is filled in pieces, so that a slow link is seen to move: small ones at first, and while it is slow. */
const pieceMax = 256 * 1024
const pieceFirst = 16 * 1024
const pieceMin = 4 * 1024

const lost = (closed: LinkClosed): LaneError => new LaneError({ problem: "lost", detail: closed.reason })

/** A broken rule, as an error. */
export const broken = (detail: string): LaneError => new LaneError({ problem: "protocol", detail })

export class DataLane {
  readonly link: Link
  /** Grows whenever something moves in either direction. */
  private moves = 0
  private piece = pieceFirst
  /** It waits for a speed cap of ours: that nothing moves is no fault of the link. */
  private held = false
  private readonly input = new LaneInput()
  private readonly head = new Uint8Array(recordHead)
  private readonly writing = Semaphore.makeUnsafe(1)
  /** Until the other side has said what it is here for, no more is set aside for it than before a Hello. */
  private frameMax: number = helloMaxBytes

  constructor(link: Link) {
    this.link = link
  }

  /** True while it is certain that more of a small block comes: `more` gets it. */
  get isPartial(): boolean {
    return this.input.isPartial
  }

  /** The next record, if it is a block that is here as a whole: `bodyNow` then has its bytes. */
  get here(): Arriving | undefined {
    return this.input.here
  }

  /** Waits for what comes next, and puts it behind what is here. */
  readonly more: Effect.Effect<void, LaneError> = Effect.suspend(() => {
    this.input.keep()
    return Effect.map(Effect.mapError(this.link.read, lost), (chunk) => {
      this.moves++
      this.input.put(chunk)
    })
  })

  /** Fills it from what is here; false, and nothing done, where that is not enough or not as fast as a gate lets. */
  bodyNow(into: Uint8Array, gate: Gate): boolean {
    if (this.input.left < into.length || gate.portion() !== Number.POSITIVE_INFINITY) return false
    this.input.give(into)
    this.moves++
    return true
  }

  /** The next record. Kinds of frames that are unknown here are skipped. */
  get read(): Effect.Effect<Incoming, LaneError> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        yield* this.fill(0, headerBytes)
        const header = yield* this.orBroken(decodeHeader(this.head))
        if (header.kind === "block") {
          yield* this.fill(headerBytes, blockHeadBytes)
          const block = yield* this.orBroken(decodeBlockHead(this.head.subarray(headerBytes)))
          return { _tag: "Block", ...block, length: header.length - blockHeadBytes } as const
        }
        if (header.length > this.frameMax) {
          return yield* broken(`its first record is ${header.length} bytes, of at most ${this.frameMax}`)
        }
        const body = new Uint8Array(header.length)
        yield* this.body(body)
        const decoded = yield* this.orBroken(decode(body))
        if (decoded._tag === "Known") return { _tag: "Frame", frame: decoded.frame } as const
        if (decoded._tag === "Invalid") return yield* broken(`a bad ${decoded.tag}: ${decoded.reason}`)
      }
    })
  }

  /** Fills all of `into` with what comes next, no faster than the gate lets. */
  body(into: Uint8Array, gate: Gate = open): Effect.Effect<void, LaneError> {
    const portion = gate.portion()
    if (portion !== Number.POSITIVE_INFINITY) return this.sip(into, gate)
    return this.take(into)
  }

  private take(into: Uint8Array): Effect.Effect<void, LaneError> {
    const here = this.input.give(into)
    this.moves++
    return here === into.length ? Effect.void : this.pull(into, here)
  }

  /** Fills it no faster than the gate lets. */
  private sip(into: Uint8Array, gate: Gate): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      for (let at = 0; at < into.length;) {
        const end = Math.min(into.length, at + gate.portion())
        yield* this.pass(gate, end - at)
        yield* this.take(into.subarray(at, end))
        at = end
      }
    })
  }

  private pass(gate: Gate, bytes: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.held = true
      return Effect.map(gate.pass(bytes), () => {
        this.held = false
        this.moves++
      })
    })
  }

  /** Writes records no faster than the gate lets. Nothing else may be written meanwhile. */
  writeThrough(records: ReadonlyArray<Uint8Array>, gate: Gate): Effect.Effect<void, LaneError> {
    if (gate.portion() === Number.POSITIVE_INFINITY) return this.write(records)
    return Effect.gen({ self: this }, function* () {
      for (const record of records) {
        for (let at = 0; at < record.length;) {
          const end = Math.min(record.length, at + gate.portion())
          yield* this.pass(gate, end - at)
          yield* this.write([record.subarray(at, end)])
          at = end
        }
      }
    })
  }

  /** Writes frames, whole and in order. */
  send(...frames: ReadonlyArray<DataFrame>): Effect.Effect<void, LaneError> {
    return this.write(frames.map(encodeFrame))
  }

  /** Writes records that are encoded already. They may not be changed before it returns. */
  write(chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, LaneError> {
    return this.writing.withPermit(
      Effect.matchEffect(this.link.write(...chunks), {
        onFailure: (closed) => Effect.fail(lost(closed)),
        onSuccess: () => Effect.sync(() => void this.moves++)
      })
    )
  }

  /** Fails once something is expected (`busy`) and nothing moved for `limits.stalled`. */
  watch(busy: () => boolean): Effect.Effect<never, LaneError> {
    return Effect.gen({ self: this }, function* () {
      const looks = 6
      for (let seen = this.moves, quiet = 0; ;) {
        yield* Effect.sleep(Duration.divideUnsafe(limits.stalled, looks))
        quiet = busy() && !this.held && this.moves === seen ? quiet + 1 : 0
        if (this.moves - seen < looks) this.piece = pieceMin
        seen = this.moves
        if (quiet >= looks) return yield* new LaneError({ problem: "stalled", detail: "" })
      }
    })
  }

  /** From the side that dialled: opens the lane. */
  attach(attach: Omit<Attach, "_tag">): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      // Whoever refuses at once may have hung up before this is written, and said why.
      yield* Effect.ignore(this.send({ _tag: "Attach", ...attach }))
      const reply = yield* this.read
      if (reply._tag === "Frame" && reply.frame._tag === "AttachReply") {
        this.frameMax = pageMaxBytes
        if (reply.frame.accepted) return
        return yield* new LaneError({ problem: "refused", detail: reply.frame.reason })
      }
      return yield* broken("the first record was not an AttachReply")
    }).pipe(this.inTime)
  }

  /** To the side that was dialled: which lane this is to be. */
  get attached(): Effect.Effect<Attach, LaneError> {
    return Effect.gen({ self: this }, function* () {
      const first = yield* this.read
      if (first._tag === "Frame" && first.frame._tag === "Attach") {
        this.frameMax = pageMaxBytes
        return first.frame
      }
      return yield* broken("the first record was not an Attach")
    }).pipe(this.inTime)
  }

  private readonly inTime = <A>(handshake: Effect.Effect<A, LaneError>): Effect.Effect<A, LaneError> =>
    Effect.timeoutOrElse(handshake, {
      duration: limits.hello,
      orElse: () => Effect.fail(new LaneError({ problem: "lost", detail: "it did not attach in time" }))
    })

  /** Fills `head` from `at`, `count` bytes. */
  private fill(at: number, count: number): Effect.Effect<void, LaneError> {
    if (this.input.left >= count) {
      this.input.give(this.head.subarray(at, at + count))
      return Effect.void
    }
    return Effect.gen({ self: this }, function* () {
      for (let filled = 0; filled < count;) {
        if (this.input.left === 0) yield* this.more
        filled += this.input.give(this.head.subarray(at + filled, at + count))
      }
    })
  }

  private pull(into: Uint8Array, from: number): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      for (let at = from; at < into.length;) {
        const end = Math.min(into.length, at + this.piece)
        yield* Effect.mapError(this.link.readFully(into.subarray(at, end)), lost)
        at = end
        this.moves++
        this.piece = Math.min(pieceMax, 2 * this.piece)
      }
    })
  }

  private orBroken<A>(result: Result.Result<A, { readonly message: string }>): Effect.Effect<A, LaneError> {
    return Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.fail(broken(result.failure.message))
  }
}

/**
 * A control link as a conversation: both Hellos, then frames in both directions until either side ends it.
 *
 * A session owns the queue of frames to write, its reader, its writer and its heartbeat. All belong to the scope it
 * was made in, which is the link's. It ends when the link does, when the peer says goodbye, falls silent, takes
 * nothing any more or speaks nonsense, or when `close` is called; `run` returns why.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import { limits } from "../config.ts"
import { decode, encode, type Frame, type FrameOf, type GoodbyeReason } from "../schema/Frame.ts"
import type { Decoded } from "../schema/FrameCodec.ts"
import { inert } from "../schema/Text.ts"
import * as Metrics from "../services/Metrics.ts"
import type { Link, LinkClosed } from "../services/Transport.ts"
import { goodbye, type Opened } from "./Greeting.ts"

/** Frames that travel in one write, at most. */
const batchMax = 64

/** How long a Goodbye that has arrived may take to be read, once the link takes no more. */
const lastWords = Duration.millis(200)

/** Why a session ended. */
export interface End {
  /** As in a Goodbye, or `closed` (the link ended), `stalled` (the peer takes nothing), `interrupted`. */
  readonly reason: string
  /** More of it, for the log; safe to show. */
  readonly detail: string
  /** What is still to be said to the peer, or null if it knows or cannot hear. */
  readonly goodbye: GoodbyeReason | null
}

/** What a session does with what it reads. */
export interface Handler {
  /** Once, before the first frame. The heartbeat runs meanwhile. */
  readonly begin: Effect.Effect<void>
  /** Every frame that is not the session's own business; false if nobody wants it. May wait. */
  readonly frame: (frame: Frame) => Effect.Effect<boolean>
  /** Nothing was heard for `limits.doubtful`; told once for each silence. */
  readonly silent: Effect.Effect<void>
  /** The peer broke the protocol in a way that it is told of; the link lives. */
  readonly complaint: (text: string) => Effect.Effect<void>
}

export interface Session {
  readonly link: Link
  readonly hello: FrameOf<"Hello">
  /** Accepts frames for writing, waiting while the queue is full; returns those that it did not, once it has ended. */
  readonly send: (...frames: ReadonlyArray<Frame>) => Effect.Effect<ReadonlyArray<Frame>>
  /** Asks the peer whether it is there. */
  readonly ping: Effect.Effect<void>
  /** Waits until something is heard on the link, or this node itself is what does not listen; for ever if it has ended. */
  readonly heard: Effect.Effect<void>
  /** Ends it soon, with this Goodbye after what is queued. */
  readonly close: (reason: GoodbyeReason) => Effect.Effect<void>
  readonly isOpen: () => boolean
  /** Runs it to its end. */
  readonly run: (handler: Handler) => Effect.Effect<End>
  /** After the end: what is queued and the Goodbye, then the link. At most `limits.farewell`; never fails. */
  readonly part: (end: End) => Effect.Effect<void>
}

const closed = (error: LinkClosed): End => ({ reason: "closed", detail: inert(error.reason), goodbye: null })

const ended = (reason: GoodbyeReason | "stalled", detail: string): End => ({
  reason,
  detail,
  goodbye: reason === "stalled" ? "silent" : reason
})

/** `first`: what is written before anything else, which is our Hello on a link that we accepted. */
export const make = Effect.fnUntraced(function* (opened: Opened, first: ReadonlyArray<Frame>) {
  const { hello, link, splitter } = opened
  const clock = yield* Clock.Clock
  const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const outgoing = yield* Effect.acquireRelease(
    Queue.bounded<Uint8Array, Cause.Done>(limits.outgoingMax),
    Queue.shutdown
  )
  yield* Metrics.sampleQueue("outgoing", () => Queue.sizeUnsafe(outgoing))
  for (const frame of first) Queue.offerUnsafe(outgoing, encode(frame))
  const asked = yield* Deferred.make<End>()
  const broken = yield* Deferred.make<End>()
  const started = millis()
  let heardAt = started
  let pingedAt = started
  /** Since when the reader waits for the link; undefined while it waits for a service of this node. */
  let readingSince: number | undefined
  let writingSince: number | undefined
  /** The silence that was told, by its beginning. */
  let toldOf: number | undefined
  const hearing = Latch.makeUnsafe(false)
  let nonce = 0
  let last: Frame | null = null

  // Answers and questions of the heartbeat never wait: when the queue is full, what is in it shows that we live.
  const post = (frame: Frame) => Effect.sync(() => Queue.offerUnsafe(outgoing, encode(frame)))

  const ping = Effect.suspend(() => post({ _tag: "Ping", nonce: nonce++ }))

  const write = Effect.fnUntraced(function* (chunks: ReadonlyArray<Uint8Array>) {
    writingSince = millis()
    yield* link.write(...chunks)
    writingSince = undefined
  })

  /** What is queued, in order; when the session has ended also the Goodbye, if there is one. */
  const writer = Queue.takeBetween(outgoing, 1, batchMax).pipe(
    Effect.flatMap(write),
    Effect.forever,
    Effect.catchIf(Cause.isDone, () => (last === null ? Effect.void : write([encode(last)]))),
    Effect.catch((error) => Deferred.succeed(broken, closed(error)))
  )

  /** From here on nothing more is accepted for writing; what was is still written if the peer is to hear Goodbye. */
  const finish = (exit: Exit.Exit<End>) =>
    Effect.suspend(() => {
      const end = Exit.isSuccess(exit) ? exit.value : null
      if (end === null || end.goodbye === null) return Queue.shutdown(outgoing)
      last = goodbye(end.goodbye, end.detail)
      return Queue.end(outgoing)
    })

  /** Does what a frame asks for; returns an end if it was the last. */
  const act = Effect.fnUntraced(function* (decoded: Decoded<Frame>, handler: Handler) {
    if (decoded._tag === "Unknown") return yield* skip
    if (decoded._tag === "Invalid") {
      // Two sides that refuse each other's refusals would never come to an end.
      if (decoded.tag === "Refused") return yield* skip
      return yield* refuse(decoded.tag, decoded.reason, handler)
    }
    const { frame } = decoded
    switch (frame._tag) {
      case "Goodbye": {
        const end: End = { reason: inert(frame.reason), detail: inert(frame.message ?? ""), goodbye: null }
        return end
      }
      case "Ping":
        yield* post({ _tag: "Pong", nonce: frame.nonce })
        return
      case "Pong":
        return
      case "Refused":
        return yield* handler.complaint(`it refused our ${inert(frame.frame)}: ${inert(frame.reason)}`)
      case "Hello":
        return yield* refuse("Hello", "a session has one Hello from each side, its first frame", handler)
      default:
        if (!(yield* handler.frame(frame))) yield* skip
        return
    }
  })

  const skip = Metric.update(Metrics.framesSkipped, 1)

  const refuse = Effect.fnUntraced(function* (tag: string, reason: string, handler: Handler) {
    yield* Metric.update(Metrics.framesRefused, 1)
    // A tag longer than a Word was cut, and an empty one has no name.
    yield* post({ _tag: "Refused", frame: inert(tag).slice(0, 16).toWellFormed() || "?", reason })
    yield* handler.complaint(`its ${inert(tag).slice(0, 16)} was refused: ${inert(reason)}`)
  })

  /** Everything that is here, frame by frame; then the link's next bytes. */
  const reader = Effect.fnUntraced(function* (handler: Handler) {
    yield* handler.begin
    while (true) {
      const body = splitter.next()
      if (Result.isFailure(body)) return ended("protocol", body.failure.message)
      if (body.success === undefined) {
        readingSince = millis()
        const bytes = yield* link.read
        readingSince = undefined
        heardAt = millis()
        yield* hearing.release
        splitter.push(bytes)
      } else {
        const decoded = decode(body.success)
        if (Result.isFailure(decoded)) return ended("protocol", decoded.failure.message)
        const end = yield* act(decoded.success, handler)
        if (end !== undefined) return end
      }
    }
  })

  /** Asks a quiet peer, and gives up one that stays quiet. Time in which nobody listens to it does not count. */
  const heartbeat = Effect.fnUntraced(function* (handler: Handler) {
    const every = Duration.toMillis(link.side === "dialled" ? limits.heartbeat : limits.heartbeatAccepted)
    const doubtful = Duration.toMillis(limits.doubtful)
    const dead = Duration.toMillis(limits.dead)
    const stalled = Duration.toMillis(limits.stalled)
    while (true) {
      const now = millis()
      if (readingSince !== undefined && now - readingSince >= dead) {
        return ended("silent", `nothing heard for ${dead / 1000} s`)
      }
      if (readingSince !== undefined && readingSince !== toldOf && now - readingSince >= doubtful) {
        toldOf = readingSince
        yield* handler.silent
      }
      if (writingSince !== undefined && now - writingSince >= stalled) {
        return ended("stalled", `it took nothing for ${stalled / 1000} s`)
      }
      if (now - Math.max(heardAt, pingedAt) >= every) {
        pingedAt = now
        yield* ping
      }
      const next = Math.min(
        Math.max(heardAt, pingedAt) + every,
        readingSince === undefined
          ? Number.POSITIVE_INFINITY
          : readingSince + (readingSince === toldOf ? dead : doubtful),
        writingSince === undefined ? Number.POSITIVE_INFINITY : writingSince + stalled
      )
      yield* Effect.sleep(Duration.millis(Math.max(1, next - now)))
    }
  })

  const writing = yield* Deferred.make<Fiber.Fiber<unknown>>()
  const scope = yield* Effect.scope

  const run = Effect.fn("Session.run")(function* (handler: Handler) {
    yield* Deferred.succeed(writing, yield* Effect.forkIn(writer, scope))
    return yield* Effect.raceAllFirst([
      reader(handler).pipe(Effect.catch((error) => Effect.succeed(closed(error)))),
      heartbeat(handler),
      Deferred.await(asked),
      // The peer may have said why before it hung up: that is in the reader's hands, if it is not held up.
      Deferred.await(broken).pipe(Effect.delay(lastWords))
    ])
  }, Effect.onExit(finish))

  const part = Effect.fn("Session.part")(
    function* (end: End) {
      if (end.reason === "closed") return
      if (end.goodbye !== null) yield* Fiber.await(yield* Deferred.await(writing))
      yield* link.close
    },
    // What a peer did not take in all that time it will not take now.
    Effect.timeoutOption(limits.farewell),
    Effect.asVoid
  )

  const session: Session = {
    link,
    hello,
    send: (...frames) =>
      Effect.suspend(() =>
        Effect.map(Queue.offerAll(outgoing, frames.map(encode)), (left) => frames.slice(frames.length - left.length))
      ),
    ping,
    heard: Effect.suspend(() => (readingSince === undefined ? Effect.void : hearing.await)),
    close: (reason) => Effect.asVoid(Deferred.succeed(asked, ended(reason, ""))),
    isOpen: () => outgoing.state._tag === "Open",
    run,
    part
  }
  return session
})

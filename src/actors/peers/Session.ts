/**
 * A control link as a conversation: both Hellos, then frames in both directions until either side ends it.
 *
 * A session owns the queue of frames to write, its reader and its writer. Both belong to the scope it was made in,
 * which is the link's; Heartbeats looks after it. It ends when the link does, when the peer says goodbye, falls
 * silent, takes nothing any more or speaks nonsense, or when `close` is called; `run` returns why.
 *
 * A node may have a thousand of these: what one needs is kept in fields, not in functions of its own.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { limits } from "../../config.ts"
import { decode, encode, type Frame, type FrameOf, type GoodbyeReason } from "../../schema/Frame.ts"
import * as Metrics from "../../services/Metrics.ts"
import type { Link } from "../../services/Transport.ts"
import { goodbye, type Opened } from "./Greeting.ts"
import type { Watch } from "./Heartbeats.ts"
import { Pulse } from "./Pulse.ts"
import { act, closed, type End, ended, type Handler } from "./SessionFrames.ts"

export type { End, Handler }

/** Frames that travel in one write, at most. */
const batchMax = 64

/** How long a Goodbye that has arrived may take to be read, once the link takes no more. */
const lastWords = Duration.millis(200)

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

class LiveSession implements Session {
  readonly link: Link
  readonly hello: FrameOf<"Hello">
  readonly splitter: Opened["splitter"]
  readonly outgoing: Queue.Queue<Uint8Array, Cause.Done>
  readonly scope: Scope.Scope
  readonly watch: Watch
  readonly clock: Clock.Clock
  /** Why it ends, as soon as anything says so. */
  readonly over = Deferred.makeUnsafe<End>()
  writing: Fiber.Fiber<unknown> | undefined
  readonly pulse: Pulse
  /** Those who wait until something is heard. */
  readonly hearing = new Set<() => void>()
  handler: Handler | undefined
  nonce = 0
  /** The last answer to a Ping that found the queue full. */
  owed: Uint8Array | undefined
  last: Frame | null = null

  constructor(opened: Opened, own: Pick<LiveSession, "outgoing" | "scope" | "watch" | "clock">) {
    this.link = opened.link
    this.hello = opened.hello
    this.splitter = opened.splitter
    this.outgoing = own.outgoing
    this.scope = own.scope
    this.watch = own.watch
    this.clock = own.clock
    this.pulse = new Pulse(opened.link.side, this.now())
  }

  /** Monotonic, in milliseconds. */
  now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  send(...frames: ReadonlyArray<Frame>): Effect.Effect<ReadonlyArray<Frame>> {
    return Effect.suspend(() =>
      Effect.map(Queue.offerAll(this.outgoing, frames.map(encode)), (left) => frames.slice(frames.length - left.length))
    )
  }

  get ping(): Effect.Effect<void> {
    return Effect.sync(() => this.ask())
  }

  get heard(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (!this.pulse.isListening) return resume(Effect.void)
      const hear = () => resume(Effect.void)
      this.hearing.add(hear)
      return Effect.sync(() => this.hearing.delete(hear))
    })
  }

  close(reason: GoodbyeReason): Effect.Effect<void> {
    return Effect.sync(() => this.end(ended(reason, "")))
  }

  isOpen(): boolean {
    return this.outgoing.state._tag === "Open"
  }

  run(handler: Handler): Effect.Effect<End> {
    return run(this, handler)
  }

  part(end: End): Effect.Effect<void> {
    return part(this, end)
  }

  /**
   * Answers and questions of the heartbeat never wait: when the queue is full, what is in it shows that we live. A Pong is
   * not lost by that: the last one goes with what is written next.
   */
  post(frame: Frame): void {
    const chunk = encode(frame)
    if (!Queue.offerUnsafe(this.outgoing, chunk) && frame._tag === "Pong") this.owed = chunk
  }

  /** What was queued, and the Pong that had no room. */
  withOwed(queued: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> {
    const { owed } = this
    this.owed = undefined
    return owed === undefined ? queued : [...queued, owed]
  }

  ask(): void {
    this.post({ _tag: "Ping", nonce: this.nonce++ })
  }

  /** Bytes came. */
  hear(bytes: Uint8Array): void {
    this.pulse.hears(this.now())
    this.splitter.push(bytes)
    const waiting = [...this.hearing]
    this.hearing.clear()
    for (const told of waiting) told()
  }

  /** The first reason stays. */
  end(why: End): void {
    Deferred.doneUnsafe(this.over, Effect.succeed(why))
  }

  /** Asks a quiet peer, and gives up one that stays quiet or takes nothing. */
  beat(now: number): number {
    const { end, isDoubtful, isToAsk, wait } = this.pulse.beat(now)
    if (isDoubtful && this.handler?.silent() === true) this.pulse.doubt()
    if (isToAsk) this.ask()
    if (end === "silent") this.end(ended("silent", `nothing heard for ${Duration.format(limits.dead)}`))
    if (end === "stalled") this.end(ended("stalled", `it took nothing for ${Duration.format(limits.stalled)}`))
    return wait
  }

  failed(cause: unknown): void {
    Deferred.doneUnsafe(this.over, Effect.die(cause))
  }
}

/** `first`: what is written before anything else, which is our Hello on a link that we accepted. */
export const make = Effect.fnUntraced(function* (opened: Opened, first: ReadonlyArray<Frame>, watch: Watch) {
  const outgoing = yield* Effect.acquireRelease(
    Queue.bounded<Uint8Array, Cause.Done>(limits.outgoingMax),
    Queue.shutdown
  )
  yield* Metrics.sampleQueue("outgoing", () => Queue.sizeUnsafe(outgoing))
  const own = { outgoing, scope: yield* Effect.scope, watch, clock: yield* Clock.Clock }
  const session = new LiveSession(opened, own)
  for (const frame of first) session.post(frame)
  return session satisfies Session
})

const write = Effect.fnUntraced(function* (self: LiveSession, chunks: ReadonlyArray<Uint8Array>) {
  self.pulse.writes(self.now())
  yield* self.link.write(...chunks)
  self.pulse.wrote()
})

/** What is queued, in order; when the session has ended also the Goodbye, if there is one. */
const writer = (self: LiveSession) =>
  Queue.takeBetween(self.outgoing, 1, batchMax).pipe(
    Effect.flatMap((chunks) => write(self, self.withOwed(chunks))),
    Effect.forever,
    Effect.catchIf(Cause.isDone, () => (self.last === null ? Effect.void : write(self, [encode(self.last)]))),
    // The peer may have said why before it hung up: that is in the reader's hands, if it is not held up.
    Effect.catch((error) =>
      Effect.delay(
        Effect.sync(() => self.end(closed(error))),
        lastWords
      )
    )
  )

/** From here on nothing more is accepted for writing; what was is still written if the peer is to hear Goodbye. */
const finish = (self: LiveSession, exit: Exit.Exit<End>) =>
  Effect.suspend(() => {
    const end = Exit.isSuccess(exit) ? exit.value : null
    if (end === null || end.goodbye === null) return Queue.shutdown(self.outgoing)
    self.last = goodbye(end.goodbye, end.detail)
    return Queue.end(self.outgoing)
  })

/** Everything that is here, frame by frame; then the link's next bytes. */
const reader = Effect.fnUntraced(function* (self: LiveSession, handler: Handler) {
  const post = (frame: Frame) => self.post(frame)
  yield* handler.begin
  while (true) {
    const body = self.splitter.next()
    if (Result.isFailure(body)) return ended("protocol", body.failure.message)
    if (body.success === undefined) {
      self.pulse.listens(self.now())
      self.hear(yield* self.link.read)
    } else {
      const decoded = decode(body.success)
      if (Result.isFailure(decoded)) return ended("protocol", decoded.failure.message)
      const end = yield* act(post, decoded.success, handler)
      if (end !== undefined) return end
    }
  }
})

const run = Effect.fnUntraced(
  function* (self: LiveSession, handler: Handler) {
    self.handler = handler
    self.writing = yield* Effect.forkIn(writer(self), self.scope)
    const unwatch = yield* self.watch(self)
    const reading = yield* reader(self, handler).pipe(
      Effect.catch((error) => Effect.succeed(closed(error))),
      Effect.onExit((exit) => Deferred.done(self.over, exit)),
      Effect.forkChild
    )
    return yield* Effect.interruptible(Deferred.await(self.over)).pipe(
      Effect.ensuring(Effect.andThen(Effect.sync(unwatch), Fiber.interrupt(reading)))
    )
  },
  (effect, self) => Effect.onExit(Effect.uninterruptible(effect), (exit) => finish(self, exit))
)

const part = Effect.fn("Session.part")(
  function* (self: LiveSession, end: End) {
    if (end.reason === "closed") return
    if (end.goodbye !== null && self.writing !== undefined) yield* Fiber.await(self.writing)
    yield* self.link.close
  },
  // What a peer did not take in all that time it will not take now.
  Effect.timeoutOption(limits.farewell),
  Effect.asVoid
)

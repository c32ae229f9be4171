/**
 * A world in which only simulated time passes: it runs an effect, with every fiber that comes of it, on a clock and a
 * scheduler of its own. Whenever nobody has anything left to do, time jumps to the next thing that is planned, so
 * hours pass in moments, and in each run exactly as in the one before. Nothing in it may wait for the real world: what
 * waits for a promise or a timer of the platform never goes on, and that is a defect.
 *
 * It ends when the effect does, or when more simulated time has passed than allowed.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { FiberRuntimeMetrics, type FiberRuntimeMetricsService } from "effect/Metric"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import { micros, Plan } from "./Plan.ts"

/** The time of day at which every world begins, 1 January 2030: no history depends on when it is made. */
export const beginning = 1_893_456_000_000

/** Simulated time itself: the clock of a world, and what is planned by it. */
export class SimulatedTime implements Clock.Clock {
  readonly #plan = new Plan()
  #now = 0
  /** What was planned and has happened. */
  happened = 0

  /** Microseconds since the world began. */
  get now(): number {
    return this.#now
  }

  /** Runs `action`, which must be quick and synchronous, this many microseconds from now; returns how to take it back. */
  schedule(delay: number, action: () => void): () => void {
    return this.#plan.add(this.#now + Math.max(0, Math.round(delay)), action)
  }

  /** Things that are planned: 0 where nobody waits for time. */
  get planned(): number {
    return this.#plan.size
  }

  /** Does what is planned next, at its time; false where there is nothing, or not before `end`. */
  step(end: number): boolean {
    const next = this.#plan.next
    if (next === undefined || next > end) return false
    this.#now = next
    // What is to happen at one time happens at once: nobody in this world could tell which came first.
    while (this.#plan.next === next) {
      this.happened++
      this.#plan.take()?.()
    }
    return true
  }

  currentTimeMillisUnsafe = (): number => beginning + Math.floor(this.#now / 1000)
  currentTimeNanosUnsafe = (): bigint => BigInt(beginning) * 1_000_000n + this.monotonicTimeNanosUnsafe()
  monotonicTimeNanosUnsafe = (): bigint => BigInt(this.#now) * 1000n
  currentTimeMillis = Effect.sync(this.currentTimeMillisUnsafe)
  currentTimeNanos = Effect.sync(this.currentTimeNanosUnsafe)
  monotonicTimeNanos = Effect.sync(this.monotonicTimeNanosUnsafe)

  sleep = (duration: Duration.Duration): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const forget = this.schedule(micros(duration), () => resume(Effect.void))
      return Effect.sync(forget)
    })
}

/** Runs tasks one after the other, as they came, when it is told to; all fibers of a world share it. */
class Tasks implements Scheduler.Scheduler, Scheduler.SchedulerDispatcher {
  readonly executionMode = "async"
  #tasks: Array<() => void> = []
  #at = 0
  /** Tasks that were run. */
  run = 0

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this
  }

  scheduleTask(task: () => void): void {
    this.#tasks.push(task)
  }

  flush(): void {
    for (let task = this.#tasks[this.#at]; task !== undefined; task = this.#tasks[this.#at]) {
      this.#at++
      this.run++
      task()
    }
    this.#tasks = []
    this.#at = 0
  }
}

/** Counts the fibers that live, and those that ever did. */
class Census implements FiberRuntimeMetricsService {
  alive = 0
  started = 0
  recordFiberStart(): void {
    this.alive++
    this.started++
  }
  recordFiberEnd(): void {
    this.alive--
  }
}

/** Why a world came to an end before its effect did. */
export class Stuck extends Error {
  override readonly name = "Stuck"
}

export interface Options {
  /** Simulated time after which what still runs is a defect; an hour unless told otherwise. */
  readonly within?: Duration.Input
  /** Called before each moment in which something happens: for a test that wants real time to pass there. */
  readonly onMoment?: () => void
  /**
   * Whether errors know where they were made; true unless told otherwise. Without, a history of many calls and many
   * failures is cheaper, and a defect is harder to find.
   */
  readonly stackTraces?: boolean
}

/** What has happened in a world since it began: how much there was to do. */
export interface Toll {
  /** Timers that ran out, and arrivals on networks. */
  readonly events: number
  /** Times that a fiber went on by way of the scheduler. */
  readonly turns: number
  readonly fibers: number
}

/** What is alive in the world an effect runs in. Outside of one, nothing. */
export const Alive = Context.Reference<{
  /** Fibers, that of the reader included. */
  readonly fibers: () => number
  /** Timers, and what is under way on networks. */
  readonly planned: () => number
  readonly toll: () => Toll
}>("kith/testing/Alive", {
  defaultValue: () => ({ fibers: () => 0, planned: () => 0, toll: () => ({ events: 0, turns: 0, fibers: 0 }) })
})

/**
 * Runs an effect in a world of its own and returns how it ended. `Effect.sleep` in it lets simulated time pass.
 * Spans are not recorded: they cost more than what they would show.
 */
export const runExit = <A, E>(effect: Effect.Effect<A, E>, options: Options = {}): Exit.Exit<A, E> => {
  if (options.stackTraces !== false) return play(effect, options)
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return play(effect, options)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const play = <A, E>(effect: Effect.Effect<A, E>, options: Options): Exit.Exit<A, E> => {
  const time = new SimulatedTime()
  const tasks = new Tasks()
  const census = new Census()
  const end = micros(options.within ?? "1 hour")
  const services = Context.make(Clock.Clock, time).pipe(
    Context.add(Scheduler.Scheduler, tasks),
    Context.add(References.TracerEnabled, false),
    Context.add(FiberRuntimeMetrics, census),
    Context.add(Alive, {
      fibers: () => census.alive,
      planned: () => time.planned,
      toll: () => ({ events: time.happened, turns: tasks.run, fibers: census.started })
    })
  )
  const fiber = Effect.runForkWith(services)(effect)
  while (true) {
    tasks.flush()
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    options.onMoment?.()
    if (time.step(end)) continue
    const isLate = time.planned > 0
    const late = `not done within ${end / 1_000_000} s of simulated time`
    return Exit.die(new Stuck(isLate ? late : "everyone waits for something that is not simulated"))
  }
}

/** The same as an effect, which may itself be run in real time. */
export const run = <A, E>(effect: Effect.Effect<A, E>, options?: Options): Effect.Effect<A, E> =>
  Effect.suspend(() => runExit(effect, options))

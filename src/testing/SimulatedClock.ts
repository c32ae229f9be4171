/**
 * The clock of one run of a simulated node. It runs with the network's time, but may show another time of day, and
 * may be set while it runs: deadlines use the monotonic clock and never notice. Once halted, its machine is off: who
 * sleeps wakes at once, so that what is left of the node comes to its end although no time passes.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { micros } from "./Plan.ts"
import { beginning } from "./Simulation.ts"
import type { Timeline } from "./Timeline.ts"

export interface SimulatedClock extends Clock.Clock {
  readonly halt: () => void
}

/** `notice` tells this clock's machine that time has come: not while it is frozen. `skew`: milliseconds by which the time of day shown is later than the network's. */
export const make = (timeline: Timeline, skew: () => number, notice: (wake: () => void) => void): SimulatedClock => {
  const millis = () => beginning + Math.floor(timeline.now() / 1000) + skew()
  const monotonic = () => BigInt(timeline.now()) * 1000n
  const nanos = () => BigInt(beginning + skew()) * 1_000_000n + monotonic()
  const sleepers = new Set<() => void>()
  let isHalted = false

  const wait = (duration: Duration.Duration): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const wake = () => {
        sleepers.delete(wake)
        forget()
        resume(Effect.void)
      }
      const forget = timeline.schedule(micros(duration), () => notice(() => sleepers.has(wake) && wake()))
      sleepers.add(wake)
      return Effect.sync(() => {
        sleepers.delete(wake)
        forget()
      })
    })

  const sleep = (duration: Duration.Duration): Effect.Effect<void> => {
    if (Duration.toMillis(duration) <= 0) return Effect.void
    const waiting = wait(duration)
    return Effect.suspend(() => (isHalted ? Effect.yieldNow : waiting))
  }

  return {
    halt: () => {
      isHalted = true
      for (const wake of sleepers) wake()
    },
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep
  }
}

/**
 * What will happen on a simulated network, in order: actions at simulated times, those of one time in the order in
 * which they were scheduled. Times are whole microseconds since the network was made, by the clock it was made under:
 * that of its world (Simulation.ts), else TestClock's.
 *
 * Under TestClock it owns one fiber that sleeps until the next action. It ends with the scope, and then nothing
 * happens any more.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"
import { Plan } from "./Plan.ts"
import { SimulatedTime } from "./Simulation.ts"

export interface Timeline {
  /** Microseconds since the network was made. */
  readonly now: () => number
  /** Runs `action`, which must be quick and synchronous, this many microseconds from now, at least one; returns how to take it back. */
  readonly schedule: (delay: number, action: () => void) => () => void
  /** Sleeps on the network's clock, whatever clock the sleeping node has. */
  readonly sleep: (delay: number) => Effect.Effect<void>
}

const timeline = (now: Timeline["now"], schedule: Timeline["schedule"]): Timeline => ({
  now,
  schedule,
  sleep: (delay) =>
    Effect.callback<void>((resume) => {
      const forget = schedule(delay, () => resume(Effect.void))
      return Effect.sync(forget)
    })
})

/** On simulated time itself nobody has to sleep. */
const inWorld = Effect.fnUntraced(function* (time: SimulatedTime) {
  const origin = time.now
  let isOver = false
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isOver = true
    })
  )
  return timeline(
    () => time.now - origin,
    (delay, action) =>
      time.schedule(Math.max(1, Math.round(delay)), () => {
        if (!isOver) action()
      })
  )
})

const underClock = Effect.fnUntraced(function* (clock: Clock.Clock) {
  const run = yield* FiberHandle.makeRuntime<never>()
  const monotonic = () => Number((clock.monotonicTimeNanosUnsafe() + 500n) / 1000n)
  const origin = monotonic()
  const now = () => monotonic() - origin
  const plan = new Plan()
  /** When the fiber wakes next; -Infinity while it is at work, since it looks again itself. */
  let wakes = Number.POSITIVE_INFINITY

  const runDue = () => {
    wakes = Number.NEGATIVE_INFINITY
    const time = now()
    while ((plan.next ?? Number.POSITIVE_INFINITY) <= time) plan.take()?.()
  }

  const work: Effect.Effect<void> = Effect.gen(function* () {
    for (let next = plan.next; next !== undefined; next = plan.next) {
      const wait = next - now()
      wakes = next
      if (wait > 0) yield* Effect.sleep(Duration.millis(wait / 1000))
      runDue()
    }
    wakes = Number.POSITIVE_INFINITY
  })

  return timeline(now, (delay, action) => {
    const time = now() + Math.max(1, Math.round(delay))
    const forget = plan.add(time, action)
    // A fiber that sleeps past this is replaced by one that does not.
    if (time < wakes) run(work)
    return forget
  })
})

export const make: Effect.Effect<Timeline, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  return yield* clock instanceof SimulatedTime ? inWorld(clock) : underClock(clock)
})

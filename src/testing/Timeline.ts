/**
 * What will happen on a simulated network, in order: actions at simulated times, those of one time in the order in
 * which they were scheduled. Times are whole microseconds since the network was made, by the clock it was made under
 * (TestClock, so that a test decides how time passes).
 *
 * It owns one fiber that sleeps until the next action; both end with the scope, and then nothing happens any more.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"

export interface Timeline {
  /** Microseconds since the network was made. */
  readonly now: () => number
  /** Runs `action`, which must be quick and synchronous, this many microseconds from now, at least one. */
  readonly schedule: (delay: number, action: () => void) => void
  /** Sleeps on the network's clock, whatever clock the sleeping node has. */
  readonly sleep: (delay: number) => Effect.Effect<void>
}

interface Planned {
  readonly time: number
  readonly order: number
  readonly action: () => void
}

const isBefore = (a: Planned, b: Planned) => a.time < b.time || (a.time === b.time && a.order < b.order)

/** A binary heap, the earliest first. */
class Plan {
  readonly #heap: Array<Planned> = []

  get first(): Planned | undefined {
    return this.#heap[0]
  }

  add(planned: Planned): void {
    const heap = this.#heap
    let at = heap.push(planned) - 1
    while (at > 0) {
      const above = (at - 1) >>> 1
      const parent = heap[above]
      if (parent === undefined || !isBefore(planned, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = planned
  }

  removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    while (true) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const goRight = right !== undefined && isBefore(right, left)
      const least = goRight ? right : left
      if (!isBefore(least, last)) break
      heap[at] = least
      at = 2 * at + (goRight ? 2 : 1)
    }
    heap[at] = last
  }
}

/** Whole microseconds of a duration. */
export const micros = (duration: Duration.Input): number =>
  Math.round(Duration.toMillis(Duration.fromInputUnsafe(duration)) * 1000)

export const make: Effect.Effect<Timeline, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const run = yield* FiberHandle.makeRuntime<never>()
  const monotonic = () => Number((clock.monotonicTimeNanosUnsafe() + 500n) / 1000n)
  const origin = monotonic()
  const now = () => monotonic() - origin
  const plan = new Plan()
  let order = 0
  /** When the fiber wakes next; -Infinity while it is at work, since it looks again itself. */
  let wakes = Number.POSITIVE_INFINITY

  const runDue = () => {
    wakes = Number.NEGATIVE_INFINITY
    const time = now()
    for (let first = plan.first; first !== undefined && first.time <= time; first = plan.first) {
      plan.removeFirst()
      first.action()
    }
  }

  const work: Effect.Effect<void> = Effect.gen(function* () {
    for (let first = plan.first; first !== undefined; first = plan.first) {
      const wait = first.time - now()
      wakes = first.time
      if (wait > 0) yield* Effect.sleep(Duration.millis(wait / 1000))
      runDue()
    }
    wakes = Number.POSITIVE_INFINITY
  })

  const schedule = (delay: number, action: () => void): void => {
    const time = now() + Math.max(1, Math.round(delay))
    plan.add({ time, order: order++, action })
    // A fiber that sleeps past this is replaced by one that does not.
    if (time < wakes) run(work)
  }

  return {
    now,
    schedule,
    sleep: (delay) =>
      Effect.callback<void>((resume) => {
        let isWanted = true
        schedule(delay, () => {
          if (isWanted) resume(Effect.void)
        })
        return Effect.sync(() => {
          isWanted = false
        })
      })
  }
})

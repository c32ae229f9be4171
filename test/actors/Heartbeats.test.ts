/** One fiber looks after all sessions: each at its time, none when it is over, and one that fails alone. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Heartbeats from "../../src/actors/peers/Heartbeats.ts"

/** Notes when it is looked after; wants that again after so long. */
const diary = (wait: number) => {
  const times: Array<number> = []
  const failures: Array<unknown> = []
  return {
    times,
    failures,
    watched: {
      beat: (now: number) => {
        times.push(Math.round(now))
        return wait
      },
      failed: (cause: unknown) => void failures.push(cause)
    }
  }
}

describe("Heartbeats", () => {
  it.effect("looks after each at its time, at most a tick late", () =>
    Effect.gen(function* () {
      const watch = yield* Heartbeats.make
      const [often, seldom, never] = [diary(1000), diary(60_000), diary(1000)]
      const begun = yield* Effect.clockWith((clock) => Effect.succeed(Number(clock.monotonicTimeNanosUnsafe()) / 1e6))
      yield* watch(often.watched)
      yield* TestClock.adjust("10 millis")
      yield* watch(seldom.watched)
      const unwatch = yield* watch(never.watched)
      unwatch()
      for (let n = 0; n < 1600; n++) yield* TestClock.adjust("10 millis")
      const since = (times: ReadonlyArray<number>) => times.map((time) => time - Math.round(begun))
      const late = (times: ReadonlyArray<number>, first: number, every: number) =>
        since(times).map((time, at) => time - (since(times)[at - 1] ?? first - every) - every)
      assert.lengthOf(often.times, 12)
      for (const by of late(often.times, 5000, 1000)) assert.isTrue(by >= 0 && by <= 25, `${by} ms late`)
      // Whatever is asked for, nobody is left alone for longer than a heartbeat.
      assert.lengthOf(seldom.times, 3)
      for (const by of late(seldom.times, 5010, 5000)) assert.isTrue(by >= 0 && by <= 25, `${by} ms late`)
      assert.deepStrictEqual(never.times, [])
    })
  )

  it.effect("sleeps while there is nobody, and looks after whoever comes then", () =>
    Effect.gen(function* () {
      const watch = yield* Heartbeats.make
      yield* TestClock.adjust("1 hour")
      const one = diary(5000)
      const unwatch = yield* watch(one.watched)
      yield* TestClock.adjust("5100 millis")
      assert.lengthOf(one.times, 1)
      unwatch()
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(one.times, 1)
      const two = diary(5000)
      yield* watch(two.watched)
      yield* TestClock.adjust("5100 millis")
      assert.lengthOf(two.times, 1)
    })
  )

  it.effect("one that throws hears of it and is left alone; one that ends while it is looked after is too", () =>
    Effect.gen(function* () {
      const watch = yield* Heartbeats.make
      const [good, bad, gone] = [diary(1000), diary(1000), diary(1000)]
      const boom = new Error("boom")
      yield* watch({
        ...bad.watched,
        beat: (now) => {
          bad.watched.beat(now)
          throw boom
        }
      })
      const unwatch = yield* watch({
        ...gone.watched,
        beat: (now) => {
          unwatch()
          return gone.watched.beat(now)
        }
      })
      yield* watch(good.watched)
      yield* TestClock.adjust("8 seconds")
      assert.deepStrictEqual(bad.failures, [boom])
      assert.deepStrictEqual([bad.times.length, gone.times.length, good.times.length], [1, 1, 4])
    })
  )

  it.effect("ends with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const watch = yield* Heartbeats.make.pipe(Scope.provide(scope))
      const one = diary(1000)
      yield* watch(one.watched)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(one.times, [])
    })
  )
})

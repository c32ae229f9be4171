/** Letting simulated time pass, in tests under TestClock. It owns nothing. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"

/**
 * Runs an effect while simulated time passes, and stops the clock once it is done. What is not done within `within`
 * (a minute of simulated time, unless told otherwise) is a defect. Time passes in steps of `step` (10 ms): what
 * happens inside one happens in its order at its time, only the return waits for the end of it.
 */
export const elapse = Effect.fnUntraced(function* <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: { readonly within?: Duration.Input; readonly step?: Duration.Input } = {}
) {
  const within = Duration.toMillis(Duration.fromInputUnsafe(options.within ?? "1 minute"))
  const step = Duration.toMillis(Duration.fromInputUnsafe(options.step ?? "10 millis"))
  const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
  for (let passed = 0; fiber.pollUnsafe() === undefined; passed += step) {
    if (passed >= within) {
      yield* Fiber.interrupt(fiber)
      return yield* Effect.die(new Error(`not done within ${within / 1000} s of simulated time`))
    }
    yield* TestClock.adjust(Duration.millis(step))
  }
  return yield* Fiber.join(fiber)
})

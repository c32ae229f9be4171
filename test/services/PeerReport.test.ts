import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import { makePeerReport } from "../../src/services/peers/PeerReport.ts"

/** Lines as [offender, number left out before it]. */
const logged = Effect.fnUntraced(function* (
  body: (report: (offender: string) => Effect.Effect<void>) => Effect.Effect<void>,
  atOnce: number
) {
  const lines: Array<readonly [string, unknown]> = []
  const logger = Logger.make(({ fiber, message }) => {
    lines.push([String(message), fiber.getRef(References.CurrentLogAnnotations)["suppressed"]])
  })
  const report = makePeerReport({ atOnce })
  yield* body((offender) => report(offender, Effect.logInfo(offender))).pipe(Effect.provide(Logger.layer([logger])))
  return lines
})

describe("lines that a peer can cause", () => {
  it.effect("are so many at once, then one a minute with the number of those left out", () =>
    Effect.gen(function* () {
      const lines = yield* logged(
        Effect.fnUntraced(function* (report) {
          for (let n = 0; n < 100; n++) yield* report("mallory")
          yield* report("bob")
          yield* TestClock.adjust("59 seconds")
          yield* report("mallory")
          yield* TestClock.adjust("1 second")
          yield* report("mallory")
          yield* report("bob")
        }),
        2
      )
      assert.deepStrictEqual(lines, [
        ["mallory", undefined],
        ["mallory", undefined],
        ["bob", undefined],
        ["mallory", 99],
        ["bob", undefined]
      ])
    })
  )

  it.effect("are bounded too where each comes from another", () =>
    Effect.gen(function* () {
      const lines = yield* logged(
        Effect.fnUntraced(function* (report) {
          for (let n = 0; n < 10_000; n++) yield* report(`key ${n}`)
          yield* TestClock.adjust("1 minute")
          yield* report("another")
        }),
        1
      )
      assert.strictEqual(lines.length, 65)
      assert.deepStrictEqual(lines.at(-1), ["another", 10_000 - 64])
    })
  )
})

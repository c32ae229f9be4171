/** A world of simulated time: everything in it happens at its time, at once, and nothing outside is waited for. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Plan } from "../../src/testing/Plan.ts"
import * as Simulation from "../../src/testing/Simulation.ts"

const defect = (exit: Exit.Exit<unknown, unknown>): string => (Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")

describe("Simulation", () => {
  it("lets a day pass in no time, in order", () => {
    const order: Array<string> = []
    const step = (name: string, after: Duration.Input) =>
      Effect.sleep(after).pipe(Effect.andThen(Effect.sync(() => order.push(name))))
    const program = Effect.gen(function* () {
      const fibers = [
        yield* Effect.forkChild(step("day", "24 hours")),
        yield* Effect.forkChild(step("minute", "1 minute"))
      ]
      yield* step("hour", "1 hour")
      yield* Fiber.joinAll(fibers)
      return (yield* Clock.currentTimeMillis) - Simulation.beginning
    })
    assert.deepStrictEqual(Simulation.runExit(program, { within: "2 days" }), Exit.succeed(24 * 3600 * 1000))
    assert.deepStrictEqual(order, ["minute", "hour", "day"])
  })

  it("says so when time is up, and when nobody will ever go on", () => {
    assert.include(defect(Simulation.runExit(Effect.sleep("2 hours"))), "not done within 3600 s")
    assert.include(defect(Simulation.runExit(Effect.never)), "not simulated")
    assert.include(defect(Simulation.runExit(Effect.promise(() => Promise.resolve(1)))), "not simulated")
  })

  it("forgets timers that nobody waits for any more", () => {
    const plan = new Plan()
    const done: Array<number> = []
    const forget = [3, 1, 2, 1].map((time, index) => plan.add(time, () => done.push(index)))
    forget[2]?.()
    assert.strictEqual(plan.size, 3)
    while (plan.next !== undefined) plan.take()?.()
    forget[0]?.()
    assert.deepStrictEqual([done, plan.size], [[1, 3, 0], 0])
  })
})

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

  it("counts what there was to do", () => {
    const program = Effect.gen(function* () {
      const { toll } = yield* Simulation.Alive
      const before = toll()
      yield* Effect.sleep("1 second")
      yield* Effect.yieldNow
      yield* Fiber.join(yield* Effect.forkChild(Effect.sleep("1 second")))
      const after = toll()
      return [after.events - before.events, after.turns - before.turns, after.fibers - before.fibers]
    })
    // A timer each; a turn for the yield and one for the fiber's start.
    assert.deepStrictEqual(Simulation.runExit(program), Exit.succeed([2, 2, 1]))
  })

  it("spares the stacks of errors where they are not wanted, and leaves the world outside as it was", () => {
    const { stackTraceLimit } = Error
    const lines = (stackTraces: boolean) =>
      Simulation.runExit(
        Effect.sync(() => new Error("x").stack?.split("\n").length),
        { stackTraces }
      )
    assert.deepStrictEqual(lines(false), Exit.succeed(1))
    assert.notDeepEqual(lines(true), Exit.succeed(1))
    assert.strictEqual(Error.stackTraceLimit, stackTraceLimit)
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

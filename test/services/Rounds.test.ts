/** Rounds of tasks: each runs once, in the order of event loop turns, several rounds in one turn, within its time. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { layer, make } from "../../src/services/Rounds.ts"

/** An event loop whose turns the test makes, and a clock that it moves. */
const bench = () => {
  let time = 0
  const turns: Array<() => void> = []
  const later = make(
    (run) => void turns.push(run),
    () => time
  )
  return {
    later,
    turns,
    pass: (millis: number) => {
      time += millis
    },
    /** One turn; false if nothing was to be done. */
    turn: () => {
      const run = turns.shift()
      run?.()
      return run !== undefined
    }
  }
}

describe("Rounds", () => {
  it("has several rounds in a turn, in their order, and asks for one turn at a time", () => {
    const { later, turn, turns } = bench()
    const ran: Array<string> = []
    later(() => {
      ran.push("a")
      later(() => {
        ran.push("c")
        later(() => ran.push("d"))
      })
    })
    later(() => ran.push("b"))
    assert.lengthOf(turns, 1)
    assert.deepStrictEqual(ran, [])
    turn()
    assert.deepStrictEqual(ran, ["a", "b", "c", "d"])
    assert.isFalse(turn())
  })

  it("ends the turn when its time is over: what came from outside is next, then the rest", () => {
    const { later, pass, turn } = bench()
    let rounds = 0
    const again = () => {
      rounds++
      pass(0.3)
      later(again)
    }
    later(again)
    turn()
    assert.strictEqual(rounds, 4)
    assert.isTrue(turn())
    assert.strictEqual(rounds, 8)
  })

  it("runs nothing that was called off, before or in its own round", () => {
    const { later, turn } = bench()
    const ran: Array<string> = []
    later(() => ran.push("never"))()
    const off: Array<() => void> = []
    later(() => off[0]?.())
    off.push(later(() => ran.push("not in this round either")))
    later(() => ran.push("this one"))
    turn()
    assert.deepStrictEqual(ran, ["this one"])
  })

  it("loses nothing behind a task that throws", () => {
    const { later, turn } = bench()
    const ran: Array<string> = []
    later(() => {
      later(() => ran.push("its child"))
      throw new Error("boom")
    })
    later(() => ran.push("the next"))
    assert.throws(turn, "boom")
    assert.isTrue(turn())
    assert.deepStrictEqual(ran, ["the next", "its child"])
    assert.isFalse(turn())
  })

  it.prop(
    "whatever makes whatever, each runs once, and in the order in which it was asked for",
    [Schema.Array(Schema.Struct({ makes: Schema.Literals([0, 1, 2]), takes: Schema.Literals([0, 0.4, 2]) }))],
    ([tasks]) => {
      const { later, pass, turn } = bench()
      const asked: Array<number> = []
      const ran: Array<number> = []
      const ask = () => {
        const name = asked.length
        asked.push(name)
        later(() => {
          ran.push(name)
          const { makes, takes } = tasks[name] ?? { makes: 0, takes: 0 }
          pass(takes)
          for (let n = 0; n < makes; n++) ask()
        })
      }
      ask()
      while (turn()) assert.isAtMost(ran.length, asked.length)
      assert.deepStrictEqual(ran, asked)
    }
  )

  it.live("fibers run by it, and what comes from outside is not kept waiting by those that always give way", () =>
    Effect.gen(function* () {
      const queue = yield* Queue.bounded<number>(1)
      const busy = yield* Effect.forkChild(Effect.forever(Effect.yieldNow))
      const giver = yield* Effect.forkChild(Effect.forEach([1, 2, 3], (n) => Queue.offer(queue, n), { discard: true }))
      const taken = [yield* Queue.take(queue), yield* Queue.take(queue), yield* Queue.take(queue)]
      assert.deepStrictEqual(taken, [1, 2, 3])
      yield* Fiber.join(giver)
      yield* Effect.callback<void>((resume) => {
        setTimeout(() => resume(Effect.void), 1)
      })
      yield* Fiber.interrupt(busy)
    }).pipe(Effect.provide(layer))
  )
})

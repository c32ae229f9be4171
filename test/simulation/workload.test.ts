/** The workload itself: one seed is one history, defects of the past stay away, and a failure is made small. */
import { assert, describe, it } from "@effect/vitest"
import { found } from "./Found.ts"
import { generate } from "./Generate.ts"
import type { Scenario } from "./Scenario.ts"
import { shrink } from "./Shrink.ts"
import { play } from "./Workload.ts"

describe("one seed, one history", () => {
  it("to the byte, however long things really take", { timeout: 60_000 }, () => {
    const cell = new Int32Array(new SharedArrayBuffer(4))
    for (const seed of [4, 6, 10]) {
      const scenario = generate(seed)
      const first = play(scenario)
      let moments = 0
      // Real milliseconds pass now and then, at other moments than in the run before.
      const second = play(scenario, {
        onMoment: () => void (++moments % 97 === 0 && Atomics.wait(cell, 0, 0, moments % 5))
      })
      assert.strictEqual(second.trace.join("\n"), first.trace.join("\n"))
      assert.strictEqual(second.fingerprint, first.fingerprint)
      assert.isAbove(moments, 500)
    }
    assert.notStrictEqual(play(generate(5)).fingerprint, play(generate(6)).fingerprint)
  })
})

describe("what was found", () => {
  for (const [name, scenario] of Object.entries(found)) {
    it(name, () => assert.deepStrictEqual(play(scenario).failures, []))
  }
})

describe("shrink", () => {
  it("leaves what is needed for the failure, and nothing else", () => {
    const needed = (scenario: Scenario) =>
      scenario.steps.some(({ act }) => act._tag === "kill") && scenario.steps.some(({ act }) => act._tag === "send")
    const scenario = Array.from({ length: 1000 }, (_, seed) => generate(seed)).find(needed) ?? assert.fail()
    const small = shrink(scenario, needed, 1000)
    assert.deepStrictEqual(small.steps.map(({ act }) => act._tag).toSorted(), ["kill", "send"])
    assert.deepStrictEqual(small.conditions, {})
  })
})

/** Plays the scenarios of some seeds as a test, and says of one that fails how to see it again. */
import { assert } from "@effect/vitest"
import { describe as asLine, generate } from "./Scenario.ts"
import { shrink } from "./Shrink.ts"
import { play } from "./Workload.ts"

/** Runs that a failure is worth, to make it smaller. */
const shrinkTries = 60

export const playSeeds = (first: number, count: number): void => {
  for (let seed = first; seed < first + count; seed++) {
    const scenario = generate(seed)
    const outcome = play(scenario)
    if (outcome.failures.length === 0) continue
    const small = shrink(scenario, (smaller) => play(smaller).failures.length > 0, shrinkTries)
    const steps = small.steps.map(({ act, wait }) => `  after ${wait} ms: ${asLine(act)}`)
    assert.fail(
      [
        `seed ${seed}: ${outcome.failures.join("; ")}`,
        `See it again, with a trace: npm run simulate -- --seed ${seed}`,
        `The same with ${small.nodes} nodes and ${steps.length} steps: ${play(small).failures.join("; ")}`,
        ...steps
      ].join("\n")
    )
  }
}

/** Plays the scenarios of some seeds as a test, and says of one that fails how to see it again. */
import { assert } from "@effect/vitest"
import { generate } from "./Generate.ts"
import { show } from "./Scenario.ts"
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
    assert.fail(
      [
        `seed ${seed}: ${outcome.failures.join("; ")}`,
        `See it again, with a trace: npm run simulate -- --seed ${seed}`,
        `Made small: ${play(small).failures.join("; ")}`,
        show(small)
      ].join("\n")
    )
  }
}

/** Makes a scenario that fails smaller for as long as it goes on failing: fewer steps, fewer nodes, no bad weather. */
import type { Act, Scenario } from "./Scenario.ts"

/** Nodes that an act speaks of. */
const nodesOf = (act: Act): ReadonlyArray<number> => [
  ...("node" in act ? [act.node] : []),
  ...("peer" in act ? [act.peer] : []),
  ...("from" in act ? [act.from, act.to] : []),
  ...(act._tag === "say" && act.to !== null ? [act.to] : []),
  ...(act._tag === "policy" && act.of !== null ? [act.of] : []),
  ...(act._tag === "send" ? act.to : []),
  ...(act._tag === "partition" ? act.group : [])
]

/** Smaller ones, the boldest first. */
function* smaller(scenario: Scenario): Generator<Scenario> {
  const { conditions, nodes, steps } = scenario
  const used = 1 + Math.max(1, ...steps.flatMap(({ act }) => nodesOf(act)))
  if (used < nodes) yield { ...scenario, nodes: used }
  if (nodes > 2) yield { ...scenario, nodes: nodes - 1 }
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < steps.length; at += size) {
      // The time that passed meanwhile may matter, so the next step waits that much longer.
      const left = steps.slice(0, at)
      const gone = steps.slice(at, at + size)
      const rest = steps.slice(at + size)
      const time = gone.reduce((sum, { wait }) => sum + wait, 0)
      const [next, ...others] = rest
      yield { ...scenario, steps: [...left, ...rest] }
      if (next !== undefined) yield { ...scenario, steps: [...left, { ...next, wait: next.wait + time }, ...others] }
    }
  }
  if (Object.keys(conditions).length > 0) yield { ...scenario, conditions: {} }
  const { segments, ...together } = scenario
  if (segments !== undefined) yield together
  for (const [at, step] of steps.entries()) {
    for (const wait of rounder(step.wait)) yield { ...scenario, steps: steps.with(at, { ...step, wait }) }
  }
}

/** Times that are easier to read. */
const rounder = (wait: number): ReadonlyArray<number> =>
  [0, Math.round(wait / 1000) * 1000, Math.round(wait / 100) * 100].filter(
    (each) => each < wait || each % 1000 < wait % 1000
  )

/** `fails` is asked at most `tries` times. */
export const shrink = (scenario: Scenario, fails: (scenario: Scenario) => boolean, tries: number): Scenario => {
  let smallest = scenario
  let asked = 0
  let isDone = false
  while (!isDone) {
    isDone = true
    for (const candidate of smaller(smallest)) {
      if (asked++ >= tries) return smallest
      if (!fails(candidate)) continue
      smallest = candidate
      isDone = false
      break
    }
  }
  return smallest
}

/** Scenarios that found a defect once, made small, and what it was: they are played with every run of the tests. */
import type { Scenario } from "./Scenario.ts"

export const found: Readonly<Record<string, Scenario>> = {
  // Seed 212. The offer came while the node still read its slow disk, before anyone heard frames of transfers.
  "an offer to a node that is starting is not lost": {
    seed: 212,
    nodes: 2,
    conditions: {},
    steps: [
      { wait: 1000, act: { _tag: "send", node: 0, to: [1], tree: 0 } },
      { wait: 2000, act: { _tag: "stop", node: 1 } },
      { wait: 0, act: { _tag: "slowDisk", node: 1, millis: 149 } },
      { wait: 0, act: { _tag: "send", node: 0, to: [1], tree: 2 } },
      { wait: 0, act: { _tag: "start", node: 1 } },
      { wait: 5000, act: { _tag: "say", node: 0, to: 1 } }
    ]
  },
  // Seed 1119. What the run before had announced a moment ago came to the next one, which took it for a clone.
  "a node that starts again at once is not alarmed by itself": {
    seed: 1119,
    nodes: 2,
    conditions: {},
    steps: [{ wait: 0, act: { _tag: "restart", node: 0 } }]
  }
}

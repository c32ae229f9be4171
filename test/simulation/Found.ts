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
  },
  // Seed 1339. Its last word overtook the one about what it takes: of a group, the sender knows the digests of all.
  "a part without a byte is not taken for a false one": {
    seed: 1339,
    nodes: 3,
    conditions: { latency: 9, jitter: 15, bandwidth: 522_051 },
    steps: [
      { wait: 0, act: { _tag: "policy", node: 2, of: null, accept: "ask" } },
      { wait: 20_000, act: { _tag: "send", node: 1, to: [0, 2], tree: 1 } },
      { wait: 1317, act: { _tag: "answer", node: 2, which: 0, part: [0.83, 0.98], conflict: "skip" } },
      { wait: 15_000, act: { _tag: "restart", node: 2 } }
    ]
  },
  // Seed 1340. The simulated disk gave up where the real one chooses another name.
  "two trees of one name come at the same time": {
    seed: 1340,
    nodes: 3,
    conditions: {},
    steps: [
      { wait: 0, act: { _tag: "send", node: 2, to: [0], tree: 1 } },
      { wait: 0, act: { _tag: "slowDisk", node: 0, millis: 184 } },
      { wait: 0, act: { _tag: "send", node: 1, to: [0], tree: 1 } },
      { wait: 15_000, act: { _tag: "send", node: 2, to: [1], tree: 1 } }
    ]
  },
  // Seed 4020. The actor of a peer that was not there stayed, though nobody knew it.
  "a ticket of a node that is not there": {
    seed: 4020,
    nodes: 5,
    conditions: {},
    segments: [["lan", "lan2"], ["lan"], ["lan2"], ["lan"], ["lan"]],
    steps: [
      { wait: 0, act: { _tag: "invite", node: 2, lasts: 17 } },
      { wait: 0, act: { _tag: "unplug", node: 2 } },
      { wait: 0, act: { _tag: "join", node: 4, ticket: 1 } }
    ]
  }
}

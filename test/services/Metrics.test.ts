/** Samples: what is read when somebody asks, and what is left of it when its owner is gone. */
import { assert, describe, it } from "@effect/vitest"
import * as Metrics from "../../src/services/Metrics.ts"

describe("samples", () => {
  it("are summed by their labels; counters keep what those that ended came to, gauges do not", () => {
    const samples = new Metrics.Samples()
    let sent = 5
    const endSent = samples.add({ metric: Metrics.bytes, labels: { direction: "sent" }, read: () => sent })
    samples.add({ metric: Metrics.bytes, labels: { direction: "sent" }, read: () => 7 })
    samples.add({ metric: Metrics.bytes, labels: { direction: "received" }, read: () => 1 })
    const endQueue = samples.add({ metric: Metrics.queueDepth, labels: { queue: "inbox" }, read: () => 3 })
    samples.add({ metric: Metrics.queueDepth, labels: { queue: "inbox" }, read: () => 2 })
    const shown = () => samples.sums().map(({ labels, longest, now }) => [...Object.values(labels), now, longest])
    assert.deepStrictEqual(shown(), [
      ["sent", 12, 7],
      ["received", 1, 1],
      ["inbox", 5, 3]
    ])
    sent = 6
    endSent()
    endSent()
    endQueue()
    // What is read after the end does not count.
    sent = 100
    assert.deepStrictEqual(shown(), [
      ["sent", 13, 7],
      ["received", 1, 1],
      ["inbox", 2, 2]
    ])
  })
})

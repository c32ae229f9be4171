/** A flood from one network, or from all of them, is cut before it is read; the others are heard. */
import { assert, describe, it } from "@effect/vitest"
import { ArrivalBudget } from "../../src/services/discovery/ArrivalBudget.ts"

const make = () =>
  new ArrivalBudget({
    all: { burst: 100, perSecond: 50 },
    perNetwork: { burst: 10, perSecond: 5 },
    networksMax: 20
  })

const taken = (budget: ArrivalBudget, host: string, times: number, now: number): number =>
  Array.from({ length: times }, () => budget.take(host, now)).filter(Boolean).length

describe("ArrivalBudget", () => {
  it("lets a burst in, then what flows in, from each network by itself", () => {
    const budget = make()
    assert.strictEqual(taken(budget, "192.0.2.1", 1000, 0), 10)
    assert.strictEqual(taken(budget, "192.0.2.2", 5, 0), 5)
    assert.strictEqual(taken(budget, "192.0.2.1", 1000, 1000), 5)
    assert.strictEqual(taken(budget, "2001:db8::1", 8, 1000) + taken(budget, "2001:db8::2", 8, 1000), 10)
    // However long the silence was, no more than a burst is saved up.
    assert.strictEqual(taken(budget, "192.0.2.1", 1000, 1_000_000), 10)
  })

  it("holds all of them to what there is for all, and one that floods takes no more of it than its share", () => {
    const budget = make()
    taken(budget, "192.0.2.1", 100_000, 0)
    const others = Array.from({ length: 50 }, (_, n) => taken(budget, `198.51.100.${n}`, 10, 0))
    assert.strictEqual(
      others.reduce((sum, count) => sum + count, 0),
      90
    )
    assert.strictEqual(taken(budget, "203.0.113.1", 10, 100), 5)
  })
})

/** Lists of offers that wait share a bounded memory, by peer and in all; answered ones are no longer counted. */
import { assert, describe, it } from "@effect/vitest"
import { ManifestBudget } from "../../src/actors/transfers/ManifestBudget.ts"
import { TransferId } from "../../src/schema/Id.ts"
import { someId, someMessage } from "../Some.ts"

const transfer = (n: number) => TransferId.make(someMessage(n))

describe("ManifestBudget", () => {
  it("holds one peer's open offers to its share, and all of them to what there is", () => {
    const open = new Set([0, 1, 2, 3].map(transfer))
    const budget = new ManifestBudget((id) => open.has(id), 100)
    const first = budget.room(transfer(0), someId(1), 40)
    const second = budget.room(transfer(1), someId(1), 40)
    const third = budget.room(transfer(2), someId(2), 90)
    assert.isTrue(first.allows(30))
    assert.isTrue(second.allows(10))
    assert.isFalse(second.allows(11))
    assert.isTrue(third.allows(59))
    assert.isFalse(third.allows(60))
    // Refused, so it is over.
    budget.forget(transfer(1))
    assert.isTrue(third.allows(70))
    // Said yes to.
    open.delete(transfer(0))
    assert.isTrue(third.allows(90))
    assert.isFalse(third.allows(91))
  })
})

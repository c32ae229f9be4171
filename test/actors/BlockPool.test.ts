/** The memory for blocks: shared in turn, bounded, and given back however it ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { BlockPool, type Lease } from "../../src/actors/transfers/BlockPool.ts"
import { type Claimant, FairQueue } from "../../src/actors/transfers/FairQueue.ts"
import { type Loaded, SharedReads } from "../../src/actors/transfers/send/SharedReads.ts"
import { TransferId } from "../../src/schema/Id.ts"
import { someId } from "../Some.ts"

const mebi = 1024 * 1024

const claimant = (peer: number, transfer: number): Claimant => ({
  peer: someId(peer),
  transfer: TransferId.make(`${String.fromCharCode(97 + peer)}${String.fromCharCode(97 + transfer)}`.padEnd(26, "a"))
})

describe("FairQueue", () => {
  it("gives turns by peer, then by transfer, then in the order of asking", () => {
    const queue = new FairQueue<string>()
    for (let i = 0; i < 3; i++) queue.push(claimant(1, 1), `a1.${i}`)
    for (let i = 0; i < 3; i++) queue.push(claimant(1, 2), `a2.${i}`)
    queue.push(claimant(2, 3), "b3.0")
    queue.push(claimant(2, 3), "b3.1")
    const order: Array<string> = []
    while (queue.size > 0) order.push(queue.take(() => true) ?? "")
    assert.deepStrictEqual(order, ["a1.0", "b3.0", "a2.0", "b3.1", "a1.1", "a2.1", "a1.2", "a2.2"])
  })

  it("passes over those that do not fit, and forgets who left", () => {
    const queue = new FairQueue<number>()
    queue.push(claimant(1, 1), 9)
    queue.push(claimant(2, 1), 1)
    queue.push(claimant(2, 1), 2)
    assert.strictEqual(
      queue.take((n) => n < 5),
      1
    )
    queue.remove(claimant(2, 1), 2)
    queue.remove(claimant(2, 1), 2)
    assert.strictEqual(
      queue.take((n) => n < 5),
      undefined
    )
    assert.strictEqual(queue.size, 1)
  })
})

describe("BlockPool", () => {
  it.effect("uses buffers again, large ones too, and keeps no more of them than nobody holds", () =>
    Effect.gen(function* () {
      const pool = new BlockPool(2 * 16 * mebi)
      const one = claimant(1, 1)
      const large = yield* pool.take(one, 4 * mebi)
      pool.give(large)
      assert.strictEqual((yield* pool.take(one, 4 * mebi - 5)).buffer, large.buffer)
      pool.give(large)
      const small: Array<Lease> = []
      for (let count = 0; count < 10; count++) small.push(yield* pool.take(one, 1))
      // These and the large one are more than all there is: it is not kept any longer.
      for (const lease of small) pool.give(lease)
      const larges = [yield* pool.take(one, 4 * mebi), yield* pool.take(one, 4 * mebi)]
      for (const lease of larges) pool.give(lease)
      const known = new Set([large, ...small, ...larges].map(({ buffer }) => buffer))
      let reused = 0
      for (let count = 0; count < 11; count++) if (known.has((yield* pool.take(one, 1)).buffer)) reused++
      assert.isBelow(reused, 10)
      assert.isAtLeast(reused, 1)
    })
  )

  it.effect("keeps a part for those that hold nothing, and lets who waits have its turn", () =>
    Effect.gen(function* () {
      const pool = new BlockPool(2 * 16 * mebi)
      const slow = claimant(1, 1)
      const held: Array<Lease> = []
      const greedy = yield* Effect.forkChild(
        Effect.forever(Effect.map(pool.take(slow, 1), (lease) => void held.push(lease))),
        { startImmediately: true }
      )
      for (let i = 0; i < 100 && !pool.isContested; i++) yield* Effect.yieldNow
      assert.isTrue(pool.isContested)
      const taken = held.length
      assert.isAtMost(taken * 1.0625, 12.001, "a quarter is not for it")
      // Each that comes anew has one, although the greedy one waits.
      const others = yield* Effect.forEach([2, 3], (peer) => pool.take(claimant(peer, 1), mebi))
      assert.strictEqual(others.length, 2)
      for (const lease of others) pool.give(lease)
      yield* Fiber.interrupt(greedy)
      for (const lease of held) pool.give(lease)
      assert.isFalse(pool.isContested)
      const all = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (transfer) => pool.take(claimant(1, transfer), 2 * mebi))
      for (const lease of all) pool.forget(lease)
    })
  )

  it.effect.prop(
    "loses nothing, whoever is interrupted when",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 29 }))).check(Schema.isMaxLength(60))],
    ([choices]) =>
      Effect.gen(function* () {
        const pool = new BlockPool(2 * 8 * mebi)
        const running: Array<{ readonly fiber: Fiber.Fiber<void>; readonly go: Deferred.Deferred<void> }> = []
        for (const choice of choices) {
          if (choice < 15) {
            const go = yield* Deferred.make<void>()
            const one = Effect.scoped(
              Effect.gen(function* () {
                const leases = yield* pool.leases("send", claimant(choice % 3, choice % 2))
                const lease = yield* leases.take(choice % 4 === 0 ? 4 * mebi : 1)
                yield* Deferred.await(go)
                yield* leases.give(lease)
              })
            )
            running.push({ fiber: yield* Effect.forkChild(one), go })
          } else {
            const picked = running.splice(choice % Math.max(1, running.length), 1)[0]
            if (picked === undefined) continue
            if (choice < 22) yield* Deferred.succeed(picked.go, undefined)
            yield* choice < 22 ? Effect.yieldNow : Fiber.interrupt(picked.fiber)
            if (choice < 22) running.push(picked)
          }
        }
        for (const { go } of running) yield* Deferred.succeed(go, undefined)
        for (const { fiber } of running) yield* Fiber.join(fiber)
        assert.isFalse(pool.isContested)
        const whole = yield* pool.take(claimant(1, 1), 8 * mebi)
        pool.give(whole)
      })
  )
})

describe("SharedReads", () => {
  const group = Effect.fnUntraced(function* (bytes = 64 * mebi) {
    const pool = new BlockPool(2 * bytes)
    const reads = new SharedReads(pool)
    const members = yield* Effect.forEach([1, 2], () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.provide(reads.join, scope)
        return { scope, reader: yield* Scope.provide(reads.reader, scope) }
      })
    )
    let loads = 0
    const load: Effect.Effect<Loaded> = Effect.suspend(() => {
      loads++
      return Effect.map(pool.take(claimant(1, 1), mebi), (lease) => ({ blocks: [], lease, failures: [] }))
    })
    const [one, two] = members
    assert(one !== undefined && two !== undefined)
    return { pool, reads, one, two, load, loads: () => loads }
  })

  it.effect("reads once for those that keep step, and again for who is far behind", () =>
    Effect.gen(function* () {
      const { load, loads, one, reads, two } = yield* group()
      for (let at = 0; at < 20; at++) yield* (yield* one.reader.use(at, at + 1, load)).written
      assert.strictEqual(loads(), 20)
      const { loaded, written } = yield* two.reader.use(19, 20, load)
      assert.strictEqual(loads(), 20)
      assert.isDefined(loaded.lease)
      yield* written
      yield* (yield* two.reader.use(0, 1, load)).written
      assert.strictEqual(loads(), 21)
      yield* (yield* two.reader.use(19, 22, load)).written
      assert.strictEqual(loads(), 22, "cut otherwise, it is another chunk")
      assert.isTrue(reads.isShared)
      yield* Scope.close(two.scope, Exit.void)
      assert.isFalse(reads.isShared)
    })
  )

  it.effect("gives up what is only kept as soon as anyone waits for the memory, never what is still used", () =>
    Effect.gen(function* () {
      const { load, one, pool, two } = yield* group(8 * mebi)
      const used = yield* two.reader.use(0, 1, load)
      const bytes = used.loaded.lease?.buffer
      for (let at = 1; at < 4; at++) yield* (yield* one.reader.use(at, at + 1, load)).written
      const rest = yield* Effect.forEach([1, 2, 3, 4, 5], (peer) => pool.take(claimant(2 + peer, 3), mebi))
      assert.isFalse(rest.some(({ buffer }) => buffer === bytes))
      for (const lease of rest) pool.give(lease)
      yield* used.written
      yield* Scope.close(one.scope, Exit.void)
      yield* Scope.close(two.scope, Exit.void)
      pool.give(yield* pool.take(claimant(1, 1), 8 * mebi))
    })
  )

  it.effect(
    "is loaded by another where the first is stopped; a link that broke keeps its buffer from being used again",
    () =>
      Effect.gen(function* () {
        const { load, loads, one, pool, two } = yield* group()
        const first = yield* Effect.forkChild(one.reader.use(0, 1, Effect.never), { startImmediately: true })
        const second = yield* Effect.forkChild(two.reader.use(0, 1, load), { startImmediately: true })
        yield* Fiber.interrupt(first)
        const { loaded } = yield* Fiber.join(second)
        assert.strictEqual(loads(), 1)
        const buffer = loaded.lease?.buffer
        // Its lane ends in the middle of writing.
        yield* Scope.close(two.scope, Exit.void)
        yield* Scope.close(one.scope, Exit.void)
        const next = yield* Effect.forEach([1, 2], () => pool.take(claimant(1, 1), mebi))
        assert.isFalse(next.some((lease) => lease.buffer === buffer))
        for (const lease of next) pool.give(lease)
        pool.give(yield* pool.take(claimant(1, 1), 64 * mebi))
      })
  )
})

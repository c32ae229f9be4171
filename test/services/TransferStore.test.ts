/** The index of transfers: what is kept of each, what a start takes up again, and that it stays bounded. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { limits } from "../../src/config.ts"
import { GroupId, TransferId } from "../../src/schema/Id.ts"
import type { TransferState } from "../../src/schema/Offer.ts"
import { Database } from "../../src/services/Database.ts"
import { type StoredTransfer, TransferStore } from "../../src/services/TransferStore.ts"
import { someId, someMessage } from "../Some.ts"

const memory = TransferStore.layer.pipe(Layer.provideMerge(Database.layerMemory))

const transfer = (n: number, state: TransferState = "running"): StoredTransfer => ({
  view: {
    id: TransferId.make(someMessage(n)),
    direction: "receive",
    state,
    group: GroupId.make(someMessage(0)),
    peer: someId(1),
    name: `photos\u0000 ${n}`,
    files: 3,
    directories: 1,
    bytes: 2 ** 40,
    totalBytes: 2 ** 41,
    bytesPerSecond: 0,
    error: null,
    published: [],
    problems: [],
    problemCount: 0,
    startedAt: n
  },
  endedAt: null,
  sources: [],
  conflict: "rename",
  staging: "abc",
  root: "/home/alice/received_files"
})

const ids = (transfers: ReadonlyArray<StoredTransfer>) => transfers.map((one) => one.view.startedAt)

describe("TransferStore", () => {
  it.effect("keeps all of a transfer, and the latest of it", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const first = transfer(1)
      yield* store.save([
        first,
        { ...transfer(2), view: { ...transfer(2).view, direction: "send" }, sources: ["/a", "/b"] }
      ])
      assert.deepStrictEqual(yield* store.get(first.view.id), Option.some(first))
      const problems = [
        { path: "a/b", reason: "changed while it was sent" },
        { path: "名", reason: "" }
      ]
      const over: StoredTransfer = {
        ...first,
        view: {
          ...first.view,
          state: "partial",
          published: ["/x/photos", "/x/y"],
          problems,
          problemCount: 250,
          error: "some\u0000thing"
        },
        endedAt: 9
      }
      yield* store.save([over])
      yield* store.save([over])
      assert.deepStrictEqual(yield* store.get(first.view.id), Option.some(over))
      assert.deepStrictEqual(ids(yield* store.unfinished), [2])
      assert.deepStrictEqual(ids((yield* store.list({ limit: 10 })).transfers), [2, 1])
      yield* store.remove(first.view.id)
      assert.isTrue(Option.isNone(yield* store.get(first.view.id)))
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps at most so many problems, and forgets its speed", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const one = transfer(1)
      const problems = Array.from({ length: 500 }, (_, n) => ({ path: `${n}`, reason: "no" }))
      yield* store.save([{ ...one, view: { ...one.view, problems, problemCount: 500, bytesPerSecond: 7 } }])
      const [kept] = yield* store.unfinished
      assert.deepStrictEqual(kept?.view.problems, problems.slice(0, limits.problemsShownMax))
      assert.strictEqual(kept?.view.problemCount, 500)
      assert.strictEqual(kept?.view.bytesPerSecond, 0)
    }).pipe(Effect.provide(memory))
  )

  it.effect("does not let a peer write over another's transfer by its id", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const mine = transfer(1)
      yield* store.save([mine])
      yield* store.save([{ ...mine, view: { ...mine.view, peer: someId(2), name: "other" } }, transfer(2)])
      yield* store.save([{ ...mine, view: { ...mine.view, direction: "send", name: "other" } }])
      assert.deepStrictEqual(yield* store.get(mine.view.id), Option.some(mine))
      assert.deepStrictEqual(ids(yield* store.unfinished), [1, 2])
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps every unfinished one, and of the others the newest", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      yield* store.save([transfer(1)])
      const more = 20
      const over = Array.from({ length: limits.transfersShownMax + more }, (_, n) => transfer(2 + n, "done"))
      yield* store.save(over)
      const read: Array<number> = []
      let before: number | null = Number.MAX_SAFE_INTEGER
      while (before !== null) {
        const page: Effect.Success<ReturnType<typeof store.list>> = yield* store.list({ limit: 300, before })
        read.push(...ids(page.transfers))
        before = page.before
      }
      const newest = ids(over.slice(more)).toReversed()
      assert.deepStrictEqual(read, [...newest, 1])
    }).pipe(Effect.provide(memory))
  )
})

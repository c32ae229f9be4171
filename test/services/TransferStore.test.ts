/** How transfers ended: all of it is kept, the newest of them, and in the order in which they ended. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { SqlClient } from "effect/sql/SqlClient"
import { limits } from "../../src/config.ts"
import { GroupId, TransferId } from "../../src/schema/Id.ts"
import type { Transfer } from "../../src/schema/Offer.ts"
import { Database } from "../../src/services/Database.ts"
import { TransferStore } from "../../src/services/TransferStore.ts"
import { someId, someMessage } from "../Some.ts"

const memory = TransferStore.layer.pipe(Layer.provideMerge(Database.layerMemory))

const transfer = (n: number): Transfer => ({
  id: TransferId.make(someMessage(n)),
  direction: "receive",
  state: "partial",
  group: GroupId.make(someMessage(0)),
  peer: someId(1),
  name: `photos\u0000 ${n}`,
  files: 3,
  filesDone: 2,
  directories: 1,
  bytes: 2 ** 40,
  totalBytes: 2 ** 41,
  bytesPerSecond: 0,
  secondsLeft: null,
  priority: "high",
  error: "half a character: \uD800",
  published: ["/x/photos", "/x/y"],
  renamed: [{ path: "photos", name: "photos (1)" }],
  notTaken: { count: 1, paths: ["z"] },
  problems: [
    { kind: "failed", path: "a/b", reason: "changed while it was sent" },
    { kind: "leftOut", path: "名", reason: "" }
  ],
  problemCount: 250,
  failedCount: 1,
  startedAt: n
})

const places = Effect.map(
  TransferStore.use((store) => store.all),
  (views) => views.map((view) => view.startedAt)
)

describe("TransferStore", () => {
  it.effect("keeps all of a transfer, and the latest of it", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      yield* store.save(transfer(1))
      yield* store.save(transfer(2))
      assert.deepStrictEqual(yield* store.all, [transfer(1), transfer(2)])
      const later = { ...transfer(1), state: "done", direction: "send", error: null } as const
      yield* store.save({ ...later, bytesPerSecond: 7 })
      assert.deepStrictEqual(yield* store.all, [transfer(2), later])
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps what was picked for a send, within bounds", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const [one, other] = [transfer(1), transfer(2)]
      const picked = ["/srv/ünïcode", '/srv/"quoted"\n']
      yield* store.save(one, picked)
      yield* store.save(other)
      assert.deepStrictEqual(yield* store.picked(one.id), picked)
      assert.isUndefined(yield* store.picked(other.id))
      assert.isUndefined(yield* store.picked(TransferId.make(someMessage(9))))
      yield* store.save(other, ["é".repeat(limits.pickedKeptMaxBytes / 2 - 2)])
      assert.isDefined(yield* store.picked(other.id))
      yield* store.save(other, ["é".repeat(limits.pickedKeptMaxBytes / 2 - 1)])
      assert.isUndefined(yield* store.picked(other.id))
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps those that ended last", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const many = limits.transfersShownMax + 20
      for (let n = 0; n < many; n++) yield* store.save(transfer(n))
      assert.deepStrictEqual(
        yield* places,
        Array.from({ length: limits.transfersShownMax }, (_, n) => n + 20)
      )
      // An old one that ends anew is a new one.
      yield* store.save(transfer(21))
      assert.deepStrictEqual((yield* places).slice(-2), [many - 1, 21])
      assert.lengthOf(yield* places, limits.transfersShownMax)
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps few of those that nobody answered, and nothing else goes for them", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const many = limits.transfersShownMax + 1
      yield* store.save(transfer(0))
      for (let n = 1; n <= many; n++) yield* store.save({ ...transfer(n), unanswered: true })
      assert.deepStrictEqual(yield* places, [
        0,
        ...Array.from({ length: limits.unansweredShownMax }, (_, n) => many - limits.unansweredShownMax + 1 + n)
      ])
    }).pipe(Effect.provide(memory))
  )

  it.effect("reads what was kept before problems had kinds", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const sql = yield* SqlClient
      yield* store.save(transfer(1))
      yield* sql`UPDATE ended SET view = json_remove(view, '$.problems[0].kind', '$.failedCount')`
      const [old] = yield* store.all
      assert.deepStrictEqual(old?.problems[0], { kind: "leftOut", path: "a/b", reason: "changed while it was sent" })
    }).pipe(Effect.provide(memory))
  )

  it.effect("shows the others where one cannot be read", () =>
    Effect.gen(function* () {
      const store = yield* TransferStore
      const sql = yield* SqlClient
      for (const n of [1, 2, 3]) yield* store.save(transfer(n))
      yield* sql`UPDATE ended SET view = '{"id":7}' WHERE place = 2`
      assert.deepStrictEqual(yield* places, [1, 3])
    }).pipe(Effect.provide(Layer.merge(memory, Logger.layer([]))))
  )
})

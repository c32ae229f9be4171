/** Writes that share a transaction: together in the disk's eyes, each alone in its caller's. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import { Database, DatabaseError } from "../../src/services/Database.ts"
import { makeWriter } from "../../src/services/database/DatabaseWriter.ts"

const error = (reason: DatabaseError["reason"]) =>
  new DatabaseError({ reason, path: "here", problem: reason, remedy: "None" })

/** A writer over a database in memory, and a disk that does what the test says. */
const make = Effect.gen(function* () {
  const sql = yield* SqlClient
  const disk = { syncs: 0, isBroken: false, ready: Latch.makeUnsafe(true) }
  const sync = Effect.gen(function* () {
    yield* disk.ready.await
    disk.syncs++
    if (disk.isBroken) return yield* error("failed")
  })
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
  const { together, write } = yield* makeWriter({
    sql,
    sync,
    checkpoint: Effect.void,
    closed: error("closed"),
    unsafe: () => error("unsafe"),
    jobsMax: 100,
    waitingMax: 1000
  }).pipe(Scope.provide(scope))
  yield* sql`CREATE TABLE t (a TEXT NOT NULL UNIQUE) STRICT`
  const insert = (a: string) => sql`INSERT INTO t VALUES (${a}) RETURNING a`.values
  const kept = Effect.map(sql`SELECT a FROM t ORDER BY rowid`.values, (rows) => rows.map(([a]) => a))
  return { close: Scope.close(scope, Exit.void), disk, insert, kept, sql, together, write }
})

const test = <A, E>(
  name: string,
  body: (parts: Effect.Success<typeof make>) => Effect.Effect<A, E, Scope.Scope | SqlClient>
) => it.effect(name, () => Effect.flatMap(make, body).pipe(Effect.provide(Database.layerMemory)))

const names = (count: number) => Array.from({ length: count }, (_, n) => `n${n}`)

describe("DatabaseWriter", () => {
  test("gives work for many what they ask at once, at most so many, and each its own answer", ({
    disk,
    insert,
    kept,
    together,
    write
  }) =>
    Effect.gen(function* () {
      const calls: Array<number> = []
      const ask = together(40, (asked: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          calls.push(asked.length)
          yield* Effect.forEach(asked, insert, { discard: true })
          return asked.map((a) => `${a}!`)
        })
      )
      const answers = yield* Effect.forEach(
        names(90),
        (a, at) => (at === 50 ? Effect.as(write(insert(a)), "alone") : ask(a)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers,
        names(90).map((a, at) => (at === 50 ? "alone" : `${a}!`))
      )
      assert.deepStrictEqual(calls, [40, 40, 9])
      assert.strictEqual(disk.syncs, 1)
      assert.sameMembers([...(yield* kept)], names(90))
    }))

  test("work for many that fails is done for each alone, and spoils nothing but what fails", ({
    insert,
    kept,
    together,
    write
  }) =>
    Effect.gen(function* () {
      const ask = together(100, (asked: ReadonlyArray<string>) => Effect.forEach(asked, insert))
      yield* write(insert("n3"))
      const exits = yield* Effect.forEach(
        names(10),
        (a, at) => Effect.exit(at % 5 === 4 ? write(insert(`w${at}`)) : ask(a)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        exits.flatMap((exit, at) => (Exit.isFailure(exit) ? [at] : [])),
        [3]
      )
      assert.sameMembers([...(yield* kept)], ["n3", "n0", "n1", "n2", "n5", "n6", "n7", "n8", "w4", "w9"])
    }))

  test("brings what is asked for at once to the disk at once, and tells each caller its own", ({
    disk,
    insert,
    kept,
    write
  }) =>
    Effect.gen(function* () {
      const answers = yield* Effect.forEach(names(100), (a) => write(insert(a)), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        answers,
        names(100).map((a) => [[a]])
      )
      assert.deepStrictEqual(yield* kept, names(100))
      assert.isBelow(disk.syncs, 4)
    }))

  test("tells nobody before the disk has it", ({ disk, insert, kept, write }) =>
    Effect.gen(function* () {
      yield* disk.ready.close
      const first = yield* Effect.forkChild(write(insert("a")), { startImmediately: true })
      yield* Effect.yieldNow
      while ((yield* kept).length === 0) yield* Effect.yieldNow
      assert.isUndefined(first.pollUnsafe())
      yield* disk.ready.open
      yield* Fiber.join(first)
    }))

  test("keeps the others when one fails, in the order they came", ({ insert, kept, write }) =>
    Effect.gen(function* () {
      const exits = yield* Effect.forEach(["a", "b", "a", "c", "b", "d"], (a) => Effect.exit(write(insert(a))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, true, false, true])
      assert.deepStrictEqual(yield* kept, ["a", "b", "c", "d"])
    }))

  test("keeps nothing of work that fails, and its failure is its own", ({ insert, kept, write }) =>
    Effect.gen(function* () {
      const [half, other] = yield* Effect.all(
        [Effect.flip(write(Effect.andThen(insert("half"), Effect.fail("mine" as const)))), write(insert("other"))],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(half, "mine")
      assert.deepStrictEqual(other, [["other"]])
      const defect = yield* Effect.exit(write(Effect.andThen(insert("half"), Effect.die("oh"))))
      assert.isTrue(Exit.isFailure(defect) && Cause.hasDies(defect.cause))
      assert.deepStrictEqual(yield* kept, ["other"])
    }))

  test("believes a disk no more that failed to keep something", ({ disk, insert, write }) =>
    Effect.gen(function* () {
      yield* write(insert("a"))
      disk.isBroken = true
      const refused = yield* Effect.forEach(["b", "c"], (a) => Effect.flip(write(insert(a))), {
        concurrency: "unbounded"
      })
      for (const one of refused) assert.strictEqual(one._tag === "DatabaseError" && one.reason, "unsafe")
      disk.isBroken = false
      const syncs = disk.syncs
      const later = yield* Effect.flip(write(insert("d")))
      assert.strictEqual(later._tag === "DatabaseError" && later.reason, "unsafe")
      assert.strictEqual(disk.syncs, syncs)
    }))

  test("does nothing for a caller that stopped waiting before its turn", ({ disk, insert, kept, write }) =>
    Effect.gen(function* () {
      yield* disk.ready.close
      const first = yield* Effect.forkChild(write(insert("first")), { startImmediately: true })
      while ((yield* kept).length === 0) yield* Effect.yieldNow
      const gone = yield* Effect.forkChild(write(insert("gone")), { startImmediately: true })
      const stays = yield* Effect.forkChild(write(insert("stays")), { startImmediately: true })
      yield* Fiber.interrupt(gone)
      yield* disk.ready.open
      yield* Fiber.join(first)
      yield* Fiber.join(stays)
      assert.deepStrictEqual(yield* kept, ["first", "stays"])
    }))

  test("finishes what it accepted when it ends, and then accepts nothing", ({ close, disk, insert, kept, write }) =>
    Effect.gen(function* () {
      yield* disk.ready.close
      const waiting = yield* Effect.forEach(names(250), (a) =>
        Effect.forkChild(write(insert(a)), { startImmediately: true })
      )
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* disk.ready.open
      yield* Fiber.join(closing)
      yield* Effect.forEach(waiting, Fiber.join)
      assert.deepStrictEqual(yield* kept, names(250))
      const late = yield* Effect.flip(write(insert("late")))
      assert.strictEqual(late._tag === "DatabaseError" && late.reason, "closed")
    }))

  test("lets callers wait beyond its bound, and forgets none", ({ disk, insert, kept, write }) =>
    Effect.gen(function* () {
      yield* disk.ready.close
      const started = yield* Deferred.make<void>()
      const all = yield* Effect.forkChild(
        Effect.andThen(
          Deferred.succeed(started, undefined),
          Effect.forEach(names(3000), (a) => write(insert(a)), { concurrency: "unbounded", discard: true })
        )
      )
      yield* Deferred.await(started)
      yield* disk.ready.open
      yield* Fiber.join(all)
      assert.strictEqual((yield* kept).length, 3000)
      assert.isAtMost(disk.syncs, 60)
    }))
})

/** SqlClient over node:sqlite: what effect/sql promises of any client holds of this one. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { makeClient } from "../../src/services/database/DatabaseSqlite.ts"
import { temporaryDirectory } from "./DatabaseDirectory.ts"

const client = (path: string) =>
  Effect.gen(function* () {
    const database = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(path, { timeout: 0 })),
      (database) => Effect.sync(() => database.close())
    )
    return yield* makeClient(database)
  })

const memory = Layer.effect(SqlClient.SqlClient, client(":memory:")).pipe(Layer.provideMerge(Reactivity.layer))

const table = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE t (n INTEGER PRIMARY KEY, a TEXT UNIQUE, b ANY) STRICT`
  return sql
})

describe("DatabaseSqlite", () => {
  it.effect("binds what JavaScript has, and answers with it", () =>
    Effect.gen(function* () {
      const sql = yield* table
      const bytes = new Uint8Array([1, 0, 255])
      const values = ["", "ab 🎉", 0, -1.5, 2 ** 53, null, bytes]
      for (const value of values) yield* sql`INSERT INTO t (b) VALUES (${value})`
      yield* sql`INSERT INTO t (b) VALUES (${true}), (${undefined}), (${5n})`
      const rows = yield* sql`SELECT b FROM t ORDER BY n`.values
      assert.deepStrictEqual(
        rows.map(([value]) => (value instanceof Uint8Array ? [...value] : value)),
        ["", "ab 🎉", 0, -1.5, 2 ** 53, null, [1, 0, 255], 1, null, 5]
      )
      const refused = yield* Effect.flip(sql`INSERT INTO t (b) VALUES (${{ an: "object" }})`)
      assert.strictEqual(refused._tag, "SqlError")
    }).pipe(Effect.provide(memory))
  )

  it.effect("gives whole numbers beyond 2^53 to who asks for them, and an error to others", () =>
    Effect.gen(function* () {
      const sql = yield* table
      yield* sql`INSERT INTO t (n) VALUES (${2n ** 60n})`
      yield* Effect.flip(sql`SELECT n FROM t`)
      const rows = yield* sql`SELECT n FROM t`.values.pipe(Effect.provideService(SqlClient.SafeIntegers, true))
      assert.deepStrictEqual(rows, [[2n ** 60n]])
      assert.deepStrictEqual(yield* sql`SELECT 1`.values, [[1]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("says what was wrong", () =>
    Effect.gen(function* () {
      const sql = yield* table
      yield* sql`INSERT INTO t (a) VALUES ('x')`
      const unique = yield* Effect.flip(sql`INSERT INTO t (a) VALUES ('x')`)
      assert.strictEqual(unique.reason._tag, "UniqueViolation")
      if (unique.reason._tag === "UniqueViolation") assert.strictEqual(unique.reason.constraint, "t.a")
      const type = yield* Effect.flip(sql`INSERT INTO t (n) VALUES ('not a number')`)
      assert.notStrictEqual(type.reason._tag, "UniqueViolation")
      const syntax = yield* Effect.flip(sql`SELEKT 1`)
      assert.match(syntax.reason.message, /syntax error/)
      assert.strictEqual((yield* Effect.flip(sql`SELECT * FROM nothing`))._tag, "SqlError")
    }).pipe(Effect.provide(memory))
  )

  it.live("says that another connection holds the database", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryDirectory, "db")
      const sql = yield* client(path)
      yield* sql`CREATE TABLE t (a TEXT)`
      const other = new DatabaseSync(path)
      other.exec("BEGIN EXCLUSIVE")
      const error = yield* Effect.flip(sql`INSERT INTO t VALUES ('x')`)
      assert.strictEqual(error.reason._tag, "LockTimeoutError")
      const began = yield* Effect.flip(sql.withTransaction(sql`SELECT 1`))
      assert.strictEqual(began._tag, "SqlError")
      other.close()
      yield* sql.withTransaction(sql`INSERT INTO t VALUES ('x')`)
    }).pipe(Effect.provide(Reactivity.layer))
  )

  it.effect("keeps a transaction whole: an error, an interruption or a defect undoes all of it", () =>
    Effect.gen(function* () {
      const sql = yield* table
      const insert = sql`INSERT INTO t (a) VALUES ('x')`
      yield* Effect.exit(sql.withTransaction(Effect.andThen(insert, Effect.fail("no"))))
      yield* Effect.exit(sql.withTransaction(Effect.andThen(insert, Effect.die("no"))))
      const begun = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(insert, Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM t`.values, [[0]])
      yield* sql.withTransaction(insert)
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM t`.values, [[1]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("undoes an inner transaction alone", () =>
    Effect.gen(function* () {
      const sql = yield* table
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`INSERT INTO t (a) VALUES ('outer')`
          yield* Effect.exit(
            sql.withTransaction(Effect.andThen(sql`INSERT INTO t (a) VALUES ('inner')`, Effect.fail("no")))
          )
          yield* sql.withTransaction(sql`INSERT INTO t (a) VALUES ('second')`)
        })
      )
      assert.deepStrictEqual(yield* sql`SELECT a FROM t ORDER BY n`.values, [["outer"], ["second"]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("goes on after a commit that SQLite refuses", () =>
    Effect.gen(function* () {
      const sql = yield* table
      yield* sql`CREATE TABLE u (t INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED) STRICT`
      const exit = yield* Effect.exit(sql.withTransaction(sql`INSERT INTO u VALUES (7)`))
      assert.isTrue(Exit.isFailure(exit))
      yield* sql.withTransaction(sql`INSERT INTO t (n) VALUES (7)`)
      yield* sql.withTransaction(sql`INSERT INTO u VALUES (7)`)
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM u`.values, [[1]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("lets one transaction end before the next begins, however many ask at once", () =>
    Effect.gen(function* () {
      const sql = yield* table
      yield* sql`INSERT INTO t (n, b) VALUES (1, 0)`
      const increment = sql.withTransaction(
        Effect.gen(function* () {
          const [row] = yield* sql`SELECT b FROM t WHERE n = 1`.values
          yield* Effect.yieldNow
          yield* sql`UPDATE t SET b = ${Number(row?.[0]) + 1} WHERE n = 1`
        })
      )
      yield* Effect.all(
        Array.from({ length: 50 }, () => increment),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(yield* sql`SELECT b FROM t`.values, [[50]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("streams rows as they are asked for, and lets go when the reader does", () =>
    Effect.gen(function* () {
      const sql = yield* table
      const numbers = sql`
        WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10000) SELECT n FROM c`
      const some = yield* numbers.stream.pipe(Stream.take(300), Stream.runCollect)
      assert.strictEqual(some.length, 300)
      yield* sql`CREATE TABLE u AS ${numbers}`
      yield* sql`SELECT * FROM u`.stream.pipe(Stream.take(1), Stream.runDrain)
      // Refused while a statement reads from it.
      yield* sql`DROP TABLE u`
      // The connection is free again.
      yield* sql`INSERT INTO t (a) VALUES ('x')`
      const all = yield* sql`SELECT * FROM t`.stream.pipe(Stream.runCollect)
      assert.strictEqual(all.length, 1)
      assert.deepStrictEqual(yield* Stream.runCollect(sql`SELECT * FROM t WHERE n < 0`.stream), [])
      const error = yield* Effect.flip(Stream.runCollect(sql`SELECT * FROM nothing`.stream))
      assert.strictEqual(error._tag, "SqlError")
      // An error after the first rows.
      const late = sql`
        WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500)
        SELECT abs(CASE n WHEN 400 THEN -9223372036854775807 - 1 ELSE n END) FROM c`
      assert.strictEqual((yield* Effect.flip(Stream.runCollect(late.stream)))._tag, "SqlError")
    }).pipe(Effect.provide(memory))
  )

  it.effect("does not mind more kinds of statements than it keeps", () =>
    Effect.gen(function* () {
      const sql = yield* table
      for (let n = 0; n < 1000; n++) {
        assert.deepStrictEqual(yield* sql.unsafe(`SELECT ${n} AS n`).values, [[n]])
        assert.deepInclude((yield* sql.unsafe(`SELECT ${n} AS n`))[0], { n })
      }
    }).pipe(Effect.provide(memory))
  )
})

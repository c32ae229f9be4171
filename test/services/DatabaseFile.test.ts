/** A file that can be used is opened and brought up to date; any other is refused, and not a byte of it changed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { NodeConfig } from "../../src/config.ts"
import { Database, DatabaseError, layerFile } from "../../src/services/Database.ts"
import { type Migration, migrations, versionOf } from "../../src/services/database/Migrations.ts"
import { temporaryDirectory } from "./DatabaseDirectory.ts"

/** Opens the database of this directory, and closes it again. */
const open = (directory: string, steps = migrations) =>
  SqlClient.pipe(
    Effect.flatMap((sql) => sql`SELECT count(*) AS tables FROM sqlite_schema`),
    Effect.provide(layerFile(join(directory, "kith.db"), steps))
  )

const refusal = (directory: string) =>
  Effect.map(Effect.flip(open(directory)), (error) => {
    assert.instanceOf(error, DatabaseError)
    return error
  })

const digest = (path: string) => createHash("sha256").update(fs.readFileSync(path)).digest("hex")

/** Everything in a directory, byte by byte. */
const contents = (directory: string) =>
  fs.readdirSync(directory).map((name) => {
    const path = join(directory, name)
    return fs.statSync(path).isFile() ? [name, digest(path)] : [name]
  })

/** Runs `act` against a directory and asserts that it fails for this reason and alters nothing. */
const isRefused = (directory: string, reason: DatabaseError["reason"], says: RegExp) =>
  Effect.gen(function* () {
    const before = contents(directory)
    const error = yield* refusal(directory)
    assert.strictEqual(error.reason, reason)
    assert.match(error.message, says)
    assert.isTrue(error.message.startsWith(join(directory, "kith.db")))
    assert.deepStrictEqual(contents(directory), before)
  })

const pragma = (directory: string, name: string) => {
  const database = new DatabaseSync(join(directory, "kith.db"))
  try {
    return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]
  } finally {
    database.close()
  }
}

describe("the database's file", () => {
  it.live("is made for its owner alone, in a directory that is made too", () =>
    Effect.gen(function* () {
      const directory = join(yield* temporaryDirectory, "new")
      const config = NodeConfig.layer({ name: "alice", dataDir: directory })
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient
        yield* sql`INSERT INTO settings (key, value) VALUES ('a', '1')`
        for (const name of ["kith.db", "kith.db-wal", "kith.db-shm"]) {
          assert.strictEqual(fs.statSync(join(directory, name)).mode & 0o777, 0o600, name)
        }
        assert.deepStrictEqual(yield* sql`PRAGMA journal_mode`.values, [["wal"]])
        assert.deepStrictEqual(yield* sql`PRAGMA foreign_keys`.values, [[1]])
      }).pipe(Effect.provide(Database.layer.pipe(Layer.provide(config))))
      assert.strictEqual(fs.statSync(directory).mode & 0o777, 0o700)
      // Closed, it is one file.
      assert.deepStrictEqual(fs.readdirSync(directory), ["kith.db"])
      assert.strictEqual(pragma(directory, "user_version"), versionOf(migrations))
    })
  )

  it.live("is tightened where others may read it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* open(directory)
      fs.chmodSync(join(directory, "kith.db"), 0o644)
      yield* open(directory)
      assert.strictEqual(fs.statSync(join(directory, "kith.db")).mode & 0o777, 0o600)
    })
  )

  it.live("may be empty, as a start that was cut off leaves it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.writeFileSync(join(directory, "kith.db"), "")
      yield* open(directory)
      assert.strictEqual(pragma(directory, "user_version"), versionOf(migrations))
    })
  )

  it.live("is brought up to date from every earlier layout, and keeps what it holds", () =>
    Effect.gen(function* () {
      for (let version = 1; version < versionOf(migrations); version++) {
        const directory = yield* temporaryDirectory
        yield* open(directory, migrations.slice(0, version))
        assert.strictEqual(pragma(directory, "user_version"), version)
        const old = new DatabaseSync(join(directory, "kith.db"))
        old.exec("INSERT INTO settings VALUES ('name', '\"alice\"')")
        old.close()
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient
          assert.deepStrictEqual(yield* sql`SELECT value FROM settings`.values, [['"alice"']])
          yield* sql`SELECT count(*) FROM ended`
        }).pipe(Effect.provide(layerFile(join(directory, "kith.db"))))
        assert.strictEqual(pragma(directory, "user_version"), versionOf(migrations))
      }
    })
  )

  it.live("stays at its layout where a step fails", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* open(directory)
      const next: Migration = {
        id: versionOf(migrations) + 1,
        name: "wrong",
        up: (sql) => Effect.andThen(sql`CREATE TABLE half (a INTEGER) STRICT`, sql`CREATE NONSENSE`)
      }
      const error = yield* Effect.flip(open(directory, [...migrations, next]))
      assert.strictEqual(error._tag, "DatabaseError")
      assert.strictEqual(pragma(directory, "user_version"), versionOf(migrations))
      yield* open(directory)
      const database = new DatabaseSync(join(directory, "kith.db"))
      assert.isUndefined(database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'half'").get())
      database.close()
    })
  )

  it.live("keeps its log short however much is written, and every commit as safe as the first", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        const database = yield* Database
        const sql = yield* SqlClient
        const safety = yield* sql`PRAGMA synchronous`.values
        for (let n = 0; n < 60; n++) {
          yield* database.write(sql`
            INSERT INTO settings WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200)
            SELECT ${n} || '/' || n, json_quote(hex(randomblob(500))) FROM c`)
          assert.isBelow(fs.statSync(join(directory, "kith.db-wal")).size, 32 * 1024 * 1024)
        }
        assert.deepStrictEqual(yield* sql`PRAGMA synchronous`.values, safety)
        assert.notDeepEqual(safety, [[0]])
        assert.deepStrictEqual(yield* sql`SELECT count(*) FROM settings`.values, [[12_000]])
      }).pipe(Effect.provide(layerFile(join(directory, "kith.db"))))
      assert.strictEqual(pragma(directory, "integrity_check"), "ok")
    })
  )

  it.live("is refused when a later version made it, and left as it is", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* open(directory)
      const database = new DatabaseSync(join(directory, "kith.db"))
      database.exec(`PRAGMA user_version = ${versionOf(migrations) + 1}`)
      database.close()
      yield* isRefused(directory, "newer", /a later version of Kith made it \(layout \d+; this one knows up to \d+\)/)
    })
  )

  it.live("is refused when a later version was killed over it, and left as it is with its log", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* open(directory)
      const running = new DatabaseSync(join(directory, "kith.db"))
      running.exec(`PRAGMA user_version = ${versionOf(migrations) + 1}; INSERT INTO settings VALUES ('a', '1')`)
      // What a kill leaves: the files as they are now.
      const killed = yield* temporaryDirectory
      fs.copyFileSync(join(directory, "kith.db"), join(killed, "kith.db"))
      fs.copyFileSync(join(directory, "kith.db-wal"), join(killed, "kith.db-wal"))
      running.close()
      const read = () => [digest(join(killed, "kith.db")), digest(join(killed, "kith.db-wal"))]
      const before = read()
      assert.strictEqual((yield* refusal(killed)).reason, "newer")
      assert.deepStrictEqual(read(), before)
    })
  )

  it.live("is refused when it is another program's", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const database = new DatabaseSync(join(directory, "kith.db"))
      database.exec("CREATE TABLE recipes (title TEXT)")
      database.close()
      yield* isRefused(directory, "foreign", /another program's database/)
    })
  )

  it.live("is refused when it is no database", () =>
    Effect.gen(function* () {
      for (const bytes of [Buffer.from("hello"), Buffer.alloc(8192, 7), Buffer.from("SQLite format 3\0")]) {
        const directory = yield* temporaryDirectory
        fs.writeFileSync(join(directory, "kith.db"), bytes)
        yield* isRefused(directory, "corrupt", /the database is damaged/)
      }
    })
  )

  it.live("is refused when it is damaged: overwritten, cut off, emptied beside its log", () =>
    Effect.gen(function* () {
      const sound = yield* temporaryDirectory
      yield* open(sound)
      const bytes = fs.readFileSync(join(sound, "kith.db"))
      const overwritten = Buffer.from(bytes)
      overwritten.fill(0xa5, 4096 * 3, 4096 * 6)
      const schema = Buffer.from(bytes)
      schema.fill(0xa5, 100, 4096)
      for (const damaged of [overwritten, schema, bytes.subarray(0, bytes.length - 4096), bytes.subarray(0, 700)]) {
        const directory = yield* temporaryDirectory
        fs.writeFileSync(join(directory, "kith.db"), damaged)
        yield* isRefused(directory, "corrupt", /the database is damaged/)
      }
      // Too large to be looked at whole at each start.
      const large = yield* temporaryDirectory
      yield* open(large)
      const database = new DatabaseSync(join(large, "kith.db"))
      database.exec("INSERT INTO settings VALUES ('a', json_quote(hex(randomblob(1000000))))")
      database.close()
      fs.truncateSync(join(large, "kith.db"), 1_500_000)
      yield* isRefused(large, "corrupt", /it ends after 1500000 of \d+ bytes/)
      const emptied = yield* temporaryDirectory
      fs.writeFileSync(join(emptied, "kith.db"), "")
      fs.writeFileSync(join(emptied, "kith.db-wal"), "something")
      yield* isRefused(emptied, "corrupt", /it is empty, and its log is not/)
    })
  )

  it.live("is refused when something else stands in its place", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.mkdirSync(join(directory, "kith.db"))
      yield* isRefused(directory, "unusable", /it is not a file/)
      const file = join(yield* temporaryDirectory, "file")
      fs.writeFileSync(file, "")
      assert.strictEqual((yield* refusal(join(file, "below"))).reason, "unusable")
    })
  )
})

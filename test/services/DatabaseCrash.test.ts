/** Whatever was acknowledged before a kill is there after it, once, and the database is sound. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { layerFile } from "../../src/services/Database.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { temporaryDirectory } from "./DatabaseDirectory.ts"

/** Runs the writer over this database until it acknowledged so much, kills it, and returns what it acknowledged. */
const killAfter = (path: string, from: number, acknowledged: number) =>
  Effect.callback<number>((resume) => {
    const writer = spawn(process.execPath, [join(import.meta.dirname, "DatabaseCrashWriter.ts"), path, String(from)], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let last = from
    createInterface({ input: writer.stdout }).on("line", (line) => {
      last = Math.max(last, Number(line))
      if (last - from >= acknowledged) writer.kill("SIGKILL")
    })
    // `close` comes after the last of its output.
    writer.on("close", () => resume(Effect.succeed(last)))
    return Effect.sync(() => writer.kill("SIGKILL"))
  })

describe("the database after kill -9", () => {
  it.live("has what was acknowledged, once, in order, and the counters that go with it", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryDirectory, "kith.db")
      let from = 0
      for (const acknowledged of [1, 300, 6000]) {
        const last = yield* killAfter(path, from, acknowledged)
        assert.isAtLeast(last - from, acknowledged)
        const kept = yield* Effect.gen(function* () {
          const store = yield* MessageStore
          const sql = yield* SqlClient
          assert.deepStrictEqual(yield* sql`PRAGMA integrity_check`.values, [["ok"]])
          const rows = yield* sql`SELECT text FROM messages ORDER BY n`.values
          const [counter] = yield* sql`SELECT last FROM incoming`.values
          const [indexed] = yield* sql`SELECT count(*) FROM message_search`.values
          rows.forEach(([text], at) => assert.strictEqual(text, `message ${at + 1}`))
          assert.deepStrictEqual(counter, [rows.length])
          assert.deepStrictEqual(indexed, [rows.length])
          assert.strictEqual((yield* store.history({ limit: 1 })).items[0]?.text, `message ${rows.length}`)
          return rows.length
        }).pipe(Effect.provide(MessageStore.layer.pipe(Layer.provideMerge(layerFile(path)))))
        assert.isAtLeast(kept, last)
        from = kept
      }
    })
  )
})

/** One node at a time has a data directory, and a killed one gives it up. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { acquire } from "../../src/services/identity/DataDirectory.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-data-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

const once = (start: (done: () => void) => void) => Effect.callback<void>((resume) => start(() => resume(Effect.void)))

describe("DataDirectory", () => {
  it.live("is made for its owner alone, parents too", () =>
    Effect.gen(function* () {
      const path = join(yield* temporary, "share", "kith")
      yield* acquire(path)
      assert.strictEqual(statSync(path).mode & 0o777, 0o700)
    })
  )

  it.live("belongs to one at a time, and is free again afterwards", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const refused = yield* Effect.scoped(Effect.andThen(acquire(path), Effect.flip(Effect.scoped(acquire(path)))))
      assert.strictEqual(refused.problem, "inUse")
      assert.include(refused.message, `another node is running on ${path}`)
      yield* acquire(path)
    })
  )

  it.live("is free after the process that held it was killed", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const holder = spawn(process.execPath, [
        "--input-type=module",
        "-e",
        `import { DatabaseSync } from "node:sqlite"
         const lock = new DatabaseSync(${JSON.stringify(join(path, "lock"))})
         lock.exec("BEGIN EXCLUSIVE")
         console.log("held")
         setInterval(() => lock, 1000)`
      ])
      yield* once((done) => holder.stdout.once("data", done))
      assert.strictEqual((yield* Effect.flip(acquire(path))).problem, "inUse")
      yield* once((done) => {
        holder.once("close", done)
        holder.kill("SIGKILL")
      })
      yield* acquire(path)
    })
  )

  it.live("says why it cannot be used", () =>
    Effect.gen(function* () {
      const dir = yield* temporary
      writeFileSync(join(dir, "file"), "")
      const inFile = yield* Effect.flip(acquire(join(dir, "file", "below")))
      assert.strictEqual(inFile.problem, "unusable")
      assert.include(inFile.message, "ENOTDIR")
      writeFileSync(join(dir, "lock"), "this is no database, and it is not overwritten".repeat(20))
      assert.strictEqual((yield* Effect.flip(acquire(dir))).problem, "unusable")
    })
  )

  it.live("makes what is above it, and gives up where nothing can be made", () =>
    Effect.gen(function* () {
      const deep = join(yield* temporary, "a", "b", "c")
      yield* acquire(deep)
      assert.isTrue(existsSync(join(deep, "lock")))
      if (process.platform !== "linux") return
      const nowhere = yield* Effect.flip(acquire("/proc/kith/below"))
      assert.deepInclude({ ...nowhere }, { problem: "unusable", path: "/proc/kith/below" })
    })
  )

  it.live("says that it may not write there", () =>
    Effect.gen(function* () {
      const dir = yield* temporary
      chmodSync(dir, 0o555)
      yield* asNobody
      assert.include((yield* Effect.flip(acquire(join(dir, "below")))).message, "EACCES")
    }).pipe(Effect.scoped)
  )
})

/** Root may do everything: then the rest of the scope is another user's. */
const asNobody = Effect.acquireRelease(
  Effect.sync(() => {
    if (process.getuid?.() === 0) process.seteuid?.(65_534)
  }),
  () =>
    Effect.sync(() => {
      if (process.getuid?.() === 0) process.seteuid?.(0)
    })
)

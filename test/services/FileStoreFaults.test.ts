/** What the file store does after a disk, another program or a crash got between: nothing is believed that may be lost. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { NodeConfig } from "../../src/config.ts"
import type { JournalRecord } from "../../src/schema/Journal.ts"
import { FileStore } from "../../src/services/FileStore.ts"
import { AppendFileNode } from "../../src/services/files/FileStoreAppend.ts"
import * as FileStoreNode from "../../src/services/files/FileStoreNode.ts"
import { appendRecords, readJournal } from "../../src/services/files/JournalFile.ts"
import { bytes, whole } from "./FileStoreContract.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "kith-store-faults-"))),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

const world = Effect.gen(function* () {
  const root = yield* temporary
  const received = path.join(root, "received")
  const config = NodeConfig.layer({ name: "test", dataDir: path.join(root, "data"), received })
  const context = yield* Layer.build(FileStoreNode.layer.pipe(Layer.provide(config)))
  return { received, store: Context.get(context, FileStore) }
})

describe("a journal", () => {
  it.live("whose last record is torn goes on before it: what is appended after is read back", () =>
    Effect.gen(function* () {
      const { store } = yield* world
      const records: ReadonlyArray<JournalRecord> = [
        { _tag: "Failed", entry: 1, reason: "one" },
        { _tag: "Failed", entry: 2, reason: "two" }
      ]
      const [one, two] = records
      assert(one !== undefined && two !== undefined)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { journal } = yield* store.archive("a")
          yield* appendRecords(journal, [one])
          yield* journal.append(bytes("\u0000\u0000\u0000\u0009torn"))
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { journal } = yield* store.archive("a")
          yield* readJournal(journal, () => {})
          yield* appendRecords(journal, [two])
        })
      )
      const read: Array<JournalRecord> = []
      yield* readJournal((yield* store.archive("a")).journal, (record) => void read.push(record))
      assert.deepStrictEqual(read, records)
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(process.platform !== "linux")(
    "that could not be written refuses everything until it is opened anew",
    () =>
      Effect.gen(function* () {
        const file = new AppendFileNode(
          { at: () => "/dev/full", self: "/dev", location: "/dev", fd: -1 },
          "full",
          "/dev"
        )
        const tried = yield* Effect.flip(file.file.append(bytes("1")))
        assert.strictEqual(tried.code, "ENOSPC")
        for (const work of [file.file.sync, file.file.cut(0), file.file.append(bytes("2")), file.file.read(0, 1)]) {
          assert.strictEqual((yield* Effect.flip(work)).code, "ENOSPC")
        }
        yield* Effect.promise(() => file.close())
      })
  )
})

describe("a staging", () => {
  it.live("of which a sync failed never says that it is safe", () =>
    Effect.gen(function* () {
      const { received, store } = yield* world
      const staging = yield* store.stage("a")
      yield* staging.write([whole("f", "1")])
      fs.rmSync(path.join(received, ".kith/a/data/f"))
      assert.strictEqual((yield* Effect.flip(staging.sync)).code, "ENOENT")
      yield* staging.write([whole("g", "2")])
      assert.strictEqual((yield* Effect.flip(staging.sync)).code, "ENOENT")
    }).pipe(Effect.scoped)
  )

  it.live("is not published over an empty directory that came to be under the chosen name", () =>
    Effect.gen(function* () {
      const { received, store } = yield* world
      const staging = yield* store.stage("a")
      yield* staging.write([whole("d/f", "1")])
      let isFirst = true
      const note = () =>
        Effect.sync(() => {
          if (isFirst) fs.mkdirSync(path.join(received, "d"))
          isFirst = false
        })
      const [published] = yield* staging.publish(["d"], "rename", { note })
      assert(published !== undefined && Result.isSuccess(published))
      assert.strictEqual(published.success, path.join(received, "d (1)"))
      assert.deepStrictEqual(fs.readdirSync(path.join(received, "d")), [])
      assert.deepStrictEqual(fs.readdirSync(path.join(received, "d (1)")), ["f"])
    }).pipe(Effect.scoped)
  )
})

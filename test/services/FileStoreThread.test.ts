/** The file store's thread: there only while it is needed, and what becomes of work when it ends by itself. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NodeConfig } from "../../src/config.ts"
import { FileStore } from "../../src/services/FileStore.ts"
import * as FileStoreNode from "../../src/services/files/FileStoreNode.ts"
import { openSource } from "../../src/services/files/FileStoreSending.ts"
import { StagingDirectory } from "../../src/services/files/FileStoreStaging.ts"
import * as System from "../../src/services/files/FileStoreSystem.ts"
import * as FileStoreThread from "../../src/services/files/FileStoreThread.ts"
import { bytes, relative, whole } from "./FileStoreContract.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "kith-store-thread-"))),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

/** The names that threads of this process have. */
const threads = (): ReadonlyArray<string> =>
  fs.readdirSync("/proc/self/task").map((id) => fs.readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim())

const isThere = (): boolean => threads().includes("kith files")

describe("the thread of a file store", () => {
  it.live.skipIf(process.platform !== "linux")(
    "is there only for what is sent and received, and ends with the store",
    () =>
      Effect.gen(function* () {
        const root = yield* temporary
        const config = NodeConfig.layer({
          name: "x",
          dataDir: path.join(root, "data"),
          received: path.join(root, "in")
        })
        yield* Effect.gen(function* () {
          const context = yield* Layer.build(FileStoreNode.layer.pipe(Layer.provide(config)))
          const store = Context.get(context, FileStore)
          yield* store.target
          yield* Effect.scoped(store.archive("one"))
          yield* store.archives
          yield* store.clean(0, new Set())
          assert.isFalse(isThere())
          const staging = yield* store.stage("a")
          yield* staging.write([whole("f", "1")])
          assert.isTrue(isThere())
          yield* staging.discard
        }).pipe(Effect.scoped)
        assert.isFalse(isThere())
      }).pipe(Effect.scoped)
  )

  it.live("that ended by itself is followed by another, which reads what the first one did", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      fs.writeFileSync(path.join(root, "f"), "content")
      const { mtimeMs } = fs.statSync(path.join(root, "f"))
      const thread = yield* FileStoreThread.make
      const picked = new Map([["f", { path: path.join(root, "f"), name: "f", kind: "f" } as const]])
      const source = yield* openSource(Effect.succeed(thread), picked)
      const part = { path: relative("f"), size: 7, mtime: mtimeMs, offset: 0, length: 7, at: 3 }
      for (let run = 0; run < 2; run++) {
        const into = new Uint8Array(10)
        const [read] = yield* source.read([part], into)
        assert.instanceOf(read, Uint8Array)
        assert.deepStrictEqual(into, bytes("\0\0\0content"))
        yield* Effect.promise(() => thread.end())
      }
    }).pipe(Effect.scoped)
  )

  it.live("that ended by itself fails what is staged in a way that may pass, and it is opened anew", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      const thread = yield* FileStoreThread.make
      const open = (isNew: boolean) =>
        Effect.map(
          Effect.acquireRelease(
            System.attempt(root, "opened", () => StagingDirectory.open(thread, root, "a", isNew)),
            (directory) => Effect.promise(() => directory.close())
          ),
          (directory) => directory.staging
        )
      const staging = yield* open(true)
      yield* staging.write([whole("d/one", "1"), { ...whole("d/two", "2"), finish: false }])
      yield* Effect.promise(() => thread.end())
      for (const work of [staging.write([whole("d/three", "3")]), staging.sync, staging.holds([])]) {
        const failed = yield* Effect.flip(work)
        assert.deepStrictEqual([failed.code, failed.mayPass], ["ETHREAD", true])
      }
      const again = yield* open(false)
      yield* again.write([{ ...whole("d/two", "2"), offset: 1 }, whole("d/three", "3")])
      yield* again.sync
      yield* again.publish(["d"], "rename")
      assert.deepStrictEqual(fs.readdirSync(path.join(root, "d")).toSorted(), ["one", "three", "two"])
      assert.strictEqual(fs.readFileSync(path.join(root, "d", "two"), "utf8"), "22")
    }).pipe(Effect.scoped)
  )

  for (const [what, program] of [
    ["ends at once", "data:text/javascript,process.exit(3)"],
    ["fails", "data:text/javascript,throw new Error('no')"],
    ["is not there", "file:///nowhere/at/all.js"]
  ] as const) {
    it.live(`tells of what was asked of it when its program ${what}, again and again`, () =>
      Effect.gen(function* () {
        const thread = yield* Effect.acquireRelease(
          Effect.sync(() => new FileStoreThread.FileStoreThread(new URL(program))),
          (thread) => Effect.promise(() => thread.end())
        )
        for (let run = 0; run < 2; run++) {
          const [asked] = yield* Effect.promise(() => Promise.allSettled([thread.request("sync", thread.fresh())]))
          assert(asked.status === "rejected")
          assert.propertyVal(asked.reason, "code", "ETHREAD")
        }
      }).pipe(Effect.scoped)
    )
  }

  it.live("tells of what was asked of it when it is ended", () =>
    Effect.gen(function* () {
      const thread = yield* FileStoreThread.make
      const asked = thread.request("sync", thread.fresh())
      const other = thread.request("digests", [{ at: 0, length: 1 << 20 }], new SharedArrayBuffer(1 << 20))
      const settled = Promise.allSettled([asked, other])
      yield* Effect.promise(() => thread.end())
      for (const one of yield* Effect.promise(() => settled)) {
        assert(one.status === "rejected")
        assert.propertyVal(one.reason, "code", "ETHREAD")
      }
    }).pipe(Effect.scoped)
  )
})

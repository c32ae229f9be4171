/** The file store over node:fs: the contract, and what only a real file system can do to us. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { NodeConfig } from "../../src/config.ts"
import { FileStore } from "../../src/services/FileStore.ts"
import { copyName } from "../../src/services/files/FileStorePublish.ts"
import * as FileStoreNode from "../../src/services/files/FileStoreNode.ts"
import { fileStoreContract, reason, relative, scanned, whole, type World } from "./FileStoreContract.ts"

const world: Effect.Effect<World, never, Scope.Scope> = Effect.gen(function* () {
  const root = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "kith-store-"))),
    (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
  )
  const received = path.join(root, "received")
  const config = NodeConfig.layer({ name: "test", dataDir: path.join(root, "data"), received })
  const context = yield* Layer.build(FileStoreNode.layer.pipe(Layer.provide(config)))
  const sources = path.join(root, "sources")
  fs.mkdirSync(sources)
  return {
    store: Context.get(context, FileStore),
    sources,
    received,
    write: (location, text, options) => {
      fs.mkdirSync(path.dirname(location), { recursive: true })
      fs.writeFileSync(location, text, { mode: options?.mode })
      if (options?.mtime !== undefined) fs.utimesSync(location, new Date(options.mtime), new Date(options.mtime))
    },
    directory: (location) => fs.mkdirSync(location, { recursive: true }),
    text: (location) => fs.readFileSync(location, "utf8"),
    stat: (location) => {
      const stats = fs.lstatSync(location, { throwIfNoEntry: false })
      return stats && { mtime: Math.floor(stats.mtimeMs), executable: (stats.mode & 0o111) !== 0 }
    },
    list: (location) => (fs.existsSync(location) ? fs.readdirSync(location).toSorted() : [])
  }
})

/** Staying inside a directory that others may swap needs /proc/self/fd. */
const onLinux = <A, E>(name: string, test: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.live.skipIf(process.platform !== "linux")(name, test, 10_000)

const descriptors = (): number => fs.readdirSync("/proc/self/fd").length

describe("FileStoreNode", () => {
  describe("as every file store", () => fileStoreContract(world))

  it.live("leaves out links, sockets and what it cannot name, and says why", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.sources}/t/good`, "1")
      fs.symlinkSync("/etc", `${w.sources}/t/link`)
      fs.writeFileSync(`${w.sources}/t/new\nline`, "")
      fs.writeFileSync(Buffer.concat([Buffer.from(`${w.sources}/t/latin-`), Buffer.from([0xe9])]), "")
      yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer().listen(`${w.sources}/t/socket`, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const found = yield* scanned(w, yield* w.store.pick(`${w.sources}/t`), "t")
      const reasons = new Map(found.map((entry) => [entry.path, entry._tag === "LeftOut" ? entry.reason : ""]))
      assert.strictEqual(reasons.get("t/good"), "")
      assert.match(reasons.get("t/link") ?? "", /symbolic link/)
      assert.match(reasons.get("t/socket") ?? "", /socket/)
      assert.match(reasons.get("t/new\nline") ?? "", /control character/)
      assert.match(reasons.get("t/latin-\ufffd") ?? "", /not Unicode/)
    }).pipe(Effect.scoped)
  )

  it.live("refuses to pick a link or a device, and says what to do", () =>
    Effect.gen(function* () {
      const w = yield* world
      fs.symlinkSync("/etc/hostname", `${w.sources}/link`)
      const link = yield* Effect.flip(w.store.pick(`${w.sources}/link`))
      assert.match(link.message, /symbolic link: send what it points to, \/etc\/hostname/)
      assert.match((yield* Effect.flip(w.store.pick("/dev/null"))).message, /Only files and directories/)
      assert.match((yield* Effect.flip(w.store.pick("/"))).message, /whole file system/)
    }).pipe(Effect.scoped)
  )

  it.live("does not read through a directory that became a link after the walk", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.sources}/t/d/secret`, "mine!", { mtime: 7_000 })
      w.write(`${w.sources}/elsewhere/secret`, "yours", { mtime: 7_000 })
      const picked = yield* w.store.pick(`${w.sources}/t`)
      const found = (yield* scanned(w, picked, "t")).find((entry) => entry.path === "t/d/secret")
      assert(found?._tag === "Found")
      fs.rmSync(`${w.sources}/t/d`, { recursive: true })
      fs.symlinkSync(`${w.sources}/elsewhere`, `${w.sources}/t/d`)
      const source = yield* w.store.open(new Map([["t", picked]]))
      const into = new Uint8Array(5)
      const [problem] = yield* source.read([{ ...found, offset: 0, length: 5, at: 0 }], into)
      assert.match(reason(problem), /symbolic link/)
      assert.deepStrictEqual([...into], [0, 0, 0, 0, 0])
    }).pipe(Effect.scoped)
  )

  it.live("does not write through a link that someone put into the staging", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.directory(`${w.sources}/victim`)
      const staging = yield* w.store.stage("held")
      const data = `${w.received}/.kith/held/data`
      fs.symlinkSync(`${w.sources}/victim`, `${data}/d`)
      fs.symlinkSync(`${w.sources}/victim/file`, `${data}/f`)
      for (const path of ["d/x", "d/e/x", "f"]) {
        const refused = yield* Effect.flip(staging.write([whole(path, "bad")]))
        assert.include(["ELOOP", "ENOTDIR", "EEXIST"], refused.code)
      }
      assert.deepStrictEqual(w.list(`${w.sources}/victim`), [])
    }).pipe(Effect.scoped)
  )

  onLinux("keeps writing where it held, when a directory is swapped for a link", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.directory(`${w.sources}/victim`)
      const staging = yield* w.store.stage("swap")
      yield* staging.write([whole("d/1", "1")])
      const data = `${w.received}/.kith/swap/data`
      fs.renameSync(`${data}/d`, `${data}/aside`)
      fs.symlinkSync(`${w.sources}/victim`, `${data}/d`)
      yield* staging.write([whole("d/2", "2")])
      assert.deepStrictEqual(w.list(`${w.sources}/victim`), [])
      assert.deepStrictEqual(w.list(`${data}/aside`), ["1", "2"])
      yield* staging.discard
      assert.deepStrictEqual(w.list(`${w.received}/.kith`), [])
    }).pipe(Effect.scoped)
  )

  it.live("refuses a .kith that is a link, and removes nothing through links", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.directory(w.received)
      w.write(`${w.sources}/victim/precious`, "1")
      fs.symlinkSync(`${w.sources}/victim`, `${w.received}/.kith`)
      assert.include(["ELOOP", "ENOTDIR"], (yield* Effect.flip(w.store.stage("x"))).code)
      fs.unlinkSync(`${w.received}/.kith`)
      const staging = yield* w.store.stage("y")
      fs.symlinkSync(`${w.sources}/victim`, `${w.received}/.kith/y/data/link`)
      yield* staging.discard
      assert.deepStrictEqual(w.list(`${w.sources}/victim`), ["precious"])
    }).pipe(Effect.scoped)
  )

  it.live("publishes beside a link of the same name, not through it", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.directory(w.received)
      fs.symlinkSync("nowhere", `${w.received}/f`)
      fs.symlinkSync(w.sources, `${w.received}/d`)
      const staging = yield* w.store.stage("z")
      yield* staging.write([whole("f", "1"), whole("d/x", "2")])
      const published = yield* staging.publish(["f", "d"], "rename")
      assert.deepStrictEqual(published, [Result.succeed(`${w.received}/f (1)`), Result.succeed(`${w.received}/d (1)`)])
      assert.deepStrictEqual(w.list(w.sources), [])
    }).pipe(Effect.scoped)
  )

  it.live("leaves zeros a hole in the file, in whichever order they come, and in a staging of an earlier run", () =>
    Effect.gen(function* () {
      const w = yield* world
      const size = 1 << 20
      const part = (at: number, finish = false) => {
        const bytes = new Uint8Array(size).fill(at === 3 ? 1 : 0)
        return { ...whole("disk.img", ""), bytes, offset: at * size, finish }
      }
      const root = yield* Effect.gen(function* () {
        const staging = yield* w.store.stage("holes")
        for (const at of [7, 0, 6, 3]) yield* staging.write([part(at)])
        return staging.root
      }).pipe(Effect.scoped)
      const staging = yield* w.store.reopen(root, "holes")
      for (const at of [1, 5, 2, 4]) yield* staging.write([part(at, at === 4)])
      yield* staging.publish(["disk.img"], "rename")
      const stats = fs.statSync(path.join(w.received, "disk.img"))
      assert.strictEqual(stats.size, 8 * size)
      assert.isBelow(stats.blocks * 512, 2 * size)
      const data = fs.readFileSync(path.join(w.received, "disk.img"))
      assert.isTrue(data.every((byte, at) => byte === (Math.floor(at / size) === 3 ? 1 : 0)))
    }).pipe(Effect.scoped)
  )

  it.live("names a receive folder that cannot be", () =>
    Effect.gen(function* () {
      const w = yield* world
      fs.writeFileSync(w.received, "a file")
      const refused = yield* Effect.flip(w.store.stage("x"))
      assert.include(refused.message, w.received)
      assert.isAbove(refused.remedy.length, 5)
      assert.strictEqual((yield* Effect.flip(w.store.target)).path, w.received)
    }).pipe(Effect.scoped)
  )

  it.live("cleans nothing through links, whatever they are called", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.sources}/victim/precious`, "1")
      const staging = yield* w.store.stage("real")
      fs.symlinkSync(`${w.sources}/victim`, `${w.received}/.kith/link`)
      fs.symlinkSync(`${w.sources}/victim`, `${w.received}/.kith/real/data/link`)
      fs.symlinkSync("..", `${w.received}/.kith/up`)
      assert.deepStrictEqual(yield* w.store.clean(Date.now() + 60_000, new Set()), [staging.id])
      assert.deepStrictEqual(w.list(`${w.received}/.kith`), ["link", "up"])
      fs.rmSync(`${w.received}/.kith`, { recursive: true })
      fs.symlinkSync(`${w.sources}`, `${w.received}/.kith`)
      assert.deepStrictEqual(yield* w.store.clean(Date.now() + 60_000, new Set()), [])
      assert.deepStrictEqual(w.list(`${w.sources}/victim`), ["precious"])
    }).pipe(Effect.scoped)
  )

  it.live("finishes what a crash left half published: a second link, an empty claim, a merge", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.received}/m/there`, "there")
      const staging = yield* w.store.stage("crash")
      yield* staging.write([whole("f", "file"), whole("d/x", "x"), whole("m/a", "a"), whole("m/b", "b")])
      const data = `${w.received}/.kith/crash/data`
      // After link, before unlink.
      fs.linkSync(`${data}/f`, `${w.received}/f (1)`)
      // After the claim, before rename.
      fs.mkdirSync(`${w.received}/d`)
      // One of two was merged; the other was linked.
      fs.renameSync(`${data}/m/a`, `${w.received}/m/a`)
      fs.linkSync(`${data}/m/b`, `${w.received}/m/b`)
      const known = new Map([
        ["f", "f (1)"],
        ["d", "d"],
        ["m", "m"]
      ])
      const published = yield* staging.publish(["f", "d", "m"], "overwrite", { known })
      assert.deepStrictEqual(
        published.map((result) => Result.getOrThrow(result).slice(w.received.length + 1)),
        ["f (1)", "d", "m"]
      )
      assert.deepStrictEqual(w.list(w.received), [".kith", "d", "f (1)", "m"])
      assert.deepStrictEqual(w.list(`${w.received}/m`), ["a", "b", "there"])
      assert.strictEqual(fs.statSync(`${w.received}/f (1)`).nlink, 1)
      assert.deepStrictEqual(w.list(data), [])
    }).pipe(Effect.scoped)
  )

  it.live("follows no link in the receive folder when it merges", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.sources}/victim/f`, "mine")
      w.directory(`${w.received}/d`)
      fs.symlinkSync(`${w.sources}/victim`, `${w.received}/d/sub`)
      fs.symlinkSync(`${w.sources}/victim/f`, `${w.received}/d/f`)
      const staging = yield* w.store.stage("links")
      yield* staging.write([whole("d/sub/f", "new"), whole("d/f", "new")])
      yield* staging.publish(["d"], "overwrite")
      assert.strictEqual(w.text(`${w.sources}/victim/f`), "mine")
      assert.deepStrictEqual(w.list(`${w.received}/d`), ["f", "f (1)", "sub", "sub (1)"])
    }).pipe(Effect.scoped)
  )

  onLinux("gives back every descriptor", () =>
    Effect.gen(function* () {
      const w = yield* world
      for (let i = 0; i < 300; i++) w.write(`${w.sources}/t/${i}/f`, "12")
      // The thread has descriptors of its own as long as it is there.
      yield* scanned(w, yield* w.store.pick(`${w.sources}/t`), "t")
      const before = descriptors()
      yield* Effect.gen(function* () {
        const picked = yield* w.store.pick(`${w.sources}/t`)
        const found = (yield* scanned(w, picked, "t")).filter((entry) => entry._tag === "Found" && entry.kind === "f")
        const source = yield* w.store.open(new Map([["t", picked]]))
        const parts = found.flatMap((entry) =>
          entry._tag === "Found" ? [{ ...entry, offset: 0, length: 1, at: 0 }] : []
        )
        assert.isTrue((yield* source.read(parts, new Uint8Array(1))).every((read) => typeof read !== "string"))
        const staging = yield* w.store.stage("fds")
        yield* staging.write(found.map((entry) => ({ ...whole(entry.path, "1"), finish: false })))
        yield* Effect.flip(staging.write([whole("t/0", "a file where a directory is")]))
        yield* staging.discard
      }).pipe(Effect.scoped)
      assert.strictEqual(descriptors(), before)
    }).pipe(Effect.scoped)
  )

  it("names copies as people expect", () => {
    assert.strictEqual(copyName("report.pdf", "f", 0), "report.pdf")
    assert.strictEqual(copyName("report.pdf", "f", 3), "report (3).pdf")
    assert.strictEqual(copyName("a.tar.gz", "f", 1), "a (1).tar.gz")
    assert.strictEqual(copyName(".bashrc", "f", 1), ".bashrc (1)")
    assert.strictEqual(copyName("my.dir", "d", 1), "my.dir (1)")
    assert.strictEqual(copyName("no extension", "f", 1), "no extension (1)")
    const long = copyName(`${"\u{1f600}".repeat(62)}.jpeg`, "f", 12)
    assert.isAtMost(Buffer.byteLength(long), 255)
    assert.match(long, /^\u{1f600}+ \(12\)\.jpeg$/u)
    assert.strictEqual(relative("a"), "a")
  })
})

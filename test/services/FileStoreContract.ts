/**
 * What every FileStore must do, whatever keeps the files. The caller gives a fresh store for each test, and a few
 * ways to see and disturb what is behind it.
 */
import { assert, it } from "@effect/vitest"
import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import type { FileStore, Picked, Scanned, SourcePart, StagedPart } from "../../src/services/FileStore.ts"

/** The store under test, and the world around it. Paths are absolute, text is UTF-8. */
export interface World {
  readonly store: FileStore["Service"]
  /** A directory to put sources in. */
  readonly sources: string
  readonly received: string
  readonly write: (path: string, text: string, options?: { readonly mtime?: number; readonly mode?: number }) => void
  readonly directory: (path: string) => void
  readonly text: (path: string) => string
  readonly stat: (path: string) => { readonly mtime: number; readonly executable: boolean } | undefined
  /** Names in a directory, sorted; none where there is no directory. */
  readonly list: (path: string) => ReadonlyArray<string>
}

export const relative = (path: string): RelativePath => RelativePath.make(path)
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const whole = (path: string, text: string): StagedPart => ({
  path: relative(path),
  mtime: 1_700_000_000_123,
  executable: false,
  offset: 0,
  bytes: bytes(text),
  finish: true
})

export const scanned = (world: World, picked: Picked, as: string) =>
  Stream.runCollect(world.store.scan(picked, as)).pipe(
    Effect.map((all) => [...all].toSorted((a, b) => (a.path < b.path ? -1 : 1)))
  )

const sha256 = (text: string): Uint8Array => new Uint8Array(hash("sha256", text, "buffer"))

/** Why a part could not be read. */
export const reason = (read: Uint8Array | string | undefined): string => (typeof read === "string" ? read : "")

const partOf = (found: Scanned | undefined, at = 0): SourcePart => {
  assert(found?._tag === "Found")
  return { path: found.path, size: found.size, mtime: found.mtime, offset: 0, length: found.size, at }
}

export const fileStoreContract = (world: Effect.Effect<World, never, Scope.Scope>) => {
  it.live("walks a tree: files, empty directories, times, programs", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.directory(`${w.sources}/tree/empty`)
      w.write(`${w.sources}/tree/a/\u{1f600} b.txt`, "hello", { mtime: 1_600_000_000_456 })
      w.write(`${w.sources}/tree/run`, "x", { mode: 0o755 })
      const picked = yield* w.store.pick(`${w.sources}/tree`)
      assert.deepStrictEqual(picked, { path: `${w.sources}/tree`, name: "tree", kind: "d" })
      const found = yield* scanned(w, picked, "T")
      assert.deepStrictEqual(
        found.map((entry) => [
          entry.path,
          entry._tag === "Found" ? entry.kind : "",
          entry._tag === "Found" ? entry.size : ""
        ]),
        [
          ["T", "d", 0],
          ["T/a", "d", 0],
          ["T/a/\u{1f600} b.txt", "f", 5],
          ["T/empty", "d", 0],
          ["T/run", "f", 1]
        ]
      )
      assert(found[2]?._tag === "Found" && found[4]?._tag === "Found")
      assert.strictEqual(Math.floor(found[2].mtime), 1_600_000_000_456)
      assert.deepStrictEqual([found[2].executable, found[4].executable], [false, true])
    })
  )

  it.live("refuses to pick what is not there", () =>
    Effect.gen(function* () {
      const w = yield* world
      const refused = yield* Effect.flip(w.store.pick(`${w.sources}/nothing`))
      assert.strictEqual(refused.code, "ENOENT")
      assert.include(refused.message, `${w.sources}/nothing`)
    })
  )

  it.live("reads parts into a buffer, and says which file is no longer what it was", () =>
    Effect.gen(function* () {
      const w = yield* world
      for (const name of ["a", "b", "c", "d"]) w.write(`${w.sources}/t/${name}`, `content of ${name}`)
      const picked = yield* w.store.pick(`${w.sources}/t`)
      const found = (yield* scanned(w, picked, "t")).slice(1)
      w.write(`${w.sources}/t/b`, "another content, longer")
      w.write(`${w.sources}/t/c`, "CONTENT OF C", { mtime: 5_000 })
      const source = yield* w.store.open(new Map([["t", picked]]))
      const into = new Uint8Array(64)
      const parts = found.map((entry, i) => partOf(entry, i * 16))
      const lost = { ...partOf(found[0]), path: relative("t/lost") }
      const split = { ...partOf(found[3], 60), offset: 8, length: 4 }
      const result = yield* source.read([...parts, lost, split], into)
      assert.deepStrictEqual(result[0], sha256("content of a"))
      assert.match(reason(result[1]), /changed/)
      assert.match(reason(result[2]), /changed/)
      assert.deepStrictEqual(result[3], sha256("content of d"))
      assert.match(reason(result[4]), /gone/)
      assert.deepStrictEqual(result[5], sha256("of d"))
      const text = new TextDecoder()
      assert.strictEqual(text.decode(into.subarray(0, 12)), "content of a")
      assert.strictEqual(text.decode(into.subarray(60)), "of d".slice(0, 4))
    }).pipe(Effect.scoped)
  )

  it.live("reads a picked file under the name it was given", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.sources}/report.pdf`, "pdf")
      const picked = yield* w.store.pick(`${w.sources}/report.pdf`)
      const [found] = yield* scanned(w, picked, "report (1).pdf")
      const source = yield* w.store.open(new Map([["report (1).pdf", picked]]))
      const into = new Uint8Array(3)
      assert.deepStrictEqual(yield* source.read([partOf(found)], into), [sha256("pdf")])
      assert.strictEqual(new TextDecoder().decode(into), "pdf")
    }).pipe(Effect.scoped)
  )

  it.live("stages unseen, then publishes whole, with times and the executable bit", () =>
    Effect.gen(function* () {
      const w = yield* world
      const staging = yield* w.store.stage("one")
      const directory = { path: relative("d/e"), kind: "d", mtime: 1_500_000_000_777, executable: false } as const
      yield* staging.make([directory, { path: relative("d/zero"), kind: "f", mtime: 1_000, executable: true }])
      yield* staging.write([
        { ...whole("d/x", "he"), finish: false },
        whole("y", "why"),
        { ...whole("d/x", "llo"), offset: 2 }
      ])
      yield* staging.sync
      yield* staging.seal([directory])
      assert.deepStrictEqual(w.list(w.received), [".kith"])
      const published = yield* staging.publish(["d", "y", "absent"], "rename")
      assert.deepStrictEqual(published, [Result.succeed(`${w.received}/d`), Result.succeed(`${w.received}/y`)])
      assert.strictEqual(w.text(`${w.received}/d/x`), "hello")
      assert.strictEqual(w.text(`${w.received}/y`), "why")
      assert.deepStrictEqual(w.stat(`${w.received}/d/zero`), { mtime: 1_000, executable: true })
      assert.deepStrictEqual(w.stat(`${w.received}/d/x`), { mtime: 1_700_000_000_123, executable: false })
      assert.strictEqual(w.stat(`${w.received}/d/e`)?.mtime, 1_500_000_000_777)
      yield* staging.discard
      assert.deepStrictEqual(w.list(w.received), ["d", "y"])
    }).pipe(Effect.scoped)
  )

  it.live("never publishes over anything", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.received}/a.tar.gz`, "mine")
      w.write(`${w.received}/a (1).tar.gz`, "mine too")
      w.directory(`${w.received}/d.x`)
      w.directory(`${w.received}/was a directory`)
      const staging = yield* w.store.stage("two")
      yield* staging.write([whole("a.tar.gz", "new"), whole("d.x/f", "new"), whole("was a directory", "file")])
      const published = yield* staging.publish(["a.tar.gz", "d.x", "was a directory"], "rename")
      assert.deepStrictEqual(
        published.map((result) => Result.getOrThrow(result).slice(w.received.length + 1)),
        ["a (2).tar.gz", "d.x (1)", "was a directory (1)"]
      )
      assert.strictEqual(w.text(`${w.received}/a.tar.gz`), "mine")
      assert.strictEqual(w.text(`${w.received}/a (2).tar.gz`), "new")
      assert.deepStrictEqual(w.list(`${w.received}/d.x`), [])
      assert.strictEqual(w.text(`${w.received}/d.x (1)/f`), "new")
    }).pipe(Effect.scoped)
  )

  it.live("chooses another name where something came to the one it chose", () =>
    Effect.gen(function* () {
      const w = yield* world
      const staging = yield* w.store.stage("late")
      yield* staging.write([whole("a", "1"), whole("d/x", "2")])
      const noted: Array<unknown> = []
      const note = (moves: ReadonlyArray<{ readonly name: string }>) =>
        Effect.sync(() => {
          noted.push(moves.map(({ name }) => name))
          if (noted.length > 1) return
          w.write(`${w.received}/a`, "mine")
          w.write(`${w.received}/d/x`, "mine")
        })
      const published = yield* staging.publish(["a", "d"], "rename", { note })
      assert.deepStrictEqual(
        published.map((result) => Result.getOrThrow(result).slice(w.received.length + 1)),
        ["a (1)", "d (1)"]
      )
      assert.deepStrictEqual(noted, [
        ["a", "d"],
        ["a (1)", "d (1)"]
      ])
      assert.strictEqual(w.text(`${w.received}/a`), "mine")
    }).pipe(Effect.scoped)
  )

  it.live("takes files back, and discards only its own", () =>
    Effect.gen(function* () {
      const w = yield* world
      const mine = yield* w.store.stage("mine")
      const other = yield* w.store.stage("other")
      yield* other.write([whole("kept", "kept")])
      yield* mine.write([whole("d/good", "1"), { ...whole("d/bad", "2"), finish: false }, whole("bad", "3")])
      yield* mine.remove(relative("d/bad"))
      yield* mine.remove(relative("bad"))
      yield* mine.remove(relative("bad"))
      yield* mine.sync
      const published = yield* mine.publish(["d", "bad"], "rename")
      assert.strictEqual(published.length, 1)
      assert.deepStrictEqual(w.list(`${w.received}/d`), ["good"])
      yield* mine.discard
      assert.deepStrictEqual(w.list(`${w.received}/.kith`), ["other"])
      yield* other.publish(["kept"], "rename")
      yield* other.discard
      assert.deepStrictEqual(w.list(w.received), ["d", "kept"])
    }).pipe(Effect.scoped)
  )

  it.live("refuses an id that is in use, and a file that is there already", () =>
    Effect.gen(function* () {
      const w = yield* world
      const staging = yield* w.store.stage("same")
      assert.strictEqual((yield* Effect.flip(w.store.stage("same"))).code, "EEXIST")
      yield* staging.write([whole("f", "1")])
      assert.strictEqual((yield* Effect.flip(staging.write([whole("f", "2")]))).code, "EEXIST")
    }).pipe(Effect.scoped)
  )

  it.live("ends a file whose last part comes while it is synced", () =>
    Effect.gen(function* () {
      const w = yield* world
      const staging = yield* w.store.stage("busy")
      const paths = Array.from({ length: 40 }, (_, i) => `d/f${i}`)
      yield* staging.write(paths.map((path) => ({ ...whole(path, "ab"), finish: false })))
      const last = staging.write(paths.map((path) => ({ ...whole(path, "cd"), offset: 2 })))
      yield* Effect.all([staging.sync, last, staging.sync], { concurrency: "unbounded", discard: true })
      yield* staging.sync
      yield* staging.publish(["d"], "rename")
      for (const path of paths) {
        assert.strictEqual(w.text(`${w.received}/${path}`), "abcd")
        assert.strictEqual(w.stat(`${w.received}/${path}`)?.mtime, 1_700_000_000_123)
      }
    }).pipe(Effect.scoped)
  )

  it.live("holds many unfinished files at once", () =>
    Effect.gen(function* () {
      const w = yield* world
      const staging = yield* w.store.stage("many")
      const paths = Array.from({ length: 150 }, (_, i) => `d/${i % 7}/f${i}`)
      yield* staging.write(paths.map((path) => ({ ...whole(path, "ab"), finish: false })))
      yield* staging.sync
      yield* staging.write(paths.map((path) => ({ ...whole(path, "cd"), offset: 2 })))
      yield* staging.publish(["d"], "rename")
      for (const path of paths) assert.strictEqual(w.text(`${w.received}/${path}`), "abcd")
    }).pipe(Effect.scoped)
  )

  it.live("keeps journals that grow, are read back in pieces, and cut", () =>
    Effect.gen(function* () {
      const w = yield* world
      const { journal } = yield* w.store.stage("log")
      assert.deepStrictEqual(yield* journal.read(0, 100), new Uint8Array(0))
      yield* journal.append(bytes("one "))
      yield* journal.append(bytes("two "))
      yield* journal.sync
      yield* journal.append(bytes("three"))
      assert.strictEqual(new TextDecoder().decode(yield* journal.read(4, 100)), "two three")
      assert.strictEqual(new TextDecoder().decode(yield* journal.read(4, 3)), "two")
      assert.strictEqual((yield* journal.read(100, 3)).length, 0)
      yield* journal.cut(8)
      yield* journal.cut(100)
      yield* journal.append(bytes("four"))
      assert.strictEqual(new TextDecoder().decode(yield* journal.read(0, 100)), "one two four")
    }).pipe(Effect.scoped)
  )

  it.live("opens a staging of an earlier run, and writes over what that left", () =>
    Effect.gen(function* () {
      const w = yield* world
      const root = yield* Effect.gen(function* () {
        const staging = yield* w.store.stage("again")
        yield* staging.write([whole("d/done", "done"), { ...whole("d/half", "ha"), finish: false }])
        yield* staging.sync
        yield* staging.journal.append(bytes("kept"))
        return staging.root
      }).pipe(Effect.scoped)
      const staging = yield* w.store.reopen(root, "again")
      const held = yield* staging.holds([
        { path: relative("d/done"), size: 4 },
        { path: relative("d/half"), size: 2 },
        { path: relative("d/half"), size: 3 },
        { path: relative("d/none"), size: 0 },
        { path: relative("d"), size: 0 }
      ])
      assert.deepStrictEqual(held, [true, true, false, false, false])
      assert.strictEqual(new TextDecoder().decode(yield* staging.journal.read(0, 9)), "kept")
      yield* staging.write([whole("d/done", "DONE"), { ...whole("d/half", "LF"), offset: 2 }])
      yield* staging.publish(["d"], "rename")
      assert.strictEqual(w.text(`${w.received}/d/done`), "DONE")
      assert.strictEqual(w.text(`${w.received}/d/half`), "haLF")
      assert.strictEqual((yield* Effect.flip(w.store.reopen(root, "never"))).code, "ENOENT")
      for (const id of ["..", "../..", "a/b", "", "A", "."]) {
        assert.strictEqual((yield* Effect.flip(w.store.reopen(root, id))).code, "EINVAL", id)
        assert.strictEqual((yield* Effect.flip(w.store.stage(id))).code, "EINVAL", id)
        assert.strictEqual((yield* Effect.flip(w.store.archive(id))).code, "EINVAL", id)
      }
    }).pipe(Effect.scoped)
  )

  it.live("keeps zeros as zeros, in whichever order parts come, and over what an earlier run left", () =>
    Effect.gen(function* () {
      const w = yield* world
      const none = "\0".repeat(4)
      const at = (path: string, offset: number, text: string, finish = false) => ({
        ...whole(path, text),
        offset,
        finish
      })
      const root = yield* Effect.gen(function* () {
        const staging = yield* w.store.stage("zeros")
        yield* staging.write([at("over", 0, "left"), at("over", 4, "over")])
        for (const [offset, text] of [
          [8, none],
          [0, "data"],
          [16, none],
          [12, "here"],
          [4, none]
        ] as const) {
          yield* staging.write([at("mixed", offset, text, offset === 4)])
        }
        yield* staging.write([at("holes", 0, none), at("holes", 8, none), at("holes", 4, none, true)])
        yield* staging.sync
        return staging.root
      }).pipe(Effect.scoped)
      const staging = yield* w.store.reopen(root, "zeros")
      yield* staging.write([at("over", 8, none), at("over", 4, none), at("over", 0, none, true)])
      yield* staging.publish(["over", "mixed", "holes"], "rename")
      assert.strictEqual(w.text(`${w.received}/mixed`), `data${none}${none}here${none}`)
      assert.strictEqual(w.text(`${w.received}/over`), none.repeat(3))
      assert.strictEqual(w.text(`${w.received}/holes`), none.repeat(3))
    }).pipe(Effect.scoped)
  )

  it.live("says under which names it is about to publish, and finds what an earlier run has published", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.received}/a`, "mine")
      const staging = yield* w.store.stage("named")
      yield* staging.write([whole("a", "1"), whole("b", "2"), whole("c/x", "3")])
      const noted: Array<unknown> = []
      const note = (moves: ReadonlyArray<unknown>) =>
        Effect.sync(() => {
          noted.push(...moves)
          assert.deepStrictEqual(w.list(w.received), [".kith", "a"])
        })
      yield* staging.publish(["a", "c"], "rename", { note })
      assert.deepStrictEqual(noted, [
        { top: "a", name: "a (1)" },
        { top: "c", name: "c" }
      ])
      const known = new Map([
        ["a", "a (1)"],
        ["b", "b"],
        ["c", "c"]
      ])
      const again = yield* staging.publish(["a", "b", "c"], "rename", { known })
      assert.deepStrictEqual(
        again.map((result) => Result.getOrThrow(result)),
        [`${w.received}/a (1)`, `${w.received}/b`, `${w.received}/c`]
      )
      assert.deepStrictEqual(w.list(w.received), [".kith", "a", "a (1)", "b", "c"])
    }).pipe(Effect.scoped)
  )

  for (const policy of ["skip", "overwrite"] as const) {
    it.live(`merges into a directory that exists, file by file (${policy})`, () =>
      Effect.gen(function* () {
        const w = yield* world
        w.write(`${w.received}/d/same`, "old")
        w.write(`${w.received}/d/only here`, "kept")
        w.directory(`${w.received}/d/now a file`)
        w.write(`${w.received}/d/now a directory`, "was a file")
        w.write(`${w.received}/d/sub/deep`, "old")
        const staging = yield* w.store.stage("merge")
        yield* staging.write([
          whole("d/same", "new"),
          whole("d/now a file", "file"),
          whole("d/now a directory/x", "x"),
          whole("d/sub/deep", "new"),
          whole("d/sub/more/y", "y")
        ])
        const published = yield* staging.publish(["d"], policy)
        assert.deepStrictEqual(published, [Result.succeed(`${w.received}/d`)])
        const text = (below: string) => w.text(`${w.received}/d/${below}`)
        const replaced = policy === "overwrite"
        assert.deepStrictEqual([text("same"), text("sub/deep")], replaced ? ["new", "new"] : ["old", "old"])
        if (!replaced) assert.deepStrictEqual([text("same (1)"), text("sub/deep (1)")], ["new", "new"])
        assert.deepStrictEqual([text("only here"), text("sub/more/y")], ["kept", "y"])
        // A file never takes the place of a directory, nor the reverse.
        assert.deepStrictEqual(w.list(`${w.received}/d/now a file`), [])
        assert.strictEqual(text("now a file (1)"), "file")
        assert.strictEqual(text("now a directory"), "was a file")
        assert.strictEqual(text("now a directory (1)/x"), "x")
        yield* staging.discard
        assert.deepStrictEqual(w.list(w.received), ["d"])
      }).pipe(Effect.scoped)
    )
  }

  it.live("skips what is there already and the same, and keeps what differs under another name", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.received}/same`, "equal", { mtime: 5_000 })
      w.write(`${w.received}/differs`, "equal")
      w.write(`${w.received}/d/same`, "equal", { mtime: 5_000 })
      const staging = yield* w.store.stage("skip")
      yield* staging.write([whole("same", "equal"), whole("differs", "EQUAL"), whole("d/same", "equal")])
      const published = yield* staging.publish(["same", "differs", "d"], "skip")
      assert.deepStrictEqual(
        published.map((result) => Result.getOrThrow(result).slice(w.received.length + 1)),
        ["same", "differs (1)", "d"]
      )
      assert.deepStrictEqual(
        [w.stat(`${w.received}/same`)?.mtime, w.stat(`${w.received}/d/same`)?.mtime],
        [5_000, 5_000]
      )
      assert.deepStrictEqual(w.list(`${w.received}/d`), ["same"])
    }).pipe(Effect.scoped)
  )

  it.live("marks and reads what is in the receive folder already, as long as it is what it was", () =>
    Effect.gen(function* () {
      const w = yield* world
      w.write(`${w.received}/d/a`, "content of a")
      w.write(`${w.received}/d/b`, "content of b")
      const staging = yield* w.store.stage("there")
      const look = (path: string, size = 12) => staging.counterparts([{ path: relative(path), size }])
      const [a = 0, b = 0] = [...(yield* look("d/a")), ...(yield* look("d/b"))]
      assert.isTrue(a > 0 && b > 0 && Number.isSafeInteger(a))
      assert.deepStrictEqual(yield* look("d/a"), [a])
      assert.deepStrictEqual([...(yield* look("d/a", 11)), ...(yield* look("d")), ...(yield* look("d/c"))], [0, 0, 0])
      assert.deepStrictEqual([...(yield* look("d/a/x")), ...(yield* look("none/a"))], [0, 0])
      const into = new Uint8Array(8)
      const read = (path: string, mark: number, offset: number, at: number) =>
        staging.readCounterparts([{ path: relative(path), mark, offset, length: 4, at }], into)
      assert.deepStrictEqual([...(yield* read("d/a", a, 8, 0)), ...(yield* read("d/b", b, 0, 4))], [true, true])
      assert.strictEqual(new TextDecoder().decode(into), "of acont")
      w.write(`${w.received}/d/a`, "CONTENT of a", { mtime: 5_000 })
      assert.deepStrictEqual([...(yield* read("d/a", a, 0, 0)), ...(yield* read("d/gone", a, 0, 0))], [false, false])
      assert.notDeepEqual(yield* look("d/a"), [a])
      assert.deepStrictEqual(w.list(`${w.received}/d`), ["a", "b"])
    }).pipe(Effect.scoped)
  )

  it.live("keeps archives, and lists them", () =>
    Effect.gen(function* () {
      const w = yield* world
      assert.deepStrictEqual(yield* w.store.archives, [])
      for (const id of ["one", "two"]) {
        const archive = yield* w.store.archive(id)
        yield* archive.journal.append(bytes(id))
        yield* archive.journal.sync
      }
      const again = yield* w.store.archive("one")
      assert.strictEqual(new TextDecoder().decode(yield* again.journal.read(0, 9)), "one")
      const listed = yield* w.store.archives
      assert.deepStrictEqual(listed.map(({ id }) => id).toSorted(), ["one", "two"])
      for (const { writtenAt } of listed) assert.isAbove(writtenAt, Date.now() - 60_000)
      yield* again.discard
      assert.deepStrictEqual(
        (yield* w.store.archives).map(({ id }) => id),
        ["two"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("removes stagings that nothing was written to for long, and nothing else", () =>
    Effect.gen(function* () {
      const w = yield* world
      for (const id of ["old", "busy"]) {
        const staging = yield* w.store.stage(id)
        yield* staging.write([whole("d/f", "1")])
        yield* staging.journal.append(bytes("x"))
      }
      w.write(`${w.received}/.kith/not a staging/f`, "1")
      w.write(`${w.received}/old/f`, "1")
      assert.deepStrictEqual(yield* w.store.clean(0, new Set()), [])
      assert.deepStrictEqual(yield* w.store.clean(Date.now() + 60_000, new Set(["busy"])), ["old"])
      assert.deepStrictEqual(w.list(`${w.received}/.kith`), ["busy", "not a staging"])
      assert.deepStrictEqual(w.list(w.received), [".kith", "old"])
    }).pipe(Effect.scoped)
  )

  it.live("says what the target can take", () =>
    Effect.gen(function* () {
      const w = yield* world
      const target = yield* w.store.target
      assert.isAbove(target.freeBytes, 0)
      assert.isAbove(target.freeFiles, 0)
      assert.deepStrictEqual(w.list(w.received), [])
    })
  )
}

/**
 * A list that travels while its sender still walks: what both sides show meanwhile, that pages come before the end,
 * and what becomes of it when the walk fails, a link is lost in the middle, or either side starts again.
 */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { limits } from "../../src/config.ts"
import { type FileStore, FileStoreError, type Scanned } from "../../src/services/FileStore.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, pair, part, quietly, startOn, temporary, treeOf } from "./TransferNode.ts"

/** A walk that comes to its end only when it is let, after so many entries of its list. */
const slowly = (entries: number, end: Deferred.Deferred<void, FileStoreError> = Deferred.makeUnsafe()) => {
  let walks = 0
  const store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    scan: (picked, as) => {
      walks++
      // The same directory is listed in the same order.
      const rest = Stream.unwrap(Effect.map(Deferred.await(end), () => Stream.drop(real.scan(picked, as), entries)))
      return Stream.concat(Stream.take(real.scan(picked, as), entries), rest)
    }
  })
  return {
    store,
    end: Deferred.succeed(end, undefined),
    fail: (error: FileStoreError) => Deferred.fail(end, error),
    walks: () => walks
  }
}

/** Enough empty files, with long names, for several pages. */
const plant = (root: string, files: number): string => {
  const tree = path.join(root, "sources", "tree")
  fs.mkdirSync(tree, { recursive: true })
  const name = "n".repeat(200)
  for (let at = 0; at < files; at++) fs.writeFileSync(path.join(tree, `${name}${at}`), "")
  fs.writeFileSync(path.join(tree, "last"), "bytes")
  fs.symlinkSync("last", path.join(tree, "link"))
  return tree
}

const many = 2000

describe("a tree that is still walked", () => {
  const begun = Effect.fnUntraced(function* (accept: "ask" | "everyone", entries = 1900) {
    const walk = slowly(entries)
    const { alice, bob, network } = yield* pair({ settings: { accept } }, { store: walk.store })
    yield* join(alice, bob)
    const tree = plant(alice.root, many)
    const [sent] = yield* alice.transfer.send([tree], [bob.id])
    assert(sent !== undefined)
    return { alice, bob, network, walk, id: sent.id, tree }
  })

  quietly("is offered before its end: both sides show that, and how far it is, and pages come", () =>
    Effect.gen(function* () {
      const { alice, bob, id, tree, walk } = yield* begun("ask")
      const there = yield* alice.until((view) => view.id === id && view.listing === true)
      assert.deepStrictEqual([there.listed, there.files > 0, there.files <= 1900], [false, true, true])
      // More than one page of it came, and the walk is not over.
      const here = yield* bob.until((view) => view.id === id && view.listing === true && view.files > 1000)
      assert.deepStrictEqual([here.state, here.listed, here.files <= 1900], ["offered", false, true])
      const early = yield* Effect.flip(bob.transfer.entries(id, { from: 0, limit: 1 }))
      assert.strictEqual(early._tag, "NotPossible")
      yield* walk.end
      for (const node of [alice, bob]) {
        const whole = yield* node.until((view) => view.id === id && view.listed === true)
        assert.deepStrictEqual(
          [whole.listing, whole.files, whole.directories, whole.totalBytes],
          [false, many + 1, 1, 5]
        )
        assert.strictEqual(whole.problemCount, 1)
        assert.deepStrictEqual(whole.problems, [
          { kind: "leftOut", path: "tree/link", reason: "it is a symbolic link" }
        ])
        const entries = yield* node.transfer.entries(id, { from: many, limit: 10 })
        const link = entries.at(-1)
        assert.deepStrictEqual([link?.path, link?.state, link?.index], ["tree/link", "leftOut", many + 2])
      }
      yield* bob.transfer.accept(id, {})
      assert.strictEqual((yield* bob.over(id)).state, "done")
      const sent = treeOf(tree)
      assert.deepStrictEqual(
        treeOf(path.join(bob.received, "tree")),
        new Map([...sent].filter(([name]) => name !== "link"))
      )
    })
  )

  quietly("is taken unasked as soon as the whole list was found good, and not before", () =>
    Effect.gen(function* () {
      const { alice, bob, id, walk } = yield* begun("everyone")
      yield* bob.until((view) => view.id === id && view.files > 1000)
      assert.isFalse(fs.existsSync(bob.received) && fs.readdirSync(bob.received).length > 0)
      assert.strictEqual((yield* bob.transfer.find(id)).state, "offered")
      yield* walk.end
      assert.strictEqual((yield* bob.over(id)).state, "done")
      assert.strictEqual((yield* alice.over(id)).state, "done")
    })
  )

  quietly("may be answered before its end, and cancelled from either side", () =>
    Effect.gen(function* () {
      const { alice, bob, id, walk } = yield* begun("ask")
      yield* bob.until((view) => view.id === id && view.listing === true)
      yield* bob.transfer.decline(id)
      assert.strictEqual((yield* alice.over(id)).state, "declined")
      const again = yield* alice.transfer.send([path.join(alice.sources, "tree")], [bob.id])
      const other = again[0]?.id
      assert(other !== undefined)
      yield* bob.until((view) => view.id === other && view.listing === true)
      yield* alice.transfer.cancel(other)
      const over = yield* bob.over(other)
      assert.deepStrictEqual([over.state, over.listing], ["cancelled", false])
      yield* walk.end
    })
  )

  quietly("whose walk fails is over on both sides, with the reason", () =>
    Effect.gen(function* () {
      const { alice, bob, id, walk } = yield* begun("ask")
      yield* bob.until((view) => view.id === id && view.files > 1000)
      const path = "/sources/tree"
      yield* walk.fail(new FileStoreError({ path, action: "read", code: "EIO", remedy: "Look at the disk" }))
      const there = yield* alice.over(id)
      assert.deepStrictEqual([there.state, there.listing], ["failed", false])
      assert.include(there.error ?? "", "EIO")
      const here = yield* bob.over(id)
      assert.deepStrictEqual([here.state, here.listing], ["cancelled", false])
      assert.include(here.error ?? "", "EIO")
    })
  )

  quietly("goes on over another data link, and over another session", () =>
    Effect.gen(function* () {
      const { alice, bob, id, network, walk } = yield* begun("everyone")
      yield* bob.until((view) => view.id === id && view.files > 1000)
      network.cut("alice", "bob")
      // Before the session is lost as well, the list goes on where it was.
      yield* Effect.yieldNow
      yield* part(alice, bob)
      yield* join(alice, bob)
      yield* walk.end
      assert.strictEqual((yield* bob.over(id)).state, "done")
      assert.strictEqual(walk.walks(), 1)
    })
  )

  quietly("is walked anew by a sender that started again in the middle of it", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const root = yield* temporary
      const parent = yield* Effect.scope
      const first = yield* Scope.fork(parent)
      const walk = slowly(1900)
      const alice = yield* Scope.provide(startOn(network, "alice", { root, store: walk.store }), first)
      const bob = yield* startOn(network, "bob")
      yield* join(alice, bob)
      const tree = plant(root, many)
      const [sent] = yield* alice.transfer.send([tree], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.id === sent.id && view.files > 1000)
      yield* part(alice, bob)
      yield* Scope.close(first, Exit.void)
      // Another list than the half that is known.
      fs.rmSync(path.join(tree, `${"n".repeat(200)}0`))
      const again = yield* startOn(network, "alice", { root })
      yield* join(again, bob)
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.files], ["done", many])
      assert.strictEqual((yield* again.over(sent.id)).state, "done")
    })
  )
})

describe("a tree with more than the last page can name", () => {
  quietly("is sent: what was left out is named as far as there is room, and counted", () =>
    Effect.gen(function* () {
      const count = 500
      const left: Array<Scanned> = Array.from({ length: count }, (_, at) => ({
        _tag: "LeftOut",
        path: `tree/${"\u0001\ud83d\ude00".repeat(100)}${at}`,
        reason: `${"it is a pipe ".repeat(60)}${at}`
      }))
      const found = Array.from({ length: 20_000 }, (_, at) => ({
        _tag: "Found" as const,
        path: RelativePath.make(`tree/${at}`),
        kind: "f" as const,
        size: 0,
        mtime: 0,
        executable: false
      }))
      const { alice, bob } = yield* pair(
        { settings: { accept: "ask" } },
        {
          store: (real) => ({ ...real, scan: () => Stream.fromArray([...found, ...left]) })
        }
      )
      yield* join(alice, bob)
      fs.mkdirSync(path.join(alice.sources, "tree"))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "tree")], [bob.id])
      assert(sent !== undefined)
      const here = yield* bob.until((view) => view.id === sent.id && view.listed === true)
      assert.deepStrictEqual([here.problemCount, here.files], [count, 20_000])
      assert.isAbove(here.problems.length, 10)
      assert.isAtMost(here.problems.length, limits.problemsShownMax)
    })
  )
})

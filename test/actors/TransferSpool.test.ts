/** The list of an offer that waits for a person: on disk, shown and chosen from there, and gone with the answer. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ManifestBudget } from "../../src/actors/transfers/ManifestBudget.ts"
import { FileStoreError, type FileStore } from "../../src/services/FileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { someTransfer } from "../api/FakeNode.ts"
import { someId } from "../Some.ts"
import { join, pair, quietly, startOn, temporary, type TransferNode } from "./TransferNode.ts"

const files = 3000

/** A tree of several pages. */
const plant = (node: TransferNode): string => {
  const tree = path.join(node.sources, "tree")
  fs.mkdirSync(tree, { recursive: true })
  for (let at = 0; at < files; at++) fs.writeFileSync(path.join(tree, `${"n".repeat(150)}${at}`), "")
  fs.writeFileSync(path.join(tree, "one.jpg"), "bytes")
  fs.symlinkSync("one.jpg", path.join(tree, "link"))
  return tree
}

/** Waits until something on the disk is so. */
const holds = (test: () => boolean) =>
  Effect.repeat(Effect.sync(test), { until: (is) => is, schedule: Schedule.spaced("5 millis") })

const kept = (node: TransferNode) => path.join(node.root, "data", "transfers")

const spooled = (node: TransferNode, id: string) =>
  holds(() => (fs.statSync(path.join(kept(node), id, "manifest"), { throwIfNoEntry: false })?.size ?? 0) > 400_000)

const offered = Effect.fnUntraced(function* (store?: (real: FileStore["Service"]) => FileStore["Service"]) {
  const { alice, bob } = yield* pair({ settings: { accept: "ask" }, ...(store !== undefined && { store }) })
  yield* join(alice, bob)
  const [sent] = yield* alice.transfer.send([plant(alice)], [bob.id])
  assert(sent !== undefined)
  yield* bob.until((view) => view.id === sent.id && view.listed === true)
  return { alice, bob, id: sent.id }
})

const all = { from: 0, limit: 10_000 }

describe("the list of an offer that waits", () => {
  quietly("is shown from the disk as the sender shows it, from any place on", () =>
    Effect.gen(function* () {
      const { alice, bob, id } = yield* offered()
      yield* spooled(bob, id)
      const there = yield* alice.transfer.entries(id, all)
      // Of times the wire keeps whole milliseconds.
      assert.deepStrictEqual(yield* bob.transfer.entries(id, all), there)
      assert.strictEqual(there.length, files + 3)
      for (const part of [
        { from: 0, limit: 1 },
        { from: 999, limit: 1000 },
        { from: files + 1, limit: 9 },
        { from: files + 3, limit: 1 }
      ]) {
        const { from, limit } = part
        assert.deepStrictEqual(yield* bob.transfer.entries(id, part), there.slice(from, from + limit))
      }
    })
  )

  quietly("is chosen from, waits on where nothing was named, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { bob, id } = yield* offered()
      yield* spooled(bob, id)
      const nothing = yield* Effect.flip(bob.transfer.accept(id, { only: ["*.png"] }))
      assert.strictEqual(nothing._tag, "NotPossible")
      assert.strictEqual((yield* bob.transfer.entries(id, all)).length, files + 3)
      const taken = yield* bob.transfer.accept(id, { only: ["*.jpg"] })
      assert.deepStrictEqual([taken.files, taken.notTaken?.count], [1, files])
      assert.strictEqual((yield* bob.over(id)).state, "done")
      assert.deepStrictEqual(fs.readdirSync(path.join(bob.received, "tree")), ["one.jpg"])
    })
  )

  quietly("is gone with a no", () =>
    Effect.gen(function* () {
      const { bob, id } = yield* offered()
      yield* spooled(bob, id)
      yield* bob.transfer.decline(id)
      yield* bob.over(id)
      assert.isFalse(fs.existsSync(path.join(kept(bob), id)))
    })
  )

  quietly("stays in memory where the disk refuses it", () =>
    Effect.gen(function* () {
      let refused = false
      const { bob, id } = yield* offered((real) => ({
        ...real,
        archive: (id) =>
          Effect.suspend(() => {
            refused = true
            return Effect.fail(new FileStoreError({ path: id, action: "opened", code: "ENOSPC", remedy: "Make room" }))
          })
      }))
      yield* holds(() => refused)
      assert.strictEqual((yield* bob.transfer.entries(id, all)).length, files + 3)
    })
  )

  quietly("of a run that crashed is removed at the next start", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      const left = path.join(root, "data", "transfers", someTransfer(7))
      fs.mkdirSync(left, { recursive: true })
      fs.writeFileSync(path.join(left, "manifest"), "half of a list")
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      yield* startOn(network, "bob", { root })
      assert.isFalse(fs.existsSync(left))
    })
  )
})

describe("the room for lists that wait", () => {
  it("counts what they take on disk once they are there", () => {
    const budget = new ManifestBudget(() => true, 1000)
    const one = budget.room(someTransfer(1), someId(1), 500)
    const other = budget.room(someTransfer(2), someId(1), 500)
    assert.isTrue(one.allows(400))
    assert.isFalse(other.allows(200))
    one.spooled(100)
    assert.isTrue(other.allows(200))
    other.spooled(450)
    assert.isFalse(budget.room(someTransfer(3), someId(1), 500).allows(1))
    const stranger = budget.room(someTransfer(4), someId(2), 500)
    assert.isTrue(stranger.allows(400))
    assert.isFalse(stranger.allows(460))
  })
})

/** The whole list of a transfer, as both sides show it: before the answer, under way, and what is refused. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import type { ListedEntry } from "../../src/schema/ListedEntry.ts"
import { TransferId } from "../../src/schema/Id.ts"
import { capMin } from "../../src/schema/Profile.ts"
import { join, noise, pair, quietly, type TransferNode } from "./TransferNode.ts"

const write = (node: TransferNode, name: string, bytes: number): void => {
  const location = path.join(node.sources, name)
  fs.mkdirSync(path.dirname(location), { recursive: true })
  fs.writeFileSync(location, noise(1, bytes))
}

const all = { from: 0, limit: 1000 }

const states = (entries: ReadonlyArray<ListedEntry>) =>
  Object.fromEntries(entries.map(({ path, state }) => [path, state]).toSorted())

const offered = Effect.fnUntraced(function* () {
  const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
  yield* join(alice, bob)
  write(alice, "tree/a.jpg", 300_000)
  write(alice, "tree/b.txt", 10)
  write(alice, "tree/run.sh", 7)
  fs.chmodSync(path.join(alice.sources, "tree/run.sh"), 0o755)
  fs.symlinkSync("a.jpg", path.join(alice.sources, "tree/link"))
  const [sent] = yield* alice.transfer.send([path.join(alice.sources, "tree")], [bob.id])
  assert(sent !== undefined)
  yield* bob.until((view) => view.id === sent.id && view.listed === true)
  return { alice, bob, id: sent.id }
})

describe("the list of an offer", () => {
  quietly("is the same on both sides before the answer, and says what each entry is", () =>
    Effect.gen(function* () {
      const { alice, bob, id } = yield* offered()
      const here = yield* bob.transfer.entries(id, all)
      const there = yield* alice.transfer.entries(id, all)
      assert.deepStrictEqual(there.slice(0, 4), here.slice(0, 4))
      const shown = here
        .slice(0, 4)
        .map(({ executable, kind, path, size, state }) => [path, kind, size, executable, state])
      assert.deepStrictEqual(shown.toSorted(), [
        ["tree", "d", 0, false, "offered"],
        ["tree/a.jpg", "f", 300_000, false, "offered"],
        ["tree/b.txt", "f", 10, false, "offered"],
        ["tree/run.sh", "f", 7, true, "offered"]
      ])
      assert.deepStrictEqual(
        here.map(({ index }) => index),
        here.map((_, at) => at)
      )
      const link = there.find((entry) => entry.path === "tree/link")
      assert.deepStrictEqual([link?.state, link?.reason, link?.index], ["leftOut", "it is a symbolic link", 4])
    })
  )

  quietly("comes in parts, and nothing comes beyond its end", () =>
    Effect.gen(function* () {
      const { bob, id } = yield* offered()
      const whole = yield* bob.transfer.entries(id, all)
      assert.deepStrictEqual(yield* bob.transfer.entries(id, { from: 1, limit: 2 }), whole.slice(1, 3))
      assert.deepStrictEqual(yield* bob.transfer.entries(id, { from: whole.length, limit: 2 }), [])
      assert.deepStrictEqual(yield* bob.transfer.entries(id, { from: 2 ** 50, limit: 2 }), [])
    })
  )

  quietly("says on both sides what is taken and what not", () =>
    Effect.gen(function* () {
      const { alice, bob, id } = yield* offered()
      // Slow enough that it is under way for as long as is looked.
      yield* bob.caps.set(null, { receive: capMin })
      yield* bob.transfer.accept(id, { only: ["*.jpg"] })
      const here = states(yield* bob.transfer.entries(id, all))
      assert.include(here, {
        tree: "taken",
        "tree/a.jpg": "taken",
        "tree/b.txt": "notTaken",
        "tree/run.sh": "notTaken"
      })
      yield* alice.until((view) => view.notTaken !== undefined)
      const there = states(yield* alice.transfer.entries(id, all))
      assert.include(there, {
        tree: "taken",
        "tree/a.jpg": "taken",
        "tree/b.txt": "notTaken",
        "tree/run.sh": "notTaken"
      })
    })
  )

  quietly("is refused where there is none: unknown, not listed yet, and over", () =>
    Effect.gen(function* () {
      const { alice, bob, id } = yield* offered()
      const unknown = yield* Effect.flip(bob.transfer.entries(TransferId.make("a".repeat(26)), all))
      assert.strictEqual(unknown._tag, "UnknownTransfer")
      yield* bob.transfer.decline(id)
      yield* alice.over(id)
      for (const node of [alice, bob]) {
        const over = yield* Effect.flip(node.transfer.entries(id, all))
        assert(over._tag === "NotPossible")
        assert.include(over.message, "is declined: there is nothing to list")
      }
    })
  )
})

describe("the list of an offer that no data link brought yet", () => {
  quietly("is refused, and the offer still waits", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      yield* join(alice, bob, { oneDials: false, otherDials: false })
      write(alice, "a.txt", 10)
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "a.txt")], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.id === sent.id)
      const refused = yield* Effect.flip(bob.transfer.entries(sent.id, all))
      assert(refused._tag === "NotPossible")
      assert.strictEqual(refused.state, "offered")
    })
  )
})

/** What was sent and is over is sent again: the same paths to the same peer, also after a restart; and its refusals. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { limits } from "../../src/config.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, noise, pair, quietly, restartable, startOn, treeOf } from "./TransferNode.ts"

const plant = (directory: string): ReadonlyArray<string> => {
  fs.mkdirSync(path.join(directory, "tree/empty"), { recursive: true })
  fs.writeFileSync(path.join(directory, "tree/f"), noise(1, 10_000))
  fs.writeFileSync(path.join(directory, "g"), noise(2, 5))
  return ["tree", "g"].map((name) => path.join(directory, name))
}

describe("sending again", () => {
  quietly("sends the same paths to the same peer as a transfer of its own", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      yield* join(alice, bob)
      const [sent] = yield* alice.transfer.send(plant(alice.sources), [bob.id], { priority: "high" })
      assert(sent !== undefined)
      const running = yield* Effect.flip(alice.transfer.again(sent.id))
      assert.match(running.message, /is still \w+: it can be sent again once it is over$/)
      yield* bob.until((view) => view.id === sent.id && view.listed === true)
      yield* bob.transfer.decline(sent.id)
      assert.strictEqual((yield* alice.over(sent.id)).state, "declined")
      const views = yield* alice.transfer.again(sent.id)
      const [again] = views
      assert(again !== undefined && views.length === 1)
      assert.include(again, { peer: bob.id, name: sent.name, priority: "high", direction: "send" })
      assert.notStrictEqual(again.id, sent.id)
      assert.notStrictEqual(again.group, sent.group)
      yield* bob.until((view) => view.id === again.id && view.listed === true)
      yield* bob.transfer.accept(again.id, {})
      assert.strictEqual((yield* alice.over(again.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("is known after restarts, where it ended before and where it ended since", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const bob = yield* startOn(network, "bob")
      const alices = yield* restartable(network, "alice")
      const first = yield* alices.start()
      const paths = plant(first.sources)
      const [early] = yield* first.transfer.send(paths, [bob.id])
      const [late] = yield* first.transfer.send(paths.slice(1), [bob.id])
      assert(early !== undefined && late !== undefined)
      yield* first.transfer.cancel(early.id)
      const second = yield* alices.start()
      yield* second.until((view) => view.id === late.id && view.files === 1)
      yield* second.transfer.cancel(late.id)
      const third = yield* alices.start()
      yield* join(third, bob)
      for (const { id } of [late, early]) {
        const [again] = yield* third.transfer.again(id)
        assert(again !== undefined)
        assert.strictEqual((yield* third.over(again.id)).state, "done")
      }
      assert.deepStrictEqual(fs.readdirSync(bob.received).toSorted(), ["g", "g (1)", "tree"])
    })
  )

  quietly("is refused by name", () =>
    Effect.gen(function* () {
      const known = new Map()
      const { alice, bob } = yield* pair({}, { known })
      yield* join(alice, bob)
      const [, only = ""] = plant(alice.sources)
      const [sent] = yield* alice.transfer.send([only], [bob.id])
      assert(sent !== undefined)
      yield* alice.over(sent.id)
      yield* bob.over(sent.id)
      const why = (node: typeof alice) =>
        Effect.map(Effect.flip(node.transfer.again(sent.id)), (error) => error.message)
      assert.match(yield* why(bob), /^nothing was sent: it came from the peer/)
      known.set(bob.id, { trust: "blocked" })
      assert.strictEqual(yield* why(alice), "nothing was sent: its receiver is blocked: unblock it first")
      known.clear()
      fs.rmSync(only)
      assert.match(yield* why(alice), new RegExp(`^${only} was not sent: `))
      // The paths are longer than what is kept of them.
      const long = "x".repeat(200)
      const many = Array.from({ length: Math.ceil(limits.pickedKeptMaxBytes / 200) }, (_, i) => {
        const at = path.join(alice.sources, `${i}${long}`)
        fs.writeFileSync(at, "")
        return at
      })
      const [large] = yield* alice.transfer.send(many, [bob.id])
      assert(large !== undefined)
      yield* alice.transfer.cancel(large.id)
      assert.strictEqual(
        (yield* Effect.flip(alice.transfer.again(large.id))).message,
        "nothing was sent: what was picked for it is not known any more: send it from where it is"
      )
    })
  )
})

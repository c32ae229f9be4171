/** Sizes against free space, beside what other transfers still need: shown with an offer, and refused where it is too much. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import type { NodeSettings } from "../../src/config.ts"
import type { FileStore } from "../../src/services/FileStore.ts"
import { capMin } from "../../src/schema/Profile.ts"
import { join, noise, pair, quietly } from "./TransferNode.ts"

const mebi = 1024 * 1024

/** A disk with room for so much. */
const roomFor =
  (freeBytes: number) =>
  (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    target: Effect.map(real.target, (target) => ({ ...target, freeBytes }))
  })

describe("two offers that fit singly but not together", () => {
  const two = Effect.fnUntraced(function* (settings: Partial<NodeSettings>) {
    const { alice, bob } = yield* pair({ settings, store: roomFor(3 * mebi) })
    yield* join(alice, bob)
    // So slow that the first is under way for as long as is looked.
    yield* bob.caps.set(null, { receive: capMin })
    const offer = Effect.fnUntraced(function* (name: string) {
      const location = path.join(alice.sources, name)
      fs.writeFileSync(location, noise(1, 2 * mebi))
      const [sent] = yield* alice.transfer.send([location], [bob.id])
      assert(sent !== undefined)
      return sent.id
    })
    return { alice, bob, offer }
  })

  quietly("are both shown, and the second cannot be taken while the first needs the room", () =>
    Effect.gen(function* () {
      const { bob, offer } = yield* two({ accept: "ask" })
      const [one, other] = [yield* offer("one"), yield* offer("other")]
      for (const id of [one, other]) {
        const view = yield* bob.until((view) => view.id === id && view.listed === true)
        assert.deepStrictEqual([view.state, view.freeBytes], ["offered", 3 * mebi])
      }
      yield* bob.transfer.accept(one, {})
      yield* bob.until((view) => view.id === one && view.state === "running")
      const refused = yield* Effect.flip(bob.transfer.accept(other, {}))
      assert(refused._tag === "NotPossible")
      assert.include(refused.message, "is still offered: it needs 2 MiB, and 1 MiB are free here beside what other")
      const waiting = yield* bob.transfer.find(other)
      assert.strictEqual(waiting.state, "offered")
      assert.isBelow(waiting.freeBytes ?? 0, 2 * mebi)
      yield* bob.transfer.cancel(one)
      yield* bob.over(one)
      const taken = yield* bob.transfer.accept(other, {})
      assert.notStrictEqual(taken.state, "offered")
    })
  )

  quietly("are taken unasked one after the other, and the second is declined with the reason", () =>
    Effect.gen(function* () {
      const { alice, bob, offer } = yield* two({ accept: "everyone" })
      const one = yield* offer("one")
      yield* bob.until((view) => view.id === one && view.state === "running")
      const other = yield* offer("other")
      const declined = yield* alice.over(other)
      assert.strictEqual(declined.state, "declined")
      assert.include(declined.error ?? "", "are free here beside what other transfers still need")
    })
  )
})

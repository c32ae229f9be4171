/**
 * Disks that refuse while a transfer runs between processes: it is held up with the system's word and what to do, the
 * other direction goes on, and so does it once the disk does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { noise } from "../actors/TransferNode.ts"
import { arrives, connected, makeNode, mebi, plant, sendBack, sendTo, shows, until, visible } from "./CrashNode.ts"
import { mayMount, ownDisk, seenBy, sizeOfStaged, staged } from "./Disks.ts"
import { attach, skipped } from "./Faults.ts"

/** A transfer in its middle, which will be there for seconds. */
const middle = Effect.fnUntraced(function* (options: { readonly under?: ReadonlyArray<string> } = {}) {
  const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
  fs.mkdirSync(bob.received)
  const to = yield* bob.start(options)
  const from = yield* alice.start({ peer: bob.port })
  const tree = plant(alice.root)
  yield* connected(alice)
  yield* until(bob.caps(mebi), (answer) => answer !== undefined)
  yield* sendTo(alice, tree)
  return { alice, bob, from, to, tree }
})

const faults: ReadonlyArray<readonly [call: string, code: string, remedy: RegExp]> = [
  ["pwrite64", "ENOSPC", /free some space/],
  ["pwrite64", "EDQUOT", /quota/],
  ["pwrite64", "EIO", /check the disk/],
  ["fsync", "EIO", /check the disk/],
  ["fsync", "ENOSPC", /free some space/]
]

describe.skipIf(skipped("what a node does about system calls that fail"))("the receiver's disk", () => {
  for (const [call, code, remedy] of faults) {
    it.live(`says ${code} to ${call}: the transfer is held up, goes on once it can, and nothing is synced twice`, () =>
      Effect.gen(function* () {
        const { alice, bob, to, tree } = yield* middle()
        yield* until(
          Effect.sync(() => sizeOfStaged(bob.received)),
          (size) => size !== false && size >= mebi
        )
        const calls = join(bob.root, "calls")
        const inject = ["-P", staged(bob.received), "-e", "trace=fsync,pwrite64", "-e", `inject=${call}:error=${code}`]
        const fault = yield* attach(to.child, inject, calls)
        const held = yield* shows(bob, ({ error }) => error !== null)
        assert.include(held.error ?? "", code)
        assert.match(held.error ?? "", remedy)
        yield* shows(bob, ({ state }) => state === "paused")
        assert.deepStrictEqual(visible(bob.received), [])
        yield* sendBack(alice, bob)
        yield* fault.mend
        yield* bob.caps(null)
        yield* bob.ask("POST", `/api/transfers/${held.id}/resume`)
        yield* arrives(alice, bob, tree)
        // A second sync of the same pages would be answered with yes.
        const lines = fs.readFileSync(calls, "utf8").split("\n")
        const failed = lines.findIndex((line) => line.includes("fsync(") && line.includes("INJECTED"))
        const after = failed < 0 ? [] : lines.slice(failed + 1).filter((line) => line.includes("fsync("))
        assert.deepStrictEqual(after, [])
      })
    )
  }

  it.live("fails to sync all of it at once, as many files are: that is no reason to ask it again", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
      const to = yield* bob.start()
      yield* alice.start({ peer: bob.port })
      const tree = plant(alice.root, mebi)
      for (let i = 0; i < 300; i++) fs.writeFileSync(join(tree, `small ${i}`), noise(i, 100))
      const calls = join(bob.root, "calls")
      const inject = ["-e", "trace=syncfs,fsync", "-e", "inject=syncfs:error=EIO"]
      const fault = yield* attach(to.child, inject, calls)
      yield* sendTo(alice, tree)
      const held = yield* shows(bob, ({ state }) => state === "paused")
      assert.match(held.error ?? "", /EIO.*check the disk/)
      const lines = fs.readFileSync(calls, "utf8").split("\n")
      const failed = lines.findIndex((line) => line.includes("syncfs("))
      assert.isAtLeast(failed, 0)
      assert.deepStrictEqual(
        lines.slice(failed).filter((line) => line.includes("fsync(") && line.includes("/data/")),
        []
      )
      yield* fault.mend
      yield* bob.ask("POST", `/api/transfers/${held.id}/resume`)
      yield* arrives(alice, bob, tree)
    })
  )
})

if (!mayMount) console.log("namespaces are not allowed here: disks that are too small or read-only are not tested")

describe.skipIf(!mayMount)("a disk of its own", () => {
  const pair = Effect.fnUntraced(function* (megabytes: number, options = "") {
    const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
    fs.mkdirSync(bob.received)
    const to = yield* bob.start({ under: ownDisk(bob.received, megabytes, options) })
    yield* alice.start({ peer: bob.port })
    yield* connected(alice)
    return { alice, bob, received: seenBy(to.child, bob.received), to }
  })

  it.live("that is too small from the start is said before anything is sent", () =>
    Effect.gen(function* () {
      const { alice, bob, received } = yield* pair(2)
      yield* sendTo(alice, plant(alice.root))
      const view = yield* shows(bob, ({ state }) => state !== "offered")
      assert.strictEqual(view.state, "declined")
      assert.match(view.error ?? "", /free|space|room/)
      assert.deepStrictEqual(fs.readdirSync(received), [])
      const there = yield* shows(alice, ({ state }) => state === "declined", "send")
      assert.strictEqual(there.error, view.error)
    })
  )

  it.live("that is read-only holds the offer up, with the reason, and the rest of the node goes on", () =>
    Effect.gen(function* () {
      const { alice, bob, received, to } = yield* pair(20, ",ro")
      const tree = plant(alice.root)
      yield* sendTo(alice, tree)
      const held = yield* shows(bob, ({ error }) => error !== null)
      assert.match(held.error ?? "", /EROFS.*read-only: choose another folder/)
      yield* sendBack(alice, bob)
      const enter = ["-t", String(to.child.pid), "-U", "-m", "mount", "-o", "remount,rw", bob.received]
      assert.strictEqual(spawnSync("nsenter", enter).status, 0)
      yield* bob.ask("POST", `/api/transfers/${held.id}/resume`)
      yield* arrives(alice, bob, tree, received)
    })
  )
})

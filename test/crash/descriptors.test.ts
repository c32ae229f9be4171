/**
 * A node that may open no more files in the middle of a transfer: whoever receives is held up and says what to do,
 * whoever sends names the files that could not be read, and the node itself goes on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ChildProcess } from "node:child_process"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { noise, treeOf } from "../actors/TransferNode.ts"
import { arrives, connected, makeNode, mebi, sendTo, shows, until } from "./CrashNode.ts"

const hasPrlimit = spawnSync("prlimit", ["--version"], { stdio: "ignore" }).status === 0
if (!hasPrlimit) console.log("prlimit is not installed: running out of descriptors is not tested")

/** From now on it may have so many files open, or (null) no more than it has. */
const limit = (child: ChildProcess, files: number | null) => {
  const ids = fs.readdirSync(`/proc/${child.pid}/fd`).map(Number)
  let free = 0
  while (ids.includes(free)) free++
  const set = spawnSync("prlimit", ["--pid", String(child.pid), `--nofile=${files ?? free}:`])
  assert.strictEqual(set.status, 0)
}

/** More than waits in sockets on its way. */
const files = 600

describe.skipIf(!hasPrlimit)("no more files may be opened", { concurrent: true }, () => {
  const middle = Effect.gen(function* () {
    const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
    const to = yield* bob.start()
    const from = yield* alice.start({ peer: bob.port })
    const tree = join(alice.root, "tree")
    fs.mkdirSync(tree)
    for (let i = 0; i < files; i++) fs.writeFileSync(join(tree, `f${i}`), noise(i, 40_000))
    yield* connected(alice)
    yield* until(bob.caps(mebi), (answer) => answer !== undefined)
    yield* sendTo(alice, tree)
    yield* shows(bob, ({ bytes }) => bytes > mebi)
    return { alice, bob, from, to, tree }
  })

  it.live("by the receiver: the transfer is held up, and goes on when they may", () =>
    Effect.gen(function* () {
      const { alice, bob, to, tree } = yield* middle
      limit(to.child, null)
      const held = yield* shows(bob, ({ state }) => state === "paused")
      assert.match(held.error ?? "", /EMFILE.*raise the limit/)
      limit(to.child, 4096)
      yield* bob.caps(null)
      yield* bob.ask("POST", `/api/transfers/${held.id}/resume`)
      yield* arrives(alice, bob, tree)
    })
  )

  it.live("by the sender: what it could not read is named, and the rest arrives", () =>
    Effect.gen(function* () {
      const { bob, from, tree } = yield* middle
      // Below all that it has, so that what it closes meanwhile makes no room.
      limit(from.child, 3)
      // The sender's own API has no descriptor left for whoever asks.
      const failing = yield* shows(bob, ({ problems }) => problems.length > 0)
      assert.match(failing.problems[0]?.reason ?? "", /too many files are open here: raise the limit/)
      limit(from.child, 4096)
      yield* bob.caps(null)
      const view = yield* shows(bob, ({ state }) => state === "partial")
      const got = treeOf(join(bob.received, "tree"))
      const whole = treeOf(tree)
      for (const [name, file] of got) assert.strictEqual(file, whole.get(name))
      assert.isAtLeast(got.size, 50)
      for (const { path } of view.problems) assert.isFalse(got.has(path.slice("tree/".length)), path)
    })
  )
})

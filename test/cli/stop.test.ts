/** The end of a node in the middle of its work: in time, with nothing lost; and at once, for who asks twice. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { temporaryDirectory } from "../api/Served.ts"
import { ended } from "./Nodes.ts"
import { run, start } from "./Run.ts"

const up = Effect.fnUntraced(function* (dataDir: string, name: string, port = "0", env: Record<string, string> = {}) {
  const args = ["--data-dir", dataDir, "--received", join(dataDir, "in"), "--name", name, "--accept", "everyone"]
  const where = ["--no-discovery", "--host", "127.0.0.1", "--port", port, "--api-port", "0"]
  const node = yield* start(["up", ...args, ...where], { env })
  yield* node.until((printed) => printed.includes("API "))
  return {
    child: node.child,
    node,
    kith: (...verb: ReadonlyArray<string>) => run(["--data-dir", dataDir, ...verb]),
    port: /listens on +\S+:(\d+)/.exec(node.out)?.[1] ?? ""
  }
})
type Node = Effect.Success<ReturnType<typeof up>>

/** Asks until it is so. */
const until = (node: Node, what: (shown: { readonly state: string; readonly bytes: number }) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const { out } = yield* node.kith("transfers", "--json")
      const [view] = JSON.parse(out)
      if (view !== undefined && what(view)) return view
    }
  })

describe("a node that is told to end", () => {
  it.live("ends in time though transfers run, which go on when it is back", () =>
    Effect.gen(function* () {
      const [home, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      const alice = yield* up(home, "alice", "0", { KITH_SEND_CAP: "2MiB" })
      const bob = yield* up(other, "bob")
      const file = join(home, "large.bin")
      writeFileSync(file, "begins so")
      truncateSync(file, 24 * 1024 * 1024)
      yield* alice.kith("add", `127.0.0.1:${bob.port}`)
      yield* start(["--data-dir", home, "send", file, "--to", "bob"])
      yield* until(bob, ({ bytes, state }) => state === "running" && bytes > 0)
      alice.child.kill("SIGTERM")
      // So a terminal that is closed says it.
      bob.child.kill("SIGHUP")
      for (const { node } of [alice, bob]) {
        assert.strictEqual((yield* ended(node)).code, 0, node.err)
        // What takes longer than it may is ended by force, with another code and a word.
        assert.notInclude(node.err, "in time")
      }
      const back = yield* up(other, "bob", bob.port)
      const again = yield* up(home, "alice")
      yield* again.kith("add", `127.0.0.1:${bob.port}`)
      yield* until(back, ({ state }) => state === "done")
      yield* until(again, ({ state }) => state === "done")
      assert.isTrue(readFileSync(join(other, "in", "large.bin")).equals(readFileSync(file)))
    })
  )

  it.live("ends at once when it is told again", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "alice")
      const bob = yield* up(yield* temporaryDirectory, "bob")
      assert.strictEqual((yield* alice.kith("add", `127.0.0.1:${bob.port}`)).code, 0)
      // A peer that does not hear the goodbye is waited for.
      bob.child.kill("SIGSTOP")
      const code = yield* Effect.promise(async () => {
        while (alice.child.exitCode === null && alice.child.signalCode === null) {
          alice.child.kill("SIGTERM")
          await delay(20)
        }
        return alice.child.exitCode
      })
      assert.strictEqual(code, 128 + 15)
      assert.notInclude(alice.node.err, "in time")
    })
  )
})

/** Two real nodes: a profile that changes is shown at the other, offers follow the policy, and logs fit each other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryDirectory } from "../api/Served.ts"
import { ended, up } from "./Nodes.ts"
import { start } from "./Run.ts"

interface Entry {
  readonly message: string
  readonly peer?: string
  readonly transfer?: string
}

const entries = (log: string): ReadonlyArray<Entry> =>
  log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))

describe("two nodes", () => {
  it.live("show each other's profile, follow the policy that was set, and log the same ids", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "--name", "alice", "--log-format", "json")
      const bob = yield* up(yield* temporaryDirectory, "--name", "bob", "--accept", "nobody")
      const added = yield* alice.kith("add", bob.address)
      assert.strictEqual(added.code, 0, added.err)
      const watch = yield* start(["--data-dir", bob.dataDir, "peers", "--watch"])
      yield* watch.until((printed) => printed.includes("alice"))

      assert.strictEqual((yield* alice.kith("set", "name", "alice the second")).code, 0)
      yield* watch.until((printed) => printed.includes("alice the second  connected  "))
      assert.strictEqual((yield* alice.kith("set", "status", "busy", "in a call")).code, 0)
      yield* watch.until((printed) => printed.includes("connected (busy: in a call)"))

      // A status is told again when a session begins.
      assert.strictEqual((yield* bob.kith("remove", "alice the second")).code, 0)
      yield* watch.until((printed) => printed.includes("is forgotten"))
      assert.strictEqual((yield* alice.kith("add", bob.address)).code, 0)
      yield* watch.until((printed) => (printed.match(/busy: in a call/g)?.length ?? 0) > 1)

      const file = join(alice.dataDir, "note.txt")
      writeFileSync(file, "secret body")
      const declined = yield* alice.kith("send", file, "--to", "bob")
      assert.strictEqual(declined.code, 4, declined.out)
      assert.strictEqual((yield* bob.kith("set", "accept", "everyone")).out, "accept is everyone\n")
      const sent = yield* alice.kith("send", file, "--to", "bob", "--json")
      assert.strictEqual(sent.code, 0, sent.err)
      const [transfer] = JSON.parse(sent.out)
      assert.strictEqual((yield* alice.kith("say", "a private word", "--to", "bob")).code, 0)

      alice.node.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(alice.node)).code, 0)
      const log = entries(alice.node.out)
      assert.include(
        log.find((entry) => entry.message === "A session began."),
        { peer: transfer.peer }
      )
      assert(log.some((entry) => entry.transfer === transfer.id && entry.peer === transfer.peer))
      for (const { peer, transfer } of log) {
        if (peer !== undefined) assert.match(peer, /^[a-z2-7]{52}$/)
        if (transfer !== undefined) assert.match(transfer, /^[a-z2-7]{26}$/)
      }
      for (const secret of ["secret body", "a private word"]) {
        assert.notInclude(alice.node.out + alice.node.err + bob.node.out + bob.node.err, secret)
      }
      // The pretty log of the other end names the same by the beginning.
      assert.include(bob.node.err, `transfer=${transfer.id.slice(0, 8)}`)
      assert.notInclude(bob.node.err, transfer.id)
    })
  )
})

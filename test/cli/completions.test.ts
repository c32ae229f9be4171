/** Shells complete what only a running node knows; where there is none, nothing is completed, and nothing is said. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile, execFileSync, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { idsOf, wordsOf } from "../../src/cli/verbs/complete.ts"
import { NodeConfig } from "../../src/config.ts"
import type { Peer } from "../../src/schema/Peer.ts"
import { short } from "../../src/schema/PeerId.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { aTransfer, bob, carol, me, someTransfer } from "../api/FakeNode.ts"
import * as Served from "../api/Served.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { main, nodeFlags, run } from "./Run.ts"

const peer = (id: Peer["id"], name: string): Peer => ({
  id,
  name,
  state: "away",
  trust: "unverified",
  addresses: [],
  accept: null,
  lastSeen: null
})

describe("words to complete", () => {
  it("are names, or short ids where a name is not one peer's alone or cannot be typed", () => {
    assert.deepStrictEqual(wordsOf([peer(bob, "bob"), peer(carol, "the laptop")]), ["bob", "the laptop"])
    assert.deepStrictEqual(wordsOf([peer(bob, "twin"), peer(carol, "twin")]), [short(bob), short(carol)])
    for (const name of ["", "a\u001bb", "a\nb", " a", "--all"])
      assert.deepStrictEqual(wordsOf([peer(me, name)]), [short(me)])
  })

  it("are transfers, those that go on first", () => {
    const [over, running] = [someTransfer(1), someTransfer(2)]
    assert.deepStrictEqual(idsOf([aTransfer(over, { state: "done" }), aTransfer(running, { state: "running" })]), [
      running.slice(0, 8),
      over.slice(0, 8)
    ])
  })
})

const hasBash = spawnSync("bash", ["-c", "true"]).status === 0

layer(Served.layer(), { excludeTestServices: true })("a running node", (it) => {
  it.effect.skipIf(!hasBash)("is asked by the script for bash", () =>
    Effect.gen(function* () {
      const registry = yield* PeerRegistry
      yield* registry.update(bob, (record) => ({ ...record, name: "bob's laptop", wanted: true }))
      yield* registry.update(carol, (record) => ({ ...record, name: "c\u001b[31mrol", wanted: true }))
      const { dataDir } = yield* NodeConfig
      const dir = yield* temporaryDirectory
      const kith = join(dir, "kith")
      const command = [process.execPath, ...nodeFlags, main].map((word) => `'${word}'`).join(" ")
      writeFileSync(kith, `#!/bin/bash\nexec ${command} "$@"\n`, { mode: 0o755 })
      const script = join(dir, "completions")
      writeFileSync(script, (yield* run(["--completions", "bash"])).out)

      /** What bash offers for these words, of which the last is being typed. */
      const offered = (...words: ReadonlyArray<string>) =>
        Effect.callback<string>((resume) => {
          const set = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"'
          const show = '_kith_live kith; printf "%s\\n" "${COMPREPLY[@]}"'
          // Not waited for by standing still: the node that is asked is this very process.
          execFile("bash", ["-c", `${set}; ${show}`, "bash", script, kith, ...words], (_, out, err) =>
            resume(Effect.succeed(out + err))
          )
        })
      assert.strictEqual(yield* offered("--data-dir", dataDir, "block", ""), `bob\\'s\\ laptop\n${short(carol)}\n`)
      assert.strictEqual(yield* offered("--data-dir", dataDir, "send", "x", "--to", "bo"), "bob\\'s\\ laptop\n")
      assert.strictEqual(yield* offered("--data-dir", dir, "verify", ""), "\n", "no node, no word")
      assert.strictEqual(yield* offered("tran"), "transfers\n")
    })
  )

  it.effect("has scripts that their shells can read", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      for (const [shell, ...check] of [
        ["bash", "-n"],
        ["zsh", "-n"],
        ["fish", "--no-execute"]
      ] as const) {
        const printed = yield* run(["--completions", shell])
        assert.include(printed.out, "complete", shell)
        if (spawnSync(shell, ["-c", "true"]).status !== 0) continue
        writeFileSync(join(dir, shell), printed.out)
        execFileSync(shell, [...check, join(dir, shell)])
      }
    })
  )
})

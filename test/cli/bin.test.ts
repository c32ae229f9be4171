/** bin/kith.js: runs the built program on a Node that can, hands over to one where it cannot, or says what to do. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawn } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryDirectory } from "../api/Served.ts"
import { quiet } from "./Nodes.ts"
import { Running } from "./Run.ts"

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const bin = at("bin/kith.js")
const built = existsSync(at("dist/main.js"))

/** A Node on this machine that is too old for the program, if there is one. */
const old = (process.env["PATH"] ?? "")
  .split(delimiter)
  .filter((dir) => !dir.includes("node_modules"))
  .map((dir) => join(dir, "node"))
  .find((path) => {
    if (!existsSync(path)) return false
    const [major = 0, minor = 0] = execFileSync(path, ["--version"], { encoding: "utf8" })
      .slice(1)
      .split(".")
      .map(Number)
    return major < 22 || (major === 22 && minor < 19)
  })

const start = (node: string, script: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => new Running(spawn(node, [script, ...args], { stdio: ["ignore", "pipe", "pipe"] }))),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )
const run = (node: string, script: string, ...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.flatMap(start(node, script, args), (running) => Effect.promise(() => running.ended)))

/** The script alone, in a package of its own with nothing built. */
const alone = Effect.gen(function* () {
  const dir = join(yield* temporaryDirectory, "bin")
  mkdirSync(dir)
  copyFileSync(bin, join(dir, "kith.mjs"))
  return join(dir, "kith.mjs")
})

describe("bin/kith.js", () => {
  it.live("says how to build what is not built", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(process.execPath, yield* alone, "peers"), {
        code: 1,
        out: "",
        err: "kith: it is not built yet. Run: npm run build\n"
      })
    })
  )

  it.live.skipIf(!built)("runs the program, and nothing but the program is heard", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(process.execPath, bin, "send"), {
        code: 2,
        out: "",
        err: "kith: say what to send: PATH, or --again ID. See: kith send --help\n"
      })
      assert.match((yield* run(process.execPath, bin, "--version")).out, /^\d+\.\d+\.\d+\n$/)
    })
  )

  it.live.skipIf(old === undefined)("says which Node is needed where there is none", () =>
    Effect.gen(function* () {
      const ran = yield* run(old ?? "", yield* alone, "peers")
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /^kith: this is Node \d+\.\d+\.\d+, and Node 22\.19 or newer is needed\n$/)
    })
  )

  it.live.skipIf(old === undefined || !built)("hands over to a newer Node: output, signals and exit code", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const none = yield* run(old ?? "", bin, "--data-dir", dir, "peers")
      assert.deepStrictEqual([none.code, none.out], [3, ""])
      const node = yield* start(old ?? "", bin, ["--data-dir", dir, "up", ...quiet])
      yield* node.until((printed) => printed.includes("API "))
      assert.strictEqual((yield* run(old ?? "", bin, "--data-dir", dir, "id")).code, 0)
      node.child.kill("SIGTERM")
      assert.strictEqual((yield* Effect.promise(() => node.ended)).code, 0)
    })
  )
})

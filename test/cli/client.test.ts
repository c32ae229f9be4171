/** How a verb finds its node, whom it does not trust, and what it says of what was typed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, closeSync, existsSync, openSync, writeFileSync } from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { createServer } from "node:net"
import { pathIn } from "../../src/api/ControlFile.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { ended, listening, quiet, up } from "./Nodes.ts"
import { run, start } from "./Run.ts"

/** A disk without room, where the system has one to try things on. */
const full = "/dev/full"

describe("a verb", () => {
  /** A control.json that points to a port. */
  const pointTo = Effect.fnUntraced(function* (port: number) {
    const dir = yield* temporaryDirectory
    const control = { url: `http://127.0.0.1:${port}`, token: "t".repeat(43) }
    writeFileSync(pathIn(dir), JSON.stringify(control), { mode: 0o600 })
    return dir
  })

  it.live("shows its token to no stranger on the port", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const answers = [
        { status: 200, body: "{}" },
        { status: 200, body: `{"status":"ok","proof":"${"0".repeat(64)}"}` },
        { status: 404, body: "not here" },
        { status: 302, body: "" }
      ]
      const server = createHttpServer((request, response) => {
        seen.push(JSON.stringify([request.url, request.headers]))
        const { body, status } = answers[seen.length - 1] ?? { status: 500, body: "" }
        response.writeHead(status, status === 302 ? { location: "/api/peers" } : {}).end(body)
      })
      const dir = yield* pointTo(yield* listening(server))
      for (const _ of answers) {
        const ran = yield* run(["--data-dir", dir, "peers"])
        assert.strictEqual(ran.code, 3)
        assert.match(ran.err, /^kith: no node is running for .*; start one with: kith up .*\n$/)
      }
      assert.strictEqual(seen.length, answers.length)
      assert.notInclude(seen.join(), "t".repeat(43))
      assert.notInclude(seen.join().toLowerCase(), "authorization")
    })
  )

  it.live("does not wait for a stranger who is silent", () =>
    Effect.gen(function* () {
      const dir = yield* pointTo(yield* listening(createServer(() => undefined)))
      const before = performance.now()
      assert.strictEqual((yield* run(["--data-dir", dir, "peers"])).code, 3)
      assert.isBelow(performance.now() - before, 5000)
    })
  )

  it.live("trusts no control.json that others could have written", () =>
    Effect.gen(function* () {
      const dir = yield* pointTo(1)
      chmodSync(pathIn(dir), 0o644)
      const exposed = yield* run(["--data-dir", dir, "peers"])
      assert.deepStrictEqual([exposed.code, exposed.out], [1, ""])
      assert.match(exposed.err, /^kith: .*control\.json can be read or written by others and is not trusted/)
      chmodSync(pathIn(dir), 0o600)
      for (const damaged of ["", "{}", `{"url":"http://evil.example","token":"${"t".repeat(43)}"}`, "x".repeat(5000)]) {
        writeFileSync(pathIn(dir), damaged)
        const ran = yield* run(["--data-dir", dir, "peers"])
        assert.deepStrictEqual([ran.code, ran.err.includes("is damaged")], [1, true])
      }
    })
  )

  it.live("minds no reader that stops reading", () =>
    Effect.gen(function* () {
      const node = yield* up(yield* temporaryDirectory)
      node.node.child.stdout?.destroy()
      const verb = yield* start(["--data-dir", node.dataDir, "id"])
      verb.child.stdout?.destroy()
      const ran = yield* ended(verb)
      assert.strictEqual(ran.code, 0)
      assert.strictEqual(verb.err, "")
      assert.strictEqual((yield* node.kith("id")).code, 0)
    })
  )

  it.live.skipIf(!existsSync(full))("says that what it printed is lost; a node goes on without its log", () =>
    Effect.gen(function* () {
      const disk = yield* Effect.acquireRelease(
        Effect.sync(() => openSync(full, "w")),
        (descriptor) => Effect.sync(() => closeSync(descriptor))
      )
      const dataDir = yield* temporaryDirectory
      const node = yield* start(["up", "--data-dir", dataDir, ...quiet, "--log-format", "json"], { stdout: disk })
      while ((yield* run(["--data-dir", dataDir, "id"])).code !== 0) assert.isNull(node.child.exitCode, node.err)
      for (const verb of [["--data-dir", dataDir, "peers", "--json"], ["--version"], ["--completions", "bash"]]) {
        const ran = yield* run(verb, { stdout: disk })
        assert.deepStrictEqual(
          [ran.code, ran.err],
          [1, "kith: the output could not be written (ENOSPC). Is there room where it goes?\n"]
        )
      }
      node.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(node)).code, 0)
      assert.strictEqual(node.err, "")
    })
  )

  it.live("says what was typed wrong, in a line, with 2", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["bogus", `kith: Unknown subcommand "bogus" for "kith". See: kith --help`],
        ["say", "kith: Missing required argument: TEXT. See: kith say --help"],
        ["send a", "kith: say to whom: --to PEER or --all. See: kith send --help"],
        ["send a --all --to b", "kith: --all and --to exclude each other. See: kith send --help"],
        ["send --to b", "kith: "],
        ["history --limit 0", `kith: --limit is "0"; allowed is 1 to 1000. See: kith history --help`],
        ["peers extra", "kith: "]
      ]
      for (const [typed, expected] of cases) {
        const ran = yield* run(typed.split(" "))
        assert.deepStrictEqual([ran.code, ran.out], [2, ""], typed)
        assert.isTrue(ran.err.startsWith(expected), ran.err)
        assert.strictEqual(ran.err.trimEnd().split("\n").length, 1)
      }
    })
  )
})

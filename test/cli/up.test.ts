/** Real nodes as processes: how they start, refuse to start, talk, send and end. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { pathIn } from "../../src/api/ControlFile.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { ended, listening, quiet, up } from "./Nodes.ts"
import { run } from "./Run.ts"

describe("up", () => {
  it.live("says who the node is, and ends with 0 when told to stop", () =>
    Effect.gen(function* () {
      const dir = join(yield* temporaryDirectory, "new")
      const { kith, node } = yield* up(dir, "--name", "al\u001bice")
      assert.match(node.out, /^al\ufffdice \([a-z2-7]{8}\) is up\n {2}listens on +127\.0\.0\.1:\d+\n/)
      assert.include(node.out, join(dir, "received_files"))
      assert.strictEqual(statSync(dir).mode & 0o777, 0o700)
      const info = JSON.parse((yield* kith("id", "--json")).out)
      assert.strictEqual(info.name, "al\u001bice")
      assert.strictEqual(info.received, join(dir, "received_files"))
      const before = performance.now()
      node.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(node)).code, 0)
      assert.isBelow(performance.now() - before, 2000)
      assert.isFalse(existsSync(pathIn(dir)))
      const gone = yield* kith("peers")
      assert.deepStrictEqual(gone, {
        code: 3,
        out: "",
        err: `kith: no node is running for ${dir}; start one with: kith up --data-dir ${dir}\n`
      })
    })
  )

  it.live("is one node to a directory", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const { kith, node } = yield* up(dir)
      const second = yield* run(["--data-dir", dir, ...quiet])
      assert.deepStrictEqual(second, {
        code: 1,
        out: "",
        err: `kith: another node is running on ${dir}. Stop it first, or choose another directory with --data-dir\n`
      })
      assert.strictEqual((yield* kith("id")).code, 0)
      node.child.kill("SIGKILL")
      yield* ended(node)
      // What a killed node leaves behind is no node.
      assert.isTrue(existsSync(pathIn(dir)))
      assert.strictEqual((yield* kith("id")).code, 3)
      assert.strictEqual((yield* (yield* up(dir)).kith("id")).code, 0)
    })
  )

  it.live("logs one JSON object a line, without the token", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const { kith, node } = yield* up(dir, "--log-format", "json", "--log-level", "debug", "--name", "alice")
      assert.strictEqual((yield* kith("id")).code, 0)
      const { token } = JSON.parse(readFileSync(pathIn(dir), "utf8"))
      node.child.kill("SIGINT")
      assert.strictEqual((yield* ended(node)).code, 0)
      const entries = node.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      for (const entry of entries) assert.containsAllKeys(entry, ["time", "level", "message"])
      const first = entries.find((entry) => entry.message === "The node is up.")
      assert.include(first, { name: "alice", level: "info", received: join(dir, "received_files") })
      assert.notInclude(node.out + node.err, token)
      assert.strictEqual(node.err, "")
    })
  )

  it.live("does not start with what it cannot use, and says so in a line", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const refused = Effect.fnUntraced(function* (code: number, expected: RegExp, ...args: ReadonlyArray<string>) {
        const ran = yield* run(["up", ...args], { env: { KITH_DATA_DIR: dir } })
        assert.deepStrictEqual([ran.code, ran.out], [code, ""], ran.err)
        assert.match(ran.err.replace(/^.* INFO .*\n/gm, ""), expected)
        assert.strictEqual(ran.err.trimEnd().split("\n").length, 1 + (ran.err.match(/ INFO /g)?.length ?? 0))
      })
      yield* refused(2, /^kith: --port is "abc"; allowed is a port from 1 to 65535, or 0/, "--port", "abc")
      yield* refused(2, /^kith: --accept is "some"; allowed is ask, verified/, "--accept", "some")
      yield* refused(2, /^kith: Unrecognized flag: --bogus.*See: kith up --help\n$/, "--bogus")
      const port = yield* listening(createServer())
      const args = ["--no-discovery", "--host", "127.0.0.1", "--port", String(port)]
      yield* refused(1, /^kith: cannot listen on 127\.0\.0\.1:\d+: .*--port/, ...args)
      writeFileSync(join(dir, "file"), "")
      yield* refused(1, /^kith: the data directory .* cannot be used/, "--data-dir", join(dir, "file"))
      chmodSync(join(dir, "identity.pem"), 0o644)
      yield* refused(1, /identity\.pem: /, ...quiet)
    })
  )

  it.live("answers an unreachable address in time, with what to do", () =>
    Effect.gen(function* () {
      const { kith } = yield* up(yield* temporaryDirectory)
      const before = performance.now()
      const added = yield* kith("add", "192.0.2.7:9090")
      assert.isBelow(performance.now() - before, 7000)
      assert.deepStrictEqual([added.code, added.out], [1, ""])
      assert.match(added.err, /^kith: 192\.0\.2\.7:9090 cannot be reached \(.*\n$/)
    })
  )
})

describe("two nodes", () => {
  it.live("talk, and send files that are taken or not", () =>
    Effect.gen(function* () {
      const alice = yield* up(yield* temporaryDirectory, "--name", "alice")
      const bob = yield* up(yield* temporaryDirectory, "--name", "bob", "--accept", "everyone")
      const carol = yield* up(yield* temporaryDirectory, "--name", "carol", "--accept", "nobody")
      assert.match((yield* alice.kith("add", bob.address)).out, /^connected to bob \(/)
      assert.match((yield* alice.kith("add", carol.address)).out, /^connected to carol \(/)

      const said = yield* alice.kith("say", "hello", "--to", "bob")
      assert.deepStrictEqual(said, { code: 0, out: "delivered to bob\n", err: "" })
      assert.include((yield* bob.kith("history")).out, "alice to you: hello\n")

      const source = join(alice.dataDir, "photos")
      mkdirSync(join(source, "deep"), { recursive: true })
      writeFileSync(join(source, "deep", "one.jpg"), "x".repeat(100_000))
      const sent = yield* alice.kith("send", source, "--to", "bob")
      assert.strictEqual(sent.code, 0, sent.err)
      assert.include(sent.out, "delivered to bob: photos (1 file, 97.7 KiB)\n")
      assert.strictEqual(statSync(join(bob.received, "photos", "deep", "one.jpg")).size, 100_000)
      assert.include((yield* bob.kith("transfers")).out, `in ${join(bob.received, "photos")}\n`)

      const declined = yield* alice.kith("send", source, "--to", "carol")
      assert.strictEqual(declined.code, 4, declined.err)
      assert.include(declined.out, "declined by carol")

      bob.node.child.kill("SIGKILL")
      yield* ended(bob.node)
      const waiting = yield* alice.kith("say", "still there?", "--to", "bob")
      assert.strictEqual(waiting.code, 0)
      assert.match(waiting.out, /^(waiting for bob; it goes out when they are back|sent to bob, not confirmed yet)\n$/)
    })
  )
})

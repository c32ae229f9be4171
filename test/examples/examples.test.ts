/** Each example is run as its head says, against a node of the command line where it takes two. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { up } from "../cli/Nodes.ts"
import { Running } from "../cli/Run.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-examples-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)

const start = (name: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))
      return new Running(spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] }))
    }),
    ({ child, ended }) => {
      child.kill("SIGTERM")
      return Effect.promise(() => ended)
    }
  )

/** An example that has a node, once it says where it listens. */
const listening = Effect.fnUntraced(function* (name: string, ...args: ReadonlyArray<string>) {
  const example = yield* start(name, ...args)
  yield* example.until((printed) => /listening on \d+/.test(printed))
  return { example, address: `127.0.0.1:${/listening on (\d+)/.exec(example.out)?.[1]}` }
})

describe("examples", () => {
  it.live("greeter: who connects is greeted by name", () =>
    Effect.gen(function* () {
      const home = yield* directory
      const { address } = yield* listening("greeter.ts", join(home, "greeter"))
      const alice = yield* up(join(home, "alice"), "--name", "alice")
      const watch = yield* start("../bin/kith.js", "--data-dir", alice.dataDir, "history", "--watch")
      assert.strictEqual((yield* alice.kith("add", address)).code, 0)
      yield* watch.until((printed) => printed.includes("Hello alice!"))
    })
  )

  it.live("drop-box: takes what a verified peer sends and runs the command, declines a stranger", () =>
    Effect.gen(function* () {
      const home = yield* directory
      const { address, example } = yield* listening("drop-box.ts", join(home, "box"), "echo", "arrived:")
      yield* example.until((printed) => printed.includes("kith join "))
      const ticket = /kith join (\S+)/.exec(example.out)?.[1] ?? ""
      const [friend, stranger] = [
        yield* up(join(home, "friend"), "--name", "friend"),
        yield* up(join(home, "stranger"), "--name", "stranger")
      ]
      const file = join(home, "letter.txt")
      writeFileSync(file, "dear box")
      assert.strictEqual((yield* stranger.kith("add", address)).code, 0)
      assert.strictEqual((yield* stranger.kith("send", file, "--to", "drop-box")).code, 4)
      assert.strictEqual((yield* friend.kith("join", ticket)).code, 0)
      assert.strictEqual((yield* friend.kith("send", file, "--to", "drop-box")).code, 0)
      yield* example.until((printed) => /arrived: \S+letter\.txt/.test(printed) && /letter\.txt: 0/.test(printed))
      assert.strictEqual(readFileSync(join(home, "box", "received", "letter.txt"), "utf8"), "dear box")
    })
  )

  it.live("own-transport: two nodes talk through memory", () =>
    Effect.gen(function* () {
      const home = yield* directory
      const example = yield* start("own-transport.ts", home)
      const { code, out } = yield* Effect.promise(() => example.ended)
      assert.strictEqual(code, 0)
      assert.include(out, "delivered: no port was opened for this")
    })
  )

  it.live("events-out: each event is a line of JSON to whoever reads", () =>
    Effect.gen(function* () {
      const home = yield* directory
      const socket = join(home, "events.sock")
      const { address } = yield* listening("events-out.ts", join(home, "out"), socket)
      const reader = yield* Effect.acquireRelease(
        Effect.sync(() => connect(socket)),
        (socket) => Effect.sync(() => socket.destroy())
      )
      yield* Effect.callback<void>((resume) => void reader.once("connect", () => resume(Effect.void)))
      const alice = yield* up(join(home, "alice"), "--name", "alice", "--peer", address)
      const seen = yield* Effect.callback<string>((resume) => {
        let text = ""
        reader.on("data", (chunk) => {
          text += String(chunk)
          if (text.includes('"state":"connected"')) resume(Effect.succeed(text))
        })
      })
      const [first] = seen.split("\n")
      assert.strictEqual(JSON.parse(first ?? "")._tag, "PeerChanged")
      alice.node.child.kill("SIGTERM")
    })
  )

  it.live("plain-node: a file is there when the promise says so", () =>
    Effect.gen(function* () {
      const home = yield* directory
      const alice = yield* up(join(home, "alice"), "--name", "alice", "--accept", "everyone")
      const file = join(home, "plain.txt")
      writeFileSync(file, "no effect in sight")
      const example = yield* start("plain-node.ts", join(home, "plain"), alice.address, file)
      const { code, err, out } = yield* Effect.promise(() => example.ended)
      assert.strictEqual(code, 0, err)
      assert.include(out, `done: ${basename(file)}`)
      assert.strictEqual(readFileSync(join(alice.received, "plain.txt"), "utf8"), "no effect in sight")
    })
  )
})

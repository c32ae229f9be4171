/**
 * Nodes as processes that are killed in the middle of a transfer, with kill -9: now and then by the clock of what has
 * arrived, and by strace at chosen system calls, where it is there. Started again they go on by themselves, and the
 * trees are equal.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { noise, treeOf } from "../actors/TransferNode.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { listening } from "../cli/Nodes.ts"
import { run, start } from "../cli/Run.ts"

const mebi = 1024 * 1024
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

const freePort = Effect.scoped(listening(createServer()))

/** A node that can be killed and started again, on the port it had. */
const makeNode = Effect.fnUntraced(function* (name: string) {
  const root = yield* temporaryDirectory
  const dataDir = join(root, "data")
  const received = join(root, "received")
  const port = yield* freePort
  let child: ChildProcess | undefined
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (child !== undefined && child.exitCode === null && child.signalCode === null) kill(child)
    })
  )
  /** `under`: a command that runs it, such as strace with its options. */
  const begin = (peer: number | undefined, under: ReadonlyArray<string> = []) =>
    Effect.gen(function* () {
      const flags = ["--name", name, "--accept", "everyone", "--no-discovery", "--host", "127.0.0.1", "--api-port", "0"]
      const here = ["--data-dir", dataDir, "--received", received, "--port", String(port)]
      const other = peer === undefined ? [] : ["--peer", `127.0.0.1:${peer}`]
      const whole = [...under, process.execPath, main, "up", ...here, ...flags, ...other]
      const started = spawn(whole[0] ?? "", whole.slice(1), {
        stdio: "ignore",
        // One thread, so that a system call's number is the same in each run.
        env: { ...process.env, UV_THREADPOOL_SIZE: under.length > 0 ? "1" : "4" }
      })
      child = started
      const gone = new Promise<void>((resolve) => started.once("exit", () => resolve()))
      return { child: started, gone: Effect.promise(() => gone) }
    })
  const kith = (...verb: ReadonlyArray<string>) => run(["--data-dir", dataDir, ...verb])
  return { root, dataDir, received, port, start: begin, kith }
})
type Node = Effect.Success<ReturnType<typeof makeNode>>

/** Asks again until it is so; the process that is asked may not be up yet. */
const until = <A>(ask: Effect.Effect<A>, isSo: (answer: A) => boolean) =>
  Effect.repeat(ask, { until: isSo, schedule: Schedule.spaced("100 millis") })

interface Shown {
  readonly id: string
  readonly state: string
  readonly bytes: number
  readonly error: string | null
}

const transfers = (node: Node) =>
  Effect.map(node.kith("transfers", "--json"), ({ code, out }): ReadonlyArray<Shown> =>
    code === 0 ? (JSON.parse(out) as ReadonlyArray<Shown>) : []
  )

const plant = (root: string): string => {
  const tree = join(root, "tree")
  fs.mkdirSync(join(tree, "a/b/empty"), { recursive: true })
  fs.writeFileSync(join(tree, "large"), noise(1, 30 * mebi))
  for (let i = 0; i < 40; i++) fs.writeFileSync(join(tree, i % 2 === 0 ? `a/${i}` : `a/b/${i}`), noise(i, i * 997))
  return tree
}

const sendTo = (alice: Node, path: string) =>
  Effect.gen(function* () {
    yield* until(alice.kith("peers", "--json"), ({ out }) => out.includes('"connected"'))
    // It waits for the end, or for its node's: what counts is that the node has it.
    yield* start(["--data-dir", alice.dataDir, "send", path, "--to", "bob"])
    yield* until(transfers(alice), (views) => views.length > 0)
  })

/** The process and what it runs, which is the node where strace runs it. */
const kill = (child: ChildProcess) => {
  const children = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
  for (const id of children.split(" ").filter((id) => id !== "")) process.kill(Number(id), "SIGKILL")
  child.kill("SIGKILL")
}

/** Both are up: waits for the end, and compares. */
const arrives = Effect.fnUntraced(function* (alice: Node, bob: Node, tree: string) {
  const [view] = yield* until(
    transfers(bob),
    ([view]) => view !== undefined && !["running", "waiting", "offered", "stalled", "queued"].includes(view.state)
  )
  assert.deepInclude(view, { state: "done", error: null })
  // What a crash left of a look at the disk, or of a staging that was never begun, is removed in a week.
  assert.deepStrictEqual(
    fs.readdirSync(bob.received).filter((name) => name !== ".kith"),
    ["tree"]
  )
  assert.deepStrictEqual(treeOf(join(bob.received, "tree")), treeOf(tree))
  // The sender hears of it too.
  yield* until(transfers(alice), ([view]) => view === undefined || view.state === "done")
})

const onlyReserved = (bob: Node) =>
  assert.deepStrictEqual(
    (fs.existsSync(bob.received) ? fs.readdirSync(bob.received) : []).filter((name) => name !== ".kith"),
    []
  )

describe("kill -9 once part of it has arrived", () => {
  for (const who of ["receiver", "sender", "both"] as const) {
    it.live(`of the ${who}`, () =>
      Effect.gen(function* () {
        const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
        // A megabyte of the source takes so long to read that there is a middle.
        const slow = strace("-e", "trace=pread64", "-e", "inject=pread64:delay_enter=15000")
        const from = yield* alice.start(bob.port, slow)
        const to = yield* bob.start(undefined)
        const tree = plant(alice.root)
        yield* sendTo(alice, tree)
        yield* until(transfers(bob), ([view]) => (view?.bytes ?? 0) > 4 * mebi)
        if (who !== "sender") to.child.kill("SIGKILL")
        if (who !== "receiver") kill(from.child)
        onlyReserved(bob)
        if (who !== "sender") yield* to.gone
        if (who !== "receiver") yield* from.gone
        if (who !== "sender") yield* bob.start(undefined)
        if (who !== "receiver") yield* alice.start(bob.port)
        yield* arrives(alice, bob, tree)
      })
    )
  }
})

const hasStrace = spawnSync("strace", ["-V"]).status === 0
const strace = (...options: ReadonlyArray<string>) =>
  hasStrace ? ["strace", "-f", "-qq", "-o", "/dev/null", ...options] : []

const calls: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
  ["fsync", [1, 9, 14, 20]],
  ["mkdir", [6, 9]],
  ["rename", [1]],
  ["ftruncate", [1]],
  ["rmdir", [1]],
  ["pwrite64", [2, 40]]
]

if (!hasStrace) console.log("strace is not installed: crashes at chosen system calls are not tested")

describe.skipIf(!hasStrace)("killed at a system call", () => {
  for (const [call, numbers] of calls) {
    for (const when of numbers) {
      it.live(`of the receiver, ${call} number ${when}`, () =>
        Effect.gen(function* () {
          const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
          yield* alice.start(bob.port)
          // The calls of the start are not counted: those of files below the receive folder are.
          fs.mkdirSync(bob.received)
          const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${when}`]
          const first = yield* bob.start(undefined, strace(...inject))
          const tree = plant(alice.root)
          yield* Effect.raceFirst(Effect.ignore(sendTo(alice, tree)), first.gone)
          yield* Effect.raceFirst(
            first.gone,
            until(transfers(bob), ([view]) => view?.state === "done")
          )
          if (first.child.exitCode === null && first.child.signalCode === null) kill(first.child)
          yield* first.gone
          yield* bob.start(undefined)
          if ((yield* transfers(alice)).length === 0) yield* sendTo(alice, tree)
          yield* arrives(alice, bob, tree)
        })
      )
    }
  }
})

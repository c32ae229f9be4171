/**
 * Nodes as processes, for tests that kill, stop and starve them. A node keeps its directories and its port, so that it
 * can be started again where it was; all of it goes with the scope. What happens inside is asked of its API.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { noise, treeOf } from "../actors/TransferNode.ts"
import { temporaryDirectory } from "../api/Served.ts"
import { listening } from "../cli/Nodes.ts"
import { main } from "../cli/Run.ts"

export const mebi = 1024 * 1024

export const freePort = Effect.scoped(Effect.suspend(() => listening(createServer())))

export interface Shown {
  readonly id: string
  readonly direction: "send" | "receive"
  readonly state: string
  readonly bytes: number
  readonly error: string | null
  readonly problems: ReadonlyArray<{ readonly path: string; readonly reason: string }>
}

/** Asks again until it is so; the process that is asked may not be up yet. */
export const until = <A>(ask: Effect.Effect<A>, isSo: (answer: A) => boolean) =>
  Effect.repeat(ask, { until: isSo, schedule: Schedule.spaced("50 millis") })

/** What a process has started, as the system knows it. */
const childrenOf = (child: ChildProcess): ReadonlyArray<number> => {
  try {
    const ids = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
    return ids
      .split(" ")
      .filter((id) => id !== "")
      .map(Number)
  } catch {
    return []
  }
}

const isAlive = (child: ChildProcess) => child.exitCode === null && child.signalCode === null

/** The process and what it runs, which is the node where another command runs it. */
export const kill = (child: ChildProcess) => {
  if (!isAlive(child)) return
  for (const id of childrenOf(child)) {
    try {
      process.kill(id, "SIGKILL")
    } catch {
      // It ended meanwhile.
    }
  }
  child.kill("SIGKILL")
}

export interface Started {
  readonly child: ChildProcess
  readonly gone: Effect.Effect<void>
}

export interface StartOptions {
  /** In place of the port it had. */
  readonly port?: number
  readonly host?: string
  /** The port of a peer to connect to. */
  readonly peer?: number | undefined
  /** A command that runs it, such as strace with its options. */
  readonly under?: ReadonlyArray<string>
  readonly env?: Record<string, string>
}

export const makeNode = Effect.fnUntraced(function* (name: string) {
  const root = yield* temporaryDirectory
  const dataDir = join(root, "data")
  const received = join(root, "received")
  const log = join(root, "log")
  const port = yield* freePort
  let child: ChildProcess | undefined
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (child !== undefined) kill(child)
    })
  )

  const start = ({
    env = {},
    peer,
    host = "127.0.0.1",
    port: listen = port,
    under = []
  }: StartOptions = {}): Effect.Effect<Started> =>
    Effect.sync(() => {
      const flags = ["--name", name, "--accept", "everyone", "--no-discovery", "--host", host, "--api-port", "0"]
      const here = ["--data-dir", dataDir, "--received", received, "--port", String(listen)]
      const other = peer === undefined ? [] : ["--peer", `127.0.0.1:${peer}`]
      const whole = [...under, process.execPath, main, "up", "--log-format", "json", ...here, ...flags, ...other]
      fs.rmSync(join(dataDir, "control.json"), { force: true })
      const out = fs.openSync(log, "a")
      const started = spawn(whole[0] ?? "", whole.slice(1), {
        stdio: ["ignore", out, out],
        // One thread, so that a system call's number is the same in each run.
        env: { ...process.env, UV_THREADPOOL_SIZE: under.length > 0 ? "1" : "4", ...env }
      })
      fs.closeSync(out)
      child = started
      const gone = new Promise<void>((resolve) => started.once("exit", () => resolve()))
      return { child: started, gone: Effect.promise(() => gone) }
    })

  /** Undefined where nobody answers, or the answer is no. */
  const ask = (method: string, path: string, body?: unknown) =>
    Effect.promise(async (signal): Promise<unknown> => {
      try {
        const control: unknown = JSON.parse(fs.readFileSync(join(dataDir, "control.json"), "utf8"))
        const { token, url } = control as { readonly token: string; readonly url: string }
        const answer = await fetch(new URL(path, url), {
          method,
          signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        return answer.ok ? await answer.json() : undefined
      } catch {
        return undefined
      }
    })
  const list = (path: string) =>
    Effect.map(ask("GET", path), (answer): ReadonlyArray<unknown> => (Array.isArray(answer) ? answer : []))

  return {
    name,
    root,
    dataDir,
    received,
    port,
    start,
    ask,
    /** What it has logged so far, over all its runs. */
    logged: () => (fs.existsSync(log) ? fs.readFileSync(log, "utf8") : ""),
    transfers: Effect.map(list("/api/transfers"), (all) => all as ReadonlyArray<Shown>),
    peers: Effect.map(list("/api/peers"), (all) => all as ReadonlyArray<{ readonly state: string }>),
    /** Bytes a second in each direction, or as many as there are. */
    caps: (bytes: number | null) => ask("PATCH", "/api/caps", { send: bytes, receive: bytes })
  }
})
export type Node = Effect.Success<ReturnType<typeof makeNode>>

/** One transfer of a node, once this is so. */
export const shows = (node: Node, isSo: (view: Shown) => boolean, direction: Shown["direction"] = "receive") =>
  Effect.map(
    until(node.transfers, (views) => views.some((view) => view.direction === direction && isSo(view))),
    (views) => {
      const found = views.find((view) => view.direction === direction && isSo(view))
      assert(found !== undefined)
      return found
    }
  )

export const connected = (node: Node) => until(node.peers, (peers) => peers.some(({ state }) => state === "connected"))

/** Offers it to the only peer; returns once the node has it. */
export const sendTo = Effect.fnUntraced(function* (node: Node, path: string) {
  yield* connected(node)
  yield* until(node.ask("POST", "/api/transfers", { paths: [path], to: null }), (answer) => answer !== undefined)
})

/** Something small from `bob` to `alice`, from which nothing is held up. */
export const sendBack = Effect.fnUntraced(function* (alice: Node, bob: Node) {
  fs.writeFileSync(join(bob.root, "back"), noise(5, 20_000))
  yield* sendTo(bob, join(bob.root, "back"))
  yield* shows(alice, ({ state }) => state === "done")
  assert.deepStrictEqual(fs.readFileSync(join(alice.received, "back")), noise(5, 20_000))
})

export const sizeOfLarge = 6 * mebi

/** A tree of one large file, many small ones, and an empty directory. */
export const plant = (root: string, large = sizeOfLarge): string => {
  const tree = join(root, "tree")
  fs.mkdirSync(join(tree, "a/b/empty"), { recursive: true })
  fs.writeFileSync(join(tree, "large"), noise(1, large))
  for (let i = 0; i < 40; i++) fs.writeFileSync(join(tree, i % 2 === 0 ? `a/${i}` : `a/b/${i}`), noise(i, i * 997))
  return tree
}

const unfinished = new Set(["running", "waiting", "offered", "stalled", "queued"])

/** Both are up: waits for the end, and compares. `bobs`: where its receive folder is seen. */
export const arrives = Effect.fnUntraced(function* (alice: Node, bob: Node, tree: string, bobs = bob.received) {
  const view = yield* shows(bob, ({ state }) => !unfinished.has(state))
  assert.deepInclude(view, { state: "done", error: null })
  // What a crash left of a look at the disk, or of a staging that was never begun, is removed in a week.
  assert.deepStrictEqual(visible(bobs), ["tree"])
  assert.deepStrictEqual(treeOf(join(bobs, "tree")), treeOf(tree))
  // The sender hears of it too.
  yield* until(alice.transfers, (views) =>
    views.every(({ direction, state }) => direction !== "send" || state === "done")
  )
})

/** What a person sees in a receive folder. */
export const visible = (received: string): ReadonlyArray<string> =>
  (fs.existsSync(received) ? fs.readdirSync(received) : []).filter((name) => name !== ".kith")

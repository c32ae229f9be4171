/**
 * Two nodes for a while: chat both ways, files both ways, and again and again a node that is cut off, stopped and
 * started. Prints what each process holds at the start, when both are warm, and at the end, and says what has grown.
 * Usage: node bench/soak.ts [--minutes 10]; after `npm run build`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } })
const minutes = Number(values.minutes)
if (!(minutes > 0 && minutes <= 24 * 60)) {
  process.stderr.write(`--minutes is "${values.minutes}"; allowed is more than 0, up to ${24 * 60}\n`)
  process.exit(2)
}

const bin = fileURLToPath(new URL("../bin/kith.js", import.meta.url))
const home = mkdtempSync(join(tmpdir(), "kith-soak-"))
const say = (text: string) => process.stdout.write(`${text}\n`)

/** Rounds between two restarts of bob. */
const roundsPerLife = 20

interface Node {
  readonly name: string
  readonly dir: string
  child: ChildProcess
  address: string
}

const control = (dir: string): { readonly url: string; readonly token: string } =>
  JSON.parse(readFileSync(join(dir, "control.json"), "utf8"))

const launch = async (name: string, dir: string): Promise<Node> => {
  const args = ["up", "--name", name, "--data-dir", dir, "--received", join(dir, "received"), "--accept", "everyone"]
  const quiet = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0", "--log-level", "error"]
  const child = spawn(process.execPath, [bin, ...args, ...quiet], { stdio: ["ignore", "pipe", "inherit"] })
  let out = ""
  for await (const chunk of child.stdout) {
    out += String(chunk)
    if (out.includes("API ")) break
  }
  return { name, dir, child, address: `127.0.0.1:${/listens on +\S+:(\d+)/.exec(out)?.[1]}` }
}

const ask = async (node: Node, method: string, path: string, body?: unknown): Promise<string> => {
  const { token, url } = control(node.dir)
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) })
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${node.name}: ${method} ${path}: ${answer.status} ${text}`)
  return text
}

interface Holding {
  readonly [what: string]: number
}

/** What one process holds: its own measures, summed over labels, with the handles that the system counts. */
const holdingOf = async (node: Node): Promise<Holding> => {
  const text = await ask(node, "GET", "/metrics")
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
      (total, row) => total + Number(row[1]),
      0
    )
  const mebibytes = (name: string) => Math.round((10 * sum(name)) / 2 ** 20) / 10
  return {
    "resident MiB": mebibytes("kith_resident_bytes"),
    "heap MiB": mebibytes("kith_heap_used_bytes"),
    "buffers MiB": mebibytes("kith_external_bytes"),
    descriptors: sum("kith_open_descriptors"),
    fibers: sum("child_fibers_active"),
    links: sum("kith_links"),
    queued: sum("kith_queue_depth")
  }
}

const table = (title: string, rows: ReadonlyArray<readonly [string, Holding]>) => {
  say(`\n${title}`)
  for (const [name, holding] of rows) {
    say(
      `  ${name.padEnd(6)} ${Object.entries(holding)
        .map(([what, value]) => `${what} ${value}`)
        .join(" · ")}`
    )
  }
}

const stop = async (node: Node): Promise<void> => {
  if (node.child.exitCode !== null) return
  const ended = once(node.child, "exit")
  node.child.kill("SIGTERM")
  const [code] = await ended
  if (code !== 0) throw new Error(`${node.name} ended with ${String(code)}`)
}

const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 60_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`)
    await delay(100)
  }
}

const stateOf = async (node: Node, name: string): Promise<string | undefined> => {
  const peers: ReadonlyArray<{ readonly name: string; readonly state: string }> = JSON.parse(
    await ask(node, "GET", "/api/peers")
  )
  return peers.find((peer) => peer.name === name)?.state
}

const countOver = async (node: Node): Promise<number> => {
  const transfers: ReadonlyArray<{ readonly state: string }> = JSON.parse(await ask(node, "GET", "/api/transfers"))
  return transfers.filter((transfer) => transfer.state === "done").length
}

const source = join(home, "source")
mkdirSync(join(source, "small"), { recursive: true })
writeFileSync(join(source, "large.bin"), Buffer.alloc(8 * 1024 * 1024, "kith"))
for (let i = 0; i < 50; i++) writeFileSync(join(source, "small", `${i}.txt`), `file ${i}\n`.repeat(50))

const alice = await launch("alice", join(home, "alice"))
let bob = await launch("bob", join(home, "bob"))
let rounds = 0
let messages = 0
let transfers = 0
let restarts = 0

const connect = async () => {
  await ask(alice, "POST", "/api/peers", { address: bob.address })
  await until("both are connected", async () => (await stateOf(bob, "alice")) === "connected")
}

/** Chat and files both ways, and a link that is dropped and made again. */
const round = async () => {
  for (let i = 0; i < 20; i++) {
    await Promise.all([
      ask(alice, "POST", "/api/messages", { text: `message ${messages}`, to: "bob" }),
      ask(bob, "POST", "/api/messages", { text: `answer ${messages}`, to: "alice" })
    ])
    messages += 2
  }
  const before = [await countOver(alice), await countOver(bob)] as const
  await Promise.all([
    ask(alice, "POST", "/api/transfers", { paths: [join(source, "large.bin")], to: ["bob"] }),
    ask(bob, "POST", "/api/transfers", { paths: [join(source, "small")], to: ["alice"] })
  ])
  await until("both transfers are done", async () => {
    const done = [await countOver(alice), await countOver(bob)] as const
    return done[0] >= Math.min(before[0] + 2, 1000) && done[1] >= Math.min(before[1] + 2, 1000)
  })
  transfers += 2
  for (const node of [alice, bob]) rmSync(join(node.dir, "received"), { recursive: true, force: true })
  const id = /"id":"(\w{52})"/.exec(await ask(alice, "GET", "/api/peers"))?.[1] ?? ""
  await ask(alice, "DELETE", `/api/peers/${id}`)
  await connect()
  rounds += 1
}

const atStart: Array<readonly [string, Holding]> = []
let warm: Array<readonly [string, Holding]> = []
try {
  await connect()
  for (const node of [alice, bob]) atStart.push([node.name, await holdingOf(node)])
  table("at the start", atStart)
  const end = performance.now() + minutes * 60_000
  while (performance.now() < end) {
    await round()
    if (rounds === 3) {
      warm = [["alice", await holdingOf(alice)]]
      table("warm, after 3 rounds", warm)
    }
    if (rounds % roundsPerLife === 0) {
      await stop(bob)
      await until("alice notices", async () => (await stateOf(alice, "bob")) !== "connected")
      bob = await launch("bob", bob.dir)
      await connect()
      restarts += 1
    }
  }
  // What is being closed may take a moment.
  await delay(3_000)
  const atEnd: ReadonlyArray<readonly [string, Holding]> = [
    ["alice", await holdingOf(alice)],
    ["bob", await holdingOf(bob)]
  ]
  table(
    `at the end: ${rounds} rounds, ${messages} messages, ${transfers} transfers, ${restarts} restarts of bob`,
    atEnd
  )
  const first = (warm[0] ?? atStart[0])?.[1] ?? {}
  const last = atEnd[0]?.[1] ?? {}
  const grown = ["descriptors", "fibers", "links", "queued"].filter(
    (what) => (last[what] ?? 0) > (first[what] ?? 0) + 3
  )
  say(grown.length === 0 ? "\nnothing was left behind" : `\nGROWN at alice: ${grown.join(", ")}`)
  if (grown.length > 0) process.exitCode = 1
} catch (error) {
  process.exitCode = 1
  say(`FAILED after ${rounds} rounds: ${error instanceof Error ? error.message : String(error)}`)
} finally {
  for (const node of [alice, bob]) await stop(node).catch((error: unknown) => say(String(error)))
  rmSync(home, { recursive: true, force: true })
}

/**
 * Two nodes for a while: chat both ways, files both ways, and again and again a node that is cut off, stopped and
 * started. Prints what each process holds at the start, every minute and at the end, and says what has grown.
 * Usage: node bench/soak.ts [--minutes 10]; after `npm run build`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { setTimeout as delay } from "node:timers/promises"
import { type Holding, SoakNode } from "./SoakNode.ts"

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } })
const minutes = Number(values.minutes)
if (!(minutes > 0 && minutes <= 24 * 60)) {
  process.stderr.write(`--minutes is "${values.minutes}"; allowed is more than 0, up to ${24 * 60}\n`)
  process.exit(2)
}

const home = mkdtempSync(join(tmpdir(), "kith-soak-"))
const say = (text: string) => process.stdout.write(`${text}\n`)

/** Rounds between two restarts of bob. */
const roundsPerLife = 20

/** What may be more at the end than when it was warm: what one look catches in passing, and what is kept on purpose. */
const tolerated: Partial<Holding> = {
  heap: 16,
  buffers: 16,
  descriptors: 3,
  fibers: 3,
  handles: 3,
  links: 0,
  queued: 0
}

const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + 60_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`)
    await delay(100)
  }
}

const stateOf = async (node: SoakNode, name: string): Promise<string | undefined> => {
  const peers: ReadonlyArray<{ readonly name: string; readonly state: string }> = JSON.parse(
    await node.ask("GET", "/api/peers")
  )
  return peers.find((peer) => peer.name === name)?.state
}

/** Waits until these transfers are done at this node. */
const done = (node: SoakNode, ids: ReadonlyArray<string>) =>
  until(`transfers are done at ${node.name}`, async () => {
    const all: ReadonlyArray<{ readonly id: string; readonly state: string }> = JSON.parse(
      await node.ask("GET", "/api/transfers")
    )
    return ids.every((id) => all.some((transfer) => transfer.id === id && transfer.state === "done"))
  })

const send = async (node: SoakNode, path: string, to: string): Promise<string> =>
  JSON.parse(await node.ask("POST", "/api/transfers", { paths: [path], to: [to] }))[0].id

const source = join(home, "source")
mkdirSync(join(source, "small"), { recursive: true })
writeFileSync(join(source, "large.bin"), Buffer.alloc(8 * 1024 * 1024, "kith"))
for (let i = 0; i < 50; i++) writeFileSync(join(source, "small", `${i}.txt`), `file ${i}\n`.repeat(50))

const alice = await SoakNode.start("alice", join(home, "alice"))
let bob = await SoakNode.start("bob", join(home, "bob"))
let rounds = 0
let messages = 0
let transfers = 0
let restarts = 0

const connect = async () => {
  await alice.ask("POST", "/api/peers", { address: bob.address })
  await until("both are connected", async () => (await stateOf(bob, "alice")) === "connected")
}

/** Chat and files both ways, and a link that is dropped and made again. */
const round = async () => {
  for (let i = 0; i < 20; i++) {
    await Promise.all([
      alice.ask("POST", "/api/messages", { text: `message ${messages}`, to: "bob" }),
      bob.ask("POST", "/api/messages", { text: `answer ${messages}`, to: "alice" })
    ])
    messages += 2
  }
  const ids = await Promise.all([
    send(alice, join(source, "large.bin"), "bob"),
    send(bob, join(source, "small"), "alice")
  ])
  await Promise.all([done(alice, ids), done(bob, ids)])
  transfers += 2
  for (const node of [alice, bob]) rmSync(join(node.dir, "received"), { recursive: true, force: true })
  const id = /"id":"(\w{52})"/.exec(await alice.ask("GET", "/api/peers"))?.[1] ?? ""
  await alice.ask("DELETE", `/api/peers/${id}`)
  await connect()
  rounds += 1
}

const columns = ["resident", "heap", "buffers", "descriptors", "fibers", "handles", "links", "queued"] as const
const row = (cells: ReadonlyArray<string | number>) =>
  say(cells.map((cell, at) => (at < 2 ? String(cell).padEnd(8) : String(cell).padStart(12))).join(""))

/** Prints what both hold. */
const look = async (when: string): Promise<Holding> => {
  const held = await alice.holding()
  row([when, "alice", ...columns.map((column) => held[column]), rounds])
  const other = await bob.holding()
  row(["", "bob", ...columns.map((column) => other[column]), `${restarts} restarts`])
  return held
}

try {
  await connect()
  say("Memory in MiB; heap and buffers after a collection.\n")
  row(["when", "node", ...columns, "rounds"])
  await look("start")
  const began = performance.now()
  const elapsed = () => (performance.now() - began) / 60_000
  let warm: Holding | undefined
  for (let minute = 1; elapsed() < minutes;) {
    await round()
    if (rounds % roundsPerLife === 0) {
      await bob.stop()
      await until("alice notices", async () => (await stateOf(alice, "bob")) !== "connected")
      bob = await SoakNode.start("bob", bob.dir)
      await connect()
      restarts += 1
    }
    if (elapsed() < minute) continue
    const held = await look(`${minute} min`)
    warm ??= held
    minute = Math.floor(elapsed()) + 1
  }
  // What is being closed may take a moment.
  await delay(3_000)
  const last = await look("end")
  say(`\n${rounds} rounds, ${messages} messages, ${transfers} transfers, ${restarts} restarts of bob`)
  const grown = columns.filter((column) => {
    const more = tolerated[column]
    return more !== undefined && last[column] > (warm ?? last)[column] + more
  })
  say(grown.length === 0 ? "nothing was left behind" : `GROWN at alice since the first minute: ${grown.join(", ")}`)
  if (grown.length > 0) process.exitCode = 1
} catch (error) {
  process.exitCode = 1
  say(`FAILED after ${rounds} rounds: ${error instanceof Error ? error.message : String(error)}`)
} finally {
  for (const node of [alice, bob]) await node.stop().catch((error: unknown) => say(String(error)))
  rmSync(home, { recursive: true, force: true })
}

/**
 * Two nodes on this machine find each other by UDP, talk both ways, and send a file and a directory. Everything goes
 * through the command line, as a person would do it. Exits 0 only if every message arrived and every byte matches.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const kith = join(dirname(dirname(fileURLToPath(import.meta.url))), "bin", "kith.js")
const home = mkdtempSync(join(tmpdir(), "kith-demo-"))
const discoveryPort = 20_000 + (randomBytes(2).readUInt16BE() % 20_000)
const nodes: Array<ChildProcess> = []

const say = (line: string) => console.log(line)

const must = (fact: boolean, what: string) => {
  if (!fact) throw new Error(what)
}

/** Starts a node; what it prints is shown behind its name. */
const up = (name: string) => {
  const dir = join(home, name)
  const node = spawn(
    process.execPath,
    [
      kith,
      "--data-dir",
      dir,
      "up",
      "--name",
      name,
      "--received",
      join(dir, "received_files"),
      "--accept",
      "everyone"
    ].concat(["--port", "0", "--api-port", "0", "--discovery-port", String(discoveryPort)]),
    { stdio: ["ignore", "pipe", "pipe"] }
  )
  const show = (chunk: Buffer) => {
    for (const line of chunk.toString().split("\n")) if (line.trim() !== "") say(`  ${name} | ${line}`)
  }
  node.stdout.on("data", show)
  node.stderr.on("data", show)
  nodes.push(node)
  return { name, dir, received: join(dir, "received_files") }
}

/** Runs a verb against a node and returns what it printed. */
const run = (node: { readonly dir: string }, ...args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((resolve) => {
    const verb = spawn(process.execPath, [kith, "--data-dir", node.dir, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    let err = ""
    verb.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
    verb.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()))
    verb.on("close", (code) => resolve({ code, out, err }))
  })

/** Asks until the answer satisfies, for at most ten seconds. */
const until = async (what: string, ask: () => Promise<boolean>) => {
  for (const end = performance.now() + 10_000; performance.now() < end; await delay(100)) if (await ask()) return
  throw new Error(`${what}: not within 10 s`)
}

const digest = async (path: string) => {
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest("hex")
}

/** Every entry below a folder, with its digest if it is a file. */
const tree = async (top: string) => {
  const lines: Array<string> = []
  for (const entry of readdirSync(top, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    lines.push(`${relative(top, path)} ${entry.isDirectory() ? "directory" : await digest(path)}`)
  }
  return lines.toSorted().join("\n")
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(2)} s`

try {
  const started = performance.now()
  say("starting alice and bob")
  const alice = up("alice")
  const bob = up("bob")
  const sees = (node: typeof alice, other: string) => async () => {
    const { code, out } = await run(node, "peers", "--json")
    if (code !== 0) return false
    const peers: ReadonlyArray<{ readonly name: string; readonly state: string }> = JSON.parse(out)
    return peers.some((peer) => peer.name === other && peer.state === "connected")
  }
  await until("alice connects to bob", sees(alice, "bob"))
  await until("bob connects to alice", sees(bob, "alice"))
  say(`they found each other and connected, ${seconds(started)} after start`)

  const texts = { alice: "hello bob, can you read this? 👋", bob: "ja, klar und deutlich: grüße zurück" }
  for (const [from, to, text] of [
    [alice, "bob", texts.alice],
    [bob, "alice", texts.bob]
  ] as const) {
    const said = await run(from, "say", text, "--to", to)
    must(said.code === 0, `${from.name} says: ${said.err}`)
  }
  for (const node of [alice, bob]) {
    const { out } = await run(node, "history", "--json")
    const history: ReadonlyArray<{ readonly text: string; readonly state: string }> = JSON.parse(out)
    for (const text of Object.values(texts)) {
      const found = history.filter((message) => message.text === text)
      must(found.length === 1, `${node.name} has "${text}" ${found.length} times`)
      must(found[0]?.state === "delivered", `"${text}" is ${found[0]?.state} at ${node.name}`)
    }
  }
  say("both messages arrived once, and both senders know it")

  const source = join(home, "source")
  mkdirSync(join(source, "photos", "ünïcode 🏔", "deep", "empty"), { recursive: true })
  writeFileSync(join(source, "report.pdf"), randomBytes(5_000_001))
  writeFileSync(join(source, "photos", "nothing.txt"), "")
  for (let i = 0; i < 200; i++) writeFileSync(join(source, "photos", "ünïcode 🏔", `${i}.jpg`), randomBytes(i * 100))
  const before = performance.now()
  const sent = await run(alice, "send", join(source, "photos"), join(source, "report.pdf"), "--to", "bob")
  must(sent.code === 0, `send: ${sent.out} ${sent.err}`)
  must((await tree(source)) === (await tree(join(bob.received))).replaceAll(/^\.kith.*\n?/gm, ""), "the trees differ")
  must(statSync(join(bob.received, "report.pdf")).size === 5_000_001, "report.pdf has another size")
  say(`a file and a directory of 201 files arrived, every byte the same, in ${seconds(before)}`)
} catch (error) {
  process.exitCode = 1
  say(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
} finally {
  const ends = nodes.map((node) => new Promise((resolve) => node.once("close", resolve)))
  for (const node of nodes) node.kill("SIGTERM")
  await Promise.race([Promise.all(ends), delay(5_000, undefined, { ref: false })])
  if (nodes.some((node) => node.exitCode !== 0)) {
    process.exitCode = 1
    say("FAILED: a node did not end by itself with code 0")
  }
  rmSync(home, { recursive: true, force: true })
  if (process.exitCode === undefined) say("done: it works")
}

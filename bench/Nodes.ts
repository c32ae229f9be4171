/** Kith's own nodes as benches use them: real processes of the built program, and their API. They live in a `Home`. */
import { readFileSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { cpuOf, type Home, peakOf, run } from "./Processes.ts"

const bin = fileURLToPath(new URL("../bin/kith.js", import.meta.url))

export interface Node {
  readonly name: string
  readonly pid: number
  readonly dir: string
  readonly received: string
  readonly address: string
}

/** Starts a node on loopback that takes what it is offered, and waits until it is ready. */
export const launch = async (home: Home, name: string, ...more: ReadonlyArray<string>): Promise<Node> => {
  const dir = home.at(name)
  const received = home.at(name, "received")
  const where = ["--name", name, "--data-dir", dir, "--received", received, "--accept", "everyone"]
  const quiet = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0", "--log-level", "error"]
  const child = home.start(process.execPath, bin, "up", ...where, ...quiet, ...more)
  if (child.stdout === null || child.stderr === null || child.pid === undefined) throw new Error("no process")
  let out = ""
  let errors = ""
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    out += String(chunk)
    if (out.includes("API ")) break
  }
  const port = /listens on +\S+:(\d+)/.exec(out)?.[1]
  if (port === undefined) throw new Error(`${name} did not start: ${out}${errors}`)
  child.stdout.resume()
  return { name, pid: child.pid, dir, received, address: `127.0.0.1:${port}` }
}

/** A verb of the command line, as a person would run it. */
export const verb = (node: Node, ...args: ReadonlyArray<string>) =>
  run(process.execPath, bin, ...args, "--data-dir", node.dir)

/** A request to a node's API; its answer, decoded where it is JSON. */
export const ask = async (node: Node, method: string, path: string, body?: unknown): Promise<unknown> => {
  const { token, url } = JSON.parse(readFileSync(`${node.dir}/control.json`, "utf8"))
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) })
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${node.name}: ${method} ${path}: ${answer.status} ${text}`)
  return answer.headers.get("content-type")?.includes("json") === true ? JSON.parse(text) : text
}

/** CPU seconds of several nodes so far. */
export const cpuOfAll = (nodes: ReadonlyArray<Node>): number => nodes.reduce((sum, node) => sum + cpuOf(node.pid), 0)

/** Sends a path from one node to others, from the command to the names in their receive folders. */
export const send = async (from: Node, to: ReadonlyArray<Node>, path: string) => {
  for (const node of to) rmSync(node.received, { recursive: true, force: true })
  const before = cpuOfAll([from, ...to])
  const ran = await verb(from, "send", path, ...to.flatMap((node) => ["--to", node.name]))
  const cpu = ran.cpu + cpuOfAll([from, ...to]) - before
  return { seconds: ran.seconds, cpu, peakMib: Math.max(...[from, ...to].map((node) => peakOf(node.pid))) }
}

/** Two nodes that are connected. */
export const connected = async (home: Home, ...more: ReadonlyArray<string>) => {
  const alice = await launch(home, "alice", ...more)
  const bob = await launch(home, "bob", ...more)
  await ask(alice, "POST", "/api/peers", { address: bob.address })
  return { alice, bob }
}

/**
 * One node of the soak, in a process of its own: started, asked through its API, and looked into through its
 * inspector, which alone can say what memory is left once everything unused was collected. It ends by `stop`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../bin/kith.js", import.meta.url))

/** What a process holds. Memory in MiB: `resident` as it is, heap and buffers after a collection. */
export interface Holding {
  readonly resident: number
  readonly heap: number
  readonly buffers: number
  readonly descriptors: number
  readonly fibers: number
  readonly handles: number
  readonly links: number
  readonly queued: number
}

const mebibytes = (bytes: number) => Math.round((10 * bytes) / 2 ** 20) / 10

export class SoakNode {
  readonly name: string
  readonly dir: string
  /** Where peers reach it. */
  readonly address: string
  private readonly child: ChildProcess
  private readonly inspector: WebSocket
  private readonly asked = new Map<number, (answer: unknown) => void>()
  private count = 0

  private constructor(name: string, dir: string, address: string, child: ChildProcess, inspector: WebSocket) {
    this.name = name
    this.dir = dir
    this.address = address
    this.child = child
    this.inspector = inspector
    inspector.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data))
      this.asked.get(id)?.(result)
      this.asked.delete(id)
    })
  }

  /** Starts it, on loopback and on free ports; it takes whatever it is sent. */
  static async start(name: string, dir: string): Promise<SoakNode> {
    const args = ["up", "--name", name, "--data-dir", dir, "--received", join(dir, "received"), "--accept", "everyone"]
    const quiet = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0", "--log-level", "error"]
    const child = spawn(process.execPath, ["--inspect=127.0.0.1:0", bin, ...args, ...quiet], {
      stdio: ["ignore", "pipe", "pipe"]
    })
    let notes = ""
    child.stderr.on("data", (chunk) => {
      notes += String(chunk)
      const errors = String(chunk)
        .split("\n")
        .filter((line) => line !== "" && !/^(Debugger|For help)/.test(line))
      for (const line of errors) process.stderr.write(`${name}: ${line}\n`)
    })
    let out = ""
    for await (const chunk of child.stdout) {
      out += String(chunk)
      if (out.includes("API ")) break
    }
    const inspector = new WebSocket(/ws:\S+/.exec(notes)?.[0] ?? "ws://none.invalid")
    await once(inspector, "open")
    return new SoakNode(name, dir, `127.0.0.1:${/listens on +\S+:(\d+)/.exec(out)?.[1]}`, child, inspector)
  }

  /** Asks its API. */
  async ask(method: string, path: string, body?: unknown): Promise<string> {
    const { token, url } = JSON.parse(readFileSync(join(this.dir, "control.json"), "utf8"))
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${this.name}: ${method} ${path}: ${answer.status} ${text}`)
    return text
  }

  /** What is left once everything unused was collected. */
  async holding(): Promise<Holding> {
    const resident = Number(await this.evaluate("process.memoryUsage.rss()"))
    await this.inspect("HeapProfiler.collectGarbage")
    const memory = JSON.parse(await this.evaluate("JSON.stringify(process.memoryUsage())"))
    const handles = "process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout').length"
    const text = await this.ask("GET", "/metrics")
    const sum = (name: string): number =>
      [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
        (total, row) => total + Number(row[1]),
        0
      )
    return {
      resident: mebibytes(resident),
      heap: mebibytes(memory.heapUsed),
      buffers: mebibytes(memory.external),
      descriptors: sum("kith_open_descriptors"),
      fibers: sum("child_fibers_active"),
      handles: Number(await this.evaluate(handles)),
      links: sum("kith_links"),
      queued: sum("kith_queue_depth")
    }
  }

  /** Ends it as a service manager does, and waits. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return
    this.inspector.close()
    const ended = once(this.child, "exit")
    this.child.kill("SIGTERM")
    const [code] = await ended
    if (code !== 0) throw new Error(`${this.name} ended with ${String(code)}`)
  }

  /** The value of an expression in it. */
  private async evaluate(expression: string): Promise<string> {
    const { result } = JSON.parse(JSON.stringify(await this.inspect("Runtime.evaluate", { expression })))
    return String(result.value)
  }

  private inspect(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.count
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.asked.set(id, resolve)
    this.inspector.send(JSON.stringify({ id, method, params }))
    return promise
  }
}

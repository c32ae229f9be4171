/**
 * What a connected peer still gets while strangers flood a node: 2,000 idle connections, 200 bad handshakes a second
 * and as many datagrams a second as this machine sends, up to 50,000, for 20 s. A friend says something all the time,
 * reconnects again and again, and sends a file before, during and after.
 *
 *     npm run build && node bench/flood.ts [--seconds 20] [--idle 2000] [--handshakes 200] [--datagrams 50000]
 *                                          [--profile DIRECTORY]
 *
 * Loopback only. The node, the friend and the flood are processes of their own, which share the processors: what the
 * flood takes of them it takes from the transfer too. So the transfer is measured once more beside a process that does
 * nothing but take as much: the share of that is what the flood costs where it comes from another machine. Stops by
 * itself and leaves nothing behind.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { createSocket } from "node:dgram"
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { availableParallelism, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import * as tls from "node:tls"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { connect, hello } from "../test/hostile/Attacker.ts"
import { persona, randomId, randomPeer } from "../test/hostile/Forge.ts"

const self = fileURLToPath(import.meta.url)
const kith = join(dirname(dirname(self)), "bin", "kith.js")
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    idle: { type: "string", default: "2000" },
    handshakes: { type: "string", default: "200" },
    datagrams: { type: "string", default: "50000" },
    // Where the node that is flooded writes a profile of its processor.
    profile: { type: "string" },
    // The flood itself, as a process of its own; and one that only takes this share of a processor.
    port: { type: "string" },
    udp: { type: "string" },
    burn: { type: "string" }
  }
})
const seconds = Math.min(120, Number(values.seconds))
const idleMax = Math.min(10_000, Number(values.idle))
const handshakes = Math.min(5000, Number(values.handshakes))
const datagrams = Math.min(100_000, Number(values.datagrams))

const at = (place: number, sorted: ReadonlyArray<number>): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(place * sorted.length))] ?? Number.NaN
const mebi = 1024 * 1024

/** The attacker is another machine than the friend, as far as addresses tell. */
const elsewhere = "127.0.0.66"

/** The attacker: floods for so long, then tells what it did as one line of JSON. */
const flood = async (port: number, udp: number): Promise<void> => {
  const end = performance.now() + seconds * 1000
  const done = { idle: 0, handshakes: 0, datagrams: 0 }
  const keepIdle = async () => {
    const open = new Set<net.Socket>()
    while (performance.now() < end) {
      for (let count = 0; count < 100 && open.size < idleMax; count++) {
        const socket = net.connect({ port, host: "127.0.0.1", localAddress: elsewhere })
        open.add(socket)
        socket.on("error", () => {}).on("connect", () => done.idle++)
        socket.on("close", () => open.delete(socket))
      }
      await delay(50)
    }
    for (const socket of open) socket.destroy()
  }
  const shake = async () => {
    const who = persona()
    for (let began = performance.now(), count = 0; performance.now() < end; await delay(10)) {
      for (; count < ((performance.now() - began) / 1000) * handshakes; count++) {
        // A third show no certificate, a third speak no TLS, a third say a Hello of another.
        const at = { port, host: "127.0.0.1", localAddress: elsewhere }
        const socket =
          count % 3 === 1
            ? net.connect(at)
            : tls.connect({
                ...at,
                rejectUnauthorized: false,
                ALPNProtocols: ["kith/1"],
                ...(count % 3 === 2 ? who : {})
              })
        socket.on("error", () => {}).on("close", () => done.handshakes++)
        if (count % 3 === 1) socket.write("GET / HTTP/1.1\r\n\r\n")
        else socket.once("secureConnect", () => socket.write(Buffer.alloc(64, 0x41)))
        setTimeout(() => socket.destroy(), 4000).unref()
      }
    }
  }
  const shoot = async () => {
    const socket = createSocket("udp4")
    await new Promise<void>((bound) => socket.bind(0, elsewhere, () => bound()))
    const lies = Array.from({ length: 5000 }, (_, n) =>
      Buffer.from(
        JSON.stringify({
          kith: 1,
          kind: "announce",
          id: randomPeer(),
          instance: randomId(),
          name: "x",
          port: 1025 + n,
          reply: 1025 + n
        }).padEnd(512)
      )
    )
    for (let began = performance.now(); performance.now() < end; await delay(1)) {
      const due = Math.min(2000, ((performance.now() - began) / 1000) * datagrams - done.datagrams)
      for (let count = 0; count < due; count++) {
        const lie = lies[done.datagrams % lies.length] ?? Buffer.alloc(0)
        await new Promise<void>((sent) => socket.send(lie, udp, "127.0.0.1", () => sent()))
        done.datagrams++
      }
    }
    socket.close()
  }
  const before = process.cpuUsage()
  await Promise.all([keepIdle(), shake(), shoot()])
  const { system, user } = process.cpuUsage(before)
  process.stdout.write(`${JSON.stringify({ ...done, cpu: (system + user) / 1e6 / seconds })}\n`)
  process.exit(0)
}

/** Takes this share of a processor until it is killed, in slices of 10 ms. */
const burn = async (share: number): Promise<void> => {
  while (true) {
    const began = process.cpuUsage()
    const slept = delay(10)
    while (true) {
      const { system, user } = process.cpuUsage(began)
      if (system + user >= Math.min(1, share) * 10_000) break
    }
    await slept
  }
}

const children: Array<ChildProcess> = []
const start = (
  args: ReadonlyArray<string>,
  options: ReadonlyArray<string> = []
): ChildProcess & { printed: () => string } => {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...options, ...args], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  let text = ""
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()))
  children.push(child)
  return Object.assign(child, { printed: () => text })
}

const until = async <A>(what: string, ask: () => Promise<A | undefined> | A | undefined, wait = 20_000): Promise<A> => {
  for (const end = performance.now() + wait; performance.now() < end; await delay(20)) {
    const answer = await ask()
    if (answer !== undefined) return answer
  }
  throw new Error(`${what}: not within ${wait} ms`)
}

const up = async (home: string, name: string, udp: number, options: ReadonlyArray<string> = []) => {
  const dir = join(home, name)
  const discovery = udp === 0 ? ["--no-discovery"] : ["--discovery-port", String(udp)]
  const places = ["--data-dir", dir, "--received", join(dir, "received"), "--name", name, "--host", "127.0.0.1"]
  const ports = ["--port", "0", "--api-port", "0", "--accept", "everyone", "--log-format", "json"]
  const child = start([kith, "up", ...places, ...ports, ...discovery], options)
  const control = await until(`${name} is up`, () => {
    try {
      const { token, url } = JSON.parse(readFileSync(join(dir, "control.json"), "utf8"))
      return { token: String(token), url: String(url) }
    } catch {
      return undefined
    }
  })
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(control.url + path, {
      method,
      headers: { authorization: `Bearer ${control.token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000)
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${text.slice(0, 200)}`)
    return text === "" ? null : JSON.parse(text)
  }
  return { name, dir, child, call, node: await call("GET", "/api/node") }
}
type Up = Awaited<ReturnType<typeof up>>

/** Seconds of processor that it has taken. */
const cpu = (node: Up): number => {
  const [user = 0, system = 0] = readFileSync(`/proc/${node.child.pid}/stat`, "utf8")
    .split(" ")
    .slice(13, 15)
    .map(Number)
  return (user + system) / 100
}

const rss = (node: Up): number => {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.child.pid}/status`, "utf8"))?.[1]
  return Number(kib) / 1024
}

/** Sends the file from the friend and returns MiB/s. */
const send = async (friend: Up, target: Up, file: string, bytes: number): Promise<number> => {
  const began = performance.now()
  const [transfer] = await friend.call("POST", "/api/transfers", { paths: [file], to: [target.node.id] })
  await until(
    "the transfer",
    async () => {
      const all = await friend.call("GET", "/api/transfers")
      const now = all.find(({ id }: { readonly id: string }) => id === transfer.id)
      if (now?.state === "failed") throw new Error(`it failed: ${now.error}`)
      return now?.state === "done" ? true : undefined
    },
    seconds * 1000 + 60_000
  )
  return bytes / mebi / ((performance.now() - began) / 1000)
}

/** Opens sessions one after the other as a new friend would, by TLS and Hello; how long each took, in milliseconds. */
const reconnect = async (port: number, while_: () => boolean): Promise<Array<number>> => {
  const who = persona()
  const times: Array<number> = []
  while (while_()) {
    const began = performance.now()
    try {
      const link = await connect(port, { who })
      await link.say(hello(who))
      await link.next("Hello")
      times.push(performance.now() - began)
      link.end()
    } catch {
      times.push(10_000)
    }
    await delay(50)
  }
  return times.toSorted((a, b) => a - b)
}

const say = async (friend: Up, target: Up, while_: () => boolean): Promise<Array<number>> => {
  const times: Array<number> = []
  while (while_()) {
    const began = performance.now()
    const message = await friend.call("POST", "/api/messages", {
      text: "still there?",
      to: target.node.id,
      wait: 10_000
    })
    times.push(message.state === "delivered" ? performance.now() - began : 10_000)
    await delay(50)
  }
  return times.toSorted((a, b) => a - b)
}

const show = (what: string, times: ReadonlyArray<number>) =>
  console.log(
    `${what.padEnd(34)} ${times.length} times, p50 ${at(0.5, times).toFixed(0)} ms, p99 ${at(0.99, times).toFixed(0)} ms`
  )

const main = async (): Promise<void> => {
  const home = mkdtempSync(join(tmpdir(), "kith-flood-"))
  try {
    const udp = 20_000 + (randomBytes(2).readUInt16BE() % 20_000)
    const profiled = values.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${values.profile}`]
    const target = await up(home, "target", udp, profiled)
    const friend = await up(home, "friend", 0)
    const address = String(target.node.addresses?.[0] ?? "")
    const port = Number(address.slice(address.lastIndexOf(":") + 1))
    await friend.call("POST", "/api/peers", { address: `127.0.0.1:${port}` })
    const file = join(home, "file.bin")
    const bytes = 512 * mebi
    writeFileSync(file, "")
    truncateSync(file, bytes)

    await send(friend, target, file, bytes)
    let before = 0
    const calmly = setInterval(() => (before = Math.max(before, rss(target))), 100)
    const calm = await send(friend, target, file, bytes)
    clearInterval(calmly)
    const linesBefore = target.child.printed().split("\n").length
    console.log(`before: transfer ${calm.toFixed(0)} MiB/s, meanwhile at most ${before.toFixed(0)} MiB resident`)

    const attacker = start([self, "--port", String(port), "--udp", String(udp), ...process.argv.slice(2)])
    let isFlooding = true
    const taken = [cpu(target), cpu(friend)]
    let peak = before
    const watch = setInterval(() => (peak = Math.max(peak, rss(target))), 100)
    const ended = new Promise<void>((resolve) => attacker.once("close", () => resolve())).then(
      () => (isFlooding = false)
    )
    await delay(1000)
    const [sessions, messages, flooded] = await Promise.all([
      reconnect(port, () => isFlooding),
      say(friend, target, () => isFlooding),
      send(friend, target, file, bytes),
      ended
    ])
    clearInterval(watch)
    const [ofTarget, ofFriend] = [target, friend].map((node, at) =>
      ((cpu(node) - (taken[at] ?? 0)) / seconds).toFixed(2)
    )
    const did = JSON.parse(attacker.printed().trim().split("\n").at(-1) ?? "{}")
    console.log(
      `flood of ${seconds} s: ${did.idle} idle connections made, ${Math.round(did.handshakes / seconds)} bad handshakes/s, ${Math.round(did.datagrams / seconds).toLocaleString("en")} datagrams/s sent`
    )
    console.log(
      `of ${availableParallelism()} processors the flood took ${did.cpu.toFixed(2)}, the node ${ofTarget}, its friend ${ofFriend}`
    )
    show("a known address connects", sessions)
    show("a message is delivered", messages)
    console.log(`transfer ${flooded.toFixed(0)} MiB/s, ${Math.round((flooded / calm) * 100)} % of before`)
    console.log(`resident at most ${peak.toFixed(0)} MiB, ${(peak - before).toFixed(0)} MiB more than before`)
    const lines = target.child.printed().split("\n").length - linesBefore
    console.log(`${lines} lines of log`)

    const since = performance.now()
    const rates: Array<number> = []
    while (performance.now() - since < 15_000) {
      rates.push(await send(friend, target, file, bytes))
      if ((rates.at(-1) ?? 0) >= 0.9 * calm) break
    }
    const recovered = ((performance.now() - since) / 1000).toFixed(1)
    console.log(
      `after: transfer ${rates.map((rate) => rate.toFixed(0)).join(", ")} MiB/s, ${recovered} s; ${rss(target).toFixed(0)} MiB resident`
    )
    const other = start([self, "--burn", String(did.cpu)])
    const beside = await send(friend, target, file, bytes)
    other.kill("SIGKILL")
    console.log(
      `beside a process that only takes as much as the flood: ${beside.toFixed(0)} MiB/s; the flooded one had ${Math.round((flooded / beside) * 100)} % of that`
    )
  } finally {
    const ends = children.map((child) =>
      child.exitCode === null ? new Promise((resolve) => child.once("close", resolve)) : null
    )
    for (const child of children) child.kill("SIGTERM")
    await Promise.race([Promise.all(ends), delay(5000, undefined, { ref: false })])
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL")
    rmSync(home, { recursive: true, force: true })
  }
}

if (values.burn !== undefined) await burn(Number(values.burn))
else if (values.port !== undefined && values.udp !== undefined) await flood(Number(values.port), Number(values.udp))
else await main()

/**
 * Many peers on one node: how fast sessions come to be, and what a thousand of them cost that are merely there. The
 * peers are made of bare TLS sockets in a process of their own, so that the node's own cost is what is measured.
 */
import { once } from "node:events"
import { createInterface } from "node:readline"
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { connect, hello, type Link } from "../test/hostile/Attacker.ts"
import { persona } from "../test/hostile/Forge.ts"
import type { Result } from "./Figures.ts"
import { launch } from "./Nodes.ts"
import { cpuOf, Home, residentOf } from "./Processes.ts"
import type { Options } from "./transfers.ts"

const self = fileURLToPath(import.meta.url)

/** Sessions that are being made at one time: as many as a node shakes hands with from one address. */
const atOnce = 8

/** Addresses of this host that the crowd comes from. */
const addresses = 8

/** Seconds over which an idle node is watched. */
const watched = 20

export const crowd = async ({ runs, scale }: Options): Promise<Result> => {
  const count = Math.round(1000 * scale)
  const rates: Array<number> = []
  const memory: Array<number> = []
  const idle: Array<number> = []
  for (let at = 0; at < Math.min(runs, 3); at++) {
    await using home = new Home("crowd")
    const { before, node, seconds } = await crowdOf(home, count)
    rates.push(count / seconds)
    await delay(2000)
    memory.push(((residentOf(node.pid) - before) * 1024) / count)
    const spent = cpuOf(node.pid)
    await delay(watched * 1000)
    idle.push((100 * (cpuOf(node.pid) - spent)) / watched)
  }
  return {
    name: "crowd",
    title: `${count} peers with sessions over TLS`,
    rows: [
      { what: "new sessions", figures: rates, unit: "1/s", goal: { atLeast: 200, aim: 350 } },
      { what: "memory of each", figures: memory, unit: "KiB", goal: { atLeast: 150, aim: 90, isCeiling: true } },
      { what: "CPU while idle", figures: idle, unit: "%", goal: { atLeast: 5, aim: 2, isCeiling: true } }
    ],
    notes: ["Both ends of each handshake share the two cores. Idle: each peer is asked every 5 s whether it is there."]
  }
}

/** A node with so many peers, in how many seconds they came, and its resident memory before that, in MiB. */
export const crowdOf = async (home: Home, count: number) => {
  const node = await launch(home, "alice")
  await delay(1000)
  const before = residentOf(node.pid)
  const child = home.start(process.execPath, self, node.address.split(":")[1] ?? "", `${count}`)
  if (child.stdout === null) throw new Error("no output")
  const [line] = await once(createInterface(child.stdout), "line")
  return { node, seconds: Number(line), before }
}

/** The crowd: makes so many sessions, prints how many seconds that took, and stays. */
const meet = async (port: number, count: number): Promise<void> => {
  const people = Array.from({ length: count }, () => persona())
  const links: Array<Link> = []
  const begun = performance.now()
  const one = async () => {
    for (let who = people.pop(); who !== undefined; who = people.pop()) {
      // A node takes only so many links from one address.
      const localAddress = `127.0.0.${2 + (people.length % addresses)}`
      const link = await connect(port, { who, options: { localAddress } })
      await link.say(hello(who))
      await link.next("Hello")
      links.push(link)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  process.stdout.write(`${(performance.now() - begun) / 1000}\n`)
}

if (process.argv[1] === self) await meet(Number(process.argv[2]), Number(process.argv[3]))

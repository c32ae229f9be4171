/** Talking: how fast chat goes, and how it fares beside a transfer that takes all the machine gives. */
import { setTimeout as delay } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { median, quantile, type Result } from "./Figures.ts"
import { ask, connected, launch, type Node, send, verb } from "./Nodes.ts"
import { file, mebi } from "./Payload.ts"
import { Home, run } from "./Processes.ts"
import type { Options } from "./transfers.ts"

const sayer = fileURLToPath(new URL("sayer.ts", import.meta.url))

/** One sender, embedded in a process of its own, and one receiver: acknowledged means committed to its disk. */
export const chat = async ({ runs, scale }: Options): Promise<Result> => {
  const count = Math.round(50_000 * scale)
  const rates: Array<number> = []
  for (let at = -1; at < runs; at++) {
    await using home = new Home("chat")
    const bob = await launch(home, "bob")
    const { out } = await run(process.execPath, sayer, home.at("alice"), bob.address, `${count}`)
    if (at >= 0) rates.push(Number(out.trim().split("\n").at(-1)))
  }
  const row = { what: "acknowledged messages", figures: rates, unit: "1/s", goal: { atLeast: 10_000, aim: 30_000 } }
  return { name: "chat", title: `${count} messages of 32 bytes, one sender, one receiver`, rows: [row], notes: [] }
}

const roundTrip = async (from: Node): Promise<number> => {
  const begun = performance.now()
  await ask(from, "POST", "/api/messages", { text: "are you there?", to: "bob", wait: 60_000 })
  return performance.now() - begun
}

/** Waits here are between the messages of a person who types fast, not for something to happen. */
const pause = 20

export const latency = async ({ runs, scale }: Options): Promise<Result> => {
  await using home = new Home("latency")
  const path = file(home.at("large.bin"), Math.round(2048 * scale) * mebi)
  const { alice, bob } = await connected(home)
  const idle: Array<number> = []
  for (let count = 0; count < 100; count++, await delay(pause)) idle.push(await roundTrip(alice))
  const trips: Array<number> = []
  const tail: Array<number> = []
  const loops: Array<number> = []
  for (let at = 0; at < runs; at++) {
    await Promise.all([loopDelay(alice), loopDelay(bob)])
    const sending = { isOver: false }
    const whole = send(alice, [bob], path).finally(() => (sending.isOver = true))
    const during: Array<number> = []
    while (!sending.isOver) {
      during.push(await roundTrip(alice))
      await delay(pause)
    }
    await whole
    trips.push(median(during))
    tail.push(quantile(during, 0.99))
    loops.push(Math.max(await loopDelay(alice), await loopDelay(bob)))
  }
  return {
    name: "latency",
    title: "Chat beside a transfer that runs flat out: through the API, to the receiver's disk and back",
    rows: [
      { what: "round trip, idle, p99", figures: [quantile(idle, 0.99)], unit: "ms" },
      { what: "round trip, median", figures: trips, unit: "ms" },
      { what: "round trip, p99", figures: tail, unit: "ms", goal: { atLeast: 30, aim: 15, isCeiling: true } },
      { what: "event loop delay, p99", figures: loops, unit: "ms", goal: { atLeast: 40, aim: 20, isCeiling: true } }
    ],
    notes: []
  }
}

/** The 99th percentile since it was asked last, in milliseconds. */
const loopDelay = async (node: Node): Promise<number> => {
  const text = await ask(node, "GET", "/metrics")
  const found = /^kith_event_loop_delay_seconds\{quantile="0.99"\} (\S+)$/m.exec(String(text))
  return 1000 * Number(found?.[1])
}

/** From the command to a node that is ready, and a verb that asks it something: whole processes. */
export const start = async ({ runs }: Options): Promise<Result> => {
  const ready: Array<number> = []
  const verbs: Array<number> = []
  for (let at = -1; at < 2 * runs; at++) {
    await using home = new Home("start")
    const begun = performance.now()
    const node = await launch(home, "alice")
    const took = (performance.now() - begun) / 1000
    const { seconds } = await verb(node, "peers")
    if (at < 0) continue
    ready.push(took)
    verbs.push(seconds)
  }
  return {
    name: "start",
    title: "Starting",
    rows: [
      {
        what: "kith up, until it is ready",
        figures: ready,
        unit: "s",
        goal: { atLeast: 0.6, aim: 0.35, isCeiling: true }
      },
      { what: "kith peers", figures: verbs, unit: "s", goal: { atLeast: 0.3, aim: 0.15, isCeiling: true } }
    ],
    notes: ["Of a node's first start, with its key and its database made."]
  }
}

/**
 * What happens in one simulated run, as data: how many nodes, what network, and what is done to them, step by step.
 * All of it follows from a seed. Any part of the steps is a scenario too, so that one that fails can be made smaller.
 */
import type { ConditionSettings } from "../../src/testing/SimulatedNetwork.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"

/** Nodes and trees are meant by their number; what makes no sense at its time (a stopped node that talks) is passed over. */
export type Act =
  | { readonly _tag: "start" | "stop" | "kill" | "restart" | "freeze" | "thaw"; readonly node: number }
  | { readonly _tag: "say"; readonly node: number; readonly to: number | null }
  | { readonly _tag: "send"; readonly node: number; readonly to: ReadonlyArray<number>; readonly tree: number }
  | { readonly _tag: "pause" | "resume" | "cancel"; readonly node: number; readonly which: number }
  | { readonly _tag: "block" | "unblock" | "verify" | "remove"; readonly node: number; readonly peer: number }
  | { readonly _tag: "rename"; readonly node: number; readonly name: string }
  | { readonly _tag: "partition"; readonly group: ReadonlyArray<number> }
  | { readonly _tag: "oneWay"; readonly from: number; readonly to: number }
  | { readonly _tag: "heal" }
  | { readonly _tag: "cut" | "halfOpen"; readonly node: number; readonly peer: number }
  | { readonly _tag: "conditions"; readonly settings: ConditionSettings }
  | { readonly _tag: "slowDisk"; readonly node: number; readonly millis: number }
  | { readonly _tag: "fillDisk"; readonly node: number; readonly left: number }
  | { readonly _tag: "skewClock"; readonly node: number; readonly seconds: number }
  | { readonly _tag: "renumber" | "unplug" | "plug"; readonly node: number }

export interface Step {
  /** Simulated milliseconds before it. */
  readonly wait: number
  readonly act: Act
}

export interface Scenario {
  readonly seed: number
  readonly nodes: number
  readonly conditions: ConditionSettings
  readonly steps: ReadonlyArray<Step>
}

/** Trees that are sent: all nodes have the same ones. */
export const trees = 6

const words = ["Ada", "Bo", "Čeněk", "D'Arcy", "李", "F\u{1f600}", "node", "x"]

const group = (random: SimulatedRandom, nodes: number): ReadonlyArray<number> =>
  Array.from({ length: nodes }, (_, node) => node).filter(() => random.chance(0.5))

const act = (random: SimulatedRandom, nodes: number): Act => {
  const node = random.between(0, nodes - 1)
  const peer = (node + random.between(1, nodes - 1)) % nodes
  const which = random.between(0, 7)
  const pick = random.between(0, 99)
  if (pick < 24) return { _tag: "say", node, to: random.chance(0.4) ? null : peer }
  if (pick < 36) {
    const to = random.chance(0.3) ? group(random, nodes).filter((each) => each !== node) : [peer]
    return { _tag: "send", node, to, tree: random.between(0, trees - 1) }
  }
  if (pick < 42) return { _tag: "kill", node }
  if (pick < 46) return { _tag: "stop", node }
  if (pick < 56) return { _tag: "start", node }
  if (pick < 58) return { _tag: "restart", node }
  if (pick < 61) return { _tag: "freeze", node }
  if (pick < 64) return { _tag: "thaw", node }
  if (pick < 68) return { _tag: (["pause", "resume", "cancel"] as const)[which % 3] ?? "pause", node, which }
  if (pick < 70) return { _tag: "block", node, peer }
  if (pick < 72) return { _tag: "unblock", node, peer }
  if (pick < 73) return { _tag: "verify", node, peer }
  if (pick < 75) return { _tag: "rename", node, name: `${words[which] ?? ""}${random.between(0, 99)}` }
  if (pick < 79) return { _tag: "partition", group: group(random, nodes) }
  if (pick < 81) return { _tag: "oneWay", from: node, to: peer }
  if (pick < 85) return { _tag: "heal" }
  if (pick < 88) return { _tag: "cut", node, peer }
  if (pick < 90) return { _tag: "halfOpen", node, peer }
  if (pick < 92) return { _tag: "conditions", settings: weather(random) }
  if (pick < 94) return { _tag: "slowDisk", node, millis: random.between(0, 200) }
  if (pick < 95) return { _tag: "fillDisk", node, left: random.between(0, 300_000) }
  if (pick < 97) return { _tag: "skewClock", node, seconds: random.between(-100_000, 100_000) }
  if (pick < 98) return { _tag: "renumber", node }
  return { _tag: random.chance(0.5) ? "unplug" : "plug", node }
}

const weather = (random: SimulatedRandom): ConditionSettings => ({
  latency: random.between(1, random.chance(0.2) ? 300 : 20),
  jitter: random.between(0, 20),
  bandwidth: random.chance(0.5) ? null : random.between(50_000, 2_000_000),
  loss: random.chance(0.5) ? 0 : random.next() * 0.4,
  duplication: random.chance(0.5) ? 0 : random.next() * 0.3,
  reordering: random.chance(0.5) ? 0 : random.next() * 0.5
})

/** Waits: most things come in bursts, and now and then there is time for the slow ones. */
const wait = (random: SimulatedRandom): number =>
  random.chance(0.6)
    ? random.between(0, 300)
    : random.chance(0.8)
      ? random.between(300, 4000)
      : random.between(4000, 25_000)

/** The scenario of this seed. Most have few nodes and many steps: that is where things go wrong, and where they are quick. */
export const generate = (seed: number): Scenario => {
  const random = SimulatedRandom.make(seed).fork("scenario")
  const size = random.next()
  const nodes = size < 0.85 ? random.between(2, 4) : size < 0.985 ? random.between(5, 8) : random.between(9, 30)
  const most = nodes < 5 ? 40 : nodes < 9 ? 25 : 12
  const length = random.between(6, most)
  const conditions = weather(random)
  const steps = Array.from({ length }, () => ({ wait: wait(random), act: act(random, nodes) }))
  return { seed, nodes, conditions, steps }
}

export const nameOf = (node: number): string => `n${node}`

/** One line, to read. */
export const describe = ({ _tag, ...rest }: Act): string =>
  [_tag, ...Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(" ")

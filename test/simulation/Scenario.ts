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

/** How often each kind of thing is done, where people mostly talk and where they mostly send. */
const weights: ReadonlyArray<readonly [kind: Act["_tag"], talk: number, bulk: number]> = [
  ["say", 24, 6],
  ["send", 12, 26],
  ["kill", 6, 12],
  ["stop", 4, 4],
  ["start", 10, 18],
  ["restart", 2, 4],
  ["freeze", 3, 2],
  ["thaw", 3, 3],
  ["pause", 2, 2],
  ["resume", 1, 2],
  ["cancel", 1, 1],
  ["block", 2, 1],
  ["unblock", 2, 1],
  ["verify", 1, 1],
  ["rename", 2, 0],
  ["partition", 4, 2],
  ["oneWay", 2, 1],
  ["heal", 4, 4],
  ["cut", 3, 6],
  ["halfOpen", 2, 2],
  ["conditions", 2, 0],
  ["slowDisk", 2, 2],
  ["fillDisk", 1, 1],
  ["skewClock", 2, 0],
  ["renumber", 1, 1],
  ["unplug", 1, 1],
  ["plug", 1, 1]
]

const kindOf = (random: SimulatedRandom, isBulk: boolean): Act["_tag"] => {
  const weight = ([, talk, bulk]: (typeof weights)[number]) => (isBulk ? bulk : talk)
  let left = random.next() * weights.reduce((sum, each) => sum + weight(each), 0)
  return weights.find((each) => (left -= weight(each)) < 0)?.[0] ?? "say"
}

const act = (random: SimulatedRandom, nodes: number, isBulk: boolean): Act => {
  const node = random.between(0, nodes - 1)
  const peer = (node + random.between(1, nodes - 1)) % nodes
  const which = random.between(0, 7)
  const _tag = kindOf(random, isBulk)
  switch (_tag) {
    case "say":
      return { _tag, node, to: random.chance(0.4) ? null : peer }
    case "send": {
      const to = random.chance(0.3) ? group(random, nodes).filter((each) => each !== node) : [peer]
      // Half of what is sent has a large file, so that there is a middle to be interrupted in.
      return { _tag, node, to, tree: random.chance(0.5) ? 1 : random.between(0, trees - 1) }
    }
    case "pause":
    case "resume":
    case "cancel":
      return { _tag, node, which }
    case "block":
    case "unblock":
    case "verify":
    case "remove":
    case "cut":
    case "halfOpen":
      return { _tag, node, peer }
    case "rename":
      return { _tag, node, name: `${words[which] ?? ""}${random.between(0, 99)}` }
    case "partition":
      return { _tag, group: group(random, nodes) }
    case "oneWay":
      return { _tag, from: node, to: peer }
    case "heal":
      return { _tag }
    case "conditions":
      return { _tag, settings: weather(random) }
    case "slowDisk":
      return { _tag, node, millis: random.between(0, 200) }
    case "fillDisk":
      return { _tag, node, left: random.between(0, 300_000) }
    case "skewClock":
      return { _tag, node, seconds: random.between(-100_000, 100_000) }
    default:
      return { _tag, node }
  }
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

/** A send, and one end of it dies in the middle. */
const interrupted = (random: SimulatedRandom, step: Step): ReadonlyArray<Step> => {
  if (step.act._tag !== "send") return [step]
  const node = random.chance(0.7) ? (step.act.to[0] ?? step.act.node) : step.act.node
  return [
    step,
    { wait: random.between(500, 8000), act: { _tag: "kill", node } },
    { wait: random.between(0, 3000), act: { _tag: "start", node } }
  ]
}

/** The scenario of this seed. Most have few nodes and many steps: that is where things go wrong, and where they are quick. */
export const generate = (seed: number): Scenario => {
  const random = SimulatedRandom.make(seed).fork("scenario")
  const size = random.next()
  const nodes = size < 0.85 ? random.between(2, 4) : size < 0.985 ? random.between(5, 8) : random.between(9, 30)
  const most = nodes < 5 ? 40 : nodes < 9 ? 25 : 12
  const length = random.between(6, most)
  const isBulk = nodes < 5 && random.chance(0.5)
  const conditions = { ...weather(random), ...(isBulk && { bandwidth: random.between(100_000, 600_000) }) }
  const steps = Array.from({ length }, () => ({ wait: wait(random), act: act(random, nodes, isBulk) })).flatMap(
    (step) => (isBulk && random.chance(0.4) ? interrupted(random, step) : [step])
  )
  return { seed, nodes, conditions, steps }
}

export const nameOf = (node: number): string => `n${node}`

/** One line, to read. */
export const describe = ({ _tag, ...rest }: Act): string =>
  [_tag, ...Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(" ")

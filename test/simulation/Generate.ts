/**
 * Makes up scenarios: all of one follows from its seed. Each has a theme, since what is done too rarely meets nothing:
 * most of what goes wrong needs several things of one kind, close together.
 */
import type { ConditionSettings } from "../../src/testing/SimulatedNetwork.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { type Act, type Scenario, type Step, trees } from "./Scenario.ts"

const words = ["Ada", "Bo", "Čeněk", "D'Arcy", "李", "F\u{1f600}", "node", "x"]

const themes = ["talk", "bulk", "trust", "choice"] as const
type Theme = (typeof themes)[number]

const group = (random: SimulatedRandom, nodes: number): ReadonlyArray<number> =>
  Array.from({ length: nodes }, (_, node) => node).filter(() => random.chance(0.5))

/** How often each kind of thing is done, by theme. */
const weights: Record<Act["_tag"], readonly [talk: number, bulk: number, trust: number, choice: number]> = {
  say: [24, 4, 12, 2],
  send: [10, 26, 10, 24],
  again: [1, 2, 0, 3],
  kill: [6, 12, 4, 6],
  die: [1, 6, 0, 5],
  stop: [4, 4, 2, 2],
  start: [10, 18, 7, 9],
  restart: [2, 4, 2, 3],
  freeze: [3, 2, 1, 1],
  thaw: [3, 3, 1, 1],
  pause: [2, 3, 0, 2],
  resume: [1, 3, 0, 2],
  cancel: [1, 2, 0, 2],
  prioritise: [0, 2, 0, 1],
  answer: [1, 1, 2, 26],
  policy: [0, 0, 3, 5],
  source: [0, 4, 0, 4],
  block: [2, 1, 4, 1],
  unblock: [2, 1, 4, 1],
  verify: [1, 1, 8, 1],
  remove: [1, 0, 7, 0],
  add: [2, 1, 7, 0],
  invite: [0, 0, 7, 0],
  join: [0, 0, 12, 0],
  rename: [2, 0, 3, 0],
  dismiss: [0, 0, 2, 0],
  discovery: [1, 1, 2, 0],
  partition: [4, 2, 2, 1],
  oneWay: [2, 1, 1, 0],
  heal: [4, 4, 3, 2],
  cut: [3, 6, 3, 3],
  halfOpen: [2, 2, 1, 1],
  conditions: [2, 0, 0, 0],
  slowDisk: [2, 2, 1, 1],
  fillDisk: [1, 1, 0, 1],
  skewClock: [2, 0, 1, 0],
  renumber: [1, 1, 1, 0],
  unplug: [1, 1, 1, 0],
  plug: [1, 1, 1, 0]
}
const kinds = Object.keys(weights) as ReadonlyArray<Act["_tag"]>

const kindOf = (random: SimulatedRandom, theme: Theme): Act["_tag"] => {
  const weight = (kind: Act["_tag"]) => weights[kind][themes.indexOf(theme)] ?? 0
  let left = random.next() * kinds.reduce((sum, kind) => sum + weight(kind), 0)
  return kinds.find((kind) => (left -= weight(kind)) < 0) ?? "say"
}

const pick = <const A>(random: SimulatedRandom, ...from: readonly [A, ...ReadonlyArray<A>]): A =>
  from[random.between(0, from.length - 1)] ?? from[0]

const sendTo = (random: SimulatedRandom, node: number, peer: number, nodes: number): Act => {
  const to = random.chance(0.3) ? group(random, nodes).filter((each) => each !== node) : [peer]
  // Half of what is sent has a large file, so that there is a middle to be interrupted in.
  const tree = random.chance(0.5) ? 1 : random.between(0, trees - 1)
  const priority = random.chance(0.2) && { priority: pick(random, "low", "high") }
  return { _tag: "send", node, to, tree, ...priority }
}

const answer = (random: SimulatedRandom, node: number, which: number): Act => {
  const [from, to] = [random.next(), random.next()]
  const part = random.chance(0.15)
    ? "none"
    : random.chance(0.6)
      ? "all"
      : ([Math.min(from, to), Math.max(from, to)] as const)
  const conflict = random.chance(0.5) && { conflict: pick(random, "rename", "skip", "overwrite") }
  return { _tag: "answer", node, which, part, ...conflict }
}

const death = (random: SimulatedRandom, node: number): Act => {
  const at = pick(random, "created", "written", "synced", "published", "removed")
  return { _tag: "die", node, at, after: random.between(1, at === "written" || at === "synced" ? 8 : 2) }
}

const act = (random: SimulatedRandom, nodes: number, theme: Theme): Act => {
  const node = random.between(0, nodes - 1)
  const peer = (node + random.between(1, nodes - 1)) % nodes
  const which = random.between(0, 7)
  const _tag = kindOf(random, theme)
  switch (_tag) {
    case "say":
      return { _tag, node, to: random.chance(0.4) ? null : peer }
    case "send":
      return sendTo(random, node, peer, nodes)
    case "pause":
    case "resume":
    case "cancel":
    case "again":
    case "dismiss":
      return { _tag, node, which }
    case "prioritise":
      return { _tag, node, which, priority: pick(random, "low", "normal", "high") }
    case "answer":
      return answer(random, node, which)
    case "policy": {
      const accept = pick(random, "ask", "verified", "everyone", "nobody", "ask")
      return { _tag, node, of: random.chance(0.3) ? peer : null, accept }
    }
    case "source":
      return {
        _tag,
        node,
        tree: random.chance(0.5) ? 1 : random.between(0, trees - 1),
        which,
        how: pick(random, "rewrite", "rewrite", "grow", "shrink", "remove", "create")
      }
    case "die":
      return death(random, node)
    case "invite":
      return { _tag, node, lasts: random.chance(0.3) ? random.between(1, 20) : 600 }
    case "join":
      return { _tag, node, ticket: random.between(0, 3) }
    case "discovery":
      return { _tag, node, on: random.chance(0.6) }
    case "block":
    case "unblock":
    case "verify":
    case "remove":
    case "add":
    case "cut":
    case "halfOpen":
      return { _tag, node, peer }
    case "rename":
      return { _tag, node, name: `${words[which] ?? ""}${random.between(0, theme === "trust" ? 1 : 99)}` }
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
    case "renumber":
    case "plug":
    case "unplug":
      return { _tag, node, ...(random.chance(0.3) && { card: 1 }) }
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

/** What comes of an act soon afterwards, in a theme in which that is rare by chance. */
const consequence = (random: SimulatedRandom, { act }: Step, nodes: number, theme: Theme): ReadonlyArray<Step> => {
  const other = "node" in act ? (act.node + random.between(1, nodes - 1)) % nodes : 0
  const soon = random.between(0, 6000)
  switch (act._tag) {
    case "send": {
      const receiver = act.to[0] ?? act.node
      if (theme !== "bulk" && theme !== "choice") return []
      if (theme === "choice" && random.chance(0.6)) {
        return [{ wait: soon >> 1, act: answer(random, receiver, random.between(0, 2)) }]
      }
      if (random.chance(0.25)) return [{ wait: soon, act: changed(random, act.node, act.tree) }]
      // One end of it dies in the middle.
      const node = random.chance(0.7) ? receiver : act.node
      const start: Step = { wait: random.between(0, 3000), act: { _tag: "start", node } }
      if (random.chance(0.5)) return [{ wait: random.between(500, 8000), act: { _tag: "kill", node } }, start]
      return [
        { wait: 0, act: death(random, node) },
        { ...start, wait: random.between(1000, 9000) }
      ]
    }
    case "invite":
      return [{ wait: soon >> 2, act: { _tag: "join", node: other, ticket: random.between(0, 1) } }]
    case "remove":
      return random.chance(0.5) ? [{ wait: soon * 2, act: { _tag: "add", node: act.node, peer: act.peer } }] : []
    default:
      return []
  }
}

/** Its source changes on the way. */
const changed = (random: SimulatedRandom, node: number, tree: number): Act => ({
  _tag: "source",
  node,
  tree,
  which: random.chance(0.7) ? 0 : random.between(0, 7),
  how: pick(random, "rewrite", "rewrite", "grow", "shrink", "remove")
})

/** Two segments, each node on one of them; the first may have a card on both. */
const segmented = (random: SimulatedRandom, nodes: number): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from({ length: nodes }, (_, node) =>
    node === 0 && random.chance(0.6) ? ["lan", "lan2"] : [random.chance(0.5) ? "lan" : "lan2"]
  )

/** In the themes in which people answer, not all of them take everything unasked. */
const policies = (random: SimulatedRandom, nodes: number): ReadonlyArray<Step> =>
  Array.from({ length: nodes }, (_, node): Step => {
    const accept = pick(random, "ask", "ask", "verified", "everyone")
    return { wait: 0, act: { _tag: "policy", node, of: null, accept } }
  })

/** The scenario of this seed. Most have few nodes and many steps: that is where things go wrong, and where they are quick. */
export const generate = (seed: number): Scenario => {
  const random = SimulatedRandom.make(seed).fork("scenario")
  const size = random.next()
  const nodes = size < 0.85 ? random.between(2, 4) : size < 0.985 ? random.between(5, 8) : random.between(9, 30)
  const most = nodes < 5 ? 40 : nodes < 9 ? 25 : 12
  const length = random.between(6, most)
  const theme = nodes < 5 ? pick(random, ...themes) : pick(random, "talk", "trust")
  const isSlow = theme === "bulk" || theme === "choice"
  const conditions = { ...weather(random), ...(isSlow && { bandwidth: random.between(100_000, 600_000) }) }
  const steps = Array.from({ length }, () => ({ wait: wait(random), act: act(random, nodes, theme) })).flatMap((step) =>
    random.chance(0.6) ? [step, ...consequence(random, step, nodes, theme)] : [step]
  )
  const first = theme === "choice" || (theme === "trust" && random.chance(0.5)) ? policies(random, nodes) : []
  const segments = random.chance(0.2) && { segments: segmented(random, nodes) }
  return { seed, nodes, conditions, ...segments, steps: [...first, ...steps] }
}

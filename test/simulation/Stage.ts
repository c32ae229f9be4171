/**
 * The nodes of one simulated run, and what is known to have been asked of them: what was said and sent, and who blocks
 * whom. Checks.ts compares that with what the nodes themselves say.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { TransferId } from "../../src/schema/Id.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { nameOf, type Scenario, trees } from "./Scenario.ts"
import { Trace } from "./Trace.ts"

/** A message of a node: its number says where in the order of all that this node said. */
export interface Said {
  readonly number: number
  readonly id: string
}

export interface Sent {
  readonly id: TransferId
  readonly from: number
  readonly to: number
  readonly tree: number
}

/** What a node had from one that it blocked, at that time. */
export interface Blocked {
  readonly messages: number
  readonly transfers: number
}

export interface Actor {
  readonly number: number
  readonly peer: SimulatedPeer.SimulatedPeer
  frozen: boolean
  saidCount: number
  /** What it kept, so that it must arrive. */
  readonly said: Array<Said>
  readonly blocks: Map<number, Blocked>
}

export interface Stage {
  readonly network: SimulatedNetwork.SimulatedNetwork
  readonly actors: ReadonlyArray<Actor>
  readonly trace: Trace
  readonly failures: Array<string>
  readonly sent: Array<Sent>
  /** Trees of sends that may have been kept although nobody heard so, once for each receiver. */
  readonly unsure: Array<number>
  /** What someone chose to end. */
  readonly cancelled: Set<TransferId>
  /** Pairs ("1 2", the smaller first) of which one blocked the other at some time: that ends transfers. */
  readonly estranged: Set<string>
  /** Those whose disk was full at some time: they may decline what does not fit. */
  readonly full: Set<number>
  readonly isUsable: (node: number) => boolean
}

export const pairOf = (one: number, other: number): string => [one, other].toSorted((a, b) => a - b).join(" ")

const treeName = (tree: number): string => (tree === 0 ? "t0.bin" : `t${tree}`)

export const treePath = (tree: number): string => `/src/${treeName(tree)}`

/** Which tree this is a name of, if any. */
export const treeOf = (name: string): number | undefined => {
  const match = /^t(\d)(?: \(\d+\))?(?:\.bin)?$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** The same trees on every node: a file, a tree of small files, one with a large file, deep and empty directories. */
const putTrees = (peer: SimulatedPeer.SimulatedPeer, random: SimulatedRandom) => {
  for (let tree = 0; tree < trees; tree++) {
    const own = random.fork(`tree ${tree}`)
    if (tree === 0) {
      peer.disk.write(treePath(0), own.bytes(own.between(0, 100_000)))
      continue
    }
    const at = treePath(tree)
    peer.disk.directory(`${at}/empty/deep`)
    const files = own.between(1, 6)
    for (let file = 0; file < files; file++) {
      const size = tree === 1 && file === 0 ? own.between(1_000_000, 2_500_000) : own.between(0, 60_000)
      peer.disk.write(`${at}/${file % 2 === 0 ? "" : "sub/"}f${file}`, own.bytes(size), { executable: file === 2 })
    }
  }
}

/** Makes the nodes of a scenario; none runs yet. */
export const make = Effect.fnUntraced(function* (scenario: Scenario) {
  const clock = yield* Clock.Clock
  const { seed } = scenario
  const network = yield* SimulatedNetwork.make({ seed, ...scenario.conditions, historyMax: 2000 })
  const trace = new Trace(() => Number(clock.monotonicTimeNanosUnsafe() / 1000n))
  const random = SimulatedRandom.make(seed).fork("trees")
  const actors: Array<Actor> = []
  for (let number = 0; number < scenario.nodes; number++) {
    const name = nameOf(number)
    const peer = yield* SimulatedPeer.make(network, name, { accept: "everyone" })
    putTrees(peer, random)
    trace.call(peer.id, name)
    actors.push({ number, peer, frozen: false, saidCount: 0, said: [], blocks: new Map() })
  }
  const stage: Stage = {
    network,
    actors,
    trace,
    failures: [],
    sent: [],
    unsure: [],
    cancelled: new Set(),
    estranged: new Set(),
    full: new Set(),
    isUsable: (node) => {
      const actor = actors[node]
      return actor !== undefined && actor.peer.isRunning() && !actor.frozen
    }
  }
  return stage
})

/**
 * The nodes of one simulated run, and what is known to have been asked of them: what was said and sent, what people
 * decided, and whom they trust. The checks compare that with what the nodes themselves say.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { AlarmId, TransferId } from "../../src/schema/Id.ts"
import type { AcceptPolicy } from "../../src/schema/Peer.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import { nameOf, type Scenario, segmentsOf } from "./Scenario.ts"
import { Sources } from "./Sources.ts"
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
  /** Simulated microseconds. */
  readonly at: number
}

/** What a node had from one that it blocked, at that time. */
export interface Blocked {
  readonly messages: number
  readonly transfers: number
}

/** A ticket that was made. */
export interface Ticket {
  readonly by: number
  readonly text: Redacted.Redacted
  /** Of which run of its maker: no other knows it. */
  readonly run: number
  /** Simulated microseconds. */
  readonly expires: number
  usedBy: number | null
}

export interface Actor {
  readonly number: number
  readonly peer: SimulatedPeer.SimulatedPeer
  readonly segments: ReadonlyArray<string>
  frozen: boolean
  hasDied: boolean
  /** Counts its starts. */
  runs: number
  /** Whether it announces itself, and when it last ceased to. */
  isFound: boolean
  hiddenSince: number
  saidCount: number
  /** What it kept, so that it must arrive. */
  readonly said: Array<Said>
  readonly blocks: Map<number, Blocked>
  /** What happens to offers, as far as it was said; null where it may not have been heard. */
  accept: AcceptPolicy | null
  readonly acceptOf: Map<number, AcceptPolicy | null>
  /** Since when nothing of whom is taken without asking, in simulated microseconds. */
  readonly strictSince: Map<number, number>
  /** For whom its person, or a ticket, spoke: only they may be verified. */
  readonly vouched: Set<number>
  /** Who was seen as verified: that is kept. */
  readonly verified: Set<number>
  /** Whom its person removed, and since when it is not dialled: until a person acts. */
  readonly removed: Map<number, number>
  readonly dismissed: Set<AlarmId>
}

export interface Stage {
  readonly network: SimulatedNetwork.SimulatedNetwork
  readonly actors: ReadonlyArray<Actor>
  readonly sources: Sources
  readonly trace: Trace
  readonly failures: Array<string>
  readonly sent: Array<Sent>
  /** Trees of sends that may have been kept although nobody heard so, once for each receiver. */
  readonly unsure: Array<{ readonly to: number; readonly tree: number }>
  readonly tickets: Array<Ticket>
  /** What someone chose to end, or not to have. */
  readonly cancelled: Set<TransferId>
  readonly declined: Set<TransferId>
  /** Offers that someone took, and which paths of them; null for all. One answer may have come before another. */
  readonly taken: Map<TransferId, Array<ReadonlySet<string> | null>>
  /** "node tree": taken so that it may be put together with what was there. */
  readonly merged: Set<string>
  /** Paused transfers by node, and how far they were. */
  readonly held: Map<string, number>
  /** Pairs ("1 2", the smaller first) of which one blocked or removed the other at some time: that ends transfers. */
  readonly estranged: Set<string>
  /** Pairs that had a session since one of them was last given new addresses; when that was first seen. */
  readonly met: Map<string, number>
  /** Those whose disk was full at some time: they may decline what does not fit. */
  readonly full: Set<number>
  readonly isUsable: (node: number) => boolean
}

export const pairOf = (one: number, other: number): string => [one, other].toSorted((a, b) => a - b).join(" ")

/** Simulated microseconds. */
export const now = ({ network }: Stage): number => network.timeline.now()

/** Whom a peer id belongs to. */
export const whose = ({ actors }: Stage, id: string): Actor | undefined => actors.find(({ peer }) => peer.id === id)

const makeActor = Effect.fnUntraced(function* (
  scenario: Scenario,
  network: SimulatedNetwork.SimulatedNetwork,
  number: number
) {
  const segments = segmentsOf(scenario, number)
  const peer = yield* SimulatedPeer.make(network, nameOf(number), {
    accept: "everyone",
    // What is set while it runs outlives a restart.
    fallbacks: ["name", "accept"],
    segments
  })
  const actor: Actor = {
    number,
    peer,
    segments,
    frozen: false,
    hasDied: false,
    runs: 0,
    isFound: true,
    hiddenSince: 0,
    saidCount: 0,
    said: [],
    blocks: new Map(),
    accept: "everyone",
    acceptOf: new Map(),
    strictSince: new Map(),
    vouched: new Set(),
    verified: new Set(),
    removed: new Map(),
    dismissed: new Set()
  }
  return actor
})

/** Makes the nodes of a scenario; none runs yet. */
export const make = Effect.fnUntraced(function* (scenario: Scenario) {
  const clock = yield* Clock.Clock
  const { seed } = scenario
  const network = yield* SimulatedNetwork.make({ seed, ...scenario.conditions, historyMax: 2000 })
  const trace = new Trace(() => Number(clock.monotonicTimeNanosUnsafe() / 1000n))
  const sources = new Sources(seed)
  const actors: Array<Actor> = []
  for (let number = 0; number < scenario.nodes; number++) {
    const actor = yield* makeActor(scenario, network, number)
    sources.put(actor.peer)
    trace.call(actor.peer.id, actor.peer.name)
    actors.push(actor)
  }
  const stage: Stage = {
    network,
    actors,
    sources,
    trace,
    failures: [],
    sent: [],
    unsure: [],
    tickets: [],
    cancelled: new Set(),
    declined: new Set(),
    taken: new Map(),
    merged: new Set(),
    held: new Map(),
    estranged: new Set(),
    met: new Map(),
    full: new Set(),
    isUsable: (node) => {
      const actor = actors[node]
      return actor !== undefined && actor.peer.isRunning() && !actor.frozen
    }
  }
  return stage
})

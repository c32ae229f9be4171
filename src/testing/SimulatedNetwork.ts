/**
 * A network in memory, for tests: hosts on segments, and everything that can happen to them, repeatable from one seed.
 * Each host gives the Layers a node needs (`Transport`, `Datagrams`, `Identity`, `SecureRandom`), which behave like
 * the real ones, in simulated time and without a socket.
 *
 * Time is the Clock's it is made under: with TestClock, `TestClock.adjust` lets it pass, and one seed is one history.
 * The network and all that is open on it end with the scope.
 *
 * @example
 * ```ts
 * it.effect("three nodes on one segment", () =>
 *   Effect.gen(function* () {
 *     const network = yield* SimulatedNetwork.make({ seed: 42 })
 *     const [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => network.host(name))
 *     // Provide alice.layer to whatever is to run on alice, and so on.
 *     network.partition(["alice"], ["bob", "carol"])
 *     yield* TestClock.adjust("20 seconds")
 *     network.heal()
 *   })
 * )
 * ```
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { applied, type ConditionSettings, defaultConditions } from "./Conditions.ts"
import { type Happening, History } from "./History.ts"
import type { Medium } from "./Medium.ts"
import { makeVerbs, type NetworkVerbs } from "./NetworkVerbs.ts"
import { makeHosts, type SimulatedHost } from "./SimulatedHost.ts"
import { SimulatedRandom } from "./SimulatedRandom.ts"
import * as Timeline from "./Timeline.ts"
import { Topology } from "./Topology.ts"

export type { ConditionSettings } from "./Conditions.ts"
export type { NetworkVerbs } from "./NetworkVerbs.ts"
export type { SimulatedHost, SimulatedNode } from "./SimulatedHost.ts"

/** What a network is made with. */
export interface NetworkSettings extends ConditionSettings {
  /** Everything that happens by chance follows from it. */
  readonly seed: number | string
  /** Whether links can be dialled from one segment to another, as through a router; true unless told otherwise. */
  readonly routed?: boolean
  /** Happenings kept in `history`; 100,000 unless told otherwise. */
  readonly historyMax?: number
}

/** A network, what a test may do to it, and what happened on it. */
export interface SimulatedNetwork extends NetworkVerbs {
  /** The host of that name, made at its first mention: on these segments, or on "lan". */
  readonly host: (name: string, segments?: ReadonlyArray<string>) => SimulatedHost
  /** Simulated time, and what will happen in it. */
  readonly timeline: Timeline.Timeline
  /** What happened on the wire so far, oldest first; only the newest `historyMax`. */
  readonly history: () => ReadonlyArray<Happening>
  /** The same, one line each, to read and to compare. */
  readonly transcript: () => string
  /** A short sum over everything that ever happened: equal for equal histories. */
  readonly fingerprint: () => string
  /** Links that have an end somewhere: 0 when all is cleaned up. */
  readonly linkCount: () => number
  /** What is open somewhere: all 0 when all is cleaned up. */
  readonly open: () => { readonly links: number; readonly listeners: number; readonly sockets: number }
}

/** A network of its own, until the scope ends. */
export const make = Effect.fnUntraced(function* (
  settings: NetworkSettings
): Effect.fn.Return<SimulatedNetwork, never, Scope.Scope> {
  const timeline = yield* Timeline.make
  const conditions = applied(defaultConditions, settings)
  const topology = new Topology({ routed: settings.routed ?? true, conditions })
  const history = new History({ max: settings.historyMax ?? 100_000, now: timeline.now })
  const medium: Medium = {
    timeline,
    topology,
    history,
    random: SimulatedRandom.make(settings.seed),
    links: new Set(),
    listeners: new Map(),
    sockets: new Map()
  }
  return {
    host: makeHosts(medium),
    ...makeVerbs(medium),
    timeline,
    history: () => history.happenings,
    transcript: () => history.text,
    fingerprint: () => history.fingerprint,
    linkCount: () => medium.links.size,
    open: () => ({
      links: medium.links.size,
      listeners: medium.listeners.size,
      sockets: [...medium.sockets.values()].reduce((sum, of) => sum + of.size, 0)
    })
  }
})

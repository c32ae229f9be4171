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
import type * as SecureRandom from "effect/crypto/SecureRandom"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { idBytes, Instance } from "../schema/Id.ts"
import { base32, fromDigest, type PeerId } from "../schema/PeerId.ts"
import type { Datagrams } from "../services/Datagrams.ts"
import { Identity } from "../services/Identity.ts"
import type { ListenError, Transport } from "../services/Transport.ts"
import { type Happening, History } from "./History.ts"
import { type Medium, portKey } from "./Medium.ts"
import * as SimulatedDatagrams from "./SimulatedDatagrams.ts"
import { micros } from "./Plan.ts"
import * as Random from "./SimulatedRandom.ts"
import * as SimulatedTransport from "./SimulatedTransport.ts"
import * as Timeline from "./Timeline.ts"
import { type Conditions, type Host, notice, Topology } from "./Topology.ts"

/** How a segment treats what crosses it. What is not said stays as it was. */
export interface ConditionSettings {
  /** One way; 1 ms unless told otherwise. */
  readonly latency?: Duration.Input
  /** Up to this much more, by chance; 0 unless told otherwise. */
  readonly jitter?: Duration.Input
  /** Bytes a second, in each direction of each link; null (the default) is no bound. */
  readonly bandwidth?: number | null
  /** Chances from 0 (the default) to 1, for datagrams: lost, arriving twice, overtaken by later ones. */
  readonly loss?: number
  readonly duplication?: number
  readonly reordering?: number
}

export interface NetworkSettings extends ConditionSettings {
  /** Everything that happens by chance follows from it. */
  readonly seed: number | string
  /** Whether links can be dialled from one segment to another, as through a router; true unless told otherwise. */
  readonly routed?: boolean
  /** Happenings kept in `history`; 100,000 unless told otherwise. */
  readonly historyMax?: number
}

/** What one node on a host needs. Each build of a layer is another run of the same node: the id stays, the instance changes. */
export interface SimulatedNode {
  readonly name: string
  readonly id: PeerId
  readonly transport: Layer.Layer<Transport, ListenError, Identity>
  readonly datagrams: Layer.Layer<Datagrams>
  readonly identity: Layer.Layer<Identity>
  /** `SecureRandom`, and effect's `Random`, from the seed. */
  readonly random: Layer.Layer<SecureRandom.SecureRandom>
  /** All of them. */
  readonly layer: Layer.Layer<Transport | Datagrams | Identity | SecureRandom.SecureRandom, ListenError>
}

/** A machine, and the node on it that has its name. */
export interface SimulatedHost extends SimulatedNode {
  /** Another node on the same machine, with an identity of its own. */
  readonly node: (name: string) => SimulatedNode
  /** Its addresses now, without loopback, IPv4 first. */
  readonly addresses: () => ReadonlyArray<string>
}

export interface SimulatedNetwork {
  /** The host of that name, made at its first mention: on these segments, or on "lan". */
  readonly host: (name: string, segments?: ReadonlyArray<string>) => SimulatedHost
  /** Changes how a segment, or each one so far, treats what crosses it from now on. */
  readonly conditions: (settings: ConditionSettings, segment?: string) => void
  /**
   * From now on hosts in different groups cannot reach each other; hosts in no group stay together. Links live on,
   * and what was written waits, as under TCP: only silence tells.
   */
  readonly partition: (...groups: ReadonlyArray<ReadonlyArray<string>>) => void
  /** From now on nothing gets from these hosts to those, though it does the other way: as with a bad firewall. */
  readonly oneWay: (from: ReadonlyArray<string>, to: ReadonlyArray<string>) => void
  /** Undoes every partition and every `oneWay`: what waited arrives. */
  readonly heal: () => void
  /** Resets every link between two hosts, at both ends. */
  readonly cut: (one: string, other: string) => void
  /** Every link between two hosts goes silent in both directions for good, and nobody is told. */
  readonly halfOpen: (one: string, other: string) => void
  /** The machine vanishes, and all that ran on it: no goodbye, no reset. Close its nodes' scopes afterwards. */
  readonly kill: (host: string) => void
  /** The machine is back, with nothing running on it. Who still has a link to it gets a reset on the next byte. */
  readonly boot: (host: string) => void
  /** Gives a host a card on a segment, or plugs in the one it had. */
  readonly plug: (host: string, segment: string) => void
  readonly unplug: (host: string, segment: string) => void
  /** Its card on this segment gets new addresses; links at the old ones fall silent, and nobody is told. */
  readonly renumber: (host: string, segment: string) => void
  /** Its processes stop as by SIGSTOP: the kernel still takes what fits its buffers, but nothing is read or written. */
  readonly freeze: (host: string) => void
  /** They go on, and notice all at once what they missed. */
  readonly thaw: (host: string) => void
  /** Something that is no node listens on that TCP port of the host. */
  readonly stranger: (host: string, port: number) => void
  /** Tells the processes of a host something, once they are not frozen. */
  readonly notice: (host: string, happened: () => void) => void
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

const applied = (before: Conditions, settings: ConditionSettings): Conditions => ({
  latency: settings.latency === undefined ? before.latency : micros(settings.latency),
  jitter: settings.jitter === undefined ? before.jitter : micros(settings.jitter),
  bandwidth: settings.bandwidth === undefined ? before.bandwidth : settings.bandwidth,
  loss: settings.loss ?? before.loss,
  duplication: settings.duplication ?? before.duplication,
  reordering: settings.reordering ?? before.reordering
})

const defaultConditions: Conditions = {
  latency: micros("1 millis"),
  jitter: 0,
  bandwidth: null,
  loss: 0,
  duplication: 0,
  reordering: 0
}

const makeNode = (medium: Medium, host: Host, name: string): SimulatedNode => {
  const own = medium.random.fork(`node ${name}`)
  const id = fromDigest(own.fork("key").bytes(32))
  const instances = own.fork("instances")
  let runs = 0
  const identity = Layer.sync(Identity, () => ({
    id,
    instance: Instance.make(base32(instances.bytes(idBytes))),
    certificate: `simulated certificate of ${name}`,
    privateKey: Redacted.make(`simulated key of ${name}`)
  }))
  const random = Layer.unwrap(Effect.sync(() => Random.layer(own.fork(`run ${runs++}`))))
  const transport = SimulatedTransport.layer(medium, host)
  const datagrams = SimulatedDatagrams.layer(medium, host, own.fork("datagrams"))
  const layer = Layer.mergeAll(transport, datagrams, random).pipe(Layer.provideMerge(identity))
  return { name, id, transport, datagrams, identity, random, layer }
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
    random: Random.SimulatedRandom.make(settings.seed),
    links: new Set(),
    listeners: new Map(),
    sockets: new Map()
  }
  const handles = new Map<string, SimulatedHost>()
  const verb = (name: string, detail: string) => history.add("verb", name, "", undefined, detail)

  const known = (name: string): Host => {
    const host = topology.findHost(name)
    if (host === undefined) throw new Error(`no host is called "${name}". Make it first: network.host("${name}")`)
    return host
  }
  const linksBetween = (one: Host, other: Host) =>
    [...medium.links].filter(
      ({ places: [a, b] }) => (a.host === one && b.host === other) || (a.host === other && b.host === one)
    )
  const resumeAll = () => {
    for (const link of medium.links) link.resume()
  }

  const host = (name: string, segments: ReadonlyArray<string> = ["lan"]): SimulatedHost => {
    const before = handles.get(name)
    if (before !== undefined) return before
    const added = topology.addHost(name, segments)
    history.add("host", name, "", undefined, segments.join(" "))
    const nodes = new Map<string, SimulatedNode>()
    const node = (name: string) => {
      const made = nodes.get(name) ?? makeNode(medium, added, name)
      nodes.set(name, made)
      return made
    }
    const addresses = () =>
      (["IPv4", "IPv6"] as const).flatMap((family) =>
        added.cards
          .filter((card) => card.plugged && card.segment !== null)
          .flatMap((card) => card.interfaces.filter((each) => each.family === family))
          .map((each) => each.address)
      )
    const handle = { ...node(name), node, addresses }
    handles.set(name, handle)
    return handle
  }

  return {
    host,
    conditions: (settings, segment) => {
      verb("conditions", JSON.stringify({ ...settings, segment }))
      for (const each of segment === undefined ? topology.segments : [topology.segment(segment)]) {
        each.conditions = applied(each.conditions, settings)
      }
    },
    partition: (...groups) => {
      for (const name of groups.flat()) known(name)
      verb("partition", groups.map((group) => group.join(" ")).join(" | "))
      topology.partition(groups)
    },
    oneWay: (from, to) => {
      for (const name of [...from, ...to]) known(name)
      verb("oneWay", `${from.join(" ")} | ${to.join(" ")}`)
      topology.oneWay(from, to)
    },
    heal: () => {
      verb("heal", "")
      topology.heal()
      resumeAll()
    },
    cut: (one, other) => {
      verb("cut", `${one} ${other}`)
      for (const link of linksBetween(known(one), known(other))) link.cut()
    },
    halfOpen: (one, other) => {
      verb("halfOpen", `${one} ${other}`)
      for (const link of linksBetween(known(one), known(other))) link.halfOpen()
    },
    kill: (name) => {
      verb("kill", name)
      const killed = known(name)
      killed.up = false
      killed.boot++
      killed.held = null
      for (const key of medium.listeners.keys()) if (key.startsWith(`${name}:`)) medium.listeners.delete(key)
      medium.sockets.get(killed)?.clear()
      for (const link of medium.links) link.lose(killed)
    },
    boot: (name) => {
      verb("boot", name)
      known(name).up = true
      resumeAll()
    },
    plug: (name, segment) => {
      verb("plug", `${name} ${segment}`)
      topology.plug(known(name), topology.segment(segment))
      resumeAll()
    },
    unplug: (name, segment) => {
      verb("unplug", `${name} ${segment}`)
      topology.unplug(known(name), topology.segment(segment))
    },
    renumber: (name, segment) => {
      verb("renumber", `${name} ${segment}`)
      topology.renumber(known(name), topology.segment(segment))
    },
    freeze: (name) => {
      verb("freeze", name)
      known(name).held ??= []
    },
    thaw: (name) => {
      verb("thaw", name)
      const host = known(name)
      const held = host.held ?? []
      host.held = null
      for (const happened of held) happened()
    },
    notice: (name, happened) => notice(known(name), happened),
    stranger: (name, port) => {
      verb("stranger", `${name} ${port}`)
      medium.listeners.set(portKey(known(name), port), { id: null, inbound: (_link, destroy) => destroy() })
    },
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

/**
 * What the parts of one simulated network share: its timeline, places, history and chance, and what is open on it.
 * Made once per network; whoever opens something enters it here, and takes it out again when its scope ends.
 */
import type { PeerId } from "../schema/PeerId.ts"
import type { Datagram } from "../services/Datagrams.ts"
import type { Link } from "../services/Transport.ts"
import type { History } from "./History.ts"
import type { SimulatedRandom } from "./SimulatedRandom.ts"
import type { Timeline } from "./Timeline.ts"
import type { Host, Place } from "./Host.ts"
import type { Topology } from "./Topology.ts"

/** A link that lives, as the verbs see it. */
export interface LiveLink {
  readonly places: readonly [Place, Place]
  /** The path may be whole again: what waited is sent. */
  readonly resume: () => void
  /** Both ends die at once. */
  readonly cut: () => void
  /** From now on nothing arrives, and nobody is told. */
  readonly halfOpen: () => void
  /** The end on this host is gone with its machine; the other one is not told. */
  readonly lose: (host: Host) => void
}

/** What answers on a TCP port: a node, or something that is none (`id` null). */
export interface Listener {
  readonly id: PeerId | null
  /** Takes a link over once the handshake is done on this side; `destroy` is the end of its scope. */
  readonly inbound: (link: Link, destroy: () => void) => void
}

/** An open UDP port. */
export interface DatagramSocket {
  readonly port: number
  /** The address it is bound to, or null for all of the host's. */
  readonly address: string | null
  readonly receive: (datagram: Datagram) => void
}

/** One network, from within. */
export interface Medium {
  readonly timeline: Timeline
  readonly topology: Topology
  readonly history: History
  readonly random: SimulatedRandom
  readonly links: Set<LiveLink>
  /** By host and port. */
  readonly listeners: Map<string, Listener>
  /** By host, in the order in which they were opened. */
  readonly sockets: Map<Host, Set<DatagramSocket>>
}

const portKeys = new WeakMap<Host, Map<number, string>>()

/** The key of a host's port, and its name in the history. The same string each time, so that it is quickly found. */
export const portKey = (host: Host, port: number): string => {
  const keys = portKeys.get(host) ?? new Map<number, string>()
  const key = keys.get(port) ?? `${host.name}:${port}`
  if (keys.size === 0) portKeys.set(host, keys)
  keys.set(port, key)
  return key
}

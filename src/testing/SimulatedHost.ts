/**
 * The machines of a simulated network as a test holds them: for each node the Layers that it stands on, which behave
 * like the real ones. What is on a machine ends with the scope its layer is built in.
 */
import type * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { idBytes, Instance } from "../schema/Id.ts"
import { base32, fromDigest, type PeerId } from "../schema/PeerId.ts"
import type { Datagrams } from "../services/Datagrams.ts"
import { Identity } from "../services/Identity.ts"
import type { ListenError, Transport } from "../services/Transport.ts"
import type { Host } from "./Host.ts"
import type { Medium } from "./Medium.ts"
import * as SimulatedDatagrams from "./SimulatedDatagrams.ts"
import * as Random from "./SimulatedRandom.ts"
import * as SimulatedTransport from "./SimulatedTransport.ts"

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

/** Finds the host of a name, or makes it. */
export const makeHosts = (medium: Medium) => {
  const { history, topology } = medium
  const handles = new Map<string, SimulatedHost>()
  return (name: string, segments: ReadonlyArray<string> = ["lan"]): SimulatedHost => {
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
}

/** Nodes without discovery, chat and transfers: the actors alone, on a simulated network. */
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as PeerActors from "../../src/actors/peers/PeerActors.ts"
import { defaultPort, NodeConfig, type NodeSettings } from "../../src/config.ts"
import { tcp } from "../../src/schema/Address.ts"
import { encode, type Frame, type FrameOf, frameMaxBytes, decode } from "../../src/schema/Frame.ts"
import { Splitter } from "../../src/schema/FrameCodec.ts"
import type { Connection } from "../../src/services/Connection.ts"
import { Events } from "../../src/services/Events.ts"
import { Identity } from "../../src/services/Identity.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { type Link, type ListenError, Transport } from "../../src/services/Transport.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import * as TransportTls from "../../src/services/transport/TransportTls.ts"
import type { SimulatedNode } from "../../src/testing/SimulatedNetwork.ts"

/** What a node with actors is made of, over any machine. */
const parts = Layer.provideMerge(PeerRegistry.layerMemory, Events.layer)

type Machine = Layer.Layer<Transport | Identity, ListenError, NodeConfig>

/** A run of the node in simulated time, until `stop` or the end of the scope; `tamper` may spoil its registry. */
export const start = (node: SimulatedNode, tamper: Tamper = (registry) => registry) =>
  // Goodbyes take time, and nobody else lets it pass at the end of a test.
  run(node.name, node.layer, { port: defaultPort }, tamper, elapse)

/** The same on the loopback of this machine, in real time. */
export const startLive = (name: string) =>
  run(
    name,
    TransportTls.layer.pipe(Layer.provideMerge(Identity.layerMemory), Layer.provide(SecureRandom.layerWebCrypto)),
    { host: "127.0.0.1", port: 0 },
    (registry) => registry,
    (closing) => closing
  )

type Tamper = (registry: PeerRegistry["Service"]) => PeerRegistry["Service"]

const run = Effect.fnUntraced(function* (
  name: string,
  machine: Machine,
  settings: Partial<NodeSettings>,
  tamper: Tamper,
  close: (closing: Effect.Effect<void>) => Effect.Effect<void>
) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => close(Scope.close(scope, Exit.void)))
  const config = NodeConfig.layer({ name, dataDir: "/nowhere", ...settings })
  const context = yield* Layer.build(
    Layer.fresh(parts.pipe(Layer.provideMerge(machine), Layer.provideMerge(config)))
  ).pipe(Scope.provide(scope))
  const registry = Context.get(context, PeerRegistry)
  const { connection, held } = yield* PeerActors.make.pipe(
    Effect.provideService(PeerRegistry, tamper(registry)),
    Effect.provide(context),
    Scope.provide(scope)
  )
  yield* connection.open
  const { id } = Context.get(context, Identity)
  return {
    name,
    id,
    instance: Context.get(context, Identity).instance,
    connection,
    /** Its actors, and their links in any stage. */
    held,
    registry,
    events: Context.get(context, Events),
    transport: Context.get(context, Transport),
    address: tcp(settings.host ?? name, Context.get(context, Transport).port),
    /** Names and states, as a person sees them. */
    shown: Effect.map(registry.list, (peers) => peers.map((peer) => `${peer.name} ${peer.state}`).toSorted()),
    stop: Scope.close(scope, Exit.void)
  }
})
export type Node = Effect.Success<ReturnType<typeof start>>

/** Each is suggested to the other, as when both hear an announcement at the same moment. */
export const meet = Effect.fnUntraced(function* (one: Node, other: Node) {
  yield* Effect.all([one.connection.suggest(other.id, other.address), other.connection.suggest(one.id, one.address)], {
    concurrency: "unbounded",
    discard: true
  })
})

/** Session changes of a node, one after the other. */
export const changes = (node: { readonly connection: Connection["Service"] }) =>
  Effect.map(node.connection.inbox(), (inbox) =>
    Effect.map(Queue.take(inbox), (change) =>
      "_tag" in change ? (change._tag === "Up" ? `up ${change.peer}` : `down ${change.peer} ${change.reason}`) : "?"
    )
  )

/** The other side of a link, without a node behind it: what a peer of another make, or a hostile one, may do. */
export const puppet = (link: Link) => {
  const splitter = new Splitter(frameMaxBytes)
  const next: Effect.Effect<Frame, unknown> = Effect.gen(function* () {
    while (true) {
      const body = yield* Effect.fromResult(splitter.next())
      if (body === undefined) splitter.push(yield* link.read)
      else {
        const decoded = yield* Effect.fromResult(decode(body))
        if (decoded._tag === "Known") return decoded.frame
      }
    }
  })
  return {
    next,
    say: (frame: Frame) => link.write(encode(frame)),
    /** Any JSON as a frame. */
    sayJson: (value: unknown) => {
      const body = new TextEncoder().encode(JSON.stringify(value))
      const bytes = new Uint8Array(4 + body.length)
      new DataView(bytes.buffer).setUint32(0, body.length)
      bytes.set(body, 4)
      return link.write(bytes)
    },
    link
  }
}

export const hello = (
  node: { readonly id: FrameOf<"Hello">["id"]; readonly instance: FrameOf<"Hello">["instance"] },
  more: Partial<FrameOf<"Hello">> = {}
): FrameOf<"Hello"> => ({
  _tag: "Hello",
  version: { major: 1, minor: 0 },
  features: [],
  id: node.id,
  instance: node.instance,
  name: "puppet",
  port: 9090,
  ...more
})

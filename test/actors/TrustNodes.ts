/** Nodes with peer actors and trust, without discovery, chat and files, on a simulated network. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as PeerActors from "../../src/actors/peers/PeerActors.ts"
import * as TrustActors from "../../src/actors/trust/TrustActors.ts"
import { NodeConfig } from "../../src/config.ts"
import { type Address, format, tcp } from "../../src/schema/Address.ts"
import type { Event } from "../../src/schema/Event.ts"
import type { TransferId } from "../../src/schema/Id.ts"
import type { Transfer as View } from "../../src/schema/Offer.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import type { Verification } from "../../src/schema/Verification.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Events } from "../../src/services/Events.ts"
import { Identity } from "../../src/services/Identity.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { Transport } from "../../src/services/Transport.ts"
import { Trust } from "../../src/services/Trust.ts"
import type { SimulatedNode } from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"

export interface TrustNodeOptions {
  /** What it calls itself; the node's name unless told otherwise. */
  readonly name?: string
  /** What the registry knows from an earlier run. */
  readonly remembered?: PeerRegistry["Service"]
  /** What it has under way. */
  readonly transfers?: ReadonlyArray<View>
}

export const start = Effect.fnUntraced(function* (node: SimulatedNode, options: TrustNodeOptions = {}) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => elapse(Scope.close(scope, Exit.void)))
  const cancelled: Array<TransferId> = []
  const transfer = Layer.mock(Transfer, {
    list: Effect.sync(() =>
      (options.transfers ?? []).map((one) =>
        cancelled.includes(one.id) ? { ...one, state: "cancelled" as const } : one
      )
    ),
    cancel: (id) =>
      Effect.suspend(() => {
        cancelled.push(id)
        const found = options.transfers?.find((one) => one.id === id)
        return found === undefined ? Effect.die("no such transfer") : Effect.succeed(found)
      })
  })
  const registry =
    options.remembered === undefined ? PeerRegistry.layerMemory : Layer.succeed(PeerRegistry, options.remembered)
  const whole = TrustActors.layer.pipe(
    Layer.provideMerge(PeerActors.layer),
    Layer.provideMerge(registry),
    Layer.provideMerge(Layer.merge(Events.layer, transfer)),
    Layer.provideMerge(node.layer),
    Layer.provideMerge(NodeConfig.layer({ name: options.name ?? node.name, dataDir: "/nowhere" })),
    Layer.fresh
  )
  const context = yield* Layer.build(whole).pipe(Scope.provide(scope))
  yield* Context.get(context, Connection).open
  const events: Array<Event> = []
  yield* Context.get(context, Events).stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.forkIn(scope, { startImmediately: true })
  )
  const transport = Context.get(context, Transport)
  const registryNow = Context.get(context, PeerRegistry)
  const shown = (peer: PeerId): Verification | undefined => {
    const all = events.flatMap((event) => (event._tag === "VerificationChanged" ? [event.verification] : []))
    return all.filter((one) => one.peer === peer).at(-1)
  }
  const address: Address = tcp(node.name, transport.port)
  return {
    name: node.name,
    id: Context.get(context, Identity).id,
    connection: Context.get(context, Connection),
    trust: Context.get(context, Trust),
    registry: registryNow,
    transport,
    address,
    at: format(address),
    /** What happened so far. */
    events,
    /** Transfers that were cancelled. */
    cancelled,
    alarms: () => events.flatMap((event) => (event._tag === "Alarm" ? [event] : [])),
    /** The newest that was told of a comparison with this peer. */
    shown,
    trusts: (peer: PeerId) =>
      Effect.map(registryNow.get(peer), (found) => (found._tag === "Some" ? found.value.trust : "unknown")),
    stop: Scope.close(scope, Exit.void)
  }
})
export type TrustNode = Effect.Success<ReturnType<typeof start>>

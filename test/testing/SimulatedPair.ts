/** Nodes on a simulated network, and two of them with what one accepts from the other. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { tcp } from "../../src/schema/Address.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type Link, type Protocol, Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"

export const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
export const bytes = (text: string) => new TextEncoder().encode(text)

/** A run of the node, until the scope ends. */
export const start = Effect.fnUntraced(function* (node: SimulatedNetwork.SimulatedNode) {
  const context = yield* Layer.build(Layer.fresh(node.layer))
  return { transport: Context.get(context, Transport), identity: Context.get(context, Identity), node }
})

/** The links of this protocol as they come in; they live as long as the scope. */
export const inbound = Effect.fnUntraced(function* (transport: Transport["Service"], protocol: Protocol = "kith/1") {
  const links = yield* Queue.bounded<Link>(64)
  yield* transport.accept(protocol, (link) => Effect.andThen(Queue.offer(links, link), Effect.never))
  return links
})

/** Alice, bob, and a way to get a link from her to him: both its ends. */
export const pair = Effect.fnUntraced(function* (settings: Partial<SimulatedNetwork.NetworkSettings> = {}) {
  const network = yield* SimulatedNetwork.make({ seed: 1, ...settings })
  const alice = yield* start(network.host("alice"))
  const bob = yield* start(network.host("bob"))
  const accepted = yield* inbound(bob.transport)
  const connect = Effect.gen(function* () {
    const there = yield* alice.transport.dial(tcp("bob", bob.transport.port), { protocol: "kith/1" })
    return [there, yield* Queue.take(accepted)] as const
  })
  return { network, alice, bob, accepted, connect }
})

/**
 * The real transport: TLS 1.3 over TCP, both sides with certificates, one listener for everything.
 *
 * It owns the listener, the inbound connections and the table of handlers. When the layer ends it stops accepting
 * first, then ends the connections; handlers and dialled links end with the scopes of those who asked for them.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import * as os from "node:os"
import { NodeConfig } from "../../config.ts"
import { type Address, format, tcp } from "../../schema/Address.ts"
import { Identity } from "../Identity.ts"
import { type Link, type ListenError, type Protocol, Transport } from "../Transport.ts"
import { watchLost } from "./TransportTlsAddresses.ts"
import { dial } from "./TransportTlsDial.ts"
import { type Inbound, listen, type Listener } from "./TransportTlsListen.ts"
import * as Security from "./TransportTlsSecurity.ts"

/** Runs in the fiber of the connection, which is the acceptor's from then on. */
type Handler = (link: Inbound) => Effect.Effect<void>

const make = Effect.gen(function* () {
  const config = yield* NodeConfig
  const security = Security.make(yield* Identity)
  const handlers = new Map<Protocol, Handler>()

  const deliver = Effect.fnUntraced(function* (inbound: Inbound) {
    const handler = handlers.get(inbound.protocol)
    if (handler === undefined) {
      yield* Effect.annotateLogs(Effect.logDebug("Closed a link that nobody waits for"), namesOf(inbound))
      return yield* Effect.scoped(Effect.flatMap(inbound.open, (link) => link.close))
    }
    yield* handler(inbound)
  })

  const listener = yield* listen({
    security,
    host: config.host,
    port: config.port,
    portIsFixed: config.portIsFixed,
    deliver
  })
  yield* Effect.logDebug("Listening").pipe(Effect.annotateLogs({ host: listener.host, port: listener.port }))

  const accept = Effect.fn("Transport.accept")(function* (
    protocol: Protocol,
    handle: Parameters<Transport["Service"]["accept"]>[1]
  ) {
    if (handlers.has(protocol)) return yield* Effect.die(new Error(`${protocol} has a handler already`))
    // Connections are the acceptor's once they are links: they have its context, and its scope waits for them.
    const fibers = yield* FiberSet.make<unknown, unknown>()
    const context = yield* Effect.context()
    const handler: Handler = (inbound) =>
      Effect.withFiber((fiber) => {
        FiberSet.addUnsafe(fibers, fiber)
        return Effect.updateContext(serve(inbound, handle), () => context)
      })
    yield* Effect.acquireRelease(
      Effect.sync(() => handlers.set(protocol, handler)),
      () => Effect.sync(() => handlers.delete(protocol))
    )
  })

  return Transport.of({
    port: listener.port,
    addresses: Effect.sync(() => addressesOf(listener, os.networkInterfaces())),
    lost: yield* watchLost,
    dial: dial(security),
    accept
  })
})

/** Runs a handler with the link in a scope of its own; what goes wrong in it ends that link, and nothing else. */
const serve = (
  inbound: Inbound,
  handle: (link: Link) => Effect.Effect<void, never, Scope.Scope>
): Effect.Effect<void> =>
  inbound.open.pipe(
    Effect.flatMap(handle),
    Effect.scoped,
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Effect.annotateLogs(Effect.logError("The handler of a link failed", cause), namesOf(inbound))
    )
  )

/** Which link a line in the log is about. */
const namesOf = ({ peer, remote }: Inbound) => ({ peer, address: format(remote) })

/**
 * Where a listener can be reached: IPv4 first, as what a person reads and types. Link-local addresses are left out,
 * since the zone they need is this machine's own.
 */
export const addressesOf = (
  listener: Listener,
  interfaces: ReturnType<typeof os.networkInterfaces>
): ReadonlyArray<Address> => {
  const everywhere = listener.host === "::" || listener.host === "0.0.0.0"
  if (!everywhere) return [tcp(listener.host, listener.port)]
  const usable = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && !/^fe[89ab]/i.test(address.address))
    .filter((address) => listener.host === "::" || net.isIPv4(address.address))
    .map((address) => address.address)
  const sorted = [...usable.filter((host) => net.isIPv4(host)), ...usable.filter((host) => net.isIPv6(host))]
  return [...new Set(sorted)].map((host) => tcp(host, listener.port))
}

/** Links over TLS, and a listener for as long as the layer lives. */
export const layer: Layer.Layer<Transport, ListenError, Identity | NodeConfig> = Layer.effect(Transport, make)

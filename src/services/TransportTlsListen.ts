/**
 * The listener and every inbound connection until its link ends. A connection is a fiber with a scope: it waits at
 * the gate with TLS not started, makes its handshake against the clock, and is handed over as a link. One that is no
 * node's is closed with a line in the log, and nothing else is disturbed.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { limits } from "../config.ts"
import { type Address, format } from "../schema/Address.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { inert } from "../schema/Text.ts"
import { HandshakeGate, type Ticket } from "./HandshakeGate.ts"
import { LinkQuota } from "./LinkQuota.ts"
import * as Metrics from "./Metrics.ts"
import { networkOf } from "./NetworkOf.ts"
import { OffenceLog } from "./OffenceLog.ts"
import * as TlsLink from "./TlsLink.ts"
import { type Link, ListenError } from "./Transport.ts"
import { accepting, identify, type Known, type Security } from "./TransportTlsSecurity.ts"

/** A link that is made once there is a scope to hold it. */
export interface Inbound extends Known {
  readonly remote: Address
  readonly open: Effect.Effect<Link, never, Scope.Scope>
}

/** Where the listener is. */
export interface Listener {
  readonly host: string
  readonly port: number
}

/** A connection that did not become a link, and why. */
class Offence extends Schema.TaggedError<Offence>()("Offence", {
  reason: Schema.String,
  /** It only went away: a dial that was called off, most likely. */
  isGone: Schema.optionalKey(Schema.Boolean)
}) {
  override get message(): string {
    return this.reason
  }
}

/** Listens for as long as the scope is open. `deliver` has a link until it returns. */
export const listen = Effect.fnUntraced(function* (options: {
  readonly security: Security
  readonly host: string
  readonly port: number
  readonly portIsFixed: boolean
  readonly deliver: (link: Inbound) => Effect.Effect<void>
}) {
  const offended = makeReport()
  const report = makeTrouble()
  const handshake = makeHandshake(options.security)
  const quota = new LinkQuota({
    max: limits.linksMax,
    perNetworkMax: limits.linksPerNetworkMax,
    perPeerMax: limits.linksPerPeerMax
  })
  const counted = (peer: PeerId, remote: Address) =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        const reason = quota.enter(peer, remote.host)
        return reason === undefined ? Effect.void : Effect.fail(new Offence({ reason }))
      }),
      () => Effect.sync(() => quota.leave(peer, remote.host))
    )
  const connection = Effect.fnUntraced(function* (raw: net.Socket, remote: Address) {
    yield* Effect.addFinalizer(() => TlsLink.destroyed(raw))
    const inbound = yield* handshake(raw, remote)
    yield* counted(inbound.peer, remote)
    yield* options.deliver(inbound)
  }, Effect.scoped)
  // The set is closed after the listener: finalizers run in reverse, so nobody comes in behind the last.
  const run = yield* FiberSet.makeRuntime<never, void>()
  const server = yield* bind(options, (raw) => {
    // An error before there is anything to end: `close` follows it.
    raw.on("error", () => {})
    const remote = TlsLink.remoteOf(raw)
    if (remote === undefined) return raw.destroy()
    run(
      connection(raw, remote).pipe(
        Effect.catchTag("Offence", (offence) => offended(remote, offence)),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("An inbound connection failed", cause)
        )
      )
    )
  })
  server.on("error", (error) => run(report(error)))
  const bound = server.address()
  return typeof bound === "object" && bound !== null
    ? { host: bound.address, port: bound.port }
    : yield* Effect.die(new Error("a listener without an address"))
})

/** Gate and handshake: who is at the other end. */
const makeHandshake = (security: Security) => {
  const gate = new HandshakeGate({
    max: limits.handshakesMax,
    perNetworkMax: limits.handshakesPerNetworkMax,
    perAddressMax: limits.handshakesPerAddressMax,
    waitingMax: limits.handshakesWaitingMax
  })
  const turn = (remote: Address) =>
    Effect.acquireRelease(
      Effect.callback<Ticket, Offence>((resume) => {
        const ticket = gate.enter(remote.host, (admitted) =>
          resume(
            Effect.suspend(() =>
              admitted ? Effect.succeed(ticket) : Effect.fail(new Offence({ reason: "too many connections wait" }))
            )
          )
        )
        return Effect.sync(() => gate.leave(ticket))
      }),
      (ticket) => Effect.sync(() => gate.leave(ticket)),
      { interruptible: true }
    )
  return Effect.fnUntraced(function* (raw: net.Socket, remote: Address) {
    yield* Effect.timeoutOrElse(turn(remote), {
      duration: limits.handshakeTurn,
      orElse: () => Effect.fail(new Offence({ reason: `no turn within ${Duration.format(limits.handshakeTurn)}` }))
    })
    if (raw.destroyed) return yield* new Offence({ reason: hungUp, isGone: true })
    const wire = TlsLink.acceptWire(raw, accepting(security))
    const known = yield* Effect.timeoutOrElse(secured(wire), {
      duration: limits.tlsHandshake,
      orElse: () => Effect.fail(new Offence({ reason: `no handshake within ${Duration.format(limits.tlsHandshake)}` }))
    })
    return { ...known, remote, open: TlsLink.make(wire, { ...known, side: "accepted", remote }) }
  }, Effect.scoped)
}

const secured = ({ socket }: TlsLink.Wire): Effect.Effect<Known, Offence> =>
  Effect.callback((resume) => {
    const offend = (reason: string) =>
      resume(Effect.fail(new Offence({ reason, isGone: reason === hungUp || reason === "ECONNRESET" })))
    socket.once("secure", () => {
      // A certificate can be odd enough for Node to throw, and this is an event: nobody above would catch it.
      try {
        const known = identify(socket)
        if ("problem" in known) offend(known.problem)
        else resume(Effect.succeed(known))
      } catch (cause) {
        offend(`its certificate cannot be read (${String(cause)})`)
      }
    })
    // What goes wrong in a handshake comes by the second of these, what goes wrong below it by the first.
    socket.once("error", (error) => offend(TlsLink.reasonOf(error)))
    socket.once("_tlsError", (error: Error) => offend(TlsLink.reasonOf(error)))
    socket.once("close", () => offend(hungUp))
  })

const hungUp = "it hung up"

const makeReport = () => {
  const offences = new OffenceLog({ every: Duration.minutes(1), addressesMax: 256 })
  return Effect.fnUntraced(function* (remote: Address, offence: Offence) {
    yield* Metrics.count(Metrics.handshakeFailures, { reason: Metrics.handshakeReason(offence.reason) })
    if (offence.isGone === true) {
      return yield* Effect.logDebug("An inbound connection ended before it was a link").pipe(
        Effect.annotateLogs({ address: format(remote), reason: offence.reason })
      )
    }
    const suppressed = offences.note(networkOf(remote.host), yield* Clock.monotonicTimeNanos)
    if (suppressed === undefined) return
    yield* Effect.logInfo("Closed an inbound connection that is no node's").pipe(
      Effect.annotateLogs({ address: format(remote), reason: inert(offence.reason), suppressed })
    )
  })
}

/** What the listener itself meets, such as too many open files: one line of a kind in a minute. */
const makeTrouble = () => {
  const troubles = new OffenceLog({ every: Duration.minutes(1), addressesMax: 16 })
  return Effect.fnUntraced(function* (error: Error) {
    const suppressed = troubles.note(TlsLink.reasonOf(error), yield* Clock.monotonicTimeNanos)
    if (suppressed === undefined) return
    yield* Effect.logWarning(`The listener could not take a connection: ${error.message}`).pipe(
      Effect.annotateLogs({ suppressed })
    )
  })
}

/** Connections that the system keeps until we take them: where it runs over in a flood, a friend waits for seconds. */
const backlog = 4096

interface Place {
  readonly host: string
  readonly port: number
  readonly portIsFixed: boolean
}

/** The wanted place; where there is no IPv6, all of IPv4; where the port is taken and nobody chose it, any other. */
const bind = (place: Place, receive: (raw: net.Socket) => void): Effect.Effect<net.Server, ListenError, Scope.Scope> =>
  bindOnce(place, receive).pipe(
    Effect.catch((code) => {
      if ((code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL") && place.host === "::") {
        return bind({ ...place, host: "0.0.0.0" }, receive)
      }
      if (code === "EADDRINUSE" && !place.portIsFixed && place.port !== 0) {
        return bind({ ...place, port: 0 }, receive)
      }
      const address = place.host.includes(":") ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`
      return Effect.fail(new ListenError({ address, detail: bindProblems[code] ?? code }))
    })
  )

const bindProblems: Record<string, string> = {
  EADDRINUSE: "another program listens on that port",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "this user may not listen on that port",
  ENOTFOUND: "no machine is known by that name"
}

const bindOnce = (place: Place, receive: (raw: net.Socket) => void): Effect.Effect<net.Server, string, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<net.Server, string>((resume) => {
      // Paused: not a byte is read before the gate has let it through.
      const server = net.createServer({ pauseOnConnect: true, noDelay: true }, receive)
      server.once("error", (error) => resume(Effect.fail(TlsLink.reasonOf(error))))
      server.listen({ host: place.host, port: place.port, ipv6Only: false, backlog }, () =>
        resume(Effect.succeed(server))
      )
    }),
    (server) => Effect.sync(() => server.close())
  )

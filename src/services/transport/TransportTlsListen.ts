/**
 * The listener and every inbound connection until its link ends. A connection is a fiber with a scope: it waits at
 * the gate with TLS not started, makes its handshake against the clock, and is handed over as a link. One that is no
 * node's is closed with a line in the log, and nothing else is disturbed.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as net from "node:net"
import { limits } from "../../config.ts"
import { type Address, format } from "../../schema/Address.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { HandshakeGate, type Ticket } from "./HandshakeGate.ts"
import { LinkQuota } from "./LinkQuota.ts"
import * as Metrics from "../Metrics.ts"
import { networkOf } from "./NetworkOf.ts"
import { OffenceLog } from "../peers/OffenceLog.ts"
import * as TlsLink from "./TlsLink.ts"
import type { Link } from "../Transport.ts"
import { bind } from "./TransportTlsBind.ts"
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
  const gate = new HandshakeGate({
    max: limits.handshakesMax,
    perNetworkMax: limits.handshakesPerNetworkMax,
    perAddressMax: limits.handshakesPerAddressMax,
    waitingMax: limits.handshakesWaitingMax
  })
  const handshake = makeHandshake(options.security, gate)
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
  const connection = Effect.fnUntraced(function* (raw: net.Socket, remote: Address, turn: Turn) {
    yield* Effect.addFinalizer(() => TlsLink.destroyed(raw))
    const inbound = yield* handshake(raw, remote, turn)
    yield* counted(inbound.peer, remote)
    yield* options.deliver(inbound)
  }, Effect.scoped)
  // The set is closed after the listener: finalizers run in reverse, so nobody comes in behind the last.
  const run = yield* FiberSet.makeRuntime<never, void>()
  const bound = yield* bind(options, (raw) => {
    // An error before there is anything to end: `close` follows it.
    raw.on("error", () => {})
    const remote = TlsLink.remoteOf(raw)
    if (remote === undefined) return raw.destroy()
    const turn = askForTurn(gate, remote.host)
    if (turn.ticket.state === "gone") {
      // In a flood there are thousands of these a second: no fiber, no scope, no farewell.
      raw.resetAndDestroy()
      return void run(offended(remote, crowded()))
    }
    run(
      connection(raw, remote, turn).pipe(
        Effect.catchTag("Offence", (offence) => offended(remote, offence)),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("An inbound connection failed", cause)
        ),
        Effect.ensuring(Effect.sync(() => gate.leave(turn.ticket)))
      )
    )
  })
  for (const server of bound.servers) server.on("error", (error) => run(report(error)))
  return { host: bound.host, port: bound.port }
})

/** A place in the gate, and who waits for it. */
interface Turn {
  readonly ticket: Ticket
  /** Resumed once with whether it may begin. */
  readonly decided: Effect.Effect<boolean>
}

/** Enters at once, in the order of arrival. */
const askForTurn = (gate: HandshakeGate, host: string): Turn => {
  const decided = Deferred.makeUnsafe<boolean>()
  const ticket = gate.enter(host, (admitted) => void Deferred.doneUnsafe(decided, Effect.succeed(admitted)))
  return { ticket, decided: Deferred.await(decided) }
}

const crowded = () => new Offence({ reason: "too many connections wait" })

/** Gate and handshake: who is at the other end. */
const makeHandshake = (security: Security, gate: HandshakeGate) =>
  Effect.fnUntraced(function* (raw: net.Socket, remote: Address, turn: Turn) {
    // Only the handshake has a place: what comes after it is counted elsewhere.
    yield* Effect.addFinalizer(() => Effect.sync(() => gate.leave(turn.ticket)))
    const admitted = yield* Effect.timeoutOrElse(turn.decided, {
      duration: limits.handshakeTurn,
      orElse: () => Effect.fail(new Offence({ reason: `no turn within ${Duration.format(limits.handshakeTurn)}` }))
    })
    if (!admitted) return yield* crowded()
    if (raw.destroyed) return yield* new Offence({ reason: hungUp, isGone: true })
    const wire = TlsLink.acceptWire(raw, accepting(security))
    const known = yield* Effect.timeoutOrElse(secured(wire), {
      duration: limits.tlsHandshake,
      orElse: () => Effect.fail(new Offence({ reason: `no handshake within ${Duration.format(limits.tlsHandshake)}` }))
    })
    return { ...known, remote, open: TlsLink.make(wire, { ...known, side: "accepted", remote }) }
  }, Effect.scoped)

const secured = ({ socket }: TlsLink.Wire): Effect.Effect<Known, Offence> =>
  Effect.callback((resume) => {
    const done = (result: Effect.Effect<Known, Offence>) => {
      socket.off("secure", judge).off("error", broken).off("_tlsError", broken).off("close", gone)
      resume(result)
    }
    const offend = (reason: string) =>
      done(Effect.fail(new Offence({ reason, isGone: reason === hungUp || reason === "ECONNRESET" })))
    const judge = () => {
      // A certificate can be odd enough for Node to throw, and this is an event: nobody above would catch it.
      try {
        const known = identify(socket)
        if ("problem" in known) offend(known.problem)
        else done(Effect.succeed(known))
      } catch (cause) {
        offend(`its certificate cannot be read (${String(cause)})`)
      }
    }
    const broken = (error: Error) => offend(TlsLink.reasonOf(error))
    const gone = () => offend(hungUp)
    // What goes wrong in a handshake comes by the third of these, what goes wrong below it by the second.
    socket.once("secure", judge).once("error", broken).once("_tlsError", broken).once("close", gone)
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

/** Opens one TLS link, within `limits.dial` for all of it. A dial that fails or is interrupted leaves nothing open. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as tls from "node:tls"
import { limits } from "../../config.ts"
import { type Address, format, tcp } from "../../schema/Address.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import * as Metrics from "../Metrics.ts"
import * as TlsLink from "./TlsLink.ts"
import { DialError, type Link, type Protocol } from "../Transport.ts"
import { dialling, identify, type Known, type Security } from "./TransportTlsSecurity.ts"

export interface DialOptions {
  readonly protocol: Protocol
  readonly expect?: PeerId
}

export const dial = (security: Security) =>
  Effect.fn("Transport.dial")(function* (
    address: Address,
    options: DialOptions
  ): Effect.fn.Return<Link, DialError, Scope.Scope> {
    // A scope of its own, so that a dial that fails does not stay in a caller's long-lived one.
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* attempt(security, address, options).pipe(
      Scope.provide(scope),
      Effect.tapError((error) => Metrics.count(Metrics.dialFailures, { reason: error.problem })),
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
    )
  })

const attempt = Effect.fnUntraced(function* (security: Security, address: Address, options: DialOptions) {
  const wire = yield* Effect.acquireRelease(
    Effect.try({
      try: () => TlsLink.dialWire({ ...dialling(security, options.protocol), host: address.host, port: address.port }),
      // Node refuses some host names before it asks anyone.
      catch: (cause) => failed("unresolved", address, cause instanceof Error ? TlsLink.reasonOf(cause) : "bad name")
    }),
    (wire) => TlsLink.destroyed(wire.socket)
  )
  yield* Effect.timeoutOrElse(secured(wire.socket, address), {
    duration: limits.dial,
    orElse: () => Effect.fail(tooLate(wire.socket, address))
  })
  const known = yield* judge(security, wire.socket, address, options)
  return yield* TlsLink.make(wire, {
    ...known,
    side: "dialled",
    remote: TlsLink.remoteOf(wire.socket) ?? tcp(address.host, address.port)
  })
})

/** Waits for the end of the handshake, as this side sees it. */
const secured = (socket: tls.TLSSocket, address: Address): Effect.Effect<void, DialError> =>
  Effect.callback((resume) => {
    let connected = false
    const done = (result: Effect.Effect<void, DialError>) => {
      socket.off("connect", connect).off("secureConnect", secure).off("error", broken).off("close", gone)
      resume(result)
    }
    const connect = () => {
      connected = true
    }
    const secure = () => done(Effect.void)
    const broken = (error: Error) => done(Effect.fail(explain(error, connected, address)))
    const gone = () => done(Effect.fail(failed("notKith", address, "it hung up")))
    socket.once("connect", connect).once("secureConnect", secure).once("error", broken).once("close", gone)
  })

/** Whether the one who answered is the one who was called. */
const judge = (
  security: Security,
  socket: tls.TLSSocket,
  address: Address,
  options: DialOptions
): Effect.Effect<Known, DialError> => {
  // The other side's signature algorithms come with its request for our certificate. A node always asks for it.
  if (socket.getSharedSigalgs().length === 0) {
    return Effect.fail(failed("notKith", address, "it asked for no certificate"))
  }
  const known = identify(socket)
  if ("problem" in known) return Effect.fail(failed("notKith", address, known.problem))
  if (known.peer === security.id) return Effect.fail(failed("self", address, ""))
  if (options.expect !== undefined && known.peer !== options.expect) {
    const detail = `it is ${short(known.peer)}, not ${short(options.expect)}`
    return Effect.fail(new DialError({ problem: "wrongPeer", address: format(address), detail, found: known.peer }))
  }
  return Effect.succeed(known)
}

const failed = (problem: DialError["problem"], address: Address, detail: string) =>
  new DialError({ problem, address: format(address), detail })

const tooLate = (socket: tls.TLSSocket, address: Address) => {
  const time = Duration.format(limits.dial)
  const detail = socket.connecting ? `no answer within ${time}` : `it took the connection, but said nothing for ${time}`
  return failed("unreachable", address, detail)
}

/** A name with several addresses has an error for each; that one of them refused tells more than a silent one. */
const explain = (error: Error, connected: boolean, address: Address): DialError => {
  const reasons = (error instanceof AggregateError ? [...error.errors, error] : [error]).map((one: unknown) =>
    one instanceof Error ? TlsLink.reasonOf(one) : String(one)
  )
  const [reason = "unknown"] = reasons
  if (reasons.includes("ECONNREFUSED")) return failed("refused", address, "ECONNREFUSED")
  if (connected) return failed("notKith", address, reason)
  return failed(/^(ENOTFOUND|EAI_|ERR_INVALID)/.test(reason) ? "unresolved" : "unreachable", address, reason)
}

/**
 * What a service refuses or fails at, where the API carries it to a person: each says what happened, to what, and
 * what to do. The services that raise them export them too.
 */
import * as Schema from "effect/Schema"
import { TransferId } from "./Id.ts"
import { PeerId, short } from "./PeerId.ts"

/**
 * Why a dial did not become a link.
 * - unreachable: no route, or no answer in time
 * - refused: the machine answers, but nothing listens there
 * - unresolved: the host name has no address
 * - notKith: something listens there, but it is no node (no TLS 1.3, no certificate, no ALPN of ours)
 * - self: it is this node
 * - wrongPeer: another peer than the expected one answers there
 */
export class DialError extends Schema.TaggedError<DialError>()("DialError", {
  problem: Schema.Literals(["unreachable", "refused", "unresolved", "notKith", "self", "wrongPeer"]),
  address: Schema.String,
  detail: Schema.String,
  /** Who answers there instead, where that is the problem. */
  found: Schema.optionalKey(PeerId)
}) {
  override get message(): string {
    switch (this.problem) {
      case "unreachable":
        return `${this.address} cannot be reached (${this.detail}). Is it on, and on this network?`
      case "refused":
        return `${this.address} refused the connection. Is Kith running there, and on that port?`
      case "unresolved":
        return `no machine is known by the name in ${this.address} (${this.detail}). Use its IP address`
      case "notKith":
        return `what listens on ${this.address} is not a Kith node (${this.detail}). Check the port`
      case "self":
        return `${this.address} is this node itself`
      case "wrongPeer":
        return `another peer than the expected one answers on ${this.address} (${this.detail})`
    }
  }
}

/** A link came up but never became a session: the other side said goodbye, fell silent, or spoke nonsense. */
export class SessionError extends Schema.TaggedError<SessionError>()("SessionError", {
  address: Schema.String,
  /** A GoodbyeReason, `silent`, `closed` or `protocol`. */
  reason: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.address} did not open a session (${this.reason}${this.detail === "" ? "" : `: ${this.detail}`})`
  }
}

/** No peer goes by that name or id. */
export class UnknownPeer extends Schema.TaggedError<UnknownPeer>()("UnknownPeer", {
  query: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.known.length === 0
      ? `no peer is called "${this.query}", and none is known yet`
      : `no peer is called "${this.query}". Known: ${this.known.join(", ")}`
  }
}

/** Several peers go by that name or prefix. */
export class AmbiguousPeer extends Schema.TaggedError<AmbiguousPeer>()("AmbiguousPeer", {
  query: Schema.String,
  candidates: Schema.Array(Schema.Struct({ id: PeerId, name: Schema.String }))
}) {
  override get message(): string {
    // A peer may call itself by the short id of another: then only the whole id says which is meant.
    const shorts = new Set(this.candidates.map((peer) => short(peer.id)))
    const enough = shorts.size === this.candidates.length && !shorts.has(this.query.replaceAll("-", "").toLowerCase())
    const list = this.candidates.map((peer) => `${peer.name} (${enough ? short(peer.id) : peer.id})`).join(", ")
    return `"${this.query}" may be any of ${list}. Use the ${enough ? "short id" : "whole id"}`
  }
}

/** A message that cannot be sent as it is. */
export class MessageRefused extends Schema.TaggedError<MessageRefused>()("MessageRefused", {
  problem: Schema.String
}) {
  override get message(): string {
    return `the message was not sent: ${this.problem}`
  }
}

/** What was to be sent cannot be: nothing was offered to anyone. */
export class SendRefused extends Schema.TaggedError<SendRefused>()("SendRefused", {
  /** The path it is about, or null where it is about the whole. */
  path: Schema.NullOr(Schema.String),
  problem: Schema.String
}) {
  override get message(): string {
    return this.path === null ? `nothing was sent: ${this.problem}` : `${this.path} was not sent: ${this.problem}`
  }
}

/** No transfer has that id. */
export class UnknownTransfer extends Schema.TaggedError<UnknownTransfer>()("UnknownTransfer", {
  query: Schema.String,
  candidates: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.candidates.length === 0
      ? `no transfer has the id "${this.query}". List them with: kith transfers`
      : `"${this.query}" may be any of ${this.candidates.join(", ")}. Give more of the id`
  }
}

/** The transfer is not in a state in which that can be done. */
export class NotPossible extends Schema.TaggedError<NotPossible>()("NotPossible", {
  transfer: TransferId,
  action: Schema.String,
  state: Schema.String,
  /** Where it is not the state that stands against it. */
  reason: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    if (this.reason !== undefined) return `transfer ${this.transfer.slice(0, 8)} is still ${this.state}: ${this.reason}`
    return `transfer ${this.transfer.slice(0, 8)} is ${this.state}: there is nothing to ${this.action}`
  }
}

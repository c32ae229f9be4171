/** A peer as every face shows it. The field names are what scripts rely on. */
import * as Schema from "effect/Schema"
import { PeerId } from "./PeerId.ts"

/** discovered: heard of, not wanted. connecting: wanted and being dialled. away: wanted, not reachable now. */
export const PeerConnectionState = Schema.Literals(["discovered", "connecting", "connected", "away"])
export type PeerConnectionState = typeof PeerConnectionState.Type

/** A property of the key, never of a name or an address. */
export const Trust = Schema.Literals(["unverified", "verified", "blocked"])
export type Trust = typeof Trust.Type

/** How trust came about: compared words, a ticket, or a person's word on this node alone (block, unblock). */
export const TrustHow = Schema.Literals(["words", "ticket", "person"])
export type TrustHow = typeof TrustHow.Type

/** What happens to an offer: ask a person, take verified peers' at once, take everyone's, take none. */
export const AcceptPolicy = Schema.Literals(["ask", "verified", "everyone", "nobody"])
export type AcceptPolicy = typeof AcceptPolicy.Type

/** What a person says of themselves; a word that this version does not know counts as available. */
export const Availability = Schema.Literals(["available", "busy", "away"])
export type Availability = typeof Availability.Type

export const Peer = Schema.Struct({
  id: PeerId,
  name: Schema.String,
  state: PeerConnectionState,
  trust: Trust,
  /** When its trust last changed, in milliseconds since 1970, and how; absent if it never did. */
  trustAt: Schema.optionalKey(Schema.Int),
  trustHow: Schema.optionalKey(TrustHow),
  /** `host:port`, the most recently useful first. */
  addresses: Schema.Array(Schema.String),
  /** The policy for this peer, or null where the node's own applies. */
  accept: Schema.NullOr(AcceptPolicy),
  /** Milliseconds since 1970, or null if never met. */
  lastSeen: Schema.NullOr(Schema.Int),
  /** What its person says of themselves, and a sentence about it; absent where nothing was said, or it is not connected. */
  status: Schema.optionalKey(Availability),
  statusText: Schema.optionalKey(Schema.String)
})
export type Peer = typeof Peer.Type

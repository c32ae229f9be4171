/**
 * Every peer this node knows, what is shown of each, and a stream of what changes. It decides nothing: the actors
 * and Connection tell it. It owns one map, bounded by `limits`, and publishes each change to Events.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Address } from "../schema/Address.ts"
import type { AcceptPolicy, Peer, PeerConnectionState, Trust } from "../schema/Peer.ts"
import { PeerId } from "../schema/PeerId.ts"

/** What is known of a peer. */
export interface PeerRecord {
  readonly id: PeerId
  readonly name: string
  readonly state: PeerConnectionState
  readonly trust: Trust
  /** The most recently useful first; at most `limits.addressesMax`. */
  readonly addresses: ReadonlyArray<Address>
  readonly accept: AcceptPolicy | null
  readonly lastSeen: number | null
  /** Dialled and redialled: added by a person, or announcing and not removed. */
  readonly wanted: boolean
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
    const list = this.candidates.map((peer) => `${peer.name} (${peer.id.slice(0, 8)})`).join(", ")
    return `"${this.query}" may be any of ${list}. Use the short id`
  }
}

export class PeerRegistry extends Context.Service<
  PeerRegistry,
  {
    /** In the order they became known. */
    readonly list: Effect.Effect<ReadonlyArray<Peer>>
    readonly get: (id: PeerId) => Effect.Effect<Option.Option<PeerRecord>>
    /** Name (exact), short id or longer prefix, or id. */
    readonly find: (query: string) => Effect.Effect<PeerRecord, UnknownPeer | AmbiguousPeer>
    /**
     * Changes what is known of a peer, creating it where it is new; a change that alters nothing shown publishes
     * nothing. Beyond `limits.discoveredMax` the discovered peer changed longest ago makes room.
     */
    readonly update: (id: PeerId, change: (peer: PeerRecord) => PeerRecord) => Effect.Effect<PeerRecord>
    readonly remove: (id: PeerId) => Effect.Effect<void>
  }
>()("kith/services/PeerRegistry") {}

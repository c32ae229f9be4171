/**
 * The front door of the peer actors: who is wanted, who is connected, and frames to and from them. It owns a
 * FiberMap with one PeerActor for each peer, and the handling of inbound control links. Ending it says Goodbye on
 * every session.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Address, MalformedAddress } from "../schema/Address.ts"
import type { SessionError } from "../schema/Failure.ts"
import type { Frame, FrameOf, FrameTag } from "../schema/Frame.ts"
import { PeerId } from "../schema/PeerId.ts"
import type { DialError, Link } from "./Transport.ts"

/** Defined in schema/, since the API carries them. */
export { SessionError } from "../schema/Failure.ts"

/** There is no session with this peer now. */
export class NotConnected extends Schema.TaggedError<NotConnected>()("NotConnected", { peer: PeerId }) {
  override get message(): string {
    return `not connected to ${this.peer.slice(0, 8)}`
  }
}

/** A frame from a connected peer. Frames of one peer come in their order. */
export interface Inbound<Tag extends FrameTag> {
  readonly peer: PeerId
  readonly frame: FrameOf<Tag>
}

/** A session began or ended. `Up` comes before the first frame of it. */
export type SessionChange =
  | { readonly _tag: "Up"; readonly peer: PeerId }
  | { readonly _tag: "Down"; readonly peer: PeerId; readonly reason: string }

export class Connection extends Context.Service<
  Connection,
  {
    /** Dials what a person typed, keeps the peer that answers as wanted, and returns it once the session is up. */
    readonly add: (address: string) => Effect.Effect<PeerId, MalformedAddress | DialError | SessionError>
    /** Someone who claims to be `id` may be at `address`: dial it if that peer is wanted and not connected. */
    readonly suggest: (id: PeerId, address: Address) => Effect.Effect<void>
    /** Says Goodbye, stops dialling, forgets the peer; its key stays undialled until a person acts. */
    readonly remove: (id: PeerId) => Effect.Effect<void>
    /** Writes a frame to the peer's session. Returning means accepted for writing, not received. */
    readonly send: (peer: PeerId, frame: Frame) => Effect.Effect<void, NotConnected>
    /** Peers with a session now. */
    readonly connected: Effect.Effect<ReadonlyArray<PeerId>>
    /**
     * Frames of these kinds from all peers, and session changes, in one bounded queue: a full one slows the peers
     * that fill it. Ends with the scope.
     */
    readonly inbox: <const Tag extends FrameTag>(
      ...tags: ReadonlyArray<Tag>
    ) => Effect.Effect<Queue.Dequeue<Inbound<Tag> | SessionChange>, never, Scope.Scope>
    /** Opens a data link to a connected peer: where its session came from with the port of its Hello, then its other addresses. */
    readonly openDataLink: (peer: PeerId) => Effect.Effect<Link, NotConnected | DialError, Scope.Scope>
  }
>()("kith/services/Connection") {}

/**
 * The front door to peers: who is wanted, who is connected, and frames to and from them. A contract; its layer is
 * actors/PeerActors. Ending it says Goodbye on every session.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
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

/** Where this peer was reached before, another key answered. Anyone may have that address now, or pretend to be it. */
export interface ChangedKey {
  readonly peer: PeerId
  readonly found: PeerId
  readonly address: Address
}

export class Connection extends Context.Service<
  Connection,
  {
    /**
     * Sessions that peers ask for begin from now on; links that came before wait. Said once everything that listens to
     * frames does, so that none is lost on a node that takes long to start.
     */
    readonly open: Effect.Effect<void>
    /** Dials what a person typed, keeps the peer that answers as wanted, and returns it once the session is up. */
    readonly add: (address: string) => Effect.Effect<PeerId, MalformedAddress | DialError | SessionError>
    /**
     * Someone who claims to be `id` may be at `address`: dial it if that peer is wanted and not connected. Where it is
     * connected at that address now, which most announcements are about, this is `Effect.void` itself.
     */
    readonly suggest: (id: PeerId, address: Address) => Effect.Effect<void>
    /**
     * Returns once there is a session with this very peer, which is kept as wanted from now on; dials it at these
     * addresses, and at those that are known of it.
     */
    readonly reach: (id: PeerId, addresses: ReadonlyArray<Address>) => Effect.Effect<void, DialError | SessionError>
    /** A person decided for this peer: it is dialled and redialled from now on. */
    readonly want: (id: PeerId) => Effect.Effect<void>
    /**
     * Ends every link with a peer that was blocked in the registry, with a Goodbye that says so, and stops dialling it.
     * Its key is refused, and what is heard of it ignored, for as long as the registry has it as blocked.
     */
    readonly expel: (id: PeerId) => Effect.Effect<void>
    /** Says Goodbye, stops dialling, forgets the peer; its key stays undialled until a person acts. */
    readonly remove: (id: PeerId) => Effect.Effect<void>
    /** Writes frames to the peer's session, in order. Returning means accepted for writing, not received. */
    readonly send: (peer: PeerId, ...frames: ReadonlyArray<Frame>) => Effect.Effect<void, NotConnected>
    /** Bytes that only the two ends of the session with this peer can derive (`Link.exportKey`). */
    readonly exportKey: (peer: PeerId, label: string, length: number) => Effect.Effect<Uint8Array, NotConnected>
    /** Other keys at known addresses, from now on; a reader that is too slow loses the oldest. */
    readonly changedKeys: Stream.Stream<ChangedKey>
    /** Peers with a session now. */
    readonly connected: Effect.Effect<ReadonlyArray<PeerId>>
    /**
     * Frames of these kinds from all peers, and session changes, in one bounded queue: a full one slows the peers
     * that fill it. Ends with the scope.
     */
    readonly inbox: <const Tag extends FrameTag>(
      ...tags: ReadonlyArray<Tag>
    ) => Effect.Effect<Queue.Dequeue<Inbound<Tag> | SessionChange>, never, Scope.Scope>
    /**
     * Opens a data link to a connected peer, within `limits.dataDial`: where its session came from with the port of its
     * Hello, then its other addresses.
     */
    readonly openDataLink: (peer: PeerId) => Effect.Effect<Link, NotConnected | DialError, Scope.Scope>
  }
>()("kith/services/Connection") {}

/**
 * The contract of a transport: authenticated links between nodes, whatever carries them. TransportTls is the
 * real one, the simulated network another; both pass test/services/TransportContract.ts.
 *
 * A link belongs to the scope it was opened in: closing the scope destroys it. It is authenticated (the peer's
 * key is known) but not yet a session: the side that dialled a TLS 1.3 link returns before the other side has
 * judged it, so a link counts only after both Hellos (Attach and AttachReply on a data link).
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Address } from "../schema/Address.ts"
import type { DialError } from "../schema/Failure.ts"
import type { PeerId } from "../schema/PeerId.ts"

/** Defined in schema/, since the API carries them. */
export { DialError } from "../schema/Failure.ts"

/** What a link is for, agreed by ALPN before a byte of ours is sent. */
export type Protocol = "kith/1" | "kith-data/1"

/** The link is over: everything after this fails the same way. `clean`: the peer ended it on purpose. */
export class LinkClosed extends Schema.TaggedError<LinkClosed>()("LinkClosed", {
  clean: Schema.Boolean,
  reason: Schema.String
}) {
  override get message(): string {
    return `the link has ended: ${this.reason}`
  }
}

/** The listener could not be opened. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  address: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `cannot listen on ${this.address}: ${this.detail}. Choose another port with --port, or stop what uses it`
  }
}

/** One authenticated, encrypted, ordered stream of bytes in both directions. One reader, one writer at a time. */
export interface Link {
  /** Whose key the other side proved. */
  readonly peer: PeerId
  readonly protocol: Protocol
  /** Which side opened it. */
  readonly side: "dialled" | "accepted"
  /** Where the other side is, as this side sees it: for an accepted link not where it listens. */
  readonly remote: Address
  /** The address of this machine that it speaks from, where it has one. */
  readonly local?: string
  /** The next bytes, as many as are there, at least one. They are the caller's only until the next read. */
  readonly read: Effect.Effect<Uint8Array, LinkClosed>
  /** Fills all of `into`. The cheapest way to receive bulk: one call for a whole block. */
  readonly readFully: (into: Uint8Array) => Effect.Effect<void, LinkClosed>
  /**
   * Writes the chunks in order and returns when there is room for more, which is the flow control. The chunks
   * may not be changed before it returns.
   */
  readonly write: (...chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, LinkClosed>
  /** Lets what was written arrive, then ends the link: at most a second, and never fails. */
  readonly close: Effect.Effect<void>
  /** Bytes both ends can derive and no one else can (RFC 5705, RFC 9266): binds what a person compares to this link. */
  readonly exportKey: (label: string, length: number) => Effect.Effect<Uint8Array, LinkClosed>
}

export class Transport extends Context.Service<
  Transport,
  {
    /** The TCP port other nodes can dial. */
    readonly port: number
    /** Addresses of this machine on which the listener can be reached, most useful first. */
    readonly addresses: Effect.Effect<ReadonlyArray<Address>>
    /** Addresses that this machine had and has no more, each as soon as that is noticed: links from there are dead. */
    readonly lost?: Stream.Stream<string>
    /**
     * Opens a link. `expect` is checked against the key that answers. Gives up after `limits.dial`; interrupting
     * it leaves nothing open.
     */
    readonly dial: (
      address: Address,
      options: {
        readonly protocol: Protocol
        readonly expect?: PeerId
      }
    ) => Effect.Effect<Link, DialError, Scope.Scope>
    /**
     * Hands every inbound link of this protocol to the handler, in a fiber and a scope of its own: when the handler
     * ends, the link is destroyed; a defect in it is logged and ends that link only. One handler per protocol; links
     * that find none are closed. Ends with the surrounding scope.
     */
    readonly accept: (
      protocol: Protocol,
      handler: (link: Link) => Effect.Effect<void, never, Scope.Scope>
    ) => Effect.Effect<void, never, Scope.Scope>
  }
>()("kith/services/Transport") {}

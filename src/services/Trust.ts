/**
 * Who may be trusted, and how that comes about: by words that two people compare, by a ticket, or by a person's word
 * on this node alone. Trust is a property of the key; the registry keeps it. It also tells of keys that changed where
 * a name or an address did not.
 *
 * The live layer (actors/TrustActors) owns the comparisons under way and the tickets that are out; both end with it.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { DialError, SessionError } from "../schema/Failure.ts"
import type { VerificationId } from "../schema/Id.ts"
import type { PeerId } from "../schema/PeerId.ts"
import type * as Ticket from "../schema/Ticket.ts"
import type {
  InviteRefused,
  PeerBlocked,
  TicketExpired,
  TicketOwn,
  TicketRejected,
  TicketUnknown,
  TicketUsed,
  UnknownVerification,
  VerifyRefused
} from "../schema/TrustFailure.ts"
import type { Verification } from "../schema/Verification.ts"
import type { NotConnected } from "./Connection.ts"

/** Defined in schema/, since the API carries them. */
export * from "../schema/TrustFailure.ts"

/** A ticket that was made. The text is the secret: whoever has it can become a verified peer. */
export interface Invitation {
  readonly ticket: Redacted.Redacted
  /** Milliseconds since 1970. */
  readonly expires: number
}

export type JoinError =
  | Ticket.Malformed
  | TicketOwn
  | TicketExpired
  | TicketUsed
  | TicketUnknown
  | TicketRejected
  | PeerBlocked
  | DialError
  | SessionError

export class Trust extends Context.Service<
  Trust,
  {
    /**
     * Begins to compare words with a connected peer, or joins the comparison under way. Returns once there are words to
     * show, or it is over.
     */
    readonly verify: (peer: PeerId) => Effect.Effect<Verification, VerifyRefused | NotConnected>
    /** Those under way. */
    readonly verifications: Effect.Effect<ReadonlyArray<Verification>>
    /** A person says whether the words are the same on both sides. It stands once it is said. */
    readonly answer: (id: VerificationId, same: boolean) => Effect.Effect<Verification, UnknownVerification>
    /** Ends it without an answer. */
    readonly cancel: (id: VerificationId) => Effect.Effect<Verification, UnknownVerification>
    /** Waits until it is over, at most `limits.verifyDeadline`. */
    readonly settled: (id: VerificationId) => Effect.Effect<Verification, UnknownVerification>
    /** Makes a ticket for one peer. */
    readonly invite: (options: { readonly expires?: Duration.Input }) => Effect.Effect<Invitation, InviteRefused>
    /** Connects to the node that made the ticket; each has verified the other when it returns. */
    readonly join: (ticket: Redacted.Redacted) => Effect.Effect<PeerId, JoinError>
    /** Ends links and transfers with this key at once, and refuses it from now on, whatever it calls itself. */
    readonly block: (peer: PeerId) => Effect.Effect<void>
    /** A blocked peer is unverified again; others stay as they are. */
    readonly unblock: (peer: PeerId) => Effect.Effect<void>
  }
>()("kith/services/Trust") {}

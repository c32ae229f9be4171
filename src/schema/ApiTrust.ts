/**
 * The part of the API about trust: comparing words, tickets, blocking, and what one peer may send. A ticket travels in
 * the body of a request or an answer only, never in a URL, which ends up in histories and logs.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { DialErrorProblem, SessionErrorProblem } from "./ApiFailures.ts"
import { VerificationId } from "./Id.ts"
import { AcceptPolicy, Peer } from "./Peer.ts"
import { PeerId } from "./PeerId.ts"
import { members, problem } from "./Problem.ts"
import * as Failure from "./TrustFailure.ts"
import { Verification } from "./Verification.ts"

const title = {
  ticket: "The ticket cannot be used",
  verify: "Words cannot be compared"
} as const

const TicketForeignProblem = problem(
  400,
  title.ticket,
  Failure.TicketForeign,
  Schema.Struct({ ...members, error: Failure.TicketForeign })
)
const TicketVersionProblem = problem(
  400,
  title.ticket,
  Failure.TicketVersion,
  Schema.Struct({ ...members, error: Failure.TicketVersion })
)
const TicketTruncatedProblem = problem(
  400,
  title.ticket,
  Failure.TicketTruncated,
  Schema.Struct({ ...members, error: Failure.TicketTruncated })
)
const TicketMistypedProblem = problem(
  400,
  title.ticket,
  Failure.TicketMistyped,
  Schema.Struct({ ...members, error: Failure.TicketMistyped })
)
const TicketOwnProblem = problem(
  422,
  title.ticket,
  Failure.TicketOwn,
  Schema.Struct({ ...members, error: Failure.TicketOwn })
)
const TicketExpiredProblem = problem(
  410,
  title.ticket,
  Failure.TicketExpired,
  Schema.Struct({ ...members, error: Failure.TicketExpired })
)
const TicketUsedProblem = problem(
  409,
  title.ticket,
  Failure.TicketUsed,
  Schema.Struct({ ...members, error: Failure.TicketUsed })
)
const TicketUnknownProblem = problem(
  404,
  title.ticket,
  Failure.TicketUnknown,
  Schema.Struct({ ...members, error: Failure.TicketUnknown })
)
const TicketRejectedProblem = problem(
  403,
  title.ticket,
  Failure.TicketRejected,
  Schema.Struct({ ...members, error: Failure.TicketRejected })
)
const InviteRefusedProblem = problem(
  422,
  "No ticket was made",
  Failure.InviteRefused,
  Schema.Struct({ ...members, error: Failure.InviteRefused })
)
export const PeerBlockedProblem = problem(
  409,
  "The peer is blocked",
  Failure.PeerBlocked,
  Schema.Struct({ ...members, error: Failure.PeerBlocked })
)
const VerifyRefusedProblem = problem(
  409,
  title.verify,
  Failure.VerifyRefused,
  Schema.Struct({ ...members, error: Failure.VerifyRefused })
)
const UnknownVerificationProblem = problem(
  404,
  title.verify,
  Failure.UnknownVerification,
  Schema.Struct({ ...members, error: Failure.UnknownVerification })
)

/** A ticket that was made. */
export const Invitation = Schema.Struct({
  ticket: Schema.String,
  /** Milliseconds since 1970. */
  expires: Schema.Int
})

const peer = { params: { id: PeerId } }
const verification = {
  params: { id: VerificationId },
  success: Verification,
  error: UnknownVerificationProblem
} as const

export const trust = HttpApiGroup.make("trust").add(
  HttpApiEndpoint.post("verify", "/api/peers/:id/verify", {
    ...peer,
    success: Verification,
    error: VerifyRefusedProblem
  }).annotate(OpenApi.Summary, "Begin to compare words, or join: answers once there are words, or it is over"),
  HttpApiEndpoint.get("verifications", "/api/verifications", { success: Schema.Array(Verification) }).annotate(
    OpenApi.Summary,
    "Comparisons under way"
  ),
  HttpApiEndpoint.post("answer", "/api/verifications/:id/answer", {
    ...verification,
    payload: Schema.Struct({ same: Schema.Boolean })
  }).annotate(OpenApi.Summary, "Say whether the words are the same on both sides; it stands once it is said"),
  HttpApiEndpoint.post("cancel", "/api/verifications/:id/cancel", verification),
  HttpApiEndpoint.get("settled", "/api/verifications/:id/settled", verification).annotate(
    OpenApi.Summary,
    "Answers once it is over"
  ),
  HttpApiEndpoint.post("invite", "/api/tickets", {
    payload: Schema.Struct({
      /** Seconds; ten minutes unless told otherwise. */
      expires: Schema.optionalKey(Schema.Natural)
    }),
    success: Invitation,
    error: InviteRefusedProblem
  }).annotate(OpenApi.Summary, "Make a ticket: who has its text can become a verified peer, once"),
  HttpApiEndpoint.post("join", "/api/tickets/join", {
    payload: Schema.Struct({ ticket: Schema.String.check(Schema.isMaxLength(4096)) }),
    success: Peer,
    error: [
      TicketForeignProblem,
      TicketVersionProblem,
      TicketTruncatedProblem,
      TicketMistypedProblem,
      TicketOwnProblem,
      TicketExpiredProblem,
      TicketUsedProblem,
      TicketUnknownProblem,
      TicketRejectedProblem,
      PeerBlockedProblem,
      DialErrorProblem,
      SessionErrorProblem
    ]
  }).annotate(OpenApi.Summary, "Connect by a ticket; each side has verified the other then"),
  HttpApiEndpoint.post("block", "/api/peers/:id/block", { ...peer, success: Peer }).annotate(
    OpenApi.Summary,
    "End all links and transfers with this key, and refuse it"
  ),
  HttpApiEndpoint.post("unblock", "/api/peers/:id/unblock", { ...peer, success: Peer }),
  HttpApiEndpoint.post("accept", "/api/peers/:id/accept", {
    ...peer,
    payload: Schema.Struct({ accept: Schema.NullOr(AcceptPolicy) }),
    success: Peer
  }).annotate(OpenApi.Summary, "What happens to this peer's offers; null: what happens to everyone's")
)

/** The part of the API about peers: who is known, and who is to be. Trust in them is ApiTrust.ts. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Failures from "./ApiFailures.ts"
import { pageLimit, Query } from "./ApiRequest.ts"
import { PeerBlockedProblem } from "./ApiTrust.ts"
import { Peer } from "./Peer.ts"
import { PeerId } from "./PeerId.ts"

/** A part of a list, and where the next part begins, or null if there is none: give that as `after`. */
const PeerPage = Schema.Struct({ items: Schema.Array(Peer), next: Schema.NullOr(PeerId) })

export const peers = HttpApiGroup.make("peers").add(
  HttpApiEndpoint.get("list", "/api/peers", { success: Schema.Array(Peer) }).annotate(
    OpenApi.Summary,
    "In the order they became known"
  ),
  HttpApiEndpoint.get("page", "/api/peers/page", {
    query: { limit: pageLimit, after: Schema.optionalKey(PeerId) },
    success: PeerPage
  }).annotate(OpenApi.Summary, "Peers page by page, in the order of their ids"),
  HttpApiEndpoint.get("find", "/api/peers/find", {
    query: { query: Query },
    success: Peer,
    error: [Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }),
  HttpApiEndpoint.post("add", "/api/peers", {
    payload: Schema.Struct({ address: Schema.String.check(Schema.isMaxLength(512)) }),
    success: Peer,
    error: [Failures.MalformedAddressProblem, Failures.DialErrorProblem, Failures.SessionErrorProblem]
  }).annotate(OpenApi.Summary, "Dial HOST:PORT, and keep the peer that answers"),
  HttpApiEndpoint.delete("remove", "/api/peers/:id", {
    params: { id: PeerId },
    error: PeerBlockedProblem
  }).annotate(OpenApi.Summary, "Say goodbye and forget the peer; one that is blocked has to be unblocked first")
)

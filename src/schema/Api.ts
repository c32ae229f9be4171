/**
 * The API of a node: what its faces (command line, page, scripts) ask of it, on loopback only. Everything needs the
 * bearer token of control.json, except /healthz, which proves that the server knows the token too. Its parts stand in
 * the files beside this one whose names begin with Api.
 *
 * In paths, peers and transfers are named by their whole id; `find` turns what a person typed into one.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Failures from "./ApiFailures.ts"
import { messages } from "./ApiMessages.ts"
import { alarms, node, operations, profile } from "./ApiNode.ts"
import { peers } from "./ApiPeers.ts"
import { transfers } from "./ApiTransfers.ts"
import { trust } from "./ApiTrust.ts"
import { uploads } from "./ApiUploads.ts"

/** What control.json holds: where the API is, and the secret that opens it. */
export const Control = Schema.Struct({
  url: Schema.String.check(
    Schema.isPattern(/^http:\/\/127\.0\.0\.1:\d{1,5}$/, { expected: "a loopback URL without a path" })
  ),
  token: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{43}$/, { expected: "32 bytes in base64url" }))
})
export type Control = typeof Control.Type

/** A nonce for /healthz: at least 128 bits where each character carries four. */
const Nonce = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]{32,128}$/, { expected: "32 to 128 characters of base64url" })
)

/**
 * What every endpoint may answer: what it cannot decode is an `InvalidRequest`, and a database that fails where nobody
 * expects it is a `StorageFailed`.
 */
export class RequestErrors extends HttpApiMiddleware.Service<RequestErrors>()("kith/schema/Api/RequestErrors", {
  error: [Failures.InvalidRequestProblem, Failures.StorageFailedProblem]
}) {}

const health = HttpApiGroup.make("health", { topLevel: true }).add(
  HttpApiEndpoint.get("health", "/healthz", {
    query: { nonce: Schema.optionalKey(Nonce) },
    success: Schema.Struct({
      status: Schema.Literal("ok"),
      /** HMAC-SHA256 with the token as key over the nonce and this server's URL, in hex. */
      proof: Schema.optionalKey(Schema.String)
    })
  }).annotate(OpenApi.Summary, "Is it up, and is it ours? Needs no token.")
)

/** Everything but a node's own pages. */
export class Api extends HttpApi.make("kith")
  .add(health)
  .add(node)
  .add(peers)
  .add(trust)
  .add(messages)
  .add(transfers)
  .add(profile)
  .add(alarms)
  .add(uploads)
  .add(operations)
  .middleware(RequestErrors)
  .annotateMerge(
    OpenApi.annotations({
      title: "Kith",
      description:
        "The API of one node, on loopback. Every path but /healthz and /open needs the bearer token of control.json.",
      transform: (document) => ({ ...document, ...bearer(document) })
    })
  ) {}

/** The guard stands before every route, so the document says it once for all. */
const bearer = (document: Record<string, unknown>) => ({
  components: {
    ...(typeof document["components"] === "object" ? document["components"] : {}),
    securitySchemes: { token: { type: "http", scheme: "bearer" } }
  },
  security: [{ token: [] }]
})

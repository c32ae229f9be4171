/**
 * The typed client of a node's API, as `kith/client`: for scripts, and for pages, since nothing here is Node's alone.
 * Where a node is, and the token, stand in control.json in its data directory; a page gets the token for its code.
 */
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { Api, type Control } from "./schema/Api.ts"

export { Api, type Control } from "./schema/Api.ts"
export type { NodeInfo } from "./schema/ApiNode.ts"
export * from "./schema/ApiFailures.ts"
export { Alarm } from "./schema/Alarm.ts"
export { Event } from "./schema/Event.ts"
export * from "./schema/Failure.ts"
export { Finding } from "./schema/Finding.ts"
export { Message } from "./schema/Message.ts"
export { Transfer } from "./schema/Offer.ts"
export { Peer } from "./schema/Peer.ts"
export { PeerId } from "./schema/PeerId.ts"
export { Profile } from "./schema/Profile.ts"
export { Upload } from "./schema/Upload.ts"

/** Every endpoint as a method, grouped as in the API: `client.peers.list()`. */
export type KithClient = HttpApiClient.ForApi<typeof Api>

/** A client that shows this token to the node at this URL. Failures of the API come back as the errors they were. */
export const make = Effect.fn("kith.client")(function* (control: {
  readonly url: Control["url"]
  readonly token: Control["token"] | Redacted.Redacted
}): Effect.fn.Return<KithClient, never, HttpClient.HttpClient> {
  const { token, url } = control
  const bearer = Redacted.isRedacted(token) ? token : Redacted.make(token)
  return yield* HttpApiClient.make(Api, {
    baseUrl: url,
    transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(bearer))
  })
})

/**
 * The part of the API about the node itself: who it is, what happens in it, its profile, alarms, metrics and check-up, and
 * the one-time codes by which a page gets its token.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Alarm } from "./Alarm.ts"
import * as Failures from "./ApiFailures.ts"
import { Event } from "./Event.ts"
import { Finding } from "./Finding.ts"
import { AlarmId } from "./Id.ts"
import { PeerId } from "./PeerId.ts"
import { Caps, CapsChange, Profile, ProfileChange } from "./Profile.ts"

export const NodeInfo = Schema.Struct({
  id: PeerId,
  name: Schema.String,
  /** `host:port` where other nodes reach this one, the most useful first. */
  addresses: Schema.Array(Schema.String),
  /** The id in groups of four, for reading aloud and comparing. */
  fingerprint: Schema.String,
  /** Of the program. */
  version: Schema.String,
  /** Where received files are published: an absolute path. */
  received: Schema.String,
  apiUrl: Schema.String
})
export type NodeInfo = typeof NodeInfo.Type

/** What discovery did, for a person who asks why nobody is found. */
export const DiscoveryReport = Schema.Struct({
  interfaces: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      address: Schema.String,
      sent: Schema.Array(
        Schema.Struct({ to: Schema.String, count: Schema.Natural, error: Schema.NullOr(Schema.String) })
      ),
      heard: Schema.Natural,
      /** How many of those were answers to this node's own. */
      answered: Schema.Natural
    })
  ),
  /** Datagrams that were no announcement. */
  dropped: Schema.Natural,
  /** Why nothing can be heard at all, or null. */
  deaf: Schema.NullOr(Schema.String)
})

/** One event of the stream, and its id for `Last-Event-ID`. */
const NumberedEvent = Schema.Struct({
  id: Schema.String,
  event: Schema.String,
  data: Schema.fromJsonString(Event)
})

export const node = HttpApiGroup.make("node").add(
  HttpApiEndpoint.get("info", "/api/node", { success: NodeInfo }).annotate(OpenApi.Summary, "Who this node is"),
  HttpApiEndpoint.get("discovery", "/api/discovery", { success: DiscoveryReport }).annotate(
    OpenApi.Summary,
    "What was announced, heard and refused on each interface"
  ),
  HttpApiEndpoint.get("events", "/api/events", {
    headers: { "last-event-id": Schema.optionalKey(Schema.String) },
    success: HttpApiSchema.StreamSse({ events: NumberedEvent })
  }).annotate(
    OpenApi.Summary,
    "What happens from now on; with Last-Event-ID also what was missed, or the event Missed where that is too much"
  )
)

export const profile = HttpApiGroup.make("profile").add(
  HttpApiEndpoint.get("get", "/api/profile", { success: Profile }).annotate(
    OpenApi.Summary,
    "Name, status and accept policy"
  ),
  HttpApiEndpoint.patch("change", "/api/profile", { payload: ProfileChange, success: Profile }).annotate(
    OpenApi.Summary,
    "Change what is given; peers are told at once"
  ),
  HttpApiEndpoint.get("caps", "/api/caps", { success: Caps }).annotate(OpenApi.Summary, "How fast transfers may go"),
  HttpApiEndpoint.patch("setCaps", "/api/caps", { payload: CapsChange, success: Caps }),
  HttpApiEndpoint.get("peerCaps", "/api/peers/:id/caps", { params: { id: PeerId }, success: Caps }).annotate(
    OpenApi.Summary,
    "How fast transfers with this peer may go, within the node's own caps"
  ),
  HttpApiEndpoint.patch("setPeerCaps", "/api/peers/:id/caps", {
    params: { id: PeerId },
    payload: CapsChange,
    success: Caps
  })
)

export const alarms = HttpApiGroup.make("alarms").add(
  HttpApiEndpoint.get("list", "/api/alarms", { success: Schema.Array(Alarm) }).annotate(
    OpenApi.Summary,
    "Alarms that nobody has put away yet, the oldest first"
  ),
  HttpApiEndpoint.post("dismiss", "/api/alarms/:id/dismiss", {
    params: { id: AlarmId },
    error: Failures.UnknownAlarmProblem
  }).annotate(OpenApi.Summary, "Put an alarm away: a person has understood it")
)

export const operations = HttpApiGroup.make("operations", { topLevel: true }).add(
  HttpApiEndpoint.get("metrics", "/metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" }))
  }).annotate(OpenApi.Summary, "What the node measures of itself, as Prometheus text"),
  HttpApiEndpoint.get("doctor", "/api/doctor", { success: Schema.Array(Finding) }).annotate(
    OpenApi.Summary,
    "What may be wrong, and what to do about it"
  ),
  HttpApiEndpoint.post("code", "/api/code", {
    success: Schema.Struct({
      /** To be opened in a browser within a minute, once. */
      url: Schema.String
    })
  }).annotate(OpenApi.Summary, "A link to the page, with a one-time code in its fragment"),
  HttpApiEndpoint.post("open", "/open", {
    payload: Schema.Struct({ code: Schema.String.check(Schema.isMaxLength(256)) }),
    success: Schema.Struct({ token: Schema.String }),
    error: Failures.CodeRefusedProblem
  }).annotate(OpenApi.Summary, "From the page: the code of its link for a token. Needs no token")
)

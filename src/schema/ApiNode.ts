/**
 * The part of the API that runs a node rather than uses it: its profile, its alarms, its metrics, its check-up, what the page
 * uploads, and the one-time codes by which a page gets its token.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Alarm } from "./Alarm.ts"
import * as Failures from "./ApiFailures.ts"
import { Finding } from "./Finding.ts"
import { AlarmId } from "./Id.ts"
import { Transfer } from "./Offer.ts"
import { PeerId } from "./PeerId.ts"
import { Caps, CapsChange, Profile, ProfileChange } from "./Profile.ts"
import { RelativePath } from "./RelativePath.ts"
import { Upload, UploadId } from "./Upload.ts"

/** Most peers in one request to send, and most directories in one request to make them. */
export const receiversMax = 256
export const directoriesMax = 1000

/** A name, a short id or an id, as a person types it. */
export const Query = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(256))

/** A whole number in a query. */
export const WholeNumber = (minimum: number, maximum: number) =>
  Schema.NumberFromString.pipe(Schema.check(Schema.isInt(), Schema.isBetween({ minimum, maximum })))

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

/** Bytes of one file at most: as large as a number can say. */
const fileBytesMax = Number.MAX_SAFE_INTEGER

const byId = { params: { id: UploadId } }
const refusals = [Failures.UnknownUploadProblem, Failures.UploadRefusedProblem] as const

export const uploads = HttpApiGroup.make("uploads").add(
  HttpApiEndpoint.get("list", "/api/uploads", { success: Schema.Array(Upload) }),
  HttpApiEndpoint.post("begin", "/api/uploads", {
    payload: Schema.Struct({
      /** What is about to come, so that it is refused at once where there is no room for it. */
      bytes: Schema.optionalKey(Schema.Natural)
    }),
    success: Upload,
    error: Failures.UploadRefusedProblem
  }).annotate(OpenApi.Summary, "Begin to hand over files that are to be sent"),
  HttpApiEndpoint.get("get", "/api/uploads/:id", { ...byId, success: Upload, error: Failures.UnknownUploadProblem }),
  HttpApiEndpoint.put("file", "/api/uploads/:id/file", {
    ...byId,
    query: {
      /** Relative, with `/`; directories on the way are made. */
      path: RelativePath,
      /** Of the whole file; a body of another length is refused. */
      size: WholeNumber(0, fileBytesMax),
      /** Milliseconds since 1970. */
      mtime: Schema.optionalKey(WholeNumber(0, 8_640_000_000_000_000))
    },
    payload: HttpApiSchema.StreamUint8Array(),
    success: Upload,
    error: refusals
  }).annotate(OpenApi.Summary, "One file: its bytes as the body, written to disk as they come"),
  HttpApiEndpoint.post("directories", "/api/uploads/:id/directories", {
    ...byId,
    payload: Schema.Struct({ paths: Schema.Array(RelativePath).check(Schema.isMaxLength(directoriesMax)) }),
    success: Upload,
    error: refusals
  }).annotate(OpenApi.Summary, "Directories, so that empty ones are sent too"),
  HttpApiEndpoint.post("send", "/api/uploads/:id/send", {
    ...byId,
    payload: Schema.Struct({
      /** Peers, or null: everyone who is connected. */
      to: Schema.NullOr(Schema.Array(Query).check(Schema.isMinLength(1), Schema.isMaxLength(receiversMax)))
    }),
    success: Schema.Array(Transfer),
    error: [...refusals, Failures.SendRefusedProblem, Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }).annotate(OpenApi.Summary, "Offer what was uploaded; it is removed from this node once all transfers are over"),
  HttpApiEndpoint.delete("discard", "/api/uploads/:id", { ...byId, error: refusals })
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

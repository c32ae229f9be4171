/** The part of the API by which a page, which has no paths of this machine, hands over files that are to be sent. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Failures from "./ApiFailures.ts"
import { To, WholeNumber } from "./ApiRequest.ts"
import { Transfer } from "./Offer.ts"
import { RelativePath } from "./RelativePath.ts"
import { Upload, UploadId } from "./Upload.ts"

/** Most directories in one request to make them. */
export const directoriesMax = 1000

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
      to: To
    }),
    success: Schema.Array(Transfer),
    error: [...refusals, Failures.SendRefusedProblem, Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }).annotate(OpenApi.Summary, "Offer what was uploaded; it is removed from this node once all transfers are over"),
  HttpApiEndpoint.delete("discard", "/api/uploads/:id", { ...byId, error: refusals })
)

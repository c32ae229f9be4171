/** The part of the API about transfers: sending, answering offers, and steering what is under way. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Failures from "./ApiFailures.ts"
import { pageLimit, Query, To, WholeNumber } from "./ApiRequest.ts"
import { Pattern, patternsMax } from "./Glob.ts"
import { TransferId } from "./Id.ts"
import { EntryRanges, entriesShownMax, ListedEntry } from "./ListedEntry.ts"
import { ConflictPolicy, Transfer, TransferPriority } from "./Offer.ts"

/** Most paths in one request to send. */
const pathsMax = 1000

const TransferCursor = Schema.String.check(
  Schema.isPattern(/^\d{1,16}\.[a-z2-7]{26}$/, { expected: "`next` of the page before" })
)
const TransferPage = Schema.Struct({ items: Schema.Array(Transfer), next: Schema.NullOr(TransferCursor) })

/** A part of a transfer's list; `next`, if it is not null, is the `after` of the next part. */
const EntryPage = Schema.Struct({ items: Schema.Array(ListedEntry), next: Schema.NullOr(Schema.Natural) })

const byId = { params: { id: TransferId } }
const decided = { success: Transfer, error: [Failures.UnknownTransferProblem, Failures.NotPossibleProblem] } as const

export const transfers = HttpApiGroup.make("transfers").add(
  HttpApiEndpoint.get("list", "/api/transfers", { success: Schema.Array(Transfer) }).annotate(
    OpenApi.Summary,
    "The newest first"
  ),
  HttpApiEndpoint.get("page", "/api/transfers/page", {
    query: { limit: pageLimit, after: Schema.optionalKey(TransferCursor) },
    success: TransferPage
  }).annotate(OpenApi.Summary, "Transfers page by page, the newest first"),
  HttpApiEndpoint.get("find", "/api/transfers/find", {
    query: { query: Query },
    success: Transfer,
    error: Failures.UnknownTransferProblem
  }),
  HttpApiEndpoint.get("get", "/api/transfers/:id", {
    ...byId,
    success: Transfer,
    error: Failures.UnknownTransferProblem
  }),
  HttpApiEndpoint.get("entries", "/api/transfers/:id/entries", {
    ...byId,
    query: {
      limit: Schema.optionalKey(WholeNumber(1, entriesShownMax)),
      after: Schema.optionalKey(WholeNumber(0, Number.MAX_SAFE_INTEGER))
    },
    success: EntryPage,
    error: [Failures.UnknownTransferProblem, Failures.NotPossibleProblem]
  }).annotate(OpenApi.Summary, "Its list page by page, and what became of each entry; while it is listed and not over"),
  HttpApiEndpoint.post("send", "/api/transfers", {
    payload: Schema.Struct({
      /** Absolute paths on this machine. */
      paths: Schema.Array(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(4096))).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(pathsMax)
      ),
      to: To,
      priority: Schema.optionalKey(TransferPriority)
    }),
    success: Schema.Array(Transfer),
    error: [Failures.SendRefusedProblem, Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }).annotate(OpenApi.Summary, "Offer files and directories: one transfer for each receiver"),
  HttpApiEndpoint.post("again", "/api/transfers/:id/again", {
    ...byId,
    success: Schema.Array(Transfer),
    error: [Failures.UnknownTransferProblem, Failures.NotPossibleProblem, Failures.SendRefusedProblem]
  }).annotate(OpenApi.Summary, "Send what was picked for a send that is over to the same peer once more"),
  HttpApiEndpoint.post("accept", "/api/transfers/:id/accept", {
    ...byId,
    payload: Schema.Struct({
      conflict: Schema.optionalKey(ConflictPolicy),
      /** Only what one of these patterns names; without `/` a name at any depth. */
      only: Schema.optionalKey(Schema.Array(Pattern).check(Schema.isMinLength(1), Schema.isMaxLength(patternsMax))),
      /** Only these entries of its list, by their indexes; not together with `only`. */
      ranges: Schema.optionalKey(EntryRanges)
    }).check(
      Schema.makeFilter(
        ({ only, ranges }) => only === undefined || ranges === undefined || "only and ranges exclude each other",
        {
          expected: "either only or ranges"
        }
      )
    ),
    ...decided
  }).annotate(OpenApi.Summary, "Take an offer, or a part of it: what patterns name, or ranges of its list"),
  HttpApiEndpoint.post("decline", "/api/transfers/:id/decline", { ...byId, ...decided }),
  HttpApiEndpoint.post("cancel", "/api/transfers/:id/cancel", { ...byId, ...decided }),
  HttpApiEndpoint.post("pause", "/api/transfers/:id/pause", { ...byId, ...decided }).annotate(
    OpenApi.Summary,
    "Hold it, from either side, until one side resumes it"
  ),
  HttpApiEndpoint.post("resume", "/api/transfers/:id/resume", { ...byId, ...decided }),
  HttpApiEndpoint.post("prioritise", "/api/transfers/:id/priority", {
    ...byId,
    payload: Schema.Struct({ priority: TransferPriority }),
    ...decided
  }).annotate(OpenApi.Summary, "Which of several has its turn first")
)

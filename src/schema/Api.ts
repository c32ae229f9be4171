/**
 * The API of a node: what its faces (command line, page, scripts) ask of it, on loopback only. Everything needs the
 * bearer token of control.json, except /healthz, which proves that the server knows the token too.
 *
 * In paths, peers and transfers are named by their whole id; `find` turns what a person typed into one.
 */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Failures from "./ApiFailures.ts"
import { alarms, operations, profile, Query, receiversMax, uploads, WholeNumber } from "./ApiNode.ts"
import { Event } from "./Event.ts"
import { MessageId, TransferId } from "./Id.ts"
import { Message } from "./Message.ts"
import { Pattern, patternsMax } from "./Glob.ts"
import { EntryRanges, entriesShownMax, ListedEntry } from "./ListedEntry.ts"
import { ConflictPolicy, Transfer, TransferPriority } from "./Offer.ts"
import { Peer } from "./Peer.ts"
import { PeerId } from "./PeerId.ts"
import { PeerBlockedProblem, trust } from "./TrustApi.ts"

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

/** Longest wait for a message's delivery that a request may ask for, in milliseconds. */
const waitMaxMillis = 60_000

/** Most messages in one answer. */
export const historyMax = 1000

/** Most paths in one request to send. */
export const pathsMax = 1000
export { receiversMax } from "./ApiNode.ts"

/** Most peers or transfers in one page. */
export const pageMax = 1000

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

const limit = Schema.optionalKey(WholeNumber(1, pageMax))

/** A part of a list, and where the next part begins, or null if there is none: give that as `after`. */
const PeerPage = Schema.Struct({ items: Schema.Array(Peer), next: Schema.NullOr(PeerId) })
const TransferCursor = Schema.String.check(
  Schema.isPattern(/^\d{1,16}\.[a-z2-7]{26}$/, { expected: "`next` of the page before" })
)
const TransferPage = Schema.Struct({ items: Schema.Array(Transfer), next: Schema.NullOr(TransferCursor) })

/** A part of a transfer's list; `next`, if it is not null, is the `after` of the next part. */
const EntryPage = Schema.Struct({ items: Schema.Array(ListedEntry), next: Schema.NullOr(Schema.Natural) })

/** Messages, the newest first. */
const MessagePage = Schema.Struct({
  items: Schema.Array(Message),
  /** Where the next page begins, or null if there is none. */
  before: Schema.NullOr(Schema.Natural)
})

/** Unread messages by conversation: with one peer, or (null) with everyone. */
export const UnreadCounts = Schema.Struct({
  items: Schema.Array(Schema.Struct({ peer: Schema.NullOr(PeerId), count: Schema.Natural }))
})

/** One event of the stream, and its id for `Last-Event-ID`. */
const NumberedEvent = Schema.Struct({
  id: Schema.String,
  event: Schema.String,
  data: Schema.fromJsonString(Event)
})

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

const node = HttpApiGroup.make("node").add(
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

const peers = HttpApiGroup.make("peers").add(
  HttpApiEndpoint.get("list", "/api/peers", { success: Schema.Array(Peer) }).annotate(
    OpenApi.Summary,
    "In the order they became known"
  ),
  HttpApiEndpoint.get("page", "/api/peers/page", {
    query: { limit, after: Schema.optionalKey(PeerId) },
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

/** Only what was said with one peer; or only to everyone, whatever `peer` is. */
const conversation = { peer: Schema.optionalKey(Query), to: Schema.optionalKey(Schema.Literal("everyone")) }

const messages = HttpApiGroup.make("messages").add(
  HttpApiEndpoint.post("say", "/api/messages", {
    payload: Schema.Struct({
      text: Schema.String,
      /** A peer, or null: everyone. */
      to: Schema.NullOr(Query),
      /** Milliseconds to wait for delivery before answering. */
      wait: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: waitMaxMillis })))
    }),
    success: Message,
    error: [Failures.MessageRefusedProblem, Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }),
  HttpApiEndpoint.get("history", "/api/messages", {
    query: {
      limit: Schema.optionalKey(WholeNumber(1, historyMax)),
      peer: Schema.optionalKey(Query)
    },
    success: Schema.Array(Message),
    error: [Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }).annotate(OpenApi.Summary, "The newest messages, oldest first"),
  HttpApiEndpoint.get("page", "/api/messages/page", {
    query: {
      limit: Schema.optionalKey(WholeNumber(1, historyMax)),
      /** `before` of the page that came first. */
      before: Schema.optionalKey(WholeNumber(0, Number.MAX_SAFE_INTEGER)),
      ...conversation
    },
    success: MessagePage,
    error: [Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }).annotate(OpenApi.Summary, "Messages page by page, the newest first"),
  HttpApiEndpoint.get("search", "/api/messages/search", {
    query: {
      /** Words: all of them are to stand in a message; the last may be a beginning, quotes join them to a phrase. */
      text: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1024)),
      limit: Schema.optionalKey(WholeNumber(1, historyMax)),
      before: Schema.optionalKey(WholeNumber(0, Number.MAX_SAFE_INTEGER)),
      ...conversation
    },
    success: MessagePage,
    error: [Failures.UnknownPeerProblem, Failures.AmbiguousPeerProblem]
  }).annotate(OpenApi.Summary, "Messages that hold all of these words, page by page, the newest first"),
  HttpApiEndpoint.get("unread", "/api/messages/unread", { success: UnreadCounts }).annotate(
    OpenApi.Summary,
    "How many messages nobody here has read, by conversation; none where there are none"
  ),
  HttpApiEndpoint.post("read", "/api/messages/read", {
    payload: Schema.Struct({
      /** The conversation with this peer, or null: with everyone. */
      peer: Schema.NullOr(PeerId),
      /** The newest message that was seen; without it all were. */
      upTo: Schema.optionalKey(MessageId)
    })
  }).annotate(OpenApi.Summary, "A person has seen a conversation: senders are told, now or when they are back")
)

const byId = { params: { id: TransferId } }
const decided = { success: Transfer, error: [Failures.UnknownTransferProblem, Failures.NotPossibleProblem] } as const

const transfers = HttpApiGroup.make("transfers").add(
  HttpApiEndpoint.get("list", "/api/transfers", { success: Schema.Array(Transfer) }).annotate(
    OpenApi.Summary,
    "The newest first"
  ),
  HttpApiEndpoint.get("page", "/api/transfers/page", {
    query: { limit, after: Schema.optionalKey(TransferCursor) },
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
      /** Peers, or null: everyone who is connected. */
      to: Schema.NullOr(Schema.Array(Query).check(Schema.isMinLength(1), Schema.isMaxLength(receiversMax))),
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

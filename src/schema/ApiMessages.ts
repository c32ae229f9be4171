/** The part of the API about chat: saying, reading and searching. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Failures from "./ApiFailures.ts"
import { Query, WholeNumber } from "./ApiRequest.ts"
import { MessageId } from "./Id.ts"
import { Message } from "./Message.ts"
import { PeerId } from "./PeerId.ts"

/** Longest wait for a message's delivery that a request may ask for, in milliseconds. */
const waitMaxMillis = 60_000

/** Most messages in one answer. */
export const historyMax = 1000

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

/** Only what was said with one peer; or only to everyone, whatever `peer` is. */
const conversation = { peer: Schema.optionalKey(Query), to: Schema.optionalKey(Schema.Literal("everyone")) }

export const messages = HttpApiGroup.make("messages").add(
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

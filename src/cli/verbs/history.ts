/** `kith history`: the messages sent and received, oldest first; with `--watch` also those that come. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Message } from "../../schema/Message.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert, inertLines } from "../../schema/Text.ts"
import type { Client } from "../Client.ts"
import { Usage } from "../Ending.ts"
import { names, type Names } from "../Names.ts"
import * as Output from "../Output.ts"
import { json, peerFlag, watch, withNode } from "../Verb.ts"
import { watching } from "../Watch.ts"

const limitMax = 1000
const searchMax = 1024
const see = "kith history --help"

/** A message as lines: when, who to whom, what, and its state where it is ours and not there yet. Pure. */
export const describe = (message: Message, me: PeerId, nameOf: Names): string => {
  const own = message.from === me
  const from = own ? "you" : nameOf(message.from)
  const to = message.to === null ? "" : ` to ${message.to === me ? "you" : nameOf(message.to)}`
  const state = own && message.state !== "delivered" && message.state !== "read" ? ` [${message.state}]` : ""
  const text = inertLines(message.text).replaceAll("\n", "\n    ")
  return `${Output.moment(message.sentAt)}  ${from}${to}: ${text}${state}`
}

/** The conversation a message belongs to: with a peer, or (null) with everyone. Pure. */
export const conversationOf = ({ from, to }: Message, me: PeerId): PeerId | null =>
  to === null ? null : from === me ? to : from

/** What was shown was seen, up to the newest message of each conversation; of one peer's, where only that was asked for. */
export const markShown = Effect.fnUntraced(function* (
  client: Client,
  messages: ReadonlyArray<Message>,
  options: { readonly me: PeerId; readonly isOfPeer: boolean }
) {
  const newest = new Map<PeerId | null, Message["id"]>()
  for (const message of messages) newest.set(conversationOf(message, options.me), message.id)
  // Of what went to everyone, others' messages were not shown.
  if (options.isOfPeer) newest.delete(null)
  for (const [peer, upTo] of newest) yield* client.messages.read({ payload: { peer, upTo } })
})

/** The messages there are, and then each that comes or advances. */
const follow = Effect.fnUntraced(function* (query: { readonly limit: number; readonly peer?: string }, json: boolean) {
  let only: PeerId | undefined
  return yield* watching({
    json,
    first: Effect.fnUntraced(function* (client) {
      if (query.peer !== undefined) only = (yield* client.peers.find({ query: { query: query.peer } })).id
      const messages = yield* client.messages.history({ query })
      return messages.map((message) => ({ _tag: "MessageAdded" as const, message }))
    }),
    isWanted: (event) =>
      (event._tag === "MessageAdded" || event._tag === "MessageChanged") &&
      (only === undefined || event.message.from === only || event.message.recipients.some(({ peer }) => peer === only)),
    show: Effect.fnUntraced(function* (client) {
      const me = (yield* client.node.info()).id
      const nameOf = yield* names(client)
      return (event) =>
        event._tag === "MessageAdded" || event._tag === "MessageChanged" ? describe(event.message, me, nameOf) : ""
    })
  })
})

export const history = Command.make(
  "history",
  {
    json,
    watch,
    limit: CliFlag.Int("limit").pipe(
      CliFlag.withMetavar("N"),
      CliFlag.withDescription(`Only the newest N, at most ${limitMax}`),
      CliFlag.withDefault(100)
    ),
    peer: peerFlag("peer", "Only the conversation with this peer").pipe(CliFlag.optional),
    search: CliFlag.String("search").pipe(
      CliFlag.withMetavar("TEXT"),
      CliFlag.withDescription("Only messages that hold all of these words; quotes join words to a phrase"),
      CliFlag.optional
    ),
    markRead: CliFlag.Boolean("mark-read").pipe(
      CliFlag.withoutNegation,
      CliFlag.withDescription("Count what is shown as read, and tell those who wrote it"),
      CliFlag.withDefault(false)
    )
  },
  Effect.fn("cli.history")(function* ({ json, limit, markRead, peer, search, watch }) {
    if (limit < 1 || limit > limitMax) {
      return yield* new Usage({
        problem: `--limit is "${limit}"; allowed is 1 to ${limitMax}`,
        see
      })
    }
    if (watch && (markRead || Option.isSome(search))) {
      return yield* new Usage({ problem: "--watch goes with neither --search nor --mark-read", see })
    }
    const text = Option.getOrUndefined(search)
    if (markRead && text !== undefined) {
      return yield* new Usage({
        problem: "what was found is not all there is: --mark-read does not go with --search",
        see
      })
    }
    if (text !== undefined && (text.trim() === "" || text.length > searchMax)) {
      return yield* new Usage({
        problem: `--search is "${text.slice(0, 40)}"; allowed are 1 to ${searchMax} characters`,
        see
      })
    }
    const query = { limit, ...(Option.isSome(peer) && { peer: peer.value }) }
    if (watch) return yield* follow(query, json)
    const found = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const messages =
          text === undefined
            ? yield* client.messages.history({ query })
            : (yield* client.messages.search({ query: { ...query, text } })).items.toReversed()
        const me = (yield* client.node.info()).id
        if (markRead) yield* markShown(client, messages, { me, isOfPeer: Option.isSome(peer) })
        return json ? { messages } : { messages, shown: { me, nameOf: yield* names(client) } }
      })
    )
    if (found.shown === undefined) return yield* Output.json(found.messages)
    if (found.messages.length === 0) {
      return yield* Output.note(text === undefined ? "no messages yet" : `no message holds "${inert(text)}"`)
    }
    for (const message of found.messages) yield* Output.line(describe(message, found.shown.me, found.shown.nameOf))
  })
).pipe(
  Command.withDescription("Show the messages sent and received, or find some of them"),
  Command.withExamples([
    { command: "kith history --limit 20" },
    { command: "kith history --peer bob --mark-read" },
    { command: `kith history --search "lunch tomorrow"` },
    { command: "kith history --watch --json" }
  ])
)

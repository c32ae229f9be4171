/** `kith history`: the messages sent and received, oldest first; with `--watch` also those that come. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Message } from "../schema/Message.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { inertLines } from "../schema/Text.ts"
import { Usage } from "./Ending.ts"
import { names, type Names } from "./Names.ts"
import * as Output from "./Output.ts"
import { json, watch, withNode } from "./Verb.ts"
import { watching } from "./Watch.ts"

const limitMax = 1000

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" })

/** A message as lines: when, who to whom, what, and its state where it is ours and not there yet. Pure. */
export const describe = (message: Message, me: PeerId, nameOf: Names): string => {
  const own = message.from === me
  const from = own ? "you" : nameOf(message.from)
  const to = message.to === null ? "" : ` to ${message.to === me ? "you" : nameOf(message.to)}`
  const state = own && message.state !== "delivered" && message.state !== "read" ? ` [${message.state}]` : ""
  const text = inertLines(message.text).replaceAll("\n", "\n    ")
  return `${when.format(message.sentAt)}  ${from}${to}: ${text}${state}`
}

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
    peer: CliFlag.String("peer").pipe(
      CliFlag.withMetavar("PEER"),
      CliFlag.withDescription("Only the conversation with this peer"),
      CliFlag.optional
    )
  },
  Effect.fn("cli.history")(function* ({ json, limit, peer, watch }) {
    if (limit < 1 || limit > limitMax) {
      return yield* new Usage({
        problem: `--limit is "${limit}"; allowed is 1 to ${limitMax}`,
        see: "kith history --help"
      })
    }
    const query = { limit, ...(Option.isSome(peer) && { peer: peer.value }) }
    if (watch) return yield* follow(query, json)
    const found = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const messages = yield* client.messages.history({ query })
        if (json) return { messages }
        const me = yield* client.node.info()
        return { messages, shown: { me: me.id, nameOf: yield* names(client) } }
      })
    )
    if (found.shown === undefined) return yield* Output.json(found.messages)
    for (const message of found.messages) yield* Output.line(describe(message, found.shown.me, found.shown.nameOf))
  })
).pipe(
  Command.withDescription("Show the messages sent and received"),
  Command.withExamples([
    { command: "kith history --limit 20" },
    { command: "kith history --peer bob" },
    { command: "kith history --watch --json" }
  ])
)

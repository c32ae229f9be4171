/** `kith history`: the messages sent and received, oldest first. */
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
import { json, withNode } from "./Verb.ts"

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

export const history = Command.make(
  "history",
  {
    json,
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
  Effect.fn("cli.history")(function* ({ json, limit, peer }) {
    if (limit < 1 || limit > limitMax) {
      return yield* new Usage({
        problem: `--limit is "${limit}"; allowed is 1 to ${limitMax}`,
        see: "kith history --help"
      })
    }
    const found = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const messages = yield* client.messages.history({
          query: { limit, ...(Option.isSome(peer) && { peer: peer.value }) }
        })
        if (json) return { messages }
        const me = yield* client.node.info()
        return { messages, shown: { me: me.id, nameOf: yield* names(client) } }
      })
    )
    if (found.shown === undefined) return yield* Output.json(found.messages)
    for (const message of found.messages) yield* Output.line(describe(message, found.shown.me, found.shown.nameOf))
  })
).pipe(Command.withDescription("Show the messages sent and received"))

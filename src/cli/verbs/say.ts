/** `kith say TEXT`: a message to everyone or to one peer; says who has it and for whom it waits. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Message } from "../../schema/Message.ts"
import { Failed } from "../Ending.ts"
import { names, type Names } from "../Names.ts"
import * as Output from "../Output.ts"
import { json, peerFlag, withNode } from "../Verb.ts"

/** Milliseconds to wait for receipts: a connected peer answers within a few. */
const patience = 2000

/** What became of a message, in a line for each state. Pure. */
export const outcome = (message: Message, nameOf: Names): ReadonlyArray<string> => {
  const named = (...states: ReadonlyArray<Message["state"]>) =>
    message.recipients
      .filter((recipient) => states.includes(recipient.state))
      .map((recipient) => nameOf(recipient.peer))
      .join(", ")
  const delivered = named("delivered", "read")
  const sent = named("sent")
  const queued = named("queued")
  const expired = named("expired")
  return [
    ...(delivered === "" ? [] : [`delivered to ${delivered}`]),
    ...(sent === "" ? [] : [`sent to ${sent}, not confirmed yet`]),
    ...(queued === "" ? [] : [`waiting for ${queued}; it goes out when they are back`]),
    ...(expired === "" ? [] : [`not delivered to ${expired}: they did not come back in time`])
  ]
}

export const say = Command.make(
  "say",
  {
    json,
    to: peerFlag("to", "A name, a short id or an id; without it the message is for everyone").pipe(CliFlag.optional),
    words: Argument.String("TEXT").pipe(
      Argument.withDescription("The message; several words go as one, quotes keep the spaces between them"),
      Argument.atLeast(1)
    )
  },
  Effect.fn("cli.say")(function* ({ json, to, words }) {
    const text = words.join(" ")
    const { message, nameOf } = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const message = yield* client.messages.say({ payload: { text, to: Option.getOrNull(to), wait: patience } })
        return { message, nameOf: yield* names(client) }
      })
    )
    if (json) yield* Output.json(message)
    else for (const line of outcome(message, nameOf)) yield* Output.line(line)
    if (message.recipients.length === 0)
      return yield* new Failed({ problem: "nobody is connected: no one received it" })
  })
).pipe(
  Command.withDescription("Send a message to everyone, or to one peer"),
  Command.withExamples([{ command: `kith say "lunch?"` }, { command: `kith say "done" --to bob` }])
)

/** `kith join TICKET`: connects to the node that made the ticket, and verifies both. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { Failed } from "../Ending.ts"
import * as Output from "../Output.ts"
import { json, withNode } from "../Verb.ts"

/** The longest text that can be a ticket, with room for line breaks. */
const ticketMax = 4096

/** What stands on stdin, up to the bound. */
const stdin = Effect.tryPromise({
  try: async () => {
    let text = ""
    for await (const chunk of process.stdin.setEncoding("utf8")) {
      text += String(chunk)
      if (text.length > ticketMax) break
    }
    return text
  },
  catch: () => new Failed({ problem: "the ticket could not be read from stdin" })
})

export const join = Command.make(
  "join",
  {
    json,
    ticket: Argument.String("TICKET").pipe(
      Argument.withDescription("The text that `kith invite` printed; - reads it from stdin")
    )
  },
  Effect.fn("cli.join")(function* ({ json, ticket }) {
    const text = (ticket === "-" ? yield* stdin : ticket).trim().slice(0, ticketMax)
    const peer = yield* withNode((client) => client.trust.join({ payload: { ticket: text } }))
    yield* json ? Output.json(peer) : Output.line(`connected to ${inert(peer.name)} (${short(peer.id)}), verified`)
  })
).pipe(
  Command.withDescription("Connect to the node that made a ticket; each has verified the other then"),
  Command.withExamples([{ command: "kith join kith1:..." }, { command: "kith join - < ticket.txt" }])
)

/** `kith pause ID`: holds a transfer, from either side, until one of them resumes it. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { decide, transfer } from "../Decide.ts"
import { json } from "../Verb.ts"

export const pause = Command.make(
  "pause",
  { json, transfer },
  Effect.fn("cli.pause")(({ json, transfer }) =>
    decide(transfer, { json, done: "paused" }, (client, id) => client.transfers.pause({ params: { id } }))
  )
).pipe(
  Command.withDescription("Hold a transfer, from either side, until one of them resumes it"),
  Command.withExamples([{ command: "kith pause 4k2m" }])
)

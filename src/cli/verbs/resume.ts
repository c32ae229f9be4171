/** `kith resume ID`: lets a transfer go on, whichever side held it. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { decide, transfer } from "../Decide.ts"
import { json } from "../Verb.ts"

export const resume = Command.make(
  "resume",
  { json, transfer },
  Effect.fn("cli.resume")(({ json, transfer }) =>
    decide(transfer, { json, done: "resumed" }, (client, id) => client.transfers.resume({ params: { id } }))
  )
).pipe(
  Command.withDescription("Let a transfer go on, whichever side held it"),
  Command.withExamples([{ command: "kith resume 4k2m" }])
)

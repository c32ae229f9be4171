/** `kith cancel ID`: ends a transfer, from either side. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { decide, transfer } from "../Decide.ts"
import { json } from "../Verb.ts"

export const cancel = Command.make(
  "cancel",
  { json, transfer },
  Effect.fn("cli.cancel")(({ json, transfer }) =>
    decide(transfer, { json, done: "cancelled" }, (client, id) => client.transfers.cancel({ params: { id } }))
  )
).pipe(
  Command.withDescription("End a transfer, from either side"),
  Command.withExamples([{ command: "kith cancel 4k2m" }])
)

/** `kith decline ID`: refuses what a peer offers. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { decide, transfer } from "../Decide.ts"
import { json } from "../Verb.ts"

export const decline = Command.make(
  "decline",
  { json, transfer },
  Effect.fn("cli.decline")(({ json, transfer }) =>
    decide(transfer, { json, done: "declined" }, (client, id) => client.transfers.decline({ params: { id } }))
  )
).pipe(Command.withDescription("Refuse what a peer offers"), Command.withExamples([{ command: "kith decline 4k2m" }]))

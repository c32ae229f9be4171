/** `kith priority ID LEVEL`: says which of several transfers has its turn first. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { TransferPriority } from "../../schema/Offer.ts"
import { decide, transfer } from "../Decide.ts"
import { json } from "../Verb.ts"

export const priority = Command.make(
  "priority",
  {
    json,
    transfer,
    priority: Argument.Literals("LEVEL", TransferPriority.literals).pipe(
      Argument.withDescription("low, normal or high")
    )
  },
  Effect.fn("cli.priority")(({ json, priority, transfer }) =>
    decide(transfer, { json, done: `now of ${priority} priority:` }, (client, id) =>
      client.transfers.prioritise({ params: { id }, payload: { priority } })
    )
  )
).pipe(
  Command.withDescription("Say which of several transfers has its turn first"),
  Command.withExamples([{ command: "kith priority 4k2m high" }])
)

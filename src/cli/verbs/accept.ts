/** `kith accept ID`: takes what a peer offers, or a part of it. */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ConflictPolicy } from "../../schema/Offer.ts"
import { decide, transfer } from "../Decide.ts"
import { json } from "../Verb.ts"

export const accept = Command.make(
  "accept",
  {
    json,
    transfer,
    conflict: CliFlag.Literals("conflict", ConflictPolicy.literals).pipe(
      CliFlag.withDescription("What to do about names that exist; the default is rename"),
      CliFlag.optional
    ),
    only: CliFlag.String("only").pipe(
      CliFlag.withMetavar("GLOB"),
      CliFlag.withDescription("Take only what this names, as in '*.jpg' or 'docs/**'; may be given several times"),
      CliFlag.atLeast(0)
    )
  },
  Effect.fn("cli.accept")(({ conflict, json, only, transfer }) =>
    decide(transfer, { json, done: "accepted" }, (client, id) =>
      client.transfers.accept({
        params: { id },
        payload: {
          ...(Option.isSome(conflict) ? { conflict: conflict.value } : {}),
          ...(only.length === 0 ? {} : { only })
        }
      })
    )
  )
).pipe(
  Command.withDescription("Take what a peer offers, or a part of it"),
  Command.withExamples([
    { command: "kith accept 4k2m" },
    { command: "kith accept 4k2m --conflict skip" },
    { command: "kith accept 4k2m --only '*.pdf' --only 'photos/2024'" }
  ])
)

/** What the verbs that decide about a transfer share: finding it by what was typed, and saying what was decided. */
import * as Effect from "effect/Effect"
import type { Transfer } from "../schema/Offer.ts"
import { inert } from "../schema/Text.ts"
import type { Client } from "./Client.ts"
import { names } from "./Names.ts"
import * as Output from "./Output.ts"
import { transfer as transferArgument, withNode } from "./Verb.ts"

export const transfer = transferArgument("The transfer's id, or the beginning of it, as `kith transfers` shows it")

/** Finds the transfer, decides, and says so. */
export const decide = <E>(
  query: string,
  options: { readonly json: boolean; readonly done: string },
  decision: (client: Client, id: Transfer["id"]) => Effect.Effect<Transfer, E>
) =>
  Effect.gen(function* () {
    const { decided, nameOf } = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const found = yield* client.transfers.find({ query: { query } })
        return { decided: yield* decision(client, found.id), nameOf: yield* names(client) }
      })
    )
    if (options.json) return yield* Output.json(decided)
    const way = decided.direction === "send" ? "to" : "from"
    yield* Output.line(`${options.done} ${inert(decided.name)} ${way} ${nameOf(decided.peer)}`)
  })

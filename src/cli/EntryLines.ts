/** The whole list of a transfer, read page by page and shown as it comes: it may hold a million entries. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ListedEntry } from "../schema/ListedEntry.ts"
import type { Transfer } from "../schema/Offer.ts"
import { inert } from "../schema/Text.ts"
import type { Client } from "./Client.ts"
import { bytes } from "./Output.ts"

/** Characters of a digest that are shown to a person; a script gets all of it. */
const digestShown = 16

const stateOf = ({ state }: ListedEntry): string => {
  switch (state) {
    case "notTaken":
      return "not taken"
    case "leftOut":
      return "left out"
    default:
      return state
  }
}

/** An entry as a line. Columns have a width of their own, since nobody knows what comes. Pure. */
export const lineOf = (entry: ListedEntry): string => {
  const size = entry.kind === "d" ? "" : bytes(entry.size)
  const path = `${inert(entry.path)}${entry.kind === "d" ? "/" : entry.executable ? "*" : ""}`
  const digest = entry.digest === null ? "" : `  ${entry.digest.slice(0, digestShown)}`
  const why = entry.reason === null ? "" : `: ${inert(entry.reason)}`
  return `${stateOf(entry).padEnd(9)}  ${size.padStart(9)}  ${path}${digest}${why}`
}

/** All entries, in their order. */
export const entries = (client: Client, id: Transfer["id"]) =>
  Stream.paginate<{ readonly after?: number }, ListedEntry, Failure, never>({}, (query) =>
    Effect.map(client.transfers.entries({ params: { id }, query }), ({ items, next }) => [
      items,
      next === null ? Option.none() : Option.some({ after: next })
    ])
  )

type Failure = Effect.Error<ReturnType<Client["transfers"]["entries"]>>

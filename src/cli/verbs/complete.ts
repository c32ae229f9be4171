/**
 * `kith complete WHAT`: what a peer or a transfer may be called, one a line, for completions of shells. Where no node
 * answers there is nothing to complete, and nothing is said.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { isOver, type Transfer } from "../../schema/Offer.ts"
import type { Peer } from "../../schema/Peer.ts"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { shortId } from "../Account.ts"
import * as Output from "../Output.ts"
import { withNode } from "../Verb.ts"

/** Most words offered at once. */
const wordsMax = 200

/** What each peer can be called on the command line: its name, where that is its alone and can be typed. Pure. */
export const wordsOf = (peers: ReadonlyArray<Peer>): ReadonlyArray<string> => {
  const names = peers.map(({ name }) => name)
  return peers.map(({ id, name }) => {
    const isPlain = name !== "" && name === inert(name).trim() && !name.startsWith("-")
    return isPlain && names.indexOf(name) === names.lastIndexOf(name) ? name : short(id)
  })
}

/** Transfers, those that go on first. Pure. */
export const idsOf = (transfers: ReadonlyArray<Transfer>): ReadonlyArray<string> => [
  ...transfers.filter(({ state }) => !isOver(state)).map(shortId),
  ...transfers.filter(({ state }) => isOver(state)).map(shortId)
]

export const complete = Command.make(
  "complete",
  {
    what: Argument.Literals("WHAT", ["peers", "transfers"]).pipe(Argument.withDescription("peers or transfers"))
  },
  Effect.fn("cli.complete")(function* ({ what }) {
    const words = yield* withNode((client) =>
      what === "peers" ? Effect.map(client.peers.list(), wordsOf) : Effect.map(client.transfers.list(), idsOf)
    ).pipe(Effect.orElseSucceed((): ReadonlyArray<string> => []))
    for (const word of words.slice(0, wordsMax)) yield* Output.line(word)
  })
).pipe(
  Command.withDescription(
    "Print what peers or transfers can be called, one a line. Scripts of `kith --completions` use it"
  ),
  Command.withShortDescription("Print names for completions of shells"),
  Command.withExamples([{ command: "kith complete peers" }])
)

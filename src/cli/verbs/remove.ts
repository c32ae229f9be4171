/** `kith remove P`: forgets a peer. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import * as Output from "../Output.ts"
import { json, peer, withNode } from "../Verb.ts"

export const remove = Command.make(
  "remove",
  { json, peer },
  Effect.fn("cli.remove")(function* ({ json, peer }) {
    const removed = yield* withNode((client) =>
      Effect.tap(client.peers.find({ query: { query: peer } }), ({ id }) => client.peers.remove({ params: { id } }))
    )
    if (json) return yield* Output.json(removed)
    yield* Output.line(`removed ${inert(removed.name)} (${short(removed.id)})`)
  })
).pipe(
  Command.withDescription("Disconnect from a peer and forget it"),
  Command.withExamples([{ command: "kith remove bob" }])
)

/** `kith block P` and `kith unblock P`: refuse a peer's key, and let it in again. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import * as Output from "../Output.ts"
import { json, peer, withNode } from "../Verb.ts"

export const block = Command.make(
  "block",
  { json, peer },
  Effect.fn("cli.block")(function* ({ json, peer }) {
    const blocked = yield* withNode((client) =>
      Effect.flatMap(client.peers.find({ query: { query: peer } }), ({ id }) => client.trust.block({ params: { id } }))
    )
    if (json) return yield* Output.json(blocked)
    yield* Output.line(`blocked ${inert(blocked.name)} (${short(blocked.id)})`)
  })
).pipe(
  Command.withDescription("End everything with a peer and refuse it, whatever it calls itself"),
  Command.withExamples([{ command: "kith block bob" }])
)

export const unblock = Command.make(
  "unblock",
  { json, peer },
  Effect.fn("cli.unblock")(function* ({ json, peer }) {
    const { now, was } = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const was = yield* client.peers.find({ query: { query: peer } })
        return { was, now: yield* client.trust.unblock({ params: { id: was.id } }) }
      })
    )
    if (json) return yield* Output.json(now)
    const name = `${inert(now.name)} (${short(now.id)})`
    yield* Output.line(
      was.trust === "blocked" ? `unblocked ${name}; it counts as unverified` : `${name} was not blocked`
    )
  })
).pipe(
  Command.withDescription("Let a blocked peer in again, as one that is not verified"),
  Command.withExamples([{ command: "kith unblock bob" }])
)

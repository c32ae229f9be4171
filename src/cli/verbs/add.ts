/** `kith add HOST:PORT`: dials a peer that is not found by itself, and keeps it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import * as Output from "../Output.ts"
import { json, withNode } from "../Verb.ts"

export const add = Command.make(
  "add",
  {
    json,
    address: Argument.String("HOST:PORT").pipe(
      Argument.withDescription("Such as 192.0.2.7:9090 or [fe80::1%eth0]:9090")
    )
  },
  Effect.fn("cli.add")(function* ({ address, json }) {
    const peer = yield* withNode((client) => client.peers.add({ payload: { address } }))
    yield* json ? Output.json(peer) : Output.line(`connected to ${inert(peer.name)} (${short(peer.id)})`)
  })
).pipe(
  Command.withDescription("Connect to a peer by its address, and keep it"),
  Command.withExamples([{ command: "kith add 192.0.2.7:9090" }])
)

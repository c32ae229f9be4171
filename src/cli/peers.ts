/** `kith peers`: everyone this node knows. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { short } from "../schema/PeerId.ts"
import * as Output from "./Output.ts"
import { json, withNode } from "./Verb.ts"

export const peers = Command.make(
  "peers",
  { json },
  Effect.fn("cli.peers")(function* ({ json }) {
    const peers = yield* withNode((client) => client.peers.list())
    if (json) return yield* Output.json(peers)
    if (peers.length === 0) return yield* Output.line("no peers yet; add one with: kith add HOST:PORT")
    const rows = peers.map((peer) => [short(peer.id), peer.name, peer.state, peer.trust, peer.addresses[0] ?? ""])
    for (const row of Output.table([["ID", "NAME", "STATE", "TRUST", "ADDRESS"], ...rows])) yield* Output.line(row)
  })
).pipe(Command.withDescription("List the peers this node knows"))

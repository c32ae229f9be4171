/** `kith id`: who this node is, and where it is reached. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { short } from "../../schema/PeerId.ts"
import * as Output from "../Output.ts"
import { json, withNode } from "../Verb.ts"

export const id = Command.make(
  "id",
  { json },
  Effect.fn("cli.id")(function* ({ json }) {
    const node = yield* withNode((client) => client.node.info())
    if (json) return yield* Output.json(node)
    const rows = [
      ["name", `${node.name} (${short(node.id)})`],
      ["id", node.id],
      ["fingerprint", node.fingerprint],
      ...node.addresses.map((address, at) => [at === 0 ? "addresses" : "", address]),
      ["received", node.received],
      ["API", node.apiUrl],
      ["version", node.version]
    ]
    for (const row of Output.table(rows)) yield* Output.line(row)
  })
).pipe(
  Command.withDescription("Show this node's name, id and addresses"),
  Command.withExamples([{ command: "kith id" }, { command: "kith id --json" }])
)

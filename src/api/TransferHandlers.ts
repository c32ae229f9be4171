/** Transfers over their front door; who is meant is looked up in the registry. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { isAbsolute } from "node:path"
import { Api } from "../schema/Api.ts"
import { SendRefused, UnknownTransfer } from "../schema/Failure.ts"
import { Connection } from "../services/Connection.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Transfer } from "../services/Transfer.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "transfers",
  Effect.fn(function* (handlers) {
    const registry = yield* PeerRegistry
    const connection = yield* Connection
    const transfer = yield* Transfer

    const receivers = Effect.fnUntraced(function* (to: ReadonlyArray<string> | null) {
      if (to === null) {
        const everyone = yield* connection.connected
        if (everyone.length > 0) return everyone
        return yield* new SendRefused({ path: null, problem: "no peer is connected" })
      }
      const named = yield* Effect.forEach(to, registry.find)
      return [...new Set(named.map((peer) => peer.id))]
    })

    return handlers
      .handle("list", () => transfer.list)
      .handle("find", ({ query }) => transfer.find(query.query))
      .handle(
        "get",
        Effect.fnUntraced(function* ({ params: { id } }) {
          const found = yield* transfer.find(id)
          return found.id === id ? found : yield* new UnknownTransfer({ query: id, candidates: [] })
        })
      )
      .handle(
        "send",
        Effect.fnUntraced(function* ({ payload: { paths, to } }) {
          const relative = paths.find((path) => !isAbsolute(path))
          if (relative !== undefined) {
            // The node's working directory is not the asker's.
            return yield* new SendRefused({ path: relative, problem: "the path must be absolute" })
          }
          return yield* transfer.send(paths, yield* receivers(to))
        })
      )
      .handle("accept", ({ params, payload }) => transfer.accept(params.id, payload))
      .handle("decline", ({ params }) => transfer.decline(params.id))
      .handle("cancel", ({ params }) => transfer.cancel(params.id))
  })
)

/** Who is meant by the `to` of a request to send: names and ids, or everyone who is connected. */
import * as Effect from "effect/Effect"
import { SendRefused } from "../../schema/Failure.ts"
import { Connection } from "../../services/Connection.ts"
import { PeerRegistry } from "../../services/PeerRegistry.ts"

/** The lookup over the services of a node; each peer once. */
export const Receivers = Effect.gen(function* () {
  const registry = yield* PeerRegistry
  const connection = yield* Connection
  return Effect.fnUntraced(function* (to: ReadonlyArray<string> | null) {
    if (to === null) {
      const everyone = yield* connection.connected
      if (everyone.length > 0) return everyone
      return yield* new SendRefused({ path: null, problem: "no peer is connected" })
    }
    const named = yield* Effect.forEach(to, registry.find)
    return [...new Set(named.map((peer) => peer.id))]
  })
})

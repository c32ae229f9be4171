/** Peers over the registry and the front door of the connections. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Option from "effect/Option"
import { Api } from "../../schema/Api.ts"
import { pageMax } from "../../schema/ApiRequest.ts"
import type { Peer } from "../../schema/Peer.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import { Connection } from "../../services/Connection.ts"
import { PeerRegistry, viewPeer } from "../../services/PeerRegistry.ts"
import { PeerBlocked } from "../../services/Trust.ts"
import { byText, pageOf } from "./Paging.ts"

/** A peer that was removed in the very moment it was added. */
const gone = (id: PeerId): Peer => ({
  id,
  name: short(id),
  state: "away",
  trust: "unverified",
  addresses: [],
  accept: null,
  lastSeen: null
})

export const layer = HttpApiBuilder.group(
  Api,
  "peers",
  Effect.fn(function* (handlers) {
    const registry = yield* PeerRegistry
    const connection = yield* Connection
    return handlers
      .handle("list", () => registry.list)
      .handle("page", ({ query: { after, limit = pageMax } }) =>
        Effect.map(registry.list, (peers) => pageOf(peers, { limit, after, cursorOf: ({ id }) => id, compare: byText }))
      )
      .handle("find", ({ query }) => Effect.map(registry.find(query.query), viewPeer))
      .handle(
        "add",
        Effect.fnUntraced(function* ({ payload }) {
          const id = yield* connection.add(payload.address)
          return Option.match(yield* registry.get(id), { onNone: () => gone(id), onSome: viewPeer })
        })
      )
      .handle(
        "remove",
        Effect.fnUntraced(function* ({ params }) {
          // What is forgotten is blocked no more, and would come back.
          const known = Option.getOrUndefined(yield* registry.get(params.id))
          if (known?.trust === "blocked") return yield* new PeerBlocked({ peer: params.id })
          yield* connection.remove(params.id)
        })
      )
  })
)

/** Messages over Chat; who is meant is looked up in the registry. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Api, historyMax } from "../schema/Api.ts"
import { Chat } from "../services/Chat.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "messages",
  Effect.fn(function* (handlers) {
    const registry = yield* PeerRegistry
    const chat = yield* Chat
    const idOf = (query: string) => Effect.map(registry.find(query), (peer) => peer.id)
    return handlers
      .handle(
        "say",
        Effect.fnUntraced(function* ({ payload: { text, to, wait } }) {
          const message = yield* chat.say(text, to === null ? null : yield* idOf(to))
          return wait === undefined ? message : yield* chat.settled(message.id, wait)
        })
      )
      .handle(
        "history",
        Effect.fnUntraced(function* ({ query: { limit = historyMax, peer } }) {
          return yield* chat.history(peer === undefined ? { limit } : { limit, peer: yield* idOf(peer) })
        })
      )
      .handle(
        "page",
        Effect.fnUntraced(function* ({ query: { before, limit = historyMax, peer } }) {
          return yield* chat.page({
            limit,
            ...(before !== undefined && { before }),
            ...(peer !== undefined && { peer: yield* idOf(peer) })
          })
        })
      )
  })
)

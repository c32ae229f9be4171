/** Messages over Chat; who is meant is looked up in the registry. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Api } from "../../schema/Api.ts"
import { historyMax } from "../../schema/ApiMessages.ts"
import { Chat } from "../../services/Chat.ts"
import type { Unread } from "../../services/MessageStore.ts"
import { PeerRegistry } from "../../services/PeerRegistry.ts"

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
        "search",
        Effect.fnUntraced(function* ({ query: { before, limit = historyMax, peer, text, to } }) {
          const found = yield* chat.search(text, {
            limit,
            ...(before !== undefined && { before }),
            ...(to !== undefined ? { to } : peer !== undefined && { peer: yield* idOf(peer) })
          })
          return { items: found.items.map(({ message }) => message), before: found.before }
        })
      )
      .handle(
        "unread",
        Effect.fnUntraced(function* () {
          // No conversation is left in which messages of a peer that was removed could be read.
          const known = new Set((yield* registry.list).map(({ id }) => id))
          const items = byConversation(yield* chat.unread)
          return { items: items.filter(({ peer }) => peer === null || known.has(peer)) }
        })
      )
      .handle("read", ({ payload: { peer, upTo } }) => chat.markRead(peer, upTo))
      .handle(
        "page",
        Effect.fnUntraced(function* ({ query: { before, limit = historyMax, peer, to } }) {
          return yield* chat.page({
            limit,
            ...(before !== undefined && { before }),
            ...(to !== undefined ? { to } : peer !== undefined && { peer: yield* idOf(peer) })
          })
        })
      )
  })
)

/** What many wrote to everyone is one conversation. Pure. */
const byConversation = (unread: ReadonlyArray<Unread>) => {
  const direct = unread.filter(({ toEveryone }) => !toEveryone).map(({ count, peer }) => ({ peer, count }))
  const everyone = unread.reduce((sum, { count, toEveryone }) => sum + (toEveryone ? count : 0), 0)
  return everyone === 0 ? direct : [{ peer: null, count: everyone }, ...direct]
}

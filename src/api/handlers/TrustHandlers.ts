/** Trust: words, tickets, blocking, and the accept policy of one peer. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Redacted from "effect/Redacted"
import { Api } from "../../schema/Api.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { PeerRegistry, viewPeer } from "../../services/PeerRegistry.ts"
import { Trust, VerifyRefused } from "../../services/Trust.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "trust",
  Effect.fn(function* (handlers) {
    const registry = yield* PeerRegistry
    const trust = yield* Trust
    const shown = (id: PeerId) =>
      Effect.map(
        registry.update(id, (peer) => peer),
        viewPeer
      )
    return handlers
      .handle("verify", ({ params }) =>
        Effect.catchTag(trust.verify(params.id), "NotConnected", (error) =>
          Effect.fail(new VerifyRefused({ problem: error.message }))
        )
      )
      .handle("verifications", () => trust.verifications)
      .handle("answer", ({ params, payload }) => trust.answer(params.id, payload.same))
      .handle("cancel", ({ params }) => trust.cancel(params.id))
      .handle("settled", ({ params }) => trust.settled(params.id))
      .handle(
        "invite",
        Effect.fnUntraced(function* ({ payload }) {
          const options = payload.expires === undefined ? {} : { expires: Duration.seconds(payload.expires) }
          const { expires, ticket } = yield* trust.invite(options)
          return { expires, ticket: Redacted.value(ticket) }
        })
      )
      .handle("join", ({ payload }) => Effect.flatMap(trust.join(Redacted.make(payload.ticket)), shown))
      .handle("block", ({ params }) => Effect.andThen(trust.block(params.id), shown(params.id)))
      .handle("unblock", ({ params }) => Effect.andThen(trust.unblock(params.id), shown(params.id)))
      .handle("accept", ({ params, payload }) =>
        Effect.map(
          registry.update(params.id, (peer) => ({ ...peer, accept: payload.accept })),
          viewPeer
        )
      )
  })
)

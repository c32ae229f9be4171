/** What a node says of itself: who it is, what discovery does, and what happens, as a stream of server-sent events. */
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { resolve } from "node:path"
import { NodeConfig, programVersion } from "../../config.ts"
import { format } from "../../schema/Address.ts"
import { Api } from "../../schema/Api.ts"
import { Event } from "../../schema/Event.ts"
import { grouped } from "../../schema/PeerId.ts"
import { Discovery } from "../../services/Discovery.ts"
import { Identity } from "../../services/Identity.ts"
import { Transport } from "../../services/Transport.ts"
import { EventFeed, type Numbered } from "../EventFeed.ts"
import { Loopback } from "../Loopback.ts"

/** A quiet stream says that it lives this often, so that neither end takes the other for dead. */
const keepAlive = "15 seconds"

const encodeEvent = Schema.encodeSync(Schema.fromJsonString(Event))

const render = ({ id, event }: Numbered): string =>
  Sse.encoder.write({ _tag: "Event", event: "message", id, data: encodeEvent(event) })

/** Comments are skipped by every reader of server-sent events. */
const comment = (text: string): string => `: ${text}\n\n`

export const layer = HttpApiBuilder.group(
  Api,
  "node",
  Effect.fn(function* (handlers) {
    const config = yield* NodeConfig
    const identity = yield* Identity
    const transport = yield* Transport
    const discovery = yield* Discovery
    const feed = yield* EventFeed
    const { url } = yield* Loopback

    const watch = (lastId: string | undefined) =>
      Stream.unwrap(
        Effect.map(feed.watch(lastId), (events) =>
          // The first comment says that the watch has begun: what is done after reading it will be seen.
          Stream.concat(
            Stream.make(comment("watching")),
            Stream.merge(
              Stream.map(events, render),
              Stream.drop(Stream.tick(keepAlive), 1).pipe(Stream.map(() => comment("still here"))),
              { haltStrategy: "left" }
            )
          )
        )
      )

    return handlers
      .handle(
        "info",
        Effect.fnUntraced(function* () {
          const addresses = yield* transport.addresses
          return {
            id: identity.id,
            name: config.name,
            addresses: addresses.map(format),
            fingerprint: grouped(identity.id),
            version: programVersion,
            received: resolve(config.received),
            apiUrl: url
          }
        })
      )
      .handle("discovery", () => discovery.report)
      .handleRaw("events", ({ headers }) =>
        Effect.succeed(
          HttpServerResponse.stream(Stream.encodeText(watch(headers["last-event-id"])), {
            contentType: "text/event-stream"
          })
        )
      )
  })
)

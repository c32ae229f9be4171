/**
 * An Effect app that embeds a node and greets every peer that connects.
 *
 *     node examples/greeter.ts DATA_DIR [PORT]
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Chat, Events, Kith, Transport } from "kith"

const [, , dataDir = "greeter", port = "0"] = process.argv

const greet = Effect.gen(function* () {
  const chat = yield* Chat
  const events = yield* Events
  const transport = yield* Transport
  yield* Console.log(`listening on ${transport.port}`)
  const greeted = new Set<string>()
  yield* Stream.runForEach(events.stream, (event) =>
    Effect.gen(function* () {
      if (event._tag !== "PeerChanged" || event.peer.state !== "connected" || greeted.has(event.peer.id)) return
      greeted.add(event.peer.id)
      yield* chat.say(`Hello ${event.peer.name}!`, event.peer.id)
    }).pipe(Effect.catchTag("MessageRefused", (refused) => Console.error(refused.message)))
  )
})

const node = Kith.layer({ name: "greeter", dataDir, port: Number(port) })
NodeRuntime.runMain(Effect.provide(greet, node))

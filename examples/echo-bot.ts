/** A chat bot as a Layer: answers every message that is for it alone. Its test is echo-bot.test.ts. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Chat, Events, Identity } from "kith"

export const layer: Layer.Layer<never, never, Chat | Events | Identity> = Layer.effectDiscard(
  Effect.gen(function* () {
    const chat = yield* Chat
    const { stream } = yield* Events
    const { id } = yield* Identity
    const answer = Stream.runForEach(stream, (event) =>
      event._tag === "MessageAdded" && event.message.to === id && event.message.from !== id
        ? Effect.ignore(chat.say(`You said: ${event.message.text}`, event.message.from))
        : Effect.void
    )
    yield* Effect.forkScoped(answer)
  })
)

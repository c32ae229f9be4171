/** Two simulated nodes, one with the bot on it: no socket, no waiting, the same every time. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { Chat } from "kith"
import { elapse, SimulatedNetwork, SimulatedPeer } from "kith/testing"
import * as EchoBot from "./echo-bot.ts"

it.effect("answers what is for it alone", () =>
  Effect.gen(function* () {
    const network = yield* SimulatedNetwork.make({ seed: 42 })
    const alice = yield* SimulatedPeer.start(network, "alice")
    const bot = yield* SimulatedPeer.start(network, "bot")
    yield* bot.run(Layer.build(EchoBot.layer))
    yield* elapse(alice.meets(bot))
    yield* elapse(alice.run(Chat.use((chat) => chat.say("hi", bot.id))))
    yield* TestClock.adjust("1 second")
    const history = yield* alice.run(Chat.use((chat) => chat.history({ limit: 10 })))
    assert.deepStrictEqual(
      history.map(({ text }) => text),
      ["hi", "You said: hi"]
    )
  })
)

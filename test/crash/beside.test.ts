/** Chat beside a transfer of 20,000 small files, in simulated time: it waits for none of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { isOver } from "../../src/schema/Offer.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { only, start } from "../actors/SimulatedTransfer.ts"

describe("a transfer", () => {
  it.effect("of 20,000 small files leaves chat alone: each message is there before it is over, in order", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* start
      for (let i = 0; i < 20_000; i++) alice.disk.write(`/many/${i % 100}/${i}`, `${i}`)
      yield* alice.run(Transfer.use((transfer) => transfer.send(["/many"], [bob.id])))
      yield* TestClock.adjust("500 millis")
      const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`)
      for (const text of texts) {
        const [from, to] = text.endsWith("1") ? [bob, alice] : [alice, bob]
        const said = from.run(
          Chat.use((chat) => Effect.flatMap(chat.say(text, to.id), ({ id }) => chat.settled(id, "10 seconds")))
        )
        assert.strictEqual((yield* elapse(said)).state, "delivered")
        assert.isFalse(isOver((yield* only(bob)).state), `${text} came only after the files`)
      }
      for (const peer of [alice, bob]) {
        const heard = yield* peer.run(Chat.use((chat) => chat.history({ limit: 100 })))
        assert.deepStrictEqual(
          heard.map(({ text }) => text),
          texts
        )
      }
      const over = Effect.repeat(Effect.andThen(Effect.sleep(100), only(bob)), { until: ({ state }) => isOver(state) })
      assert.deepInclude(yield* elapse(over, { within: "5 minutes", step: "100 millis" }), {
        state: "done",
        files: 20_000
      })
    })
  )
})

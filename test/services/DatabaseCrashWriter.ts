/** Receives messages as fast as it can and says each number once it is safe, until it is killed. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { writeSync } from "node:fs"
import { layerFile } from "../../src/services/Database.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"

const [path = "", from = "0"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const store = yield* MessageStore
  for (let next = Number(from) + 1; ; next += 25) {
    yield* Effect.forEach(
      [0, 5, 10, 15, 20],
      (offset) => {
        const seqs = [0, 1, 2, 3, 4].map((n) => next + offset + n)
        return Effect.andThen(
          store.receive(
            seqs.map((seq) => ({
              peer: someId(1),
              to: null,
              id: someMessage(seq),
              epoch: someEpoch(1),
              first: 1,
              seq,
              sentAt: seq,
              text: `message ${seq}`
            }))
          ),
          // Not by a stream, which a kill could empty: what is said was acknowledged, and what was acknowledged is said.
          Effect.sync(() => writeSync(1, `${seqs.at(-1)}\n`))
        )
      },
      { concurrency: "unbounded" }
    )
  }
})

await Effect.runPromise(program.pipe(Effect.provide(MessageStore.layer.pipe(Layer.provideMerge(layerFile(path))))))

/** Words to peers: in order for each, lost beyond a bound, and never waited for by those who say them. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Frame } from "../../src/schema/Frame.ts"
import { makePeerWords, wordsMax } from "../../src/services/peers/PeerWords.ts"
import { someId } from "../Some.ts"

const ping = (nonce: number): Frame => ({ _tag: "Ping", nonce })

describe("PeerWords", () => {
  it.effect("keeps the order of each peer, and one that reads nothing delays nobody else", () =>
    Effect.gen(function* () {
      const [busy, free] = [someId(1), someId(2)]
      const reads = yield* Deferred.make<void>()
      const sent = yield* Queue.bounded<readonly [string, Frame]>(100)
      const words = yield* makePeerWords({
        send: Effect.fnUntraced(function* (peer, ...frames) {
          if (peer === busy) yield* Deferred.await(reads)
          for (const frame of frames) yield* Queue.offer(sent, [peer, frame])
        })
      })
      const all = Array.from({ length: wordsMax + 10 }, (_, nonce) => nonce)
      for (const nonce of all) yield* words.say(busy, ping(nonce))
      yield* words.say(free, ping(1), ping(2))
      assert.deepStrictEqual(yield* Queue.takeN(sent, 2), [
        [free, ping(1)],
        [free, ping(2)]
      ])
      assert.strictEqual(Queue.sizeUnsafe(sent), 0)
      yield* Deferred.succeed(reads, undefined)
      assert.deepStrictEqual(
        yield* Queue.takeN(sent, wordsMax),
        all.slice(0, wordsMax).map((nonce) => [busy, ping(nonce)] as const)
      )
      // There is room again, and what there was none for is gone.
      yield* words.say(busy, ping(-1))
      assert.deepStrictEqual(yield* Queue.take(sent), [busy, ping(-1)])
    })
  )
})

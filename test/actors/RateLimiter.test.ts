/** Speed caps: within 5 % over ten seconds, alone and shared, in both directions, and nothing at all where none is. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as path from "node:path"
import { DataLane } from "../../src/actors/transfers/DataLane.ts"
import { type Gate, RateLimiter } from "../../src/actors/transfers/RateLimiter.ts"
import { TokenBucket } from "../../src/actors/transfers/TokenBucket.ts"
import { NodeConfig } from "../../src/config.ts"
import { tcp } from "../../src/schema/Address.ts"
import { capMin } from "../../src/schema/Profile.ts"
import { SpeedCaps } from "../../src/services/SpeedCaps.ts"
import type { Link } from "../../src/services/Transport.ts"
import { someId } from "../Some.ts"
import { join, noise, pair, quietly } from "./TransferNode.ts"

const [alice, bob] = [someId(1), someId(2)]
const mebi = 1024 * 1024

const caps = (settings: { readonly sendCap?: number; readonly receiveCap?: number } = {}) =>
  SpeedCaps.layerMemory.pipe(Layer.provide(NodeConfig.layer({ name: "a", dataDir: "/nonexistent", ...settings })))

/** How many bytes pass in ten seconds where as much is taken as can be. */
const tenSeconds = (gates: ReadonlyArray<Gate>) =>
  Effect.gen(function* () {
    const passed = gates.map(() => 0)
    const fibers = yield* Effect.forEach(gates, (gate, at) =>
      Effect.forkChild(
        Effect.gen(function* () {
          while (true) {
            const bytes = Math.min(gate.portion(), mebi)
            yield* gate.pass(bytes)
            passed[at] = (passed[at] ?? 0) + bytes
          }
        })
      )
    )
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.interruptAll(fibers)
    return passed
  })

const near = (bytes: number, rate: number) => assert.approximately(bytes, 10 * rate, 0.05 * 10 * rate)

describe("TokenBucket", () => {
  it.prop(
    "never lets more pass than its rate and its burst allow, however it is asked",
    [
      Schema.Array(
        Schema.Tuple([
          Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50_000 })),
          Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))
        ])
      ).check(Schema.isMaxLength(100))
    ],
    ([asks]) => {
      const bucket = new TokenBucket(0.05)
      bucket.setRate(100_000)
      let now = 10n ** 12n
      const start = now
      let passed = 0
      for (const [bytes, idle] of asks) {
        now += BigInt(idle) * 1_000_000n
        now += bucket.take(bytes, now)
        // What passes now was paid for by what passed before it.
        assert.isAtMost(passed, (Number(now - start) / 1e9 + 0.101) * 100_000)
        passed += bytes
      }
    }
  )
})

describe("RateLimiter", () => {
  for (const rate of [capMin, 100_000, 1_000_000, 100 * mebi]) {
    it.effect(`keeps to ${rate} bytes a second`, () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(yield* SpeedCaps)
        const [one = 0] = yield* tenSeconds([limiter.gate(alice, "send")])
        near(one, rate)
        const shared = yield* tenSeconds([alice, alice, bob, bob].map((peer) => limiter.gate(peer, "send")))
        near(
          shared.reduce((sum, bytes) => sum + bytes, 0),
          rate
        )
        for (const bytes of shared) assert.approximately(bytes, (10 * rate) / 4, (10 * rate) / 16, "each has its part")
      }).pipe(Effect.provide(caps({ sendCap: rate })))
    )
  }

  it.effect("caps one peer, one direction, and changes at once", () =>
    Effect.gen(function* () {
      const service = yield* SpeedCaps
      const limiter = yield* RateLimiter.make(service)
      yield* service.set(alice, { receive: 200_000 })
      yield* service.set(null, { receive: 1_000_000 })
      assert.deepStrictEqual(yield* service.get(alice), { send: null, receive: 200_000 })
      const [capped = 0, other = 0] = yield* tenSeconds([limiter.gate(alice, "receive"), limiter.gate(bob, "receive")])
      near(capped, 200_000)
      near(capped + other, 1_000_000)
      const send = limiter.gate(alice, "send")
      assert.deepStrictEqual([send.portion(), send.pass(mebi) === Effect.void], [Number.POSITIVE_INFINITY, true])
      yield* service.set(alice, { receive: 400_000 })
      const [faster = 0] = yield* tenSeconds([limiter.gate(alice, "receive")])
      near(faster, 400_000)
      yield* service.set(alice, { receive: null })
      yield* service.set(null, { receive: null })
      assert.strictEqual(limiter.gate(alice, "receive").portion(), Number.POSITIVE_INFINITY)
      assert.deepStrictEqual(yield* service.set(bob, { send: 1 }), { send: capMin, receive: null })
    }).pipe(Effect.provide(caps()))
  )
})

describe("a lane", () => {
  const made = (moved: (bytes: number) => void) =>
    new DataLane({
      peer: alice,
      protocol: "kith-data/1",
      side: "dialled",
      remote: tcp("127.0.0.1", 1),
      read: Effect.never,
      readFully: (into) => Effect.sync(() => moved(into.length)),
      write: (...chunks) => Effect.sync(() => moved(chunks.reduce((sum, { length }) => sum + length, 0))),
      close: Effect.void,
      exportKey: () => Effect.never
    } satisfies Link)

  for (const way of ["send", "receive"] as const) {
    it.effect(`moves the bytes of blocks at the cap: ${way}, and does not look stalled`, () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make(yield* SpeedCaps)
        const gate = limiter.gate(alice, way)
        let moved = 0
        const lane = made((bytes) => void (moved += bytes))
        const block = new Uint8Array(mebi)
        const work = way === "send" ? lane.writeThrough([block.subarray(0, 85), block], gate) : lane.body(block, gate)
        const fiber = yield* Effect.forkChild(
          Effect.raceFirst(
            Effect.forever(work),
            lane.watch(() => true)
          )
        )
        yield* TestClock.adjust("10 seconds")
        near(moved, 50_000)
        yield* TestClock.adjust("50 seconds")
        assert.approximately(moved, 60 * 50_000, 0.02 * 60 * 50_000)
        assert.isUndefined(fiber.pollUnsafe())
      }).pipe(Effect.provide(caps({ sendCap: 50_000, receiveCap: 50_000 })))
    )
  }
})

describe("a transfer", () => {
  quietly("goes no faster than the cap, and as fast as it can once that is lifted", () =>
    Effect.gen(function* () {
      const nodes = yield* pair({ settings: { receiveCap: mebi } })
      yield* join(nodes.alice, nodes.bob)
      const file = path.join(nodes.alice.sources, "f")
      fs.writeFileSync(file, noise(1, 32 * mebi))
      const [sent] = yield* nodes.alice.transfer.send([file], [nodes.bob.id])
      assert(sent !== undefined)
      const slow = yield* nodes.bob.until((view) => view.bytes >= mebi)
      assert.isAtMost(slow.bytesPerSecond, 2 * mebi)
      yield* nodes.bob.caps.set(null, { receive: null })
      assert.strictEqual((yield* nodes.bob.over(sent.id)).state, "done")
    })
  )
})

/**
 * A data link on which nothing moves: it is given up after 30 seconds and not before, both sides see it, and another
 * one takes over. In simulated time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { DataLane } from "../../src/actors/transfers/DataLane.ts"
import { tcp } from "../../src/schema/Address.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import type { Link } from "../../src/services/Transport.ts"
import { someId } from "../Some.ts"
import { only, start } from "./SimulatedTransfer.ts"

const link = (more: Partial<Link>): DataLane =>
  new DataLane({
    peer: someId(1),
    protocol: "kith-data/1",
    side: "dialled",
    remote: tcp("127.0.0.1", 1),
    read: Effect.never,
    readFully: () => Effect.never,
    write: () => Effect.never,
    close: Effect.void,
    exportKey: () => Effect.never,
    ...more
  })

describe("a lane", () => {
  for (const [role, work] of [
    ["reads", (lane: DataLane) => lane.body(new Uint8Array(1_000_000))],
    ["writes", (lane: DataLane) => lane.write([new Uint8Array(1_000_000)])]
  ] as const) {
    it.effect(`that ${role} and moves nothing is stalled after 30 seconds, not before`, () =>
      Effect.gen(function* () {
        const lane = link({})
        const watched = Effect.raceFirst(
          work(lane),
          lane.watch(() => true)
        )
        const fiber = yield* Effect.forkChild(Effect.result(watched))
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("6 seconds")
        const ended = yield* Fiber.join(fiber)
        assert(Result.isFailure(ended))
        assert.strictEqual(ended.failure.problem, "stalled")
        assert.match(ended.failure.message, /nothing moved for 30 seconds/)
      })
    )
  }

  it.effect("that owes nothing, or moves a little now and then, is none", () =>
    Effect.gen(function* () {
      const idle = link({})
      const slow = link({ readFully: () => Effect.sleep("25 seconds") })
      const idling = yield* Effect.forkChild(idle.watch(() => false))
      const moving = yield* Effect.forkChild(
        Effect.raceFirst(
          Effect.forever(slow.body(new Uint8Array(100))),
          slow.watch(() => true)
        )
      )
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual([idling.pollUnsafe(), moving.pollUnsafe()], [undefined, undefined])
      yield* Fiber.interruptAll([idling, moving])
    })
  )
})

it.effect("a lane that a speed cap holds for long is not stalled", () =>
  Effect.gen(function* () {
    const lane = link({ readFully: () => Effect.void })
    const gate = { portion: () => 1000, pass: () => Effect.sleep("45 seconds") }
    const work = lane.body(new Uint8Array(1_000_000), gate)
    const fiber = yield* Effect.forkChild(
      Effect.raceFirst(
        work,
        lane.watch(() => true)
      )
    )
    yield* TestClock.adjust("10 minutes")
    assert.isUndefined(fiber.pollUnsafe())
    yield* Fiber.interrupt(fiber)
  })
)

describe("a transfer", () => {
  for (const who of ["sender", "receiver"] as const) {
    it.effect(`whose ${who}'s disk does not answer is shown as stalled, and goes on by another data link`, () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* start
        alice.disk.write("/f", new Uint8Array(12_000_000).fill(7))
        yield* alice.run(Transfer.use((transfer) => transfer.send(["/f"], [bob.id])))
        yield* TestClock.adjust("1500 millis")
        assert.strictEqual((yield* only(bob)).state, "running")
        const stuck = who === "sender" ? alice : bob
        stuck.slowDisk(50_000)
        const seen = new Set<string>()
        for (let i = 0; i < 700; i++) {
          yield* TestClock.adjust("100 millis")
          seen.add(`bob ${(yield* only(bob)).state}`)
          seen.add(`alice ${(yield* only(alice)).state}`)
          if (seen.has("bob stalled") || i === 600) stuck.slowDisk(0)
        }
        if (who === "sender") assert.include([...seen], "bob stalled")
        yield* TestClock.adjust("2 minutes")
        assert.deepInclude(yield* only(bob), { state: "done", error: null })
        assert.deepInclude(yield* only(alice), { state: "done", error: null })
        assert.deepStrictEqual(bob.disk.read(`${bob.received}/f`), alice.disk.read("/f"))
      })
    )
  }
})

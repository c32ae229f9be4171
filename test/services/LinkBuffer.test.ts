/** What arrives on a link comes out whole, in order and bounded, however it was cut and whoever was interrupted. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scheduler from "effect/Scheduler"
import { LinkBuffer } from "../../src/services/transport/LinkBuffer.ts"
import { LinkClosed } from "../../src/services/Transport.ts"

const closed = new LinkClosed({ clean: true, reason: "the test is over" })

const make = (highWater = 64) => {
  let rooms = 0
  const buffer = new LinkBuffer({ highWater, onRoom: () => rooms++ })
  return { buffer, rooms: () => rooms }
}

/** Bytes that tell their position, so that a lost, doubled or moved one shows. */
const counting = (from: number, length: number) => Uint8Array.from({ length }, (_, index) => (from + index) % 251)

const Step = Schema.Union([
  Schema.TaggedStruct("Push", { length: Schema.Literals([1, 7, 100, 5000, 40_000]), owned: Schema.Boolean }),
  Schema.TaggedStruct("Read", {}),
  Schema.TaggedStruct("ReadFully", { length: Schema.Literals([0, 1, 6, 300, 20_000]) }),
  Schema.TaggedStruct("Interrupt", {})
])

describe("LinkBuffer", () => {
  it.live.each([4, 5, 6, 7, 8, 9, 10, 11])("misses nothing that arrives while a reader is about to wait (%i)", (ops) =>
    Effect.gen(function* () {
      const { buffer } = make(1_000_000)
      const whole = counting(0, 20_000)
      const reader = yield* Effect.gen(function* () {
        const got: Array<number> = []
        const into = new Uint8Array(7)
        while (got.length + 100 <= whole.length) {
          yield* buffer.readFully(into)
          got.push(...into)
          got.push(...(yield* buffer.read))
        }
        return got
        // As under load: it gives way after so few steps.
      }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, ops), Effect.forkChild)
      for (let at = 0; at < whole.length; at += 5) {
        buffer.push(whole.subarray(at, at + 5), "borrowed")
        yield* Effect.yieldNow
      }
      const got = yield* Fiber.join(reader)
      assert.deepStrictEqual(got, [...whole.subarray(0, got.length)])
    })
  )

  it.effect("leaves what it gave to a waiting reader as it was, whatever becomes of the borrowed chunk", () =>
    Effect.gen(function* () {
      const { buffer } = make()
      const reader = yield* Effect.forkChild(buffer.read, { startImmediately: true })
      // A Buffer, as sockets have them: its `slice` copies nothing.
      const borrowed = Buffer.from(counting(0, 100))
      buffer.push(borrowed, "borrowed")
      borrowed.fill(255)
      assert.deepStrictEqual(yield* Fiber.join(reader), counting(0, 100))
      const into = Buffer.alloc(100)
      const interrupted = yield* Effect.forkChild(buffer.readFully(into), { startImmediately: true })
      buffer.push(counting(0, 40), "borrowed")
      yield* Fiber.interrupt(interrupted)
      into.fill(255)
      assert.deepStrictEqual(yield* buffer.read, counting(0, 40))
    })
  )

  it.effect.prop(
    "gives out what was pushed, whatever the cuts and interruptions",
    [Schema.Array(Step).check(Schema.isMaxLength(60))],
    Effect.fnUntraced(function* ([steps]) {
      const { buffer } = make()
      // A Buffer, as sockets have them: its `slice` copies nothing.
      const borrowed = Buffer.alloc(40_000)
      let pushed = 0
      let taken = 0
      let reader: Fiber.Fiber<void, LinkClosed> | undefined
      const take = (bytes: Uint8Array) => {
        assert.deepStrictEqual(bytes, counting(taken, bytes.length))
        taken += bytes.length
      }
      for (const step of steps) {
        if (reader?.pollUnsafe() !== undefined) {
          yield* Fiber.join(reader)
          reader = undefined
        }
        switch (step._tag) {
          case "Push": {
            const bytes = counting(pushed, step.length)
            pushed += step.length
            if (step.owned) {
              buffer.push(bytes, "owned")
            } else {
              borrowed.set(bytes)
              buffer.push(borrowed.subarray(0, step.length), "borrowed")
              borrowed.fill(255)
            }
            break
          }
          case "Read":
            reader ??= yield* Effect.forkChild(
              Effect.map(buffer.read, (bytes) => take(bytes.slice())),
              { startImmediately: true }
            )
            break
          case "ReadFully": {
            const into = new Uint8Array(step.length)
            reader ??= yield* Effect.forkChild(
              Effect.map(buffer.readFully(into), () => take(into)),
              { startImmediately: true }
            )
            break
          }
          case "Interrupt":
            if (reader !== undefined) yield* Fiber.interrupt(reader)
            reader = undefined
        }
      }
      if (reader !== undefined) yield* Fiber.interrupt(reader)
      assert.strictEqual(buffer.size, pushed - taken)
      buffer.end(closed)
      while (buffer.size > 0) take(yield* buffer.read)
      assert.strictEqual(taken, pushed)
      assert.strictEqual(yield* Effect.flip(buffer.read), closed)
    })
  )

  it.effect("asks for a pause above the mark, and tells of room once", () =>
    Effect.gen(function* () {
      const { buffer, rooms } = make(64)
      buffer.push(counting(0, 64), "owned")
      assert.isFalse(buffer.isFull)
      buffer.push(counting(64, 36), "owned")
      assert.isTrue(buffer.isFull)
      yield* buffer.readFully(new Uint8Array(40))
      assert.strictEqual(rooms(), 0)
      yield* buffer.readFully(new Uint8Array(40))
      assert.strictEqual(rooms(), 1)
      yield* buffer.readFully(new Uint8Array(20))
      assert.strictEqual(rooms(), 1)
    })
  )

  it.effect("has room for a reader that wants more than the mark", () =>
    Effect.gen(function* () {
      const { buffer, rooms } = make(64)
      buffer.push(counting(0, 100), "owned")
      assert.isTrue(buffer.isFull)
      const into = new Uint8Array(200)
      const reader = yield* Effect.forkChild(buffer.readFully(into), { startImmediately: true })
      assert.strictEqual(rooms(), 1)
      buffer.push(counting(100, 100), "owned")
      yield* Fiber.join(reader)
      assert.deepStrictEqual(into, counting(0, 200))
    })
  )

  it.effect("ends after what had arrived, or at once when discarded", () =>
    Effect.gen(function* () {
      const ended = make().buffer
      ended.push(counting(0, 10), "owned")
      ended.end(closed)
      ended.push(counting(10, 10), "owned")
      assert.strictEqual(yield* Effect.flip(ended.readFully(new Uint8Array(11))), closed)
      assert.strictEqual(yield* Effect.flip(ended.read), closed)

      const discarded = make().buffer
      discarded.push(counting(0, 10), "owned")
      const other = new LinkClosed({ clean: false, reason: "dropped" })
      discarded.discard(other)
      discarded.end(closed)
      assert.strictEqual(yield* Effect.flip(discarded.read), other)
    })
  )

  it.effect("wakes a waiting reader when it ends", () =>
    Effect.gen(function* () {
      const { buffer } = make()
      const reader = yield* Effect.forkChild(buffer.readFully(new Uint8Array(8)), { startImmediately: true })
      buffer.push(counting(0, 4), "borrowed")
      buffer.end(closed)
      assert.strictEqual(yield* Effect.flip(Fiber.join(reader)), closed)
    })
  )

  it.effect("keeps a million single bytes in little memory", () =>
    Effect.sync(() => {
      const { buffer } = make()
      const one = new Uint8Array(1)
      const before = process.memoryUsage()
      for (let index = 0; index < 1_000_000; index++) buffer.push(one, "owned")
      const after = process.memoryUsage()
      assert.strictEqual(buffer.size, 1_000_000)
      assert.isBelow(after.arrayBuffers - before.arrayBuffers, 2_000_000)
    })
  )
})

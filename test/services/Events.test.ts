/** Events: publishing never waits, every watcher sees all of it or is told what it missed, ended ones leave nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { limits } from "../../src/config.ts"
import type { Event } from "../../src/schema/Event.ts"
import { Events, makeEvents } from "../../src/services/Events.ts"
import { someId } from "../Some.ts"

const event = (n: number): Event => ({ _tag: "Alarm", kind: "changedKey", peer: someId(0), text: `${n}` })
const last = event(-1)

/** What a watcher saw: numbers of alarms, and what it was told it missed. */
const numberOf = (seen: Event): number | string =>
  seen._tag === "Alarm" ? Number(seen.text) : seen._tag === "Missed" ? `missed ${seen.count}` : seen._tag

/** A watcher that is surely watching, and everything it saw once `last` came. */
const watcher = Effect.fnUntraced(function* (events: Events["Service"]) {
  const hello = event(-2)
  const watching = yield* Deferred.make<void>()
  const fiber = yield* events.stream.pipe(
    Stream.tap((seen) => (numberOf(seen) === -2 ? Deferred.succeed(watching, undefined) : Effect.void)),
    Stream.filter((seen) => numberOf(seen) !== -2),
    Stream.takeUntil((seen) => numberOf(seen) === -1),
    Stream.runCollect,
    Effect.forkChild
  )
  // The watcher says when it has heard; until then it may not have subscribed.
  while (!(yield* Deferred.isDone(watching))) {
    yield* events.publish(hello)
    yield* Effect.yieldNow
  }
  return fiber
})

describe("Events", () => {
  it.effect("every watcher sees every event, in order", () =>
    Effect.gen(function* () {
      const events = yield* Events
      const watchers = yield* Effect.forEach(Array.from({ length: 20 }), () => watcher(events))
      for (let n = 0; n < 100; n++) yield* events.publish(event(n))
      yield* events.publish(last)
      for (const fiber of watchers) {
        const seen = yield* Fiber.join(fiber)
        assert.deepStrictEqual(seen.map(numberOf), [...Array.from({ length: 100 }, (_, n) => n), -1])
      }
    }).pipe(Effect.provide(Events.layer))
  )

  it.effect("publishing never waits for a watcher that does not read, and the watcher learns what it missed", () =>
    Effect.gen(function* () {
      const events = yield* makeEvents(8)
      const seen = yield* Queue.unbounded<number | string>()
      const entered = yield* Deferred.make<void>()
      const released = yield* Deferred.make<void>()
      yield* events.stream.pipe(
        Stream.runForEach((next) =>
          Deferred.succeed(entered, undefined).pipe(
            Effect.andThen(Deferred.await(released)),
            Effect.andThen(Queue.offer(seen, numberOf(next)))
          )
        ),
        Effect.forkChild({ startImmediately: true })
      )
      yield* events.publish(event(0))
      yield* Deferred.await(entered)
      // The watcher is stuck in event 0. A thousand more are published without waiting; eight are kept.
      for (let n = 1; n <= 1000; n++) yield* events.publish(event(n))
      yield* Deferred.succeed(released, undefined)
      assert.strictEqual(yield* Queue.take(seen), 0)
      assert.strictEqual(yield* Queue.take(seen), "missed 992")
      for (let n = 993; n <= 1000; n++) assert.strictEqual(yield* Queue.take(seen), n)
      // And it goes on.
      yield* events.publish(event(1001))
      assert.strictEqual(yield* Queue.take(seen), 1001)
    })
  )

  it.effect("a fast watcher misses nothing beside a stuck one", () =>
    Effect.gen(function* () {
      const events = yield* Events
      yield* events.stream.pipe(
        Stream.runForEach(() => Effect.never),
        Effect.forkChild({ startImmediately: true })
      )
      const fast = yield* watcher(events)
      for (let n = 0; n < limits.eventsMax * 2; n++) {
        yield* events.publish(event(n))
        if (n % 100 === 0) yield* Effect.yieldNow
      }
      yield* events.publish(last)
      const seen = (yield* Fiber.join(fast)).map(numberOf)
      assert.deepStrictEqual(seen, [...Array.from({ length: limits.eventsMax * 2 }, (_, n) => n), -1])
    }).pipe(Effect.provide(Events.layer))
  )

  it.effect("a watcher that comes later sees what happens from then on", () =>
    Effect.gen(function* () {
      const events = yield* Events
      for (let n = 0; n < 10; n++) yield* events.publish(event(n))
      const fiber = yield* watcher(events)
      yield* events.publish(event(10))
      yield* events.publish(last)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map(numberOf), [10, -1])
    }).pipe(Effect.provide(Events.layer))
  )

  it.effect("ended watchers hold nothing back: the ring is empty for the next one", () =>
    Effect.gen(function* () {
      const events = yield* makeEvents(4)
      for (let round = 0; round < 100; round++) {
        const fiber = yield* watcher(events)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      }
      const fiber = yield* watcher(events)
      for (let n = 0; n < 3; n++) yield* events.publish(event(n))
      yield* events.publish(last)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map(numberOf), [0, 1, 2, -1])
    })
  )

  it.effect("the end of the layer ends every watcher, after what it has not read yet", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const events = yield* makeEvents(16).pipe(Scope.provide(scope))
      const fiber = yield* watcher(events)
      for (let n = 0; n < 3; n++) yield* events.publish(event(n))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map(numberOf), [0, 1, 2])
      // Late publishers and watchers are not stuck either.
      yield* events.publish(event(3))
      assert.deepStrictEqual(yield* Stream.runCollect(events.stream), [])
    })
  )
})

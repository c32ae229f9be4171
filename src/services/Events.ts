/**
 * What happens in a node, to whoever watches. Publishing never waits: a watcher that lags more than
 * `limits.eventsMax` behind loses the oldest and is told how many (`Missed`).
 *
 * Each watcher has a queue of its own, for as long as its stream is read; what is published in one turn it gets
 * together. The end of the layer ends the streams, after what is in their queues.
 */
import * as Arr from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { limits } from "../config.ts"
import type { Event } from "../schema/Event.ts"

export class Events extends Context.Service<
  Events,
  {
    readonly publish: (event: Event) => Effect.Effect<void>
    /** Everything from the moment the stream starts. */
    readonly stream: Stream.Stream<Event>
  }
>()("kith/services/Events") {
  static readonly layer: Layer.Layer<Events> = Layer.effect(
    this,
    Effect.suspend(() => makeEvents(limits.eventsMax))
  )
}

/** The number is what lets a watcher count the events it lost. */
interface Numbered {
  readonly number: number
  readonly event: Event
}

/** Events of which a watcher that lags keeps the newest `capacity`; the service uses `limits.eventsMax`. */
export const makeEvents = Effect.fnUntraced(function* (capacity: number) {
  let published = 0
  let isOver = false
  const watchers = new Set<Queue.Queue<Numbered, Cause.Done>>()
  yield* Effect.addFinalizer(() => {
    isOver = true
    return Effect.forEach(watchers, Queue.end, { discard: true })
  })

  const publish = (event: Event) =>
    Effect.sync(() => {
      const next = { number: published++, event }
      for (const watcher of watchers) Queue.offerUnsafe(watcher, next)
    })

  const watch = Effect.gen(function* () {
    if (isOver) return Stream.empty
    const first = published
    const queue = yield* Effect.acquireRelease(Queue.sliding<Numbered, Cause.Done>(capacity), (queue) => {
      watchers.delete(queue)
      return Queue.shutdown(queue)
    })
    watchers.add(queue)
    return Stream.fromQueue(queue).pipe(
      Stream.mapAccumArray(
        () => first,
        (expected, some): readonly [number, ReadonlyArray<Event>] => [
          Arr.lastNonEmpty(some).number + 1,
          [...missed(some[0].number - expected), ...some.map(({ event }) => event)]
        ]
      )
    )
  })

  return Events.of({ publish, stream: Stream.unwrap(watch) })
})

/** Only the oldest are lost, so what is missing is missing before the first. */
const missed = (count: number): ReadonlyArray<Event> => (count > 0 ? [{ _tag: "Missed", count }] : [])

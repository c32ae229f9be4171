/**
 * What happens in a node, to whoever watches. Publishing never waits: a watcher that lags more than
 * `limits.eventsMax` behind loses the oldest and is told how many (`Missed`).
 *
 * The layer owns one ring of the newest events; each watcher reads it at its own pace. A watcher ends with its
 * stream; the end of the layer ends them all.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
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

/** One place in the ring. The number is what lets a watcher count the places it lost; `event` is absent at the end. */
interface Numbered {
  readonly number: number
  readonly event: Event | null
}

/** Events that keep the newest `capacity`; the service uses `limits.eventsMax`. */
export const makeEvents = Effect.fnUntraced(function* (capacity: number) {
  let published = 0
  const ring = yield* Effect.acquireRelease(PubSub.sliding<Numbered>(capacity), (ring) =>
    // Watchers read what is still in the ring, then end. Shutting it down would interrupt them instead.
    PubSub.end(ring, { number: published, event: null })
  )

  const publish = (event: Event) =>
    Effect.suspend(() => PubSub.publish(ring, { number: published++, event })).pipe(Effect.asVoid)

  const watch = Effect.gen(function* () {
    // Read before subscribing: what comes between the two is then counted as missed, never lost in silence.
    const first = published
    const subscription = yield* PubSub.subscribe(ring)
    return Stream.fromSubscription(subscription).pipe(
      Stream.takeWhile((next) => next.event !== null),
      Stream.mapAccum(
        () => first,
        (expected, next): readonly [number, ReadonlyArray<Event>] => [next.number + 1, since(expected, next)]
      )
    )
  })

  return Events.of({ publish, stream: Stream.unwrap(watch) })
})

/** The event in this place, after word of those before it that this watcher never saw. */
const since = (expected: number, next: Numbered): ReadonlyArray<Event> => {
  const event = next.event === null ? [] : [next.event]
  return next.number > expected ? [{ _tag: "Missed", count: next.number - expected }, ...event] : event
}

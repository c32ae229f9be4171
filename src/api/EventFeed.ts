/**
 * The node's events, numbered, for watchers who come and go: who names the last event it saw gets what came after it,
 * or is told (`Missed`) that this is no longer known. It owns one subscription to Events and a ring of the newest
 * `limits.eventsMax`; both end with its layer. A watcher that lags a ring behind is told how many it missed.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { limits } from "../config.ts"
import type { Event } from "../schema/Event.ts"
import { Events } from "../services/Events.ts"
import { Identity } from "../services/Identity.ts"

/** An event with its place in this run of the node. */
export interface Numbered {
  readonly id: string
  readonly event: Event
}

interface Place {
  readonly number: number
  readonly event: Event
}

export class EventFeed extends Context.Service<
  EventFeed,
  {
    /**
     * What happens from now on, and before that what happened since `lastId`. The effect has subscribed when it
     * returns: nothing that happens after it is lost.
     */
    readonly watch: (lastId: string | undefined) => Effect.Effect<Stream.Stream<Numbered>, never, Scope.Scope>
  }
>()("kith/api/EventFeed") {
  static readonly layer = Layer.effect(
    this,
    Effect.suspend(() => makeEventFeed(limits.eventsMax))
  )
}

/** A feed that can replay the newest `capacity` events. */
const makeEventFeed = Effect.fnUntraced(function* (capacity: number) {
  const events = yield* Events
  const { instance } = yield* Identity
  const ring = yield* Effect.acquireRelease(PubSub.sliding<Place>({ capacity, replay: capacity }), PubSub.shutdown)
  let last = 0
  yield* events.stream.pipe(
    Stream.runForEach((event) => PubSub.publish(ring, { number: ++last, event })),
    Effect.forkScoped({ startImmediately: true })
  )

  const idOf = (number: number) => `${instance}.${number}`

  /** The number behind an id of this run, or none: an id of another run, or nonsense. */
  const numberOf = (id: string): number | undefined => {
    const [run, number, rest] = id.split(".")
    if (run !== instance || rest !== undefined || number === undefined || !/^\d{1,15}$/.test(number)) return undefined
    return Math.min(Number(number), last)
  }

  const watch = Effect.fnUntraced(function* (lastId: string | undefined) {
    // Read before subscribing: what comes between the two is then counted as missed, never lost in silence.
    const now = last
    const known = lastId === undefined ? now : numberOf(lastId)
    const from = known ?? now
    const subscription = yield* PubSub.subscribe(ring)
    const forgotten: ReadonlyArray<Numbered> = known === undefined ? [missed(idOf(now), now)] : []
    const rest = Stream.fromSubscription(subscription).pipe(
      Stream.filter((place) => place.number > from),
      Stream.mapAccum(
        () => from + 1,
        (expected, place): readonly [number, ReadonlyArray<Numbered>] => [
          place.number + 1,
          place.number === expected
            ? [{ id: idOf(place.number), event: place.event }]
            : [missed(idOf(place.number - 1), place.number - expected), { id: idOf(place.number), event: place.event }]
        ]
      )
    )
    return Stream.concat(Stream.fromIterable(forgotten), rest)
  })

  return EventFeed.of({ watch })
})

const missed = (id: string, count: number): Numbered => ({ id, event: { _tag: "Missed", count } })

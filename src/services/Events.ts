/**
 * What happens in a node, to whoever watches. Publishing never waits: a watcher that lags more than
 * `limits.eventsMax` behind loses the oldest and is told how many (`Missed`).
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Event } from "../schema/Event.ts"

export class Events extends Context.Service<
  Events,
  {
    readonly publish: (event: Event) => Effect.Effect<void>
    /** Everything from the moment the stream starts. */
    readonly stream: Stream.Stream<Event>
  }
>()("kith/services/Events") {}

/**
 * When to look after each session of a node: whether its peer is to be asked if it is there, or given up. It owns one
 * fiber for all of them, which sleeps until the first is due, and ends with its scope.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { limits } from "../../config.ts"

/** Those that are due within one tick are looked after together, at the end of it. Milliseconds. */
const tick = 25

const every = Duration.toMillis(limits.heartbeat)

export interface Watched {
  /** Does what is due, and says in how many milliseconds to come again, at most `limits.heartbeat`. `now` is monotonic. */
  readonly beat: (now: number) => number
  /** It threw, and is not called again. */
  readonly failed: (cause: unknown) => void
}

/** Looks after this from now on, until the returned function is called. */
export type Watch = (watched: Watched) => Effect.Effect<() => void>

interface Entry {
  readonly watched: Watched
  /** The tick at which it is due. */
  at: number
  isOver: boolean
}

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

export const make = Effect.gen(function* () {
  /** By the tick at which they are due: a few hundred at most. */
  const due = new Map<number, Set<Entry>>()
  const isAnyone = Latch.makeUnsafe(false)

  const put = (entry: Entry, after: number): void => {
    entry.at = Math.ceil(after / tick)
    const others = due.get(entry.at)
    if (others === undefined) due.set(entry.at, new Set([entry]))
    else others.add(entry)
  }

  const beat = (entry: Entry, now: number): void => {
    if (entry.isOver) return
    try {
      const wait = entry.watched.beat(now)
      // It may have ended by this.
      if (!entry.isOver) put(entry, now + Math.min(Math.max(1, wait), every))
    } catch (cause) {
      entry.watched.failed(cause)
    }
  }

  const look = Effect.gen(function* () {
    if (due.size === 0) {
      yield* isAnyone.close
      return yield* isAnyone.await
    }
    const now = yield* millis
    const first = Math.min(...due.keys())
    if (first * tick > now) return yield* Effect.sleep(Duration.millis(first * tick - now))
    const some = due.get(first)
    due.delete(first)
    for (const entry of some ?? []) beat(entry, now)
  })
  yield* Effect.forkScoped(Effect.forever(look))

  const watch: Watch = Effect.fnUntraced(function* (watched) {
    const entry: Entry = { watched, at: 0, isOver: false }
    // Due no earlier than those that are there already, so the fiber need not be woken for it.
    put(entry, (yield* millis) + every)
    isAnyone.openUnsafe()
    return () => {
      entry.isOver = true
      const others = due.get(entry.at)
      if (others?.delete(entry) === true && others.size === 0) due.delete(entry.at)
    }
  })
  return watch
})

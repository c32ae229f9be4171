/**
 * Keeps transfers to the speed caps: one bucket for each direction of the node and of each peer that has a cap. Where
 * there is none, nothing is asked and nothing waits. It owns the buckets.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { PeerId } from "../../schema/PeerId.ts"
import type { SpeedCaps, Way } from "../../services/SpeedCaps.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** The caps of one lane in one direction, as they are at each moment. */
export interface Gate {
  /** The most that should pass at once; `Infinity` where nothing is capped. */
  readonly portion: () => number
  /** Waits until so many bytes may pass. */
  readonly pass: (bytes: number) => Effect.Effect<void>
}

export const open: Gate = { portion: () => Number.POSITIVE_INFINITY, pass: () => Effect.void }

/**
 * Those of a peer have longer portions than those of the node: were they shorter, a peer with a cap would have less of
 * the node's turns than its cap allows.
 */
const buckets = (seconds: number): Record<Way, TokenBucket> => ({
  send: new TokenBucket(seconds),
  receive: new TokenBucket(seconds)
})

export class RateLimiter {
  private readonly node = buckets(0.05)
  private readonly peers = new Map<PeerId, Record<Way, TokenBucket>>()

  /** Follows the caps. */
  static readonly make = (caps: SpeedCaps["Service"]): Effect.Effect<RateLimiter> =>
    Effect.gen(function* () {
      const limiter = new RateLimiter()
      yield* caps.watch((peer, { receive, send }) => {
        const which = peer === null ? limiter.node : limiter.of(peer)
        if (which.send.rate !== send) which.send.setRate(send)
        if (which.receive.rate !== receive) which.receive.setRate(receive)
      })
      return limiter
    })

  private of(peer: PeerId): Record<Way, TokenBucket> {
    const known = this.peers.get(peer)
    if (known !== undefined) return known
    const made = buckets(0.2)
    this.peers.set(peer, made)
    return made
  }

  gate(peer: PeerId, way: Way): Gate {
    const node = this.node[way]
    const capOf = () => this.peers.get(peer)?.[way]
    return {
      portion: () => Math.min(node.portion, capOf()?.portion ?? Number.POSITIVE_INFINITY),
      pass: (bytes) => {
        const own = capOf()
        if (node.rate === null && (own === undefined || own.rate === null)) return Effect.void
        return Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
          const [here, there] = [node.take(bytes, now), own?.take(bytes, now) ?? 0n]
          const wait = here > there ? here : there
          return wait === 0n ? Effect.void : Effect.sleep(Duration.nanos(wait))
        })
      }
    }
  }
}

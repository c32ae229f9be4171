/**
 * How fast transfers may go: bytes of blocks a second, in each direction, for the whole node and for one peer. They
 * hold from the moment they are set, for what is under way too. It owns two maps and ends with its layer.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { NodeConfig } from "../config.ts"
import type { PeerId } from "../schema/PeerId.ts"

export type Way = "send" | "receive"

/** Bytes a second; null: no cap. */
export interface Caps {
  readonly send: number | null
  readonly receive: number | null
}

/** Less, shared by several data links, would let them look dead. */
export const capMin = 8 * 1024

const none: Caps = { send: null, receive: null }

export class SpeedCaps extends Context.Service<
  SpeedCaps,
  {
    /** Of one peer, or (null) of the whole node. */
    readonly get: (peer: PeerId | null) => Effect.Effect<Caps>
    /** Changes what is given; at least `capMin`, whatever is asked for. */
    readonly set: (peer: PeerId | null, caps: Partial<Caps>) => Effect.Effect<Caps>
    /** For whoever keeps to them: told of each change, until its scope ends, which is that of the node. */
    readonly watch: (changed: (peer: PeerId | null, caps: Caps) => void) => Effect.Effect<void>
  }
>()("kith/services/SpeedCaps") {
  static readonly layer: Layer.Layer<SpeedCaps, never, NodeConfig> = Layer.effect(
    SpeedCaps,
    Effect.map(NodeConfig, ({ receiveCap = null, sendCap = null }) => {
      const caps = new Map<PeerId | null, Caps>([[null, { send: sendCap, receive: receiveCap }]])
      const watchers: Array<(peer: PeerId | null, caps: Caps) => void> = []
      const atLeast = (cap: number | null) => (cap === null ? null : Math.max(capMin, Math.floor(cap)))
      const get = (peer: PeerId | null) => caps.get(peer) ?? none
      return {
        get: (peer) => Effect.sync(() => get(peer)),
        set: (peer, change) =>
          Effect.sync(() => {
            const next = { ...get(peer), ...change }
            const kept: Caps = { send: atLeast(next.send), receive: atLeast(next.receive) }
            if (peer !== null && kept.send === null && kept.receive === null) caps.delete(peer)
            else caps.set(peer, kept)
            for (const changed of watchers) changed(peer, kept)
            return kept
          }),
        watch: (changed) =>
          Effect.sync(() => {
            watchers.push(changed)
            for (const [peer, one] of caps) changed(peer, one)
          })
      }
    })
  )
}

/**
 * How fast transfers may go: bytes of blocks a second, in each direction, for the whole node and for one peer. They
 * hold from the moment they are set, for what is under way too, and are kept for the next run. It owns these values and
 * ends with its layer.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { limits, NodeConfig } from "../config.ts"
import { capMin, Caps, CapsChange } from "../schema/Profile.ts"
import { PeerId } from "../schema/PeerId.ts"
import { kept, type Kept, keptNowhere, type SettingsStore } from "./SettingsStore.ts"

export type Way = "send" | "receive"

const none: Caps = { send: null, receive: null }

/** What was set while a node ran on this data directory: of the node, and of peers, the one set last at the end. */
const Changed = Schema.Struct({
  node: CapsChange,
  peers: Schema.Array(Schema.Struct({ peer: PeerId, caps: Caps })).check(Schema.isMaxLength(limits.peersMax))
})
type Changed = typeof Changed.Type

const setting = { key: "caps", schema: Changed }
const unchanged: Changed = { node: {}, peers: [] }

export class SpeedCaps extends Context.Service<
  SpeedCaps,
  {
    /** Of one peer, or (null) of the whole node. */
    readonly get: (peer: PeerId | null) => Effect.Effect<Caps>
    /** Changes what is given, at least `capMin` whatever is asked for; returns what holds then, once that is safe. */
    readonly set: (peer: PeerId | null, caps: CapsChange) => Effect.Effect<Caps>
    /** For whoever keeps to them: told of each change, until its scope ends, which is that of the node. */
    readonly watch: (changed: (peer: PeerId | null, caps: Caps) => void) => Effect.Effect<void>
  }
>()("kith/services/SpeedCaps") {
  /** What was set is there after a restart, where the start itself does not say otherwise (`NodeSettings`). */
  static readonly layer: Layer.Layer<SpeedCaps, never, NodeConfig | SettingsStore> = Layer.effect(
    SpeedCaps,
    Effect.suspend(() => Effect.flatMap(kept(setting, unchanged), make))
  )

  /** Kept nowhere: it lasts as long as the node. */
  static readonly layerMemory: Layer.Layer<SpeedCaps, never, NodeConfig> = Layer.effect(
    SpeedCaps,
    Effect.suspend(() => make(keptNowhere(unchanged)))
  )
}

const make = Effect.fnUntraced(function* (keeping: Kept<Changed>) {
  const { fallbacks = [], receiveCap = null, sendCap = null } = yield* NodeConfig
  const before = yield* keeping.load
  /** What was set of the node in this run and earlier ones, whether or not this start overrules it. */
  let changed = before.node
  let node: Caps = {
    send: fallbacks.includes("sendCap") && changed.send !== undefined ? changed.send : sendCap,
    receive: fallbacks.includes("receiveCap") && changed.receive !== undefined ? changed.receive : receiveCap
  }
  const peers = new Map(before.peers.map(({ caps, peer }) => [peer, caps]))
  const watchers: Array<(peer: PeerId | null, caps: Caps) => void> = []
  const turn = yield* Semaphore.make(1)
  const tell = (peer: PeerId | null, caps: Caps) => watchers.forEach((changed) => changed(peer, caps))

  const setOfPeer = (peer: PeerId, caps: Caps) => {
    peers.delete(peer)
    if (caps.send !== null || caps.receive !== null) peers.set(peer, caps)
    // Of more peers than are remembered, the one whose caps were set first goes without.
    const [oldest] = peers.size > limits.peersMax ? peers.keys() : []
    if (oldest === undefined) return
    peers.delete(oldest)
    tell(oldest, none)
  }

  // What stands is kept, though whoever set it may have gone.
  const inTurn = <A>(setting: Effect.Effect<A>) => Effect.uninterruptible(turn.withPermit(setting))

  const set = Effect.fn("SpeedCaps.set")(function* (peer: PeerId | null, { receive, send }: CapsChange) {
    const change: CapsChange = {
      ...(send !== undefined && { send: atLeast(send) }),
      ...(receive !== undefined && { receive: atLeast(receive) })
    }
    const next = { ...(peer === null ? node : (peers.get(peer) ?? none)), ...change }
    if (peer === null) {
      node = next
      changed = { ...changed, ...change }
    } else setOfPeer(peer, next)
    tell(peer, next)
    yield* keeping.save({ node: changed, peers: Array.from(peers, ([peer, caps]) => ({ peer, caps })) })
    return next
  }, inTurn)

  return SpeedCaps.of({
    get: (peer) => Effect.sync(() => (peer === null ? node : (peers.get(peer) ?? none))),
    set,
    watch: (changed) =>
      Effect.sync(() => {
        watchers.push(changed)
        changed(null, node)
        for (const [peer, caps] of peers) changed(peer, caps)
      })
  })
})

const atLeast = (cap: number | null): number | null => (cap === null ? null : Math.max(capMin, Math.floor(cap)))

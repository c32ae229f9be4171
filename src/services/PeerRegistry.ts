/**
 * Every peer this node knows, what is shown of each, and a stream of what changes. It decides nothing: the actors
 * and Connection tell it. It owns one map, bounded by `limits`, and publishes each change to Events.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../config.ts"
import { type Address, format } from "../schema/Address.ts"
import { AmbiguousPeer, UnknownPeer } from "../schema/Failure.ts"
import type { AcceptPolicy, Availability, Peer, PeerConnectionState, Trust, TrustHow } from "../schema/Peer.ts"
import { type PeerId, short } from "../schema/PeerId.ts"
import { Events } from "./Events.ts"

/** Defined in schema/, since the API carries them. */
export { AmbiguousPeer, UnknownPeer }

/** What is known of a peer. */
export interface PeerRecord {
  readonly id: PeerId
  readonly name: string
  readonly state: PeerConnectionState
  readonly trust: Trust
  /** When its trust last changed, in milliseconds since 1970, and how; null or absent where it never did. */
  readonly trustAt?: number | null
  readonly trustHow?: TrustHow | null
  /** The most recently useful first; at most `limits.addressesMax`. */
  readonly addresses: ReadonlyArray<Address>
  readonly accept: AcceptPolicy | null
  readonly lastSeen: number | null
  /** Dialled and redialled: added by a person, or announcing and not removed. */
  readonly wanted: boolean
  /** What it said of itself in this session, and whether there is more to say than its name. */
  readonly status?: Availability | null
  readonly statusText?: string | null
}

export class PeerRegistry extends Context.Service<
  PeerRegistry,
  {
    /** In the order they became known. */
    readonly list: Effect.Effect<ReadonlyArray<Peer>>
    readonly get: (id: PeerId) => Effect.Effect<Option.Option<PeerRecord>>
    /** Name (exact), short id or longer prefix, or id. */
    readonly find: (query: string) => Effect.Effect<PeerRecord, UnknownPeer | AmbiguousPeer>
    /**
     * Changes what is known of a peer, creating it where it is new; a change that alters nothing shown publishes
     * nothing. Beyond `limits.discoveredMax` the peer known from announcements alone that was updated longest ago
     * makes room, beyond `limits.peersMax` the unverified one that is not connected; those that a person decided
     * about, or that are connected, never do.
     */
    readonly update: (id: PeerId, change: (peer: PeerRecord) => PeerRecord) => Effect.Effect<PeerRecord>
    readonly remove: (id: PeerId) => Effect.Effect<void>
  }
>()("kith/services/PeerRegistry") {
  static readonly layer: Layer.Layer<PeerRegistry, never, Events> = Layer.effect(
    this,
    Effect.suspend(() => makeRegistry(limits))
  )
}

/** What is shown of a peer. */
export const viewPeer = (peer: PeerRecord): Peer => ({
  id: peer.id,
  name: peer.name,
  state: peer.state,
  trust: peer.trust,
  ...(typeof peer.trustAt === "number" ? { trustAt: peer.trustAt } : {}),
  ...(typeof peer.trustHow === "string" ? { trustHow: peer.trustHow } : {}),
  addresses: peer.addresses.map(format),
  accept: peer.accept,
  lastSeen: peer.lastSeen,
  ...(peer.state === "connected" && typeof peer.status === "string" ? { status: peer.status } : {}),
  ...(peer.state === "connected" && typeof peer.statusText === "string" && peer.statusText !== ""
    ? { statusText: peer.statusText }
    : {})
})

/** Whether two views of one peer look the same. */
const looksSame = (a: Peer, b: Peer): boolean =>
  a.name === b.name &&
  a.state === b.state &&
  a.trust === b.trust &&
  a.trustAt === b.trustAt &&
  a.trustHow === b.trustHow &&
  a.accept === b.accept &&
  a.lastSeen === b.lastSeen &&
  a.status === b.status &&
  a.statusText === b.statusText &&
  a.addresses.length === b.addresses.length &&
  a.addresses.every((address, i) => address === b.addresses[i])

/** A peer of which only the key is known. */
const stranger = (id: PeerId): PeerRecord => ({
  id,
  name: short(id),
  state: "discovered",
  trust: "unverified",
  addresses: [],
  accept: null,
  lastSeen: null,
  wanted: false
})

/** Nobody decided anything about it, and no session holds it: it may be forgotten. */
const isForgettable = (peer: PeerRecord): boolean =>
  peer.trust === "unverified" && peer.accept === null && peer.state !== "connected"

/** Known from announcements alone: anyone on the network can make up as many of these as they like. */
const isHearsay = (peer: PeerRecord): boolean =>
  isForgettable(peer) && (peer.lastSeen === null || (peer.state === "discovered" && !peer.wanted))

const namesShown = 20
const idPrefix = /^[a-z2-7]{4,52}$/

/**
 * Who is meant. A whole id always means its peer; a name and the beginning of an id are worth the same, since a
 * peer chooses its name and could choose the short id of another. Letter case counts only where it tells names apart.
 */
export const searchPeers = (
  peers: ReadonlyArray<PeerRecord>,
  query: string
): Result.Result<PeerRecord, UnknownPeer | AmbiguousPeer> => {
  const prefix = query.replaceAll("-", "").toLowerCase()
  const whole = peers.find((peer) => peer.id === prefix)
  if (whole !== undefined) return Result.succeed(whole)
  const isPrefix = idPrefix.test(prefix)
  const exact = peers.filter((peer) => peer.name === query || (isPrefix && peer.id.startsWith(prefix)))
  const folded = query.toLowerCase()
  const found = exact.length > 0 ? exact : peers.filter((peer) => peer.name.toLowerCase() === folded)
  const [only, another] = found
  if (only === undefined) {
    return Result.fail(new UnknownPeer({ query, known: peers.slice(0, namesShown).map((peer) => peer.name) }))
  }
  return another === undefined
    ? Result.succeed(only)
    : Result.fail(
        new AmbiguousPeer({ query, candidates: found.slice(0, namesShown).map(({ id, name }) => ({ id, name })) })
      )
}

/** A registry with these bounds; the service uses `limits`. */
export const makeRegistry = Effect.fnUntraced(function* (bounds: {
  readonly peersMax: number
  readonly discoveredMax: number
  readonly addressesMax: number
}) {
  const events = yield* Events
  /** In the order they became known. */
  const peers = new Map<PeerId, PeerRecord>()
  /** Those that may be forgotten, in two classes, each with the one updated longest ago first. */
  const hearsay = new Set<PeerId>()
  const forgettable = new Set<PeerId>()
  // Changes are made and published one at a time, and wholly: a watcher sees them in the order they happened.
  const turn = yield* Semaphore.make(1)
  const inTurn = <A>(change: Effect.Effect<A>) => Effect.uninterruptible(turn.withPermit(change))

  const forget = (id: PeerId): boolean => {
    hearsay.delete(id)
    forgettable.delete(id)
    return peers.delete(id)
  }

  const keep = (peer: PeerRecord): void => {
    hearsay.delete(peer.id)
    forgettable.delete(peer.id)
    peers.set(peer.id, peer)
    if (isHearsay(peer)) hearsay.add(peer.id)
    else if (isForgettable(peer)) forgettable.add(peer.id)
  }

  /** Who must go after a change, if anyone; there is at most one, since a change adds at most one to a class. */
  const surplus = (): PeerId | undefined => {
    const [stalest] =
      hearsay.size > bounds.discoveredMax ? hearsay : peers.size - hearsay.size > bounds.peersMax ? forgettable : []
    return stalest
  }

  const update = Effect.fn("PeerRegistry.update")(function* (id: PeerId, change: (peer: PeerRecord) => PeerRecord) {
    const before = peers.get(id)
    const changed = change(before ?? stranger(id))
    const after = { ...changed, id, addresses: distinct(changed.addresses).slice(0, bounds.addressesMax) }
    keep(after)
    const shown = viewPeer(after)
    if (before === undefined || !looksSame(viewPeer(before), shown)) {
      yield* events.publish({ _tag: "PeerChanged", peer: shown })
    }
    const gone = surplus()
    if (gone !== undefined && forget(gone)) yield* events.publish({ _tag: "PeerRemoved", id: gone })
    return after
  }, inTurn)

  const remove = Effect.fn("PeerRegistry.remove")(function* (id: PeerId) {
    if (forget(id)) yield* events.publish({ _tag: "PeerRemoved", id })
  }, inTurn)

  return PeerRegistry.of({
    list: Effect.sync(() => Array.from(peers.values(), viewPeer)),
    get: (id) => Effect.sync(() => Option.fromUndefinedOr(peers.get(id))),
    find: (query) => Effect.suspend(() => Effect.fromResult(searchPeers([...peers.values()], query))),
    update,
    remove
  })
})

/** Each address once, where it comes first. */
const distinct = (addresses: ReadonlyArray<Address>): ReadonlyArray<Address> => [
  ...new Map(addresses.map((address) => [format(address), address])).values()
]

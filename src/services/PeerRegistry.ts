/**
 * Every peer this node knows, what is shown of each, and a stream of what changes. It decides nothing: the actors
 * and Connection tell it. It owns one map, bounded by `limits`, and publishes each change to Events.
 *
 * Those that were met, or that a person decided about, are kept in the PeerStore: what a person decided before `update`
 * returns, the rest a moment later, and when the layer ends.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../config.ts"
import { type Address, format } from "../schema/Address.ts"
import { AmbiguousPeer, UnknownPeer } from "../schema/Failure.ts"
import {
  type AcceptPolicy,
  type Availability,
  type Peer,
  type PeerConnectionState,
  type Trust,
  TrustHow
} from "../schema/Peer.ts"
import { type PeerId, short } from "../schema/PeerId.ts"
import { Database, type DatabaseError } from "./Database.ts"
import { Events } from "./Events.ts"
import { makeKeeper } from "./peers/PeerKeeper.ts"
import { PeerStore, type StoredPeer } from "./PeerStore.ts"

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
  /** A person added it, by an address, a ticket or a decision to trust it: nothing but a person's word takes it away. */
  readonly added?: boolean
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
    /** The same, unless a person decided about it or it is connected: what others do makes nobody forget that. */
    readonly forget: (id: PeerId) => Effect.Effect<void>
    /** A person removed it (true), or wants it again: remembered, though nothing else of it may be. */
    readonly markRemoved: (id: PeerId, isRemoved: boolean) => Effect.Effect<void>
    /** Whether a person removed it: it is not dialled until a person acts. */
    readonly isRemoved: (id: PeerId) => Effect.Effect<boolean>
  }
>()("kith/services/PeerRegistry") {
  static readonly layer: Layer.Layer<PeerRegistry, DatabaseError, Events | PeerStore> = Layer.effect(
    this,
    Effect.suspend(() => makeRegistry(limits))
  )

  /** Forgets everything at its end. */
  static readonly layerMemory: Layer.Layer<PeerRegistry, never, Events> = PeerRegistry.layer.pipe(
    Layer.provide(PeerStore.layer),
    Layer.provide(Database.layerMemory),
    Layer.orDie
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
  peer.trust === "unverified" && peer.accept === null && peer.added !== true && peer.state !== "connected"

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

/** What is kept of a peer, or null where it is not worth it. */
const storedOf = (id: PeerId, peer: PeerRecord | undefined, removed: boolean): StoredPeer | null => {
  const worthy = peer === undefined || isHearsay(peer) ? undefined : peer
  if (worthy === undefined && !removed) return null
  const { accept, added = false, addresses, lastSeen, name, trust, trustAt, trustHow, wanted } = worthy ?? stranger(id)
  const how = { trustAt: trustAt ?? null, trustHow: trustHow ?? null }
  // A simulated clock counts parts of milliseconds, which no real one does.
  const seen = lastSeen === null ? null : Math.round(lastSeen)
  return { id, name, trust, ...how, accept, wanted, added, removed, lastSeen: seen, addresses }
}

const isTrustHow = Schema.is(TrustHow)

/** What is known of a peer that was kept, or null where only its removal was. */
const recordOf = (stored: StoredPeer): PeerRecord | null => {
  const { id, name, trust, trustAt, trustHow, accept, wanted, added, lastSeen, addresses } = stored
  // A later version may know other ways.
  const how = { trust, trustAt, trustHow: isTrustHow(trustHow) ? trustHow : null }
  const peer: PeerRecord = { id, name, state: "away", ...how, addresses, accept, lastSeen, wanted, added }
  return isHearsay(peer) ? null : peer
}

/** Whether a person would miss this change if it were lost. */
const isDecision = (before: PeerRecord | undefined, after: PeerRecord): boolean =>
  (before?.trust ?? "unverified") !== after.trust ||
  (before?.accept ?? null) !== after.accept ||
  (before?.added ?? false) !== (after.added ?? false)

/** A registry with these bounds; the service uses `limits`. */
export const makeRegistry = Effect.fnUntraced(function* (bounds: {
  readonly peersMax: number
  readonly discoveredMax: number
  readonly addressesMax: number
}) {
  const events = yield* Events
  const store = yield* PeerStore
  /** In the order they became known. */
  const peers = new Map<PeerId, PeerRecord>()
  /** Those that a person removed, the one removed longest ago first. */
  const removed = new Set<PeerId>()
  /** Those that may be forgotten, in two classes, each with the one updated longest ago first. */
  const hearsay = new Set<PeerId>()
  const forgettable = new Set<PeerId>()
  // Changes are made and published one at a time, and wholly: a watcher sees them in the order they happened.
  const turn = yield* Semaphore.make(1)
  const inTurn = <A>(change: Effect.Effect<A>) => Effect.uninterruptible(turn.withPermit(change))

  const drop = (id: PeerId): boolean => {
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

  const loaded = yield* store.load
  for (const one of loaded) {
    const peer = recordOf(one)
    if (peer !== null) keep(peer)
    if (one.removed) removed.add(one.id)
  }
  const keeper = yield* makeKeeper(store, loaded, (id) => storedOf(id, peers.get(id), removed.has(id)))

  const put = Effect.fnUntraced(function* (id: PeerId, change: (peer: PeerRecord) => PeerRecord) {
    const before = peers.get(id)
    const changed = change(before ?? stranger(id))
    const after = { ...changed, id, addresses: distinct(changed.addresses).slice(0, bounds.addressesMax) }
    keep(after)
    const shown = viewPeer(after)
    if (before === undefined || !looksSame(viewPeer(before), shown)) {
      yield* events.publish({ _tag: "PeerChanged", peer: shown })
    }
    const gone = surplus()
    if (gone !== undefined && drop(gone)) {
      keeper.note(gone)
      yield* events.publish({ _tag: "PeerRemoved", id: gone })
    }
    keeper.note(id)
    return { after, isDecided: isDecision(before, after) }
  }, inTurn)

  const update = Effect.fn("PeerRegistry.update")(function* (id: PeerId, change: (peer: PeerRecord) => PeerRecord) {
    const { after, isDecided } = yield* put(id, change)
    if (isDecided) yield* keeper.flush
    return after
  })

  const leave = Effect.fnUntraced(function* (id: PeerId) {
    if (drop(id)) yield* events.publish({ _tag: "PeerRemoved", id })
    keeper.note(id)
  })

  const remove = Effect.fn("PeerRegistry.remove")(leave, inTurn)

  const forget = Effect.fn("PeerRegistry.forget")(function* (id: PeerId) {
    const peer = peers.get(id)
    if (peer !== undefined && isForgettable(peer)) yield* leave(id)
  }, inTurn)

  const markRemoved = Effect.fn("PeerRegistry.markRemoved")(function* (id: PeerId, isRemoved: boolean) {
    if (removed.has(id) === isRemoved) return
    if (isRemoved) removed.add(id)
    else removed.delete(id)
    const [oldest] = removed
    if (removed.size > bounds.peersMax && oldest !== undefined) {
      removed.delete(oldest)
      keeper.note(oldest)
    }
    keeper.note(id)
    yield* keeper.flush
  })

  return PeerRegistry.of({
    list: Effect.sync(() => Array.from(peers.values(), viewPeer)),
    get: (id) => Effect.sync(() => Option.fromUndefinedOr(peers.get(id))),
    find: (query) => Effect.suspend(() => Effect.fromResult(searchPeers([...peers.values()], query))),
    update,
    remove,
    forget,
    markRemoved,
    isRemoved: (id) => Effect.sync(() => removed.has(id))
  })
})

/** Each address once, where it comes first. */
const distinct = (addresses: ReadonlyArray<Address>): ReadonlyArray<Address> => [
  ...new Map(addresses.map((address) => [format(address), address])).values()
]

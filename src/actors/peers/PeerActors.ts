/**
 * The live `Connection`: one actor for each peer, in a FiberMap, and the handling of inbound control links. Peers
 * known from announcements alone are many and cheap to forge: the one heard longest ago makes room. At its end every
 * session hears Goodbye, all at the same time, before the links are taken down.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { limits, NodeConfig } from "../../config.ts"
import { type Address, format, parse, tcp } from "../../schema/Address.ts"
import { type Frame, type FrameOf, version } from "../../schema/Frame.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import { type ChangedKey, Connection, NotConnected, SessionError } from "../../services/Connection.ts"
import { Events } from "../../services/Events.ts"
import { Identity } from "../../services/Identity.ts"
import { PeerRegistry } from "../../services/PeerRegistry.ts"
import { DialError, type Link, Transport } from "../../services/Transport.ts"
import { dialAny } from "./Dialling.ts"
import { receive, turnAway } from "./Greeting.ts"
import { makeInboundReport } from "./InboundReport.ts"
import * as Heartbeats from "./Heartbeats.ts"
import * as Inboxes from "./Inboxes.ts"
import * as PeerActor from "./PeerActor.ts"
import { makeReports } from "./PeerLinks.ts"
import { makeRoster, type Roster } from "./Roster.ts"

/** Words of changed keys that nobody has read yet. */
const changedKeysMax = 64

/** A dial that came through, and where. */
interface Reached {
  readonly link: Link
  readonly address: Address
}

/** `Connection`, and what it holds at the moment, for tests and metrics. */
export const make = Effect.gen(function* () {
  const identity = yield* Identity
  const config = yield* NodeConfig
  const registry = yield* PeerRegistry
  const transport = yield* Transport
  const inboxes = Inboxes.make()
  const hello: FrameOf<"Hello"> = {
    _tag: "Hello",
    version,
    features: [],
    id: identity.id,
    instance: identity.instance,
    // It may change while the node runs.
    get name() {
      return config.name
    },
    port: transport.port
  }
  const fibers = yield* FiberMap.make<PeerId>()
  const run = yield* FiberMap.runtime(fibers)<never>()
  const byHand = yield* FiberSet.make<void>()
  const runByHand = yield* FiberSet.runtime(byHand)<never>()
  const door = yield* Latch.make(false)
  const stopping = yield* Deferred.make<void>()
  const changedKeys = yield* PubSub.sliding<ChangedKey>(changedKeysMax)
  const surroundings: PeerActor.Surroundings = {
    hello,
    transport,
    registry,
    events: yield* Events,
    inboxes,
    reports: makeReports(),
    watch: yield* Heartbeats.make,
    // Who answers there is a peer like any other: it connects as itself, if a person did not remove it.
    changedKey: (change) => Effect.andThen(PubSub.publish(changedKeys, change), suggest(change.found, change.address)),
    turns: { met: yield* Semaphore.make(limits.dialsMax), heard: yield* Semaphore.make(limits.dialsMax) }
  }
  const roster: Roster = makeRoster({
    make: (id) => PeerActor.make(id, surroundings),
    forget: registry.forget,
    start: (actor, end) => void run(actor.id, Effect.ensuring(actor.run, end))
  })
  let links = 0

  const isBlocked = (id: PeerId) =>
    Effect.map(
      registry.get(id),
      Option.exists((peer) => peer.trust === "blocked")
    )

  /** The actor of a peer that may have one. */
  const admit = Effect.fnUntraced(function* (id: PeerId, kind?: "heard") {
    if (yield* isBlocked(id)) return "blocked"
    const actor = yield* roster.ensure(id, kind)
    // Asked last: who blocks a peer writes it down first and ends its actor then, so one of the two is in time.
    if (yield* isBlocked(id)) {
      if (Option.isSome(actor)) yield* actor.value.stop("blocked", { forget: false })
      return "blocked"
    }
    return Option.getOrElse(actor, () => "full" as const)
  })

  const report = makeInboundReport()
  const inbound = Effect.fnUntraced(
    function* (link: Link) {
      yield* Effect.raceFirst(door.await, Deferred.await(stopping))
      if (Deferred.isDoneUnsafe(stopping)) return yield* turnAway(link, "shutdown")
      if (yield* isBlocked(link.peer)) return yield* turnAway(link, "blocked")
      const opened = yield* receive(link, identity.id)
      const actor = yield* admit(link.peer)
      if (typeof actor === "string") return yield* turnAway(link, actor)
      const { links: peerLinks } = actor
      yield* peerLinks.use(++links, (handle) => peerLinks.accepted(handle, opened))
    },
    (effect, link) => Effect.catch(effect, (error) => report(link, error)),
    (effect, link) => Effect.annotateLogs(effect, { peer: link.peer, address: format(link.remote) })
  )

  /** A dial by hand and the session it becomes; `up` is told of the one or of why it failed. */
  const dialByHand = Effect.fn("Connection.dialByHand")(
    function* (
      dial: Effect.Effect<Reached, DialError, Scope.Scope>,
      up: Deferred.Deferred<PeerId, DialError | SessionError>
    ) {
      const { address, link } = yield* dial
      const text = format(address)
      if (link.peer === identity.id) {
        return yield* new DialError({ problem: "self", address: text, detail: "its key is our own" })
      }
      const actor = yield* admit(link.peer)
      if (typeof actor === "string") return yield* refused(link.peer, text, actor)
      const succeed = Deferred.succeed(up, link.peer)
      yield* actor.links
        .use(++links, (handle) => actor.links.dialled(handle, link, address, succeed))
        .pipe(
          Effect.catchIf(
            (error) => error.reason === "duplicate",
            () => Effect.void
          )
        )
      if (Deferred.isDoneUnsafe(up)) return
      // Not needed: there is another link with this peer, or it is about to be the session.
      const soon = yield* Effect.timeoutOption(actor.connected, limits.hello)
      if (Option.isSome(soon)) return yield* succeed
      return yield* new SessionError({ address: text, reason: "closed", detail: "it was dropped" })
    },
    Effect.scoped,
    (effect, _dial, up) => Effect.catch(effect, (error) => Effect.asVoid(Deferred.fail(up, error)))
  )

  /** Dials in a fiber of the node, where the session lives on; interrupting the wait ends what is not a session yet. */
  const openByHand = Effect.fnUntraced(function* (dial: Effect.Effect<Reached, DialError, Scope.Scope>) {
    const up = yield* Deferred.make<PeerId, DialError | SessionError>()
    const fiber = runByHand(dialByHand(dial, up))
    return yield* Deferred.await(up).pipe(
      Effect.onInterrupt(() => (Deferred.isDoneUnsafe(up) ? Effect.void : Fiber.interrupt(fiber)))
    )
  })

  const add = Effect.fn("Connection.add")(function* (text: string) {
    const address = yield* Effect.fromResult(parse(text))
    const dial = Effect.map(transport.dial(address, { protocol: "kith/1" }), (link) => ({ link, address }))
    const id = yield* openByHand(dial).pipe(Effect.annotateLogs({ address: format(address) }))
    yield* registry.markRemoved(id, false)
    const actor = roster.get(id)
    if (actor !== undefined) yield* actor.want(address)
    return id
  })

  const follow = Effect.fn("Connection.suggest")(function* (id: PeerId, address: Address) {
    if (id === identity.id || Deferred.isDoneUnsafe(stopping) || (yield* registry.isRemoved(id))) return
    const actor = yield* admit(id, "heard")
    if (typeof actor !== "string") actor.suggest(address)
  })

  const suggest: Connection["Service"]["suggest"] = (id, address) =>
    roster.get(id)?.isAt(address) === true ? Effect.void : follow(id, address)

  const want = Effect.fn("Connection.want")(function* (id: PeerId) {
    yield* registry.markRemoved(id, false)
    const actor = yield* admit(id)
    if (typeof actor !== "string") yield* actor.want(null)
  })

  const reach = Effect.fn("Connection.reach")(function* (id: PeerId, addresses: ReadonlyArray<Address>) {
    const name = short(id)
    if (id === identity.id) return yield* new DialError({ problem: "self", address: name, detail: "" })
    yield* registry.markRemoved(id, false)
    const isNew = roster.get(id) === undefined
    const actor = yield* admit(id)
    if (typeof actor === "string") return yield* refused(id, name, actor)
    // Nothing is left of the attempt where the peer was never met and is not there.
    const leave = Effect.suspend(() =>
      isNew && !actor.isMet()
        ? Effect.andThen(actor.stop("shutdown", { forget: false }), registry.forget(id))
        : Effect.void
    )
    if (actor.session() === undefined) {
      const all = distinct([...addresses, ...actor.addresses()])
      const dial = dialAny(transport, all, { protocol: "kith/1", expect: id, each: limits.dialEach })
      // The peer, or this node by itself, may be quicker than what we begin now.
      yield* Effect.raceFirst(openByHand(dial), actor.connected).pipe(Effect.onError(() => leave))
    }
    yield* want(id)
  })

  const expel = Effect.fn("Connection.expel")(function* (id: PeerId) {
    const actor = roster.get(id)
    if (actor !== undefined) yield* actor.stop("blocked", { forget: false })
    yield* registry.update(id, (peer) => ({ ...peer, wanted: false, state: "away" }))
  })

  const exportKey = Effect.fnUntraced(function* (peer: PeerId, label: string, length: number) {
    const session = roster.get(peer)?.session()
    if (session === undefined) return yield* new NotConnected({ peer })
    return yield* Effect.mapError(session.link.exportKey(label, length), () => new NotConnected({ peer }))
  })

  const remove = Effect.fn("Connection.remove")(function* (id: PeerId) {
    yield* registry.markRemoved(id, true)
    const actor = roster.get(id)
    yield* actor === undefined ? registry.remove(id) : actor.stop("removed", { forget: true })
  })

  const send = Effect.fnUntraced(function* (peer: PeerId, ...frames: ReadonlyArray<Frame>) {
    let left = frames
    let tried: unknown
    while (true) {
      const session = roster.get(peer)?.session()
      if (session === undefined || session === tried) return yield* new NotConnected({ peer })
      left = yield* session.send(...left)
      if (left.length === 0) return
      // It ended while we waited; another link may have taken its place.
      tried = session
    }
  })

  const openDataLink = Effect.fn("Connection.openDataLink")(function* (peer: PeerId) {
    const actor = roster.get(peer)
    const session = actor?.session()
    if (actor === undefined || session === undefined) return yield* new NotConnected({ peer })
    const addresses = distinct([tcp(session.link.remote.host, session.hello.port), ...actor.addresses()])
    const each = addresses.length > 1 ? Duration.times(limits.dataDial, 0.5) : limits.dataDial
    const reached = yield* dialAny(transport, addresses, { protocol: "kith-data/1", expect: peer, each }).pipe(
      Effect.timeoutOrElse({
        duration: limits.dataDial,
        orElse: () =>
          Effect.fail(
            new DialError({ problem: "unreachable", address: `${short(peer)}`, detail: "no address answered in time" })
          )
      })
    )
    return reached.link
  })

  yield* transport.accept("kith/1", inbound)
  yield* (transport.lost ?? Stream.never).pipe(
    Stream.runForEach((host) => Effect.sync(() => roster.all().forEach((actor) => actor.strand(host)))),
    Effect.forkScoped({ startImmediately: true })
  )
  yield* Effect.addFinalizer(() =>
    Deferred.succeed(stopping, undefined).pipe(
      Effect.andThen(
        Effect.forEach(roster.all(), (actor) => actor.stop("shutdown", { forget: false }), {
          concurrency: "unbounded",
          discard: true
        })
      ),
      // Each of them takes no longer than its farewell; whatever hangs is interrupted.
      Effect.timeoutOption(Duration.times(limits.farewell, 1.5))
    )
  )

  const connection = Connection.of({
    open: Effect.asVoid(door.open),
    add,
    suggest,
    reach,
    want,
    expel,
    remove,
    send,
    exportKey,
    changedKeys: Stream.fromPubSub(changedKeys),
    connected: Effect.sync(() => roster.all().flatMap((actor) => (actor.session() === undefined ? [] : [actor.id]))),
    inbox: (...tags) => inboxes.subscribe(tags),
    openDataLink
  })
  /** Actors, and links in any stage. */
  const held = Effect.map(FiberMap.size(fibers), (actors) => ({
    actors,
    links: roster.all().reduce((sum, actor) => sum + actor.links.size(), 0)
  }))
  return { connection, held }
})

const refused = (id: PeerId, address: string, reason: "blocked" | "full") =>
  new SessionError({
    address,
    reason,
    detail:
      reason === "full" ? "too many peers are known" : `${short(id)} is blocked here. First: kith unblock ${short(id)}`
  })

const distinct = (addresses: ReadonlyArray<Address>): ReadonlyArray<Address> => [
  ...new Map(addresses.map((address) => [format(address), address])).values()
]

export const layer: Layer.Layer<Connection, never, Transport | Identity | PeerRegistry | NodeConfig | Events> =
  Layer.effect(
    Connection,
    Effect.map(make, ({ connection }) => connection)
  )

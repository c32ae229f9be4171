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
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import { limits, NodeConfig } from "../config.ts"
import { type Address, format, parse, tcp } from "../schema/Address.ts"
import { type Frame, type FrameOf, version } from "../schema/Frame.ts"
import { type PeerId, short } from "../schema/PeerId.ts"
import { Connection, NotConnected, SessionError } from "../services/Connection.ts"
import { Events } from "../services/Events.ts"
import { Identity } from "../services/Identity.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { DialError, type Link, Transport } from "../services/Transport.ts"
import { dialAny } from "./Dialling.ts"
import { receive, turnAway } from "./Greeting.ts"
import * as Inboxes from "./Inboxes.ts"
import * as PeerActor from "./PeerActor.ts"
import { makeRoster } from "./Roster.ts"

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
    name: config.name,
    port: transport.port
  }
  const fibers = yield* FiberMap.make<PeerId>()
  const run = yield* FiberMap.runtime(fibers)<never>()
  const byHand = yield* FiberSet.make<void>()
  const runByHand = yield* FiberSet.runtime(byHand)<never>()
  const stopping = yield* Deferred.make<void>()
  const surroundings: PeerActor.Surroundings = {
    hello,
    transport,
    registry,
    events: yield* Events,
    inboxes,
    turns: { met: yield* Semaphore.make(limits.dialsMax), heard: yield* Semaphore.make(limits.dialsMax) }
  }
  const roster = makeRoster({
    make: (id) => PeerActor.make(id, surroundings),
    start: (actor, end) => void run(actor.id, Effect.ensuring(actor.run, end))
  })
  let links = 0

  const inbound = Effect.fn("Connection.inbound")(
    function* (link: Link) {
      if (Deferred.isDoneUnsafe(stopping)) return yield* turnAway(link, "shutdown")
      const opened = yield* receive(link, identity.id)
      const actor = yield* roster.ensure(link.peer)
      if (Option.isNone(actor)) return yield* turnAway(link, "full", `more than ${limits.peersMax} peers`)
      const { links: peerLinks } = actor.value
      yield* peerLinks.use(++links, (handle) => peerLinks.accepted(handle, opened))
    },
    Effect.catch((error) =>
      // One that hangs up first has changed its mind: its own dial, or ours, was quicker.
      error.reason === "closed"
        ? Effect.logDebug(`An inbound link ended before its Hello.`)
        : Effect.logWarning("An inbound link did not become a session.").pipe(
            Effect.annotateLogs({ reason: error.reason, detail: error.detail })
          )
    ),
    (effect, link) => Effect.annotateLogs(effect, { peer: short(link.peer), address: format(link.remote) })
  )

  /** A dial by hand and the session it becomes; `up` is told of the one or of why it failed. */
  const dialByHand = Effect.fn("Connection.dialByHand")(
    function* (address: Address, up: Deferred.Deferred<PeerId, DialError | SessionError>) {
      const link = yield* transport.dial(address, { protocol: "kith/1" })
      const text = format(address)
      if (link.peer === identity.id) {
        return yield* new DialError({ problem: "self", address: text, detail: "its key is our own" })
      }
      const found = yield* roster.ensure(link.peer)
      if (Option.isNone(found)) {
        return yield* new SessionError({ address: text, reason: "full", detail: "too many peers are known" })
      }
      const actor = found.value
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
    (effect, address, up) => Effect.catch(effect, (error) => Effect.asVoid(Deferred.fail(up, error))),
    (effect, address) => Effect.annotateLogs(effect, { address: format(address) })
  )

  const add = Effect.fn("Connection.add")(function* (text: string) {
    const address = yield* Effect.fromResult(parse(text))
    const up = yield* Deferred.make<PeerId, DialError | SessionError>()
    const fiber = runByHand(dialByHand(address, up))
    const id = yield* Deferred.await(up).pipe(
      Effect.onInterrupt(() => (Deferred.isDoneUnsafe(up) ? Effect.void : Fiber.interrupt(fiber)))
    )
    roster.pardon(id)
    const actor = roster.get(id)
    if (actor !== undefined) yield* actor.want(address)
    return id
  })

  const suggest = Effect.fn("Connection.suggest")(function* (id: PeerId, address: Address) {
    if (id === identity.id || roster.isRemoved(id) || Deferred.isDoneUnsafe(stopping)) return
    const actor = yield* roster.ensure(id, "heard")
    if (Option.isSome(actor)) actor.value.suggest(address)
  })

  const remove = Effect.fn("Connection.remove")(function* (id: PeerId) {
    roster.remove(id)
    const actor = roster.get(id)
    yield* actor === undefined ? registry.remove(id) : actor.stop("removed", { forget: true })
  })

  const send = Effect.fnUntraced(function* (peer: PeerId, frame: Frame) {
    let tried: unknown
    while (true) {
      const session = roster.get(peer)?.session()
      if (session === undefined || session === tried) return yield* new NotConnected({ peer })
      if (yield* session.send(frame)) return
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
    add,
    suggest,
    remove,
    send,
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

const distinct = (addresses: ReadonlyArray<Address>): ReadonlyArray<Address> => [
  ...new Map(addresses.map((address) => [format(address), address])).values()
]

export const layer: Layer.Layer<Connection, never, Transport | Identity | PeerRegistry | NodeConfig | Events> =
  Layer.effect(
    Connection,
    Effect.map(make, ({ connection }) => connection)
  )

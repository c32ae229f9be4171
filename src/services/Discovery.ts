/**
 * Finds nodes on this network, and lets them find us: announces on every interface, answers newcomers by unicast,
 * says goodbye at the end. What it hears only ever suggests an address to dial.
 *
 * It owns the sockets and the announcing fiber; both end with its layer, after a goodbye.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { limits, NodeConfig } from "../config.ts"
import type { Address } from "../schema/Address.ts"
import { type Announcement, encode } from "../schema/Announcement.ts"
import type { Instance } from "../schema/Id.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { type DatagramError, Datagrams, type Endpoint, type Receive } from "./Datagrams.ts"
import { makeOutlets, type Outlet, type Outlets } from "./discovery/DiscoveryOutlets.ts"
import * as State from "./discovery/DiscoveryState.ts"
import { Events } from "./Events.ts"
import { Identity } from "./Identity.ts"
import { Transport } from "./Transport.ts"

/** A node was heard. */
export interface Sighting {
  readonly kind: "here" | "goodbye"
  readonly id: PeerId
  readonly instance: Instance
  /** What it calls itself; worth no trust. */
  readonly name: string
  /** The datagram's source and the announced port. */
  readonly address: Address
}

/** What one interface did, for a person who asks why nobody is found. */
export interface InterfaceReport {
  readonly name: string
  readonly address: string
  /** Announcements sent, by destination, and what the latest attempt there failed with, or null. */
  readonly sent: ReadonlyArray<{ readonly to: string; readonly count: number; readonly error: string | null }>
  /** Announcements of other nodes heard from this interface's network. */
  readonly heard: number
  /** How many of those were answers to our own, which come to a port of this process alone. */
  readonly answered: number
}

export class Discovery extends Context.Service<
  Discovery,
  {
    /** Tells of every sighting from now on until the scope ends, at once; the listener must be quick. */
    readonly watch: (listener: (sighting: Sighting) => void) => Effect.Effect<void, never, Scope.Scope>
    /** The same as a stream; a subscriber that is too slow loses the oldest. */
    readonly sightings: Stream.Stream<Sighting>
    /** Announces at once on every interface, as after a network change. */
    readonly announce: Effect.Effect<void>
    readonly report: Effect.Effect<{
      readonly interfaces: ReadonlyArray<InterfaceReport>
      /** Datagrams that were no announcement, or came faster than they could be read. */
      readonly dropped: number
      /**
       * Why nothing can be heard at all, or null: discovery is off, there is no interface, or the discovery port could
       * not be opened. With a closed port nodes are still found, by their answers to our announcements.
       */
      readonly deaf: string | null
    }>
  }
>()("kith/services/Discovery") {
  static readonly layer: Layer.Layer<Discovery, never, Datagrams | Identity | Transport | NodeConfig | Events> =
    Layer.effect(
      this,
      Effect.suspend(() => makeDiscovery)
    )
}

/** How often interfaces are looked at, and what could not be opened is tried again. */
const checkEvery = Duration.seconds(2)

/** What an earlier run of this node said may be heard by the next one for so long; a clone is heard again after it. */
const echoes = Duration.seconds(1)

/** A clone, or someone who plays one, is told of this often at most; so are dropped datagrams. */
const tellEvery = Duration.minutes(1)

/** Announcements of ours that are kept ready. */
const saidMax = 256

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

const silent = Discovery.of({
  watch: () => Effect.void,
  sightings: Stream.never,
  announce: Effect.void,
  report: Effect.succeed({ interfaces: [], dropped: 0, deaf: "discovery is off" })
})

const makeDiscovery = Effect.gen(function* () {
  const config = yield* NodeConfig
  if (!config.discovery) return silent
  const datagrams = yield* Datagrams
  const watchers = new Set<(sighting: Sighting) => void>()
  const hearing = yield* makeHearing((sighting) => {
    for (const tell of watchers) tell(sighting)
  })
  const watch: Discovery["Service"]["watch"] = (listener) => {
    const tell = (sighting: Sighting) => listener(sighting)
    return Effect.acquireRelease(
      Effect.sync(() => watchers.add(tell)),
      () => Effect.sync(() => watchers.delete(tell))
    )
  }

  const self = yield* Identity
  const { port } = yield* Transport
  const nameNow = () => State.announcedName(config.name)
  const said = new Map<string, { readonly name: string; readonly bytes: Uint8Array }>()
  const say = (kind: Announcement["kind"], reply: number): Uint8Array => {
    // The name may change while the node runs.
    const name = nameNow()
    const before = said.get(`${kind} ${reply}`)
    if (before?.name === name) return before.bytes
    const bytes = encode({ kith: 1, kind, id: self.id, instance: self.instance, name, port, reply })
    // One for each socket and kind; sockets come and go with interfaces.
    if (said.size >= saidMax) said.clear()
    said.set(`${kind} ${reply}`, { name, bytes })
    return bytes
  }
  const outlets = yield* makeOutlets(say, hearing.receive)

  const ear = yield* makeEar(hearing.receive(null, outlets))
  yield* ear.open
  yield* outlets.check
  yield* Effect.sleep(checkEvery).pipe(
    Effect.andThen(outlets.check),
    Effect.andThen(ear.open),
    Effect.forever,
    Effect.forkScoped
  )
  const dropped = Effect.map(datagrams.dropped, (count) => count + hearing.dropped())
  yield* Effect.forkScoped(tellDropped(dropped))
  if (port < State.lowestPort) {
    yield* Effect.logWarning(`Other nodes ignore announcements of ports below ${State.lowestPort}. Choose another`)
  }

  return Discovery.of({
    watch,
    sightings: Stream.callback<Sighting>((queue) => watch((sighting) => void Queue.offerUnsafe(queue, sighting)), {
      bufferSize: limits.discoveredMax,
      strategy: "sliding"
    }),
    announce: Effect.andThen(outlets.check, outlets.broadcast("announce")),
    report: Effect.gen(function* () {
      const interfaces = outlets.report()
      const nowhere = interfaces.length === 0 ? "this machine has no network interface with an address" : null
      return { interfaces, dropped: yield* dropped, deaf: nowhere ?? ear.deaf() }
    })
  })
})

/** What is done with what is heard. */
const makeHearing = Effect.fnUntraced(function* (saw: (sighting: Sighting) => void) {
  const clock = yield* Clock.Clock
  const self = yield* Identity
  const events = yield* Events
  const newcomers = new State.Newcomers(limits.discoveredMax)
  const meanings = new State.Meanings(self, limits.discoveredMax)
  let dropped = 0
  const echoesUntil = (yield* now) + Duration.toMillis(echoes)
  let clonedAt = Number.NEGATIVE_INFINITY

  const alarm = Effect.fnUntraced(function* (from: Endpoint) {
    const time = yield* now
    if (time < echoesUntil || time - clonedAt < Duration.toMillis(tellEvery)) return
    clonedAt = time
    const text = `Another node, at ${from.host}, announces itself with this node's identity. Give it one of its own`
    yield* Effect.logWarning(text).pipe(Effect.annotateLogs({ address: from.host }))
    yield* events.publish({ _tag: "Alarm", kind: "clonedIdentity", peer: self.id, text })
  })

  /** `own`: the outlet whose own socket got it; none where it came by the shared port. */
  const receive =
    (own: Outlet | null, outlets: Outlets): Receive =>
    (datagram) => {
      const meaning = meanings.of(datagram)
      if (meaning._tag === "Own") return Effect.void
      if (meaning._tag === "Clone") return alarm(datagram.from)
      if (meaning._tag === "Nothing") {
        dropped++
        return Effect.void
      }
      const { announcement, sighting } = meaning
      const { host } = datagram.from
      const via = own ?? outlets.towards(host)
      if (via !== undefined) via.heard++
      if (own !== null) own.answered++
      const now = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      saw(sighting)
      if (!newcomers.hear(announcement, host, now)) return Effect.void
      return outlets.answer(via, { host, port: announcement.reply })
    }

  return { receive, dropped: () => dropped }
})

/** The shared discovery port, tried again for as long as it cannot be opened. */
const makeEar = Effect.fnUntraced(function* (receive: Receive) {
  const { discoveryPort } = yield* NodeConfig
  const datagrams = yield* Datagrams
  const parent = yield* Effect.scope
  let state: "closed" | "open" | DatagramError = "closed"

  const open = Effect.gen(function* () {
    if (state === "open") return
    const scope = yield* Scope.fork(parent)
    const listening = datagrams.listen(discoveryPort, receive).pipe(Scope.provide(scope))
    const result = yield* Effect.result(listening)
    if (Result.isSuccess(result)) {
      if (state !== "closed") yield* Effect.logInfo("Announcements can be heard again")
      state = "open"
      return
    }
    yield* Scope.close(scope, Exit.void)
    if (state === "closed") {
      yield* Effect.logWarning(`Announcements cannot be heard, only answers to ours: ${result.failure.message}`)
    }
    state = result.failure
  })

  return { open, deaf: () => (typeof state === "string" ? null : state.message) }
})

const tellDropped = Effect.fnUntraced(function* (dropped: Effect.Effect<number>) {
  let told = 0
  while (true) {
    yield* Effect.sleep(tellEvery)
    const total = yield* dropped
    if (total > told) {
      yield* Effect.logInfo("Dropped datagrams that were no announcement").pipe(
        Effect.annotateLogs({ count: total - told })
      )
    }
    told = total
  }
})

/**
 * What Discovery speaks through: one outlet for each interface address, with its socket, its rhythm of announcements
 * and its counts. It owns the sockets and the announcing fibers. At the end of its scope announcing stops, goodbye is
 * said on every outlet, and the sockets close, in this order.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberMap from "effect/FiberMap"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { limits, NodeConfig } from "../../config.ts"
import type { Announcement } from "../../schema/Announcement.ts"
import {
  type DatagramError,
  Datagrams,
  type Endpoint,
  type Interface,
  type Receive,
  type Sender
} from "../Datagrams.ts"
import type { InterfaceReport } from "../Discovery.ts"
import * as State from "./DiscoveryState.ts"

/** The last word may take this long, whatever state the network is in. */
const goodbyeWithin = Duration.millis(500)

/** Outlets that send at the same moment. */
const atOnce = 8

/** An interface address and what is spoken from it. */
export interface Outlet extends Interface {
  /** Its socket, or null while it cannot be opened. */
  open: { readonly sender: Sender; readonly scope: Scope.Closeable } | null
  /** Nothing of the latest announcement could be sent. */
  mute: boolean
  /** By destination. */
  readonly sent: Map<string, { readonly count: number; readonly error: string | null }>
  heard: number
  answered: number
}

export interface Outlets {
  /** Opens what is new and announces there, closes what is gone, opens again what is mute. */
  readonly check: Effect.Effect<void>
  readonly broadcast: (kind: Announcement["kind"]) => Effect.Effect<void>
  /** Answers by unicast, from `via` or whatever else may reach it. */
  readonly answer: (via: Outlet | undefined, to: Endpoint) => Effect.Effect<void>
  /** The outlet on whose network this host is. */
  readonly towards: (host: string) => Outlet | undefined
  readonly report: () => ReadonlyArray<InterfaceReport>
}

const note = (outlet: Outlet, to: string, error: DatagramError | null): void => {
  const before = outlet.sent.get(to)?.count ?? 0
  outlet.sent.set(to, { count: error === null ? before + 1 : before, error: error?.message ?? null })
}

const shown = ({ name, address, sent, heard, answered }: Outlet): InterfaceReport => ({
  name,
  address,
  sent: [...sent].map(([to, { count, error }]) => ({ to, count, error })),
  heard,
  answered
})

/** `say`: a datagram of this kind that names this reply port. `receive`: what to do with unicast to an outlet. */
export const makeOutlets = Effect.fnUntraced(function* (
  say: (kind: Announcement["kind"], reply: number) => Uint8Array,
  receive: (own: Outlet, outlets: Outlets) => Receive
) {
  const { discoveryPort } = yield* NodeConfig
  const datagrams = yield* Datagrams
  const outlets = new Map<string, Outlet>()
  /** Whose network a source is on, until the outlets change. */
  const networks = new Map<string, Outlet | undefined>()

  const towards = (host: string): Outlet | undefined => {
    if (!networks.has(host)) {
      if (networks.size >= limits.discoveredMax) networks.clear()
      networks.set(host, State.networkOf([...outlets.values()], host))
    }
    return networks.get(host)
  }

  const speak = Effect.fnUntraced(function* (outlet: Outlet, kind: Announcement["kind"]) {
    if (outlet.open === null) return
    const { sender } = outlet.open
    const results = yield* sender.broadcast(say(kind, sender.port))
    for (const { to, error } of results) note(outlet, to, error)
    outlet.mute = results.every(({ error }) => error !== null)
  })

  const broadcast = (kind: Announcement["kind"]) =>
    Effect.forEach([...outlets.values()], (outlet) => speak(outlet, kind), { concurrency: atOnce, discard: true })

  const announcing = Effect.fnUntraced(function* (outlet: Outlet) {
    for (const wait of State.burst) {
      yield* Effect.sleep(wait)
      yield* speak(outlet, "announce")
    }
    // Nodes that started together drift apart, and none is silent for longer than the limit says.
    const longest = Duration.toMillis(limits.announce)
    return yield* Random.nextBetween(longest * 0.75, longest).pipe(
      Effect.flatMap(Effect.sleep),
      Effect.andThen(speak(outlet, "announce")),
      Effect.forever
    )
  })

  // Finalizers run in reverse, so this order is what the head of this file promises.
  const sockets = yield* Scope.fork(yield* Effect.scope)
  yield* Effect.addFinalizer(() => Effect.timeoutOption(broadcast("goodbye"), goodbyeWithin))
  const announcers = yield* FiberMap.make<string>()

  const open = Effect.fnUntraced(function* (outlet: Outlet) {
    const scope = yield* Scope.fork(sockets)
    const opening = datagrams.open(outlet, discoveryPort, receive(outlet, self)).pipe(Scope.provide(scope))
    const sender = yield* Effect.result(opening)
    if (Result.isFailure(sender)) {
      note(outlet, "socket", sender.failure)
      return yield* Scope.close(scope, Exit.void)
    }
    outlet.sent.delete("socket")
    outlet.open = { sender: sender.success, scope }
    yield* Effect.logDebug("Announcing").pipe(Effect.annotateLogs({ interface: outlet.name, address: outlet.address }))
    yield* FiberMap.run(announcers, State.keyOf(outlet), announcing(outlet))
  })

  const close = Effect.fnUntraced(function* (key: string, outlet: Outlet) {
    yield* FiberMap.remove(announcers, key)
    if (outlet.open !== null) yield* Scope.close(outlet.open.scope, Exit.void)
    outlet.open = null
    outlet.mute = false
  })

  const oneCheck = Effect.gen(function* () {
    const chosen = new Map(State.outlets(yield* datagrams.interfaces).map((one) => [State.keyOf(one), one]))
    for (const [key, outlet] of outlets) {
      const gone = !chosen.has(key)
      // An interface made anew under its old name and address leaves us a socket that reaches nothing.
      if (gone || outlet.mute) yield* close(key, outlet)
      if (gone) {
        outlets.delete(key)
        networks.clear()
      }
    }
    for (const [key, one] of chosen) {
      const outlet = outlets.get(key) ?? { ...one, open: null, mute: false, sent: new Map(), heard: 0, answered: 0 }
      if (!outlets.has(key)) {
        outlets.set(key, outlet)
        networks.clear()
      }
      if (outlet.open === null) yield* open(outlet)
    }
  })
  const turn = yield* Semaphore.make(1)

  const answer = Effect.fnUntraced(function* (via: Outlet | undefined, to: Endpoint) {
    const outlet = via ?? anyFor(to.host)
    if (outlet === undefined || outlet.open === null) return
    const { sender } = outlet.open
    const result = yield* Effect.result(sender.send(say("answer", sender.port), to))
    note(outlet, "newcomers", Result.isFailure(result) ? result.failure : null)
  })

  /** A source on no network of ours was routed here, and so may an answer be. */
  const anyFor = (host: string): Outlet | undefined =>
    [...outlets.values()].find((one) => one.open !== null && !one.loopback && (one.family === "IPv6") === isIpv6(host))

  const self: Outlets = {
    check: turn.withPermit(oneCheck),
    broadcast,
    answer,
    towards,
    report: () => [...outlets.values()].map(shown)
  }
  return self
})

const isIpv6 = (host: string): boolean => host.includes(":")

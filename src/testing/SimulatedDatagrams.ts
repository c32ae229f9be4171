/**
 * The Datagrams contract on a simulated network: a medium that loses, doubles, delays and reorders as its segment's
 * conditions say, by chances drawn from the seed. Broadcast and multicast reach every card of the segment, the
 * sender's own machine too; nodes of one machine share the discovery port and each hears all of it.
 *
 * Each socket has an inbox for what arrives; both end with the socket's scope.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { multicastGroups } from "../schema/Announcement.ts"
import { makeInbox } from "../services/discovery/DatagramInbox.ts"
import {
  DatagramError,
  Datagrams,
  type Endpoint,
  type Interface,
  type Receive,
  type Sender
} from "../services/Datagrams.ts"
import { type DatagramSocket, type Medium, portKey } from "./Medium.ts"
import type { SimulatedRandom } from "./SimulatedRandom.ts"
import { ephemeralFirst, type Host, isIp, notice, type Place, zoned } from "./Host.ts"

/** A datagram that is overtaken takes up to this many latencies more. */
const overtaken = 10

/** The IPv4 address that reaches every host of a /16, or of the loopback's /8. */
const broadcastAddress = (of: Interface): string =>
  of.address
    .split(".")
    .map((part, index) => (index < of.prefix / 8 ? part : "255"))
    .join(".")

/** Datagrams for one node on this host; what befalls what it sends is drawn from `random`. */
export const make = Effect.fnUntraced(function* (medium: Medium, host: Host, random: SimulatedRandom) {
  const { timeline, topology, history } = medium
  const sockets = medium.sockets.get(host) ?? new Set<DatagramSocket>()
  medium.sockets.set(host, sockets)
  const boot = host.boot
  const isAlive = () => host.up && host.boot === boot
  let dropped = 0

  const openSocket = Effect.fnUntraced(function* (port: number, address: string | null, receive: Receive) {
    const inbox = yield* makeInbox(receive)
    const socket: DatagramSocket = {
      port,
      address,
      receive: (datagram) =>
        notice(host, () => {
          if (!isAlive() || !inbox.hear(datagram)) dropped++
        })
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => sockets.add(socket)),
      () => Effect.sync(() => sockets.delete(socket))
    )
  })

  /** One datagram to one place, through whatever the medium does to it. */
  const carry = (payload: Uint8Array, from: Place, to: Place, source: number, port: number, kind: string) => {
    const conditions = topology.conditions(from, to)
    const [sender, receiver] = [portKey(from.host, source), portKey(to.host, port)]
    const isLost = random.chance(conditions.loss)
    const isDoubled = random.chance(conditions.duplication)
    const delay = () => {
      const late = random.chance(conditions.reordering) ? random.next() * overtaken * conditions.latency : 0
      return conditions.latency + random.next() * conditions.jitter + late
    }
    const arrive = (what: "datagram" | "doubled") => {
      if (!topology.reaches(from, to)) return history.add("lost", sender, receiver, payload, kind)
      history.add(what, sender, receiver, payload, kind)
      const origin = { host: zoned(from.address, to.card), port: source }
      for (const socket of hearing(to, port, kind)) {
        // Each gets bytes of its own, as from a kernel.
        socket.receive({ payload: Buffer.from(payload), from: origin })
      }
    }
    const delays = isDoubled ? ([delay(), delay()] as const) : ([delay()] as const)
    if (isLost) return history.add("lost", sender, receiver, payload, kind)
    timeline.schedule(delays[0], () => arrive("datagram"))
    if (delays[1] !== undefined) timeline.schedule(delays[1], () => arrive("doubled"))
  }

  /** Who hears a datagram to this port. */
  const hearing = (to: Place, port: number, kind: string): ReadonlyArray<DatagramSocket> => {
    const all: Array<DatagramSocket> = []
    for (const socket of medium.sockets.get(to.host) ?? []) {
      const isMeant = socket.address === null || (kind === "unicast" && socket.address === to.address)
      if (socket.port === port && isMeant) all.push(socket)
    }
    // A port that several share hears unicast in one of them only: the one that came last.
    return kind === "unicast" ? all.slice(-1) : all
  }

  const freePort = () => {
    let port = ephemeralFirst
    const taken = new Set([...sockets].map((socket) => socket.port))
    while (taken.has(port)) port++
    return port
  }

  const open = Effect.fn("SimulatedDatagrams.open")(function* (from: Interface, port: number, receive: Receive) {
    const action = `opening UDP ${from.address}:0`
    if (topology.placeOf(host, from.address) === undefined) {
      return yield* new DatagramError({ action, code: "EADDRNOTAVAIL" })
    }
    const own = freePort()
    yield* openSocket(own, from.address, receive)

    const attempt = (to: string, payload: Uint8Array, run: (place: Place) => string | null) =>
      Effect.suspend(() => {
        const place = topology.placeOf(host, from.address)
        const code =
          payload.length > 65_507 ? "EMSGSIZE" : place === undefined || !isAlive() ? "ENETUNREACH" : run(place)
        const action = `sending to ${to} from ${from.name} (${from.address})`
        return code === null ? Effect.void : Effect.fail(new DatagramError({ action, code }))
      })

    const toAll = (kind: string, payload: Uint8Array) => (place: Place) => {
      const segment = place.card.segment
      const reached = segment === null ? [{ host, card: place.card }] : [...topology.on(segment)]
      for (const each of reached) {
        const address = each.card.interfaces.find((one) => one.family === from.family)?.address
        if (address !== undefined) carry(payload, place, { ...each, address }, own, port, kind)
      }
      return null
    }

    const zone = from.family === "IPv6" ? `%${from.name}` : ""
    const destinations = [
      ...(from.family === "IPv4" ? [{ to: broadcastAddress(from), kind: "broadcast" }] : []),
      { to: `${multicastGroups[from.family]}${zone}`, kind: "multicast" }
    ]
    const sender: Sender = {
      port: own,
      broadcast: (payload) =>
        Effect.forEach(destinations, ({ to, kind }) =>
          Effect.match(attempt(to, payload, toAll(kind, payload)), {
            onSuccess: () => ({ to, error: null }),
            onFailure: (error) => ({ to, error })
          })
        ),
      send: (payload: Uint8Array, to: Endpoint) =>
        attempt(to.host, payload, (place) => {
          // Nothing heard may make a machine ask a name server.
          if (!isIp(to.host)) return "EINVAL"
          const found = topology.resolve(host, to.host)
          if (found._tag !== "Found") return found._tag === "Nobody" && found.detail === "no answer" ? null : "EINVAL"
          carry(payload, place, found.to, own, to.port, "unicast")
          return null
        })
    }
    return sender
  })

  return Datagrams.of({
    interfaces: Effect.sync(() => host.cards.filter((card) => card.plugged).flatMap((card) => card.interfaces)),
    listen: (port, receive) => openSocket(port, null, receive),
    open,
    dropped: Effect.sync(() => dropped)
  })
})

export const layer = (medium: Medium, host: Host, random: SimulatedRandom): Layer.Layer<Datagrams> =>
  Layer.effect(Datagrams, make(medium, host, random))

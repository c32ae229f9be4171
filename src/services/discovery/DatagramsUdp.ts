/**
 * Datagrams over this machine's own network: UDP by node:dgram, interfaces by node:os.
 *
 * Each socket has an inbox for what arrives. Socket, inbox and multicast memberships end with the scope they were
 * opened in.
 */
import * as Dgram from "node:dgram"
import * as Os from "node:os"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { multicastGroups } from "../../schema/Announcement.ts"
import { ArrivalBudget } from "./ArrivalBudget.ts"
import { makeInbox } from "./DatagramInbox.ts"
import { type Datagram, DatagramError, Datagrams, type Endpoint, type Interface, type Receive } from "../Datagrams.ts"

/**
 * A thousand nodes that announce themselves every 5 s, each heard by four ways, are 800 a second; a host that runs
 * fifty of them begins with some hundreds at once.
 */
const arrivals = {
  all: { burst: 4000, perSecond: 2000 },
  perNetwork: { burst: 1000, perSecond: 300 },
  networksMax: 1024
}

/** How often memberships are renewed: an interface that came, or came again under its old name, has none. */
const renewEvery = Duration.seconds(2)

/** Routers do not carry announcements: those who hear them dial the source address, which is good on this link only. */
const multicastTtl = 1

/** The address that reaches every host of the interface's IPv4 subnet, or null where a subnet has none. */
export const broadcastAddress = (of: Interface): string | null => {
  if (of.family !== "IPv4" || of.prefix > 30) return null
  const network = Result.flatMap(NetAddress.ipFromString(of.address), (ip) => IpNetwork.fromAddress(ip, of.prefix))
  return Result.match(network, {
    onFailure: () => null,
    onSuccess: (network) => NetAddress.formatIp(IpNetwork.lastAddress(network))
  })
}

/** How the system names an interface inside an IPv6 address: by name, and by number on Windows. */
const zoneOf = (name: string): string => {
  if (process.platform !== "win32") return name
  const scoped = Os.networkInterfaces()[name]?.find((entry) => entry.family === "IPv6")
  return scoped?.family === "IPv6" ? String(scoped.scopeid) : name
}

const isLinkLocal = (address: string): boolean =>
  Result.match(NetAddress.ipFromString(address), { onFailure: () => false, onSuccess: NetAddress.isLinkLocal })

/** How a membership or a sender names the interface it means. Without one the system picks by its default route. */
const multicastInterface = (of: Interface): string => (of.family === "IPv4" ? of.address : `::%${zoneOf(of.name)}`)

const listInterfaces = (): ReadonlyArray<Interface> =>
  Object.entries(Os.networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.flatMap(({ address, cidr, family, internal }): ReadonlyArray<Interface> => {
      // A netmask with holes has no CIDR form; nobody can say which addresses it holds.
      const prefix = cidr === null ? Number.NaN : Number(cidr.slice(cidr.indexOf("/") + 1))
      return Number.isNaN(prefix) ? [] : [{ name, family, address, prefix, loopback: internal }]
    })
  )

const codeOf = (error: unknown): string =>
  Predicate.hasProperty(error, "code") && typeof error.code === "string" ? error.code : String(error)

interface SocketOptions {
  readonly family: Interface["family"]
  readonly host: string
  readonly port: number
  /** Several processes may bind it. */
  readonly shared: boolean
  readonly configure: (socket: Dgram.Socket) => void
}

/** A bound socket; `arrived` takes each datagram and each later error. Its 'error' is handled from first to last. */
const bind = (options: SocketOptions, arrived: (what: Datagram | DatagramError) => void) =>
  Effect.callback<Dgram.Socket, DatagramError>((resume) => {
    const { family, host, port } = options
    const action = `opening UDP ${family === "IPv6" ? `[${host}]` : host}:${port}`
    const refused = (error: unknown) => resume(Effect.fail(new DatagramError({ action, code: codeOf(error) })))
    try {
      const socket = Dgram.createSocket({
        type: family === "IPv4" ? "udp4" : "udp6",
        reuseAddr: options.shared,
        ipv6Only: family === "IPv6",
        // Nothing heard may make this machine ask a name server: whatever is no IP address fails in the system call.
        lookup: (host, _options, done) => done(null, host, family === "IPv4" ? 4 : 6)
      })
      let bound = false
      socket.on("error", (error) => {
        if (bound) return arrived(new DatagramError({ action: `receiving on ${host}:${port}`, code: codeOf(error) }))
        socket.close(() => refused(error))
      })
      socket.on("message", (payload, { address, port }) => arrived({ payload, from: { host: address, port } }))
      socket.bind({ address: host, port }, () => {
        try {
          options.configure(socket)
          bound = true
          resume(Effect.succeed(socket))
        } catch (error) {
          socket.close(() => refused(error))
        }
      })
    } catch (error) {
      refused(error)
    }
  })

/** Returns once the descriptor is gone. */
const close = (socket: Dgram.Socket) => Effect.callback<void>((resume) => void socket.close(() => resume(Effect.void)))

const send = (socket: Dgram.Socket, action: string, payload: Uint8Array, to: Endpoint) =>
  Effect.callback<void, DatagramError>((resume) => {
    const failed = (error: unknown) => resume(Effect.fail(new DatagramError({ action, code: codeOf(error) })))
    try {
      socket.send(payload, to.port, to.host, (error) => (error === null ? resume(Effect.void) : failed(error)))
    } catch (error) {
      failed(error)
    }
    // Sending completes without visiting the event loop: a loop of sends would starve every socket's receiving.
  }).pipe(Effect.ensuring(Effect.yieldNow))

const make = Effect.sync(() => {
  let dropped = 0
  const budget = new ArrivalBudget(arrivals)

  const interfaces = Effect.try({ try: listInterfaces, catch: codeOf }).pipe(
    Effect.catch((code) =>
      // Some sandboxes forbid the question. A machine without interfaces is what that amounts to.
      Effect.logDebug("Cannot list network interfaces").pipe(Effect.annotateLogs({ code }), Effect.as([]))
    )
  )

  const openSocket = Effect.fnUntraced(function* (options: SocketOptions, receive: Receive) {
    const inbox = yield* makeInbox(receive)
    const arrived = (what: Datagram | DatagramError) => {
      if (what instanceof DatagramError) return void inbox.next(Effect.logDebug(what.message))
      if (!budget.take(what.from.host, performance.now()) || !inbox.hear(what)) dropped++
    }
    return yield* Effect.acquireRelease(bind(options, arrived), close)
  })

  /** Joins our group on every interface, again and again. What fails on one never stops the others. */
  const renewMemberships = (family: Interface["family"], socket: Dgram.Socket) => {
    const group = multicastGroups[family]
    const known = new Map<string, string>()
    return Effect.gen(function* () {
      const now = (yield* interfaces).filter((one) => one.family === family)
      const names = new Set(now.map(multicastInterface))
      for (const gone of [...known.keys()].filter((name) => !names.has(name))) {
        known.delete(gone)
        // The system gave it up with the interface; dropping it frees its place in the socket's own short list.
        yield* Effect.ignore(Effect.try(() => socket.dropMembership(group, gone)))
      }
      for (const name of names) {
        const join = Effect.try({ try: () => socket.addMembership(group, name), catch: codeOf })
        // EADDRINUSE: joined already.
        const code = yield* Effect.match(join, {
          onSuccess: () => "joined",
          onFailure: (code) => (code === "EADDRINUSE" ? "joined" : code)
        })
        if (code !== "joined" && known.get(name) !== code) {
          yield* Effect.logDebug(`Cannot join ${group}`).pipe(Effect.annotateLogs({ interface: name, code }))
        }
        known.set(name, code)
      }
    })
  }

  const listenOn = Effect.fnUntraced(function* (family: Interface["family"], port: number, receive: Receive) {
    const host = family === "IPv4" ? "0.0.0.0" : "::"
    const socket = yield* openSocket({ family, host, port, shared: true, configure: () => undefined }, receive)
    const renew = renewMemberships(family, socket)
    yield* renew
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(renewEvery), renew)))
  })

  const listen = Effect.fn("DatagramsUdp.listen")(function* (port: number, receive: Receive) {
    const results = [
      yield* Effect.result(listenOn("IPv4", port, receive)),
      yield* Effect.result(listenOn("IPv6", port, receive))
    ]
    const failures = results.flatMap((result) => (Result.isFailure(result) ? [result.failure] : []))
    // A machine may lack one family altogether. Any other failure is told: half deaf looks like an empty network.
    const [first] = failures
      .filter((error) => !familyMissing.has(error.code))
      .concat(failures.length > 1 ? failures : [])
    if (first !== undefined) return yield* first
  })

  const open = Effect.fn("DatagramsUdp.open")(function* (from: Interface, port: number, receive: Receive) {
    const configure = (socket: Dgram.Socket) => {
      if (from.family === "IPv4") socket.setBroadcast(true)
      socket.setMulticastTTL(multicastTtl)
      // Nodes of this same machine hear us by it too.
      socket.setMulticastLoopback(true)
      socket.setMulticastInterface(multicastInterface(from))
    }
    const zone = from.family === "IPv6" ? `%${zoneOf(from.name)}` : ""
    const host = isLinkLocal(from.address) ? `${from.address}${zone}` : from.address
    const socket = yield* openSocket({ family: from.family, host, port: 0, shared: false, configure }, receive)

    const subnet = broadcastAddress(from)
    const destinations = [...(subnet === null ? [] : [subnet]), `${multicastGroups[from.family]}${zone}`]
    const broadcast = (payload: Uint8Array) =>
      Effect.forEach(destinations, (to) =>
        send(socket, `sending to ${to} from ${from.name} (${from.address})`, payload, { host: to, port }).pipe(
          Effect.match({ onSuccess: () => ({ to, error: null }), onFailure: (error) => ({ to, error }) })
        )
      )

    return {
      port: socket.address().port,
      broadcast,
      send: (payload: Uint8Array, to: Endpoint) =>
        send(socket, `sending to ${to.host} from ${from.name} (${from.address})`, payload, to)
    }
  })

  return Datagrams.of({ interfaces, listen, open, dropped: Effect.sync(() => dropped) })
})

/** What binding says where the system was built or booted without that family. */
const familyMissing = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"])

export const layer: Layer.Layer<Datagrams> = Layer.effect(Datagrams, make)

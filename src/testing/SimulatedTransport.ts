/**
 * The Transport contract on a simulated network: listening, dialling and the handshake, in simulated time. As under
 * TLS 1.3, `dial` returns after two round trips, half a round trip before the other side's handler starts.
 *
 * Its listener ends with the layer; every link with the scope it was dialled or is handled in.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { limits, NodeConfig, defaultPort } from "../config.ts"
import { type Address, format, tcp } from "../schema/Address.ts"
import { short } from "../schema/PeerId.ts"
import { Identity } from "../services/Identity.ts"
import { DialError, type Link, ListenError, type Protocol, Transport } from "../services/Transport.ts"
import { type Medium, portKey } from "./Medium.ts"
import { micros } from "./Plan.ts"
import { SimulatedLink } from "./SimulatedLink.ts"
import { ephemeralFirst, type Host, notice, type Place, zoned } from "./Host.ts"

/** TCP asks again after one second, then after twice as long, and so on. */
const askAgain = micros("1 second")

type Handler = (link: Link) => Effect.Effect<void, never, Scope.Scope>

/** A free TCP port: the wanted one, or the first free one where that may be. */
const choosePort = (medium: Medium, host: Host, wanted: number, isFixed: boolean) => {
  const isFree = (port: number) => !medium.listeners.has(portKey(host, port))
  if (wanted !== 0 && isFree(wanted)) return Effect.succeed(wanted)
  if (wanted !== 0 && isFixed) {
    return Effect.fail(new ListenError({ address: `${host.name}:${wanted}`, detail: "the port is taken" }))
  }
  let port = ephemeralFirst
  while (!isFree(port)) port++
  return Effect.succeed(port)
}

/** A Transport for one node on this host. The port is NodeConfig's where there is one, else the default. */
export const make = Effect.fnUntraced(function* (medium: Medium, host: Host) {
  const { timeline, topology, history } = medium
  const { id } = yield* Identity
  const settings = Option.getOrUndefined(yield* Effect.serviceOption(NodeConfig))
  const port = yield* choosePort(medium, host, settings?.port ?? defaultPort, settings?.portIsFixed ?? false)
  const boot = host.boot
  const isAlive = () => host.up && host.boot === boot
  const handlers = new Map<Protocol, (link: Link, destroy: () => void) => Fiber.Fiber<void>>()

  /** One fiber for each inbound link, so that all of them end with the listener. */
  const own = yield* FiberSet.makeRuntime<never>()
  const key = portKey(host, port)
  const listener = {
    id,
    inbound: (link: Link, destroy: () => void) => {
      const handled = handlers.get(link.protocol)?.(link, destroy)
      own(
        handled === undefined
          ? Effect.ensuring(link.close, Effect.sync(destroy))
          : Effect.onInterrupt(Fiber.await(handled), () => Fiber.interrupt(handled))
      )
    }
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => medium.listeners.set(key, listener)),
    () => Effect.sync(() => (medium.listeners.get(key) === listener ? medium.listeners.delete(key) : false))
  )

  const accept = Effect.fn("SimulatedTransport.accept")(function* (protocol: Protocol, handler: Handler) {
    if (handlers.has(protocol)) return yield* Effect.die(new Error(`${protocol} has a handler already`))
    const run = yield* FiberSet.makeRuntime<never>()
    const serve = (link: Link, destroy: () => void) =>
      run(
        Effect.acquireRelease(Effect.succeed(link), () => Effect.sync(destroy)).pipe(
          Effect.flatMap(handler),
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("The handler of a link failed", cause)
          ),
          Effect.scoped,
          Effect.annotateLogs({ peer: link.peer, address: format(link.remote) })
        )
      )
    yield* Effect.acquireRelease(
      Effect.sync(() => handlers.set(protocol, serve)),
      () => Effect.sync(() => handlers.delete(protocol))
    )
  })

  /** Waits while the processes of a host are frozen. */
  const awake = (of: Host) =>
    Effect.callback<void>((resume) => {
      let isWanted = true
      notice(of, () => {
        if (isWanted) resume(Effect.void)
      })
      return Effect.sync(() => {
        isWanted = false
      })
    })

  const connect = Effect.fnUntraced(function* (address: Address, options: Parameters<Transport["Service"]["dial"]>[1]) {
    const failed = (problem: DialError["problem"], detail: string) =>
      Effect.fail(new DialError({ problem, address: format(address), detail }))
    const deadline = timeline.now() + micros(limits.dial)
    /** Not a timeout around all of it: that would cost two fibers for each of thousands of dials that nobody answers. */
    const sleep = (delay: number) => {
      const left = deadline - timeline.now()
      if (delay < left) return timeline.sleep(delay)
      return Effect.andThen(timeline.sleep(left), failed("unreachable", "no answer in time"))
    }
    /** One packet that has to arrive: until then it is sent again and again. */
    const pass = Effect.fnUntraced(function* (from: Place, to: Place) {
      let wait = askAgain
      yield* sleep(topology.conditions(from, to).latency)
      while (!isAlive() || !topology.reaches(from, to)) {
        yield* sleep(wait)
        wait *= 2
      }
    })
    const found = topology.resolve(host, address.host)
    if (found._tag === "Unresolved") return yield* failed("unresolved", "no such host")
    if (found._tag === "Nobody" && found.detail !== "no answer") return yield* failed("unreachable", found.detail)
    if (found._tag === "Nobody") return yield* Effect.andThen(sleep(Number.POSITIVE_INFINITY), Effect.never)
    const { from, to } = found
    const roundTrip = Effect.andThen(pass(from, to), pass(to, from))
    yield* pass(from, to)
    const target = medium.listeners.get(portKey(to.host, address.port))
    yield* pass(to, from)
    if (target === undefined) return yield* failed("refused", "nothing listens there")
    // Up to here it was the kernels.
    if (to.host.held !== null) yield* Effect.raceFirst(awake(to.host), sleep(Number.POSITIVE_INFINITY))
    yield* roundTrip
    if (target.id === null) return yield* failed("notKith", "it does not speak TLS 1.3 with a certificate")
    if (target.id === id) return yield* failed("self", "its key is our own")
    if (options.expect !== undefined && target.id !== options.expect) {
      const detail = `it is ${short(target.id)}, not ${short(options.expect)}`
      return yield* new DialError({ problem: "wrongPeer", address: format(address), detail, found: target.id })
    }
    return { from, to, target, targetId: target.id }
  })

  const dial: Transport["Service"]["dial"] = Effect.fn("SimulatedTransport.dial")(function* (address, options) {
    const port = host.nextPort++
    const named = `${host.name}:${port}`
    history.add("dial", named, format(address), undefined, options.protocol)
    const failed = (error: DialError) =>
      Effect.sync(() => history.add("refused", named, format(address), undefined, error.problem))
    const connected = yield* Effect.result(connect(address, options))
    // Whoever stands still hears neither of success nor of failure.
    if (host.held !== null) yield* awake(host)
    const { from, to, target, targetId } = yield* Effect.tapError(Effect.fromResult(connected), failed)
    const open = Effect.sync(() => {
      const made = new SimulatedLink({
        medium,
        protocol: options.protocol,
        ends: [
          { place: from, port, id, remote: tcp(zoned(to.address, from.card), address.port) },
          { place: to, port: address.port, id: targetId, remote: tcp(zoned(from.address, to.card), port) }
        ]
      })
      made.open((link, destroy) => {
        // Whoever listened may have ended meanwhile.
        const isThere = medium.listeners.get(portKey(to.host, address.port)) === target
        if (isThere) target.inbound(link, destroy)
        else destroy()
      })
      return made
    })
    const made = yield* Effect.acquireRelease(open, (made) => Effect.sync(() => made.dialled.destroy()))
    return made.link("dialled")
  })

  const addresses = Effect.sync(() =>
    host.cards
      .filter((card) => card.plugged)
      .flatMap((card) => card.interfaces.filter((each) => !each.loopback && each.family === "IPv4"))
      .map((each) => tcp(each.address, port))
  )

  const lost = Stream.callback<string>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const tell = (address: string) => void Queue.offerUnsafe(queue, address)
        host.onLost.add(tell)
        return tell
      }),
      (tell) => Effect.sync(() => host.onLost.delete(tell))
    )
  )

  return Transport.of({ port, addresses, lost, dial, accept })
})

export const layer = (medium: Medium, host: Host): Layer.Layer<Transport, ListenError, Identity> =>
  Layer.effect(Transport, make(medium, host))

/** DatagramsUdp on this machine's loopback: the contract, and what only real sockets can show. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { createSocket } from "node:dgram"
import { type Datagram, Datagrams, type Interface } from "../../src/services/Datagrams.ts"
import * as DatagramsUdp from "../../src/services/discovery/DatagramsUdp.ts"
import { datagramsContract } from "./DatagramsContract.ts"

/** A UDP port that was free a moment ago. */
const freePort = Effect.callback<number>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "0.0.0.0", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(port)))
  })
})

const service = Effect.map(Layer.build(Layer.fresh(DatagramsUdp.layer)), (context) => Context.get(context, Datagrams))

const loopback = Effect.fnUntraced(function* (datagrams: Datagrams["Service"]) {
  const found = (yield* datagrams.interfaces).find((one) => one.loopback && one.family === "IPv4")
  return found ?? (yield* Effect.die("this machine has no 127.0.0.1"))
})

/** UDP sockets of this thread. Node counts a closed one until its loop has come round. */
const sockets = () => process.getActiveResourcesInfo().filter((resource) => resource === "UDPWrap").length

const soon = <A, E>(effect: Effect.Effect<A, E>) => Effect.timeout(effect, "5 seconds")

const noSockets = Effect.suspend(() => soon(Effect.repeat(Effect.yieldNow, { until: () => sockets() === 0 })))

datagramsContract({
  name: "UDP on loopback",
  test: it.live,
  pair: Effect.gen(function* () {
    return { a: yield* service, b: yield* service, on: loopback }
  }),
  port: freePort,
  soon
})

const ethernet = (address: string, prefix: number): Interface => ({
  name: "eth0",
  family: address.includes(":") ? "IPv6" : "IPv4",
  address,
  prefix,
  loopback: false
})

describe("broadcastAddress", () => {
  it("is the last address of the subnet, where it has one", () => {
    const cases: ReadonlyArray<readonly [string, number, string | null]> = [
      ["127.0.0.1", 8, "127.255.255.255"],
      ["192.0.2.7", 24, "192.0.2.255"],
      ["10.1.2.3", 9, "10.127.255.255"],
      ["203.0.113.200", 30, "203.0.113.203"],
      ["203.0.113.200", 31, null],
      ["203.0.113.200", 32, null],
      ["fe80::1", 64, null]
    ]
    for (const [address, prefix, expected] of cases) {
      assert.strictEqual(DatagramsUdp.broadcastAddress(ethernet(address, prefix)), expected, `${address}/${prefix}`)
    }
  })
})

describe("DatagramsUdp", () => {
  it.live("hears both the subnet's broadcast and the group, with the interface named", () =>
    Effect.gen(function* () {
      const datagrams = yield* service
      const port = yield* freePort
      const heard = yield* Queue.dropping<Datagram>(10)
      yield* datagrams.listen(port, (datagram) => Queue.offer(heard, datagram))
      const sender = yield* datagrams.open(yield* loopback(datagrams), port, () => Effect.void)
      const outcomes = yield* sender.broadcast(new Uint8Array([1]))
      assert.deepStrictEqual(
        outcomes.map(({ to }) => to),
        ["127.255.255.255", "239.255.90.90"]
      )
      yield* soon(Queue.takeN(heard, 2))
    })
  )

  it.live("a loop of sends does not starve receiving, and a flood is bounded and counted", () =>
    Effect.gen(function* () {
      const datagrams = yield* service
      const port = yield* freePort
      let received = 0
      const slow = yield* Queue.bounded<Datagram>(1)
      yield* datagrams.listen(port, (datagram) =>
        Effect.sync(() => received++).pipe(Effect.andThen(Queue.offer(slow, datagram)))
      )
      const sender = yield* datagrams.open(yield* loopback(datagrams), port, () => Effect.void)
      for (let sent = 0; sent < 2000; sent++) yield* sender.broadcast(new Uint8Array([sent & 255]))
      // Nobody reads from `slow`, so one datagram is handled, one waits there, and the buffer is full.
      assert.strictEqual(received, 2)
      assert.isAbove(yield* datagrams.dropped, 1000)
      yield* Effect.repeat(Queue.take(slow), { times: 100 })
      assert.isAbove(received, 100)
    })
  )

  it.live("200 openings leave no socket behind", () =>
    Effect.gen(function* () {
      const datagrams = yield* service
      const port = yield* freePort
      const from = yield* loopback(datagrams)
      yield* noSockets
      const once = Effect.gen(function* () {
        yield* datagrams.listen(port, () => Effect.void)
        yield* datagrams.open(from, port, () => Effect.void)
        assert.isAtLeast(sockets(), 3)
      })
      yield* Effect.repeat(Effect.scoped(once), { times: 199 })
      yield* noSockets
    })
  )

  it.live("a port that another program keeps for itself is an error that says so, and leaves nothing open", () =>
    Effect.gen(function* () {
      const datagrams = yield* service
      const port = yield* freePort
      const stranger = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createSocket>>((resume) => {
          const socket = createSocket("udp4")
          socket.bind(port, "0.0.0.0", () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.callback<void>((resume) => void socket.close(() => resume(Effect.void)))
      )
      const scope = yield* Scope.make()
      const error = yield* Effect.flip(datagrams.listen(port, () => Effect.void).pipe(Scope.provide(scope)))
      assert.strictEqual(error.message, `opening UDP 0.0.0.0:${port} failed (EADDRINUSE)`)
      yield* Scope.close(scope, Exit.void)
      // An unreferenced socket is not counted.
      stranger.unref()
      yield* noSockets
    })
  )

  it.live("sending after the end is an error, not a crash", () =>
    Effect.gen(function* () {
      const datagrams = yield* service
      const port = yield* freePort
      const scope = yield* Scope.make()
      const from = yield* loopback(datagrams)
      const sender = yield* datagrams.open(from, port, () => Effect.void).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      const outcomes = yield* sender.broadcast(new Uint8Array([1]))
      assert.isTrue(outcomes.every(({ error }) => error !== null))
    })
  )
})

/** Discovery over real sockets, on loopback: in one process and across two. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { createSocket } from "node:dgram"
import { Datagrams } from "../../src/services/Datagrams.ts"
import * as DatagramsUdp from "../../src/services/discovery/DatagramsUdp.ts"
import type { Sighting } from "../../src/services/Discovery.ts"
import { announcer } from "../network/Announcers.ts"
import { someId } from "../Some.ts"
import { identityOf, someInstance, startNode } from "./DiscoveryNode.ts"

const onlyLoopback = Layer.effect(
  Datagrams,
  Effect.map(Datagrams, (datagrams) => ({
    ...datagrams,
    interfaces: Effect.map(datagrams.interfaces, (all) => all.filter(({ loopback }) => loopback))
  }))
).pipe(Layer.provide(DatagramsUdp.layer))

const freePort = Effect.callback<number>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "0.0.0.0", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(port)))
  })
})

const start = (n: number, discoveryPort: number) =>
  startNode({
    datagrams: onlyLoopback,
    identity: identityOf(someId(n), someInstance(n)),
    port: 7000 + n,
    settings: { name: `node ${n}`, discoveryPort }
  })

const waitFor = (node: { readonly sightings: Queue.Dequeue<Sighting> }, wanted: (sighting: Sighting) => boolean) =>
  Effect.timeout(Effect.repeat(Queue.take(node.sightings), { until: wanted }), "10 seconds")

describe("Discovery over UDP", () => {
  it.live("two nodes of one process hear each other within a second, and the end of one is heard", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const a = yield* start(1, port)
      const before = performance.now()
      const b = yield* start(2, port)
      const [ofB, ofA] = [yield* waitFor(a, () => true), yield* waitFor(b, () => true)]
      assert.isBelow(performance.now() - before, 1000)
      assert.deepStrictEqual(ofB.address, { _tag: "Tcp", host: "127.0.0.1", port: 7002 })
      assert.deepStrictEqual(ofA.address, { _tag: "Tcp", host: "127.0.0.1", port: 7001 })
      assert.strictEqual(ofB.name, "node 2")
      yield* b.stop
      const last = yield* waitFor(a, ({ kind }) => kind === "goodbye")
      assert.strictEqual(last.id, someId(2))
    })
  )

  it.live("so do two processes of one machine that share the port, and a signal does not keep one from goodbye", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const a = yield* start(1, port)
      const child = yield* announcer({ name: "child", port: 7003, discoveryPort: port, loopback: true })
      const ofChild = yield* waitFor(a, ({ name }) => name === "child")
      assert.deepStrictEqual(ofChild.address, { _tag: "Tcp", host: "127.0.0.1", port: 7003 })
      const ofA = yield* Effect.timeout(
        child.sees(() => true),
        "10 seconds"
      )
      assert.deepInclude(ofA, { id: someId(1), address: { host: "127.0.0.1", port: 7001 } })
      assert.isBelow(ofA.after, 1000)
      yield* child.interrupt
      const last = yield* waitFor(a, ({ kind }) => kind === "goodbye")
      assert.strictEqual(last.id, child.id)
    })
  )
})

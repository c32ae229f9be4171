/** The simulated transport: dialling, bytes, ends and refusals, in simulated time. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import { tcp } from "../../src/schema/Address.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type Link, type Protocol, Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"

/** Runs it while simulated time passes, a millisecond at a time, until it is done. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>, seconds = 60) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let at = 0; at < seconds * 1000 && fiber.pollUnsafe() === undefined; at++) yield* TestClock.adjust("1 milli")
    return yield* Fiber.join(fiber)
  })

const start = Effect.fnUntraced(function* (node: SimulatedNetwork.SimulatedNode) {
  const context = yield* Layer.build(Layer.fresh(node.layer))
  const transport = Context.get(context, Transport)
  return { transport, id: Context.get(context, Identity).id, node }
})

/** Two nodes, and the links that bob accepts. */
const pair = Effect.fnUntraced(function* (settings: Partial<SimulatedNetwork.NetworkSettings> = {}) {
  const network = yield* SimulatedNetwork.make({ seed: 1, ...settings })
  const alice = yield* start(network.host("alice"))
  const bob = yield* start(network.host("bob"))
  const accepted = yield* Queue.bounded<Link>(16)
  yield* bob.transport.accept("kith/1", (link) => Effect.andThen(Queue.offer(accepted, link), Effect.never))
  const dial = (protocol: Protocol = "kith/1") => alice.transport.dial(tcp("bob", 9090), { protocol })
  return { network, alice, bob, accepted, dial }
})

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (text: string) => new TextEncoder().encode(text)

describe("SimulatedTransport", () => {
  it.effect("carries bytes both ways, and knows who is there", () =>
    Effect.gen(function* () {
      const { alice, bob, accepted, dial } = yield* pair()
      const there = yield* passing(dial())
      yield* there.write(bytes("hello"), bytes(" bob"))
      const back = yield* passing(Queue.take(accepted))
      assert.strictEqual(there.peer, bob.id)
      assert.strictEqual(back.peer, alice.id)
      assert.strictEqual(text(yield* passing(back.read)), "hello bob")
      yield* back.write(bytes("hello alice"))
      assert.strictEqual(text(yield* passing(there.read)), "hello alice")
      const label = "EXPERIMENTAL kith"
      assert.deepStrictEqual(yield* there.exportKey(label, 40), yield* back.exportKey(label, 40))
      assert.notDeepEqual(yield* there.exportKey(label, 40), yield* there.exportKey("other", 40))
    })
  )

  it.effect("returns from a dial before the other side's handler starts", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      const order: Array<string> = []
      yield* bob.transport.accept("kith-data/1", () => Effect.sync(() => void order.push("accepted")))
      const dialled = yield* Deferred.make<void>()
      yield* alice.transport
        .dial(tcp("bob", 9090), { protocol: "kith-data/1" })
        .pipe(
          Effect.andThen(Effect.sync(() => void order.push("dialled"))),
          Effect.andThen(Deferred.succeed(dialled, undefined)),
          Effect.andThen(Effect.never),
          Effect.scoped,
          Effect.forkChild
        )
      yield* passing(Deferred.await(dialled))
      yield* TestClock.adjust("5 millis")
      assert.deepStrictEqual(order, ["dialled", "accepted"])
    })
  )
})

/** The simulated medium of announcements: who hears what, and what the medium does to it. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { type Datagram, Datagrams, type Interface } from "../../src/services/Datagrams.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { datagramsContract } from "../services/DatagramsContract.ts"

const port = 9090
const bytes = (text: string) => new TextEncoder().encode(text)

const note = (list: Array<string>) => (datagram: Datagram) =>
  Effect.sync(() => void list.push(`${new TextDecoder().decode(datagram.payload)} from ${datagram.from.host}`))

/** A node that notes what it hears: broadcasts in `heard`, unicast replies in `replies`. */
const start = Effect.fnUntraced(function* (node: SimulatedNetwork.SimulatedNode) {
  const datagrams = Context.get(yield* Layer.build(Layer.fresh(node.layer)), Datagrams)
  const heard: Array<string> = []
  const replies: Array<string> = []
  yield* datagrams.listen(port, note(heard))
  const on = (find: (one: Interface) => boolean) =>
    Effect.gen(function* () {
      const found = (yield* datagrams.interfaces).find(find)
      return yield* datagrams.open(found ?? assert.fail("no such interface"), port, note(replies))
    })
  const lan = yield* on((one) => one.name === "eth0" && one.family === "IPv4")
  return { datagrams, heard, replies, lan, on }
})

const service = (node: SimulatedNetwork.SimulatedNode) =>
  Effect.map(Layer.build(Layer.fresh(node.datagrams)), (context) => Context.get(context, Datagrams))

/** The card on the segment. */
const on = (datagrams: Datagrams["Service"]) =>
  Effect.flatMap(datagrams.interfaces, (all) =>
    Effect.fromOption(Option.fromUndefinedOr(all.find((one) => one.name === "eth0")))
  ).pipe(Effect.orDie)

datagramsContract({
  name: "simulated",
  test: it.effect,
  pair: Effect.gen(function* () {
    const network = yield* SimulatedNetwork.make({ seed: 1 })
    return { a: yield* service(network.host("alice")), b: yield* service(network.host("bob")), on }
  }),
  port: Effect.succeed(9090),
  soon: elapse
})

describe("SimulatedDatagrams", () => {
  it.effect("broadcast reaches every node of the segment, several of one machine too, and no other segment", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const alice = yield* start(network.host("alice"))
      const second = yield* start(network.host("alice").node("second"))
      const bob = yield* start(network.host("bob"))
      const carol = yield* start(network.host("carol", ["office"]))
      const results = yield* alice.lan.broadcast(bytes("hello"))
      assert.deepStrictEqual(
        results.map((result) => [result.to, result.error]),
        [
          ["10.0.255.255", null],
          ["239.255.90.90", null]
        ]
      )
      yield* TestClock.adjust("1 second")
      const twice = ["hello from 10.0.0.1", "hello from 10.0.0.1"]
      assert.deepStrictEqual([alice.heard, second.heard, bob.heard, carol.heard], [twice, twice, twice, []])
      assert.deepStrictEqual(bob.replies, [])
    })
  )

  it.effect("a reply port is heard by its own node alone, even where two share a machine", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const alice = yield* start(network.host("alice"))
      const second = yield* start(network.host("alice").node("second"))
      const bob = yield* start(network.host("bob"))
      assert.notStrictEqual(alice.lan.port, second.lan.port)
      yield* bob.lan.send(bytes("you"), { host: "10.0.0.1", port: second.lan.port })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([alice.replies, second.replies], [[], ["you from 10.0.0.2"]])
    })
  )

  it.effect("a broadcast is not for reply ports, and does not cross a partition", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const alice = yield* start(network.host("alice"))
      const bob = yield* start(network.host("bob"))
      const lan = yield* on(alice.datagrams)
      const loud = yield* alice.datagrams.open(lan, bob.lan.port, () => Effect.void)
      yield* loud.broadcast(bytes("to every port"))
      yield* TestClock.adjust("1 second")
      network.partition(["alice"])
      yield* alice.lan.broadcast(bytes("into the wall"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([bob.replies, bob.heard], [[], []])
      assert.strictEqual(alice.heard.length, 2)
    })
  )

  it.effect("loses, doubles and reorders as often as it was told", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, loss: 0.3, duplication: 0.1, reordering: 0.2 })
      const alice = yield* start(network.host("alice"))
      const bob = yield* start(network.host("bob"))
      const count = 2000
      for (let n = 0; n < count; n++) {
        yield* alice.lan.send(bytes(String(n)), { host: "10.0.0.2", port: bob.lan.port })
        yield* TestClock.adjust("1 milli")
      }
      yield* TestClock.adjust("1 second")
      const numbers = bob.replies.map((reply) => Number.parseInt(reply))
      const distinct = new Set(numbers).size
      assert.isTrue(Math.abs(distinct / count - 0.7) < 0.05, `${distinct} of ${count} arrived`)
      const doubled = (numbers.length - distinct) / distinct
      assert.isTrue(Math.abs(doubled - 0.1) < 0.03, `${doubled} arrived twice`)
      const overtaken = numbers.filter((number, index) => number < (numbers[index - 1] ?? 0)).length
      assert.isTrue(overtaken > 50, `${overtaken} were overtaken`)
    })
  )
})

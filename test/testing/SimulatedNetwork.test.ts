/** What can happen to a simulated network, and that one seed is one history. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { tcp } from "../../src/schema/Address.ts"
import { Datagrams } from "../../src/services/Datagrams.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { bytes, inbound, pair, start, text } from "./SimulatedPair.ts"

describe("faults", () => {
  it.effect("a partition makes bytes wait, and healing lets them arrive in their order", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const [there, back] = yield* elapse(connect)
      network.partition(["alice"])
      yield* there.write(bytes("one "))
      yield* TestClock.adjust("1 minute")
      yield* there.write(bytes("two "))
      const reading = yield* Effect.forkChild(back.readFully(new Uint8Array(14)), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(reading.pollUnsafe())
      network.heal()
      yield* there.write(bytes("three "))
      yield* elapse(Fiber.join(reading), { within: "1 second" })
      const after = new Uint8Array(14)
      yield* back.write(bytes("one two three "))
      yield* elapse(there.readFully(after))
      assert.strictEqual(text(after), "one two three ")
    })
  )

  it.effect("whatever is written and whenever the path breaks, bytes arrive once and in their order", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 20; seed++) {
        const { network, connect } = yield* pair({ seed, latency: "2 millis", jitter: "3 millis" })
        const random = SimulatedRandom.make(seed)
        const [there, back] = yield* elapse(connect)
        const sent: Array<number> = []
        const heard: Array<number> = []
        yield* Effect.forkScoped(Effect.forever(Effect.map(back.read, (part) => void heard.push(...part))))
        for (let step = 0; step < 200; step++) {
          if (random.chance(0.1)) network.partition(["alice"])
          if (random.chance(0.2)) network.heal()
          const part = random.bytes(random.between(1, 20))
          sent.push(...part)
          yield* there.write(part)
          yield* TestClock.adjust(random.between(0, 3))
        }
        network.heal()
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(heard, sent)
      }
    })
  )

  it.effect("who leaves as soon as it has healed is missed after the bytes that waited", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const scope = yield* Scope.make()
      const [there, back] = yield* elapse(Scope.provide(connect, scope))
      network.partition(["alice"])
      yield* there.write(bytes("the last words"))
      yield* TestClock.adjust("1 second")
      network.heal()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(text(yield* elapse(back.read)), "the last words")
      assert.isFalse((yield* Effect.flip(elapse(back.read))).clean)
    })
  )

  it.effect("who leaves during a partition is missed when something is written to them after it", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const scope = yield* Scope.make()
      const [, back] = yield* elapse(Scope.provide(connect, scope))
      const reading = yield* Effect.forkChild(Effect.flip(back.read), { startImmediately: true })
      network.partition(["alice"])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 second")
      network.heal()
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(reading.pollUnsafe())
      yield* back.write(bytes("hello?"))
      assert.isFalse((yield* elapse(Fiber.join(reading))).clean)
    })
  )

  it.effect("a dial across a partition is unreachable after the limit, and gets through if it heals before", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      network.partition(["alice"], ["bob"])
      const before = yield* Clock.currentTimeMillis
      const error = yield* Effect.flip(elapse(connect))
      assert.deepInclude(error, { problem: "unreachable" })
      assert.strictEqual((yield* Clock.currentTimeMillis) - before, 5000)
      const late = yield* Effect.forkChild(connect, { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      network.heal()
      yield* elapse(Fiber.join(late), { within: "2 seconds" })
    })
  )

  it.effect("hosts in no group stay together, and partitions add up", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const names = ["alice", "bob", "carol", "dave"]
      const nodes = yield* Effect.forEach(names, (name) => start(network.host(name)))
      const reaches = (from: number, to: string) =>
        nodes[from]?.transport
          .dial(tcp(to, 9090), { protocol: "kith/1" })
          .pipe(Effect.scoped, Effect.match({ onFailure: () => false, onSuccess: () => true }), elapse) ??
        Effect.succeed(false)
      network.partition(["alice", "bob"])
      assert.deepStrictEqual(
        [yield* reaches(0, "bob"), yield* reaches(0, "carol"), yield* reaches(2, "dave")],
        [true, false, true]
      )
      network.partition(["carol"])
      assert.deepStrictEqual([yield* reaches(0, "bob"), yield* reaches(2, "dave")], [true, false])
      network.heal()
      assert.deepStrictEqual([yield* reaches(0, "carol"), yield* reaches(2, "dave")], [true, true])
    })
  )

  it.effect("a cut resets the links between two hosts, and no others", () =>
    Effect.gen(function* () {
      const { network, connect, accepted } = yield* pair()
      const carol = yield* start(network.host("carol"))
      const [there, back] = yield* elapse(connect)
      const other = yield* elapse(carol.transport.dial(tcp("bob", 9090), { protocol: "kith/1" }))
      const otherBack = yield* elapse(Queue.take(accepted))
      network.cut("bob", "alice")
      assert.isFalse((yield* Effect.flip(there.read)).clean)
      assert.isFalse((yield* Effect.flip(back.write(bytes("x")))).clean)
      yield* other.write(bytes("still here"))
      assert.strictEqual(text(yield* elapse(otherBack.read)), "still here")
    })
  )

  it.effect("on a half-open link bytes vanish and nobody is told", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const [there, back] = yield* elapse(connect)
      network.halfOpen("alice", "bob")
      yield* there.write(bytes("into the void"))
      const reading = yield* Effect.forkChild(back.read, { startImmediately: true })
      const answering = yield* Effect.forkChild(there.read, { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([reading.pollUnsafe(), answering.pollUnsafe()], [undefined, undefined])
      const before = yield* Clock.currentTimeMillis
      yield* elapse(there.close)
      assert.isAtMost((yield* Clock.currentTimeMillis) - before, 1010)
      assert.isUndefined(reading.pollUnsafe())
    })
  )

  it.effect("a killed machine says nothing; once it is back, it resets what it no longer knows", () =>
    Effect.gen(function* () {
      const { network, alice, bob, connect } = yield* pair()
      const [there, back] = yield* elapse(connect)
      network.kill("bob")
      yield* Effect.flip(back.read)
      const reading = yield* Effect.forkChild(Effect.flip(there.read), { startImmediately: true })
      yield* there.write(bytes("are you there?"))
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(reading.pollUnsafe())
      const dial = alice.transport.dial(tcp("bob", 9090), { protocol: "kith/1" })
      assert.strictEqual((yield* Effect.flip(elapse(dial))).problem, "unreachable")
      network.boot("bob")
      assert.isFalse((yield* elapse(Fiber.join(reading))).clean)
      assert.strictEqual((yield* Effect.flip(elapse(dial))).problem, "refused")
      const again = yield* start(network.host("bob"))
      const links = yield* inbound(again.transport)
      assert.strictEqual(again.identity.id, bob.identity.id)
      assert.notStrictEqual(again.identity.instance, bob.identity.instance)
      yield* elapse(dial)
      yield* elapse(Queue.take(links))
      // What ran there before the kill stays dead.
      const zombie = bob.transport.dial(tcp("alice", 9090), { protocol: "kith/1" })
      assert.strictEqual((yield* Effect.flip(elapse(zombie))).problem, "unreachable")
    })
  )

  it.effect("an unplugged card takes its interfaces with it, and what waited arrives once it is back", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const bob = network.host("bob")
      const [there, back] = yield* elapse(connect)
      const datagrams = Context.get(yield* Layer.build(bob.datagrams), Datagrams)
      const [lan] = (yield* datagrams.interfaces).filter((one) => !one.loopback)
      const sender = yield* datagrams.open(lan ?? assert.fail(), 9090, () => Effect.void)
      network.unplug("bob", "lan")
      assert.deepStrictEqual(bob.addresses(), [])
      assert.isTrue((yield* datagrams.interfaces).every((one) => one.loopback))
      assert.strictEqual((yield* sender.broadcast(bytes("x")))[0]?.error?.code, "ENETUNREACH")
      yield* there.write(bytes("later"))
      yield* TestClock.adjust("10 seconds")
      network.plug("bob", "lan")
      assert.strictEqual(text(yield* elapse(back.read)), "later")
      assert.isNull((yield* sender.broadcast(bytes("x")))[0]?.error)
      network.plug("bob", "office")
      assert.deepStrictEqual(bob.addresses(), ["10.0.0.2", "10.1.0.2", "fe80::1:2", "fe80::2:2"])
    })
  )

  it.effect("segments are routed to each other unless the network is not", () =>
    Effect.gen(function* () {
      for (const routed of [true, false]) {
        const network = yield* SimulatedNetwork.make({ seed: 1, routed })
        const alice = yield* start(network.host("alice"))
        yield* start(network.host("bob", ["office"]))
        const dialled = yield* alice.transport
          .dial(tcp("bob", 9090), { protocol: "kith/1" })
          .pipe(Effect.scoped, Effect.match({ onFailure: (error) => error.problem, onSuccess: () => "linked" }), elapse)
        assert.strictEqual(dialled, routed ? "linked" : "unreachable")
      }
    })
  )
})

/** Nodes that find each other by broadcast, dial, talk and hang up, over a bad network with faults. */
const workload = Effect.fnUntraced(function* (seed: number, hosts: number, realPause: Duration.Input = 0) {
  const pass = (time: Duration.Input) =>
    Effect.repeat(
      Effect.andThen(
        TestClock.adjust(Duration.divideUnsafe(Duration.fromInputUnsafe(time), 10)),
        TestClock.withLive(Effect.sleep(realPause))
      ),
      { times: 9 }
    )
  const network = yield* SimulatedNetwork.make({
    seed,
    latency: "2 millis",
    jitter: "5 millis",
    loss: 0.1,
    duplication: 0.1,
    reordering: 0.1
  })
  const node = Effect.fnUntraced(function* (name: string) {
    const context = yield* Layer.build(Layer.fresh(network.host(name).layer))
    const [transport, datagrams] = [Context.get(context, Transport), Context.get(context, Datagrams)]
    const { id } = Context.get(context, Identity)
    const talk = Effect.gen(function* () {
      const random = Context.get(context, SecureRandom.SecureRandom)
      yield* transport.accept("kith/1", (link) =>
        link.read.pipe(Effect.flatMap(link.write), Effect.forever, Effect.ignore)
      )
      yield* datagrams.listen(9090, ({ from, payload }) =>
        text(payload) <= id
          ? Effect.void
          : transport.dial(tcp(from.host, 9090), { protocol: "kith/1" }).pipe(
              Effect.tap((link) => Effect.flatMap(random.randomBytes(200), link.write)),
              Effect.tap((link) => link.readFully(new Uint8Array(200))),
              Effect.flatMap((link) => link.close),
              Effect.scoped,
              Effect.ignore
            )
      )
      for (const one of yield* datagrams.interfaces) {
        if (one.family !== "IPv4" || one.loopback) continue
        const sender = yield* datagrams.open(one, 9090, () => Effect.void)
        while (true) {
          yield* sender.broadcast(bytes(id))
          yield* Effect.sleep(500 + (yield* Random.next) * 1000)
        }
      }
    })
    yield* Effect.forkScoped(Effect.provideContext(talk, context))
  })
  const names = Array.from({ length: hosts }, (_, n) => `host${n}`)
  yield* Effect.forEach(names, node, { discard: true })
  yield* pass("5 seconds")
  network.partition(["host0", "host1"])
  network.cut("host0", "host2")
  yield* pass("3 seconds")
  network.kill("host3")
  network.heal()
  yield* pass("5 seconds")
  return { fingerprint: network.fingerprint(), transcript: network.transcript() }
})

describe("one seed, one history", () => {
  it.effect("twice the same, byte for byte, whatever real time it takes; another seed is another history", () =>
    Effect.gen(function* () {
      const one = yield* Effect.scoped(workload(7, 6))
      const two = yield* Effect.scoped(workload(7, 6, "3 millis"))
      const other = yield* Effect.scoped(workload(8, 6))
      assert.isTrue(two.transcript === one.transcript)
      assert.strictEqual(two.fingerprint, one.fingerprint)
      assert.notStrictEqual(other.fingerprint, one.fingerprint)
      for (const kind of ["linked", "data", "close", "datagram", "lost", "doubled", "dial", "verb"]) {
        assert.isTrue(new RegExp(`^\\d+\\.\\d{3} ${kind} `, "m").test(one.transcript), kind)
      }
    })
  )

  it.effect("another host leaves the chances of the others alone", () =>
    Effect.gen(function* () {
      const ids = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
        const network = yield* SimulatedNetwork.make({ seed: "a seed may be text" })
        const ids = new Map<string, string>()
        for (const name of names) ids.set(name, (yield* start(network.host(name))).identity.instance)
        return ids
      })
      const [few, many] = [yield* ids(["alice", "bob"]), yield* ids(["carol", "alice", "bob"])]
      assert.strictEqual(few.get("bob"), many.get("bob"))
      assert.notStrictEqual(few.get("bob"), few.get("alice"))
    })
  )

  it.effect("history keeps the newest, the fingerprint all", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, historyMax: 10 })
      network.host("alice")
      for (let n = 0; n < 100; n++) network.boot("alice")
      assert.strictEqual(network.history().length, 10)
      assert.match(network.fingerprint(), /^101-/)
    })
  )
})

describe("many at once", () => {
  it.effect("fifty hosts dial one at the same moment: each gets a link, and all are gone afterwards", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, jitter: "1 millis" })
      const hub = yield* start(network.host("hub"))
      const links = yield* inbound(hub.transport)
      const scope = yield* Scope.make()
      const names = Array.from({ length: 50 }, (_, n) => `host${n}`)
      const nodes = yield* Effect.forEach(names, (name) => start(network.host(name)))
      yield* Effect.forEach(nodes, ({ transport }) => transport.dial(tcp("hub", 9090), { protocol: "kith/1" }), {
        concurrency: "unbounded"
      }).pipe(Scope.provide(scope), elapse)
      const accepted = yield* elapse(Queue.takeN(links, 50))
      assert.strictEqual(new Set(accepted.map((link) => link.peer)).size, 50)
      yield* Scope.close(scope, Exit.void)
      for (const link of accepted) yield* Effect.flip(elapse(link.read))
    })
  )

  it.effect("everyone hears everyone: fifty hosts, one broadcast each", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const heard = new Map<string, Set<string>>()
      for (let n = 0; n < 50; n++) {
        const host = network.host(`host${n}`)
        const datagrams = Context.get(yield* Layer.build(host.datagrams), Datagrams)
        const names = new Set<string>()
        heard.set(host.name, names)
        yield* datagrams.listen(9090, ({ payload }) => Effect.sync(() => void names.add(text(payload))))
        const [lan] = (yield* datagrams.interfaces).filter((one) => one.name === "eth0")
        const sender = yield* datagrams.open(lan ?? assert.fail(), 9090, () => Effect.void)
        yield* Effect.forkScoped(Effect.andThen(Effect.sleep(100), sender.broadcast(bytes(host.name))))
      }
      yield* TestClock.adjust("1 second")
      for (const names of heard.values()) assert.strictEqual(names.size, 50)
    })
  )

  it.effect("a link that moves as much as it can starves no other", () =>
    Effect.gen(function* () {
      const { network, accepted, connect } = yield* pair()
      const carol = yield* start(network.host("carol"))
      const [bulk, drain] = yield* elapse(connect)
      const slow = yield* elapse(carol.transport.dial(tcp("bob", 9090), { protocol: "kith/1" }))
      const slowBack = yield* elapse(Queue.take(accepted))
      yield* Effect.forkChild(Effect.forever(bulk.write(new Uint8Array(1 << 20))))
      yield* Effect.forkChild(Effect.forever(drain.readFully(new Uint8Array(1 << 20))))
      yield* Effect.forkChild(Effect.forever(Effect.flatMap(slowBack.read, slowBack.write)))
      const before = yield* Clock.currentTimeMillis
      for (let n = 0; n < 10; n++) {
        yield* slow.write(bytes("ping"))
        yield* elapse(slow.read, { step: "1 millis" })
      }
      assert.isAtMost((yield* Clock.currentTimeMillis) - before, 40)
    })
  )
})

/** Discovery over the simulated network: who hears whom, and when. Hostile datagrams are in DiscoveryHostile.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { announcementBytes } from "../../src/schema/Announcement.ts"
import type { Sighting } from "../../src/services/Discovery.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { type NodeOptions, startNode } from "./DiscoveryNode.ts"

const start = (host: SimulatedNetwork.SimulatedNode, options?: Partial<NodeOptions>) =>
  startNode({ datagrams: host.datagrams, identity: host.identity, random: host.random, ...options })

const idsIn = (heard: ReadonlyArray<Sighting>) => new Set(heard.map(({ id }) => id))

const hosts = (heard: ReadonlyArray<Sighting>) => [...new Set(heard.map(({ address }) => address.host))].toSorted()

/** What happened among three nodes in a minute. */
const minute = (seed: number) =>
  Effect.gen(function* () {
    const network = yield* SimulatedNetwork.make({ seed, jitter: "1 millis", loss: 0.1 })
    for (const name of ["alice", "bob", "carol"]) yield* start(network.host(name))
    yield* TestClock.adjust("1 minute")
    return network.fingerprint()
  }).pipe(Effect.scoped)

describe("two nodes", () => {
  it.effect("hear each other within a second of the second one's start, by all their addresses", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const [alice, bob] = [network.host("alice"), network.host("bob")]
      const a = yield* start(alice, { port: 7001, settings: { name: "Alice" } })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(a.heard, [])
      const b = yield* start(bob, { port: 7002, settings: { name: "Bob" } })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([...idsIn(a.heard)], [bob.id])
      assert.deepStrictEqual([...idsIn(b.heard)], [alice.id])
      // The zone is that of the hearer: fe80::1:2%eth0 is bob as alice must dial him.
      assert.deepStrictEqual(
        hosts(a.heard),
        bob.addresses().map((each) => (each.startsWith("fe80") ? `${each}%eth0` : each))
      )
      assert.deepInclude(a.heard[0], { kind: "here", name: "Bob" })
      assert.isTrue(a.heard.every(({ address }) => address.port === 7002))
      assert.isTrue(b.heard.every(({ address, name }) => address.port === 7001 && name === "Alice"))
    })
  )

  it.effect("are told of as a stream too, from now on", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1 })
      const a = yield* start(network.host("alice"))
      yield* TestClock.adjust("1 minute")
      const first = yield* Effect.forkChild(Stream.runHead(a.discovery.sightings), { startImmediately: true })
      const b = yield* start(network.host("bob"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(first)), a.heard[0])
      yield* b.stop
    })
  )

  it.effect("the newcomer is answered by unicast, at once, with no more bytes than it sent", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 2 })
      const [alice, bob] = [network.host("alice"), network.host("bob")]
      yield* start(alice)
      yield* TestClock.adjust("1 minute")
      const b = yield* start(bob)
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual([...idsIn(b.heard)], [alice.id])
      const sentByBob = network.history().filter(({ from }) => from.startsWith("bob"))
      const answers = network.history().filter(({ detail }) => detail === "unicast")
      // One for each of bob's two addresses, though each announcement came by broadcast and by multicast.
      assert.strictEqual(answers.length, 2)
      assert.isTrue(answers.every(({ from, size }) => from.startsWith("alice") && size === announcementBytes))
      assert.isAtLeast(sentByBob.length, answers.length)
      // Bob was told by the answer; he does not answer in turn, nor is he answered for ever.
      yield* TestClock.adjust("1 minute")
      const later = network.history().filter(({ detail, at }) => detail === "unicast" && at > 70_000_000)
      assert.deepStrictEqual(later, [])
    })
  )

  it.effect("a node that comes again is another instance, and is answered again", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 3 })
      const [alice, bob] = [network.host("alice"), network.host("bob")]
      const a = yield* start(alice)
      const first = yield* start(bob)
      yield* TestClock.adjust("1 minute")
      yield* first.stop
      const second = yield* start(bob)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual([...idsIn(second.heard)], [alice.id])
      assert.strictEqual(new Set(a.heard.map(({ instance }) => instance)).size, 2)
      assert.deepStrictEqual(a.events, [])
    })
  )

  it.effect("say goodbye at the end, once everything else is said, and are silent from then on", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 4 })
      const [alice, bob] = [network.host("alice"), network.host("bob")]
      const a = yield* start(alice)
      const b = yield* start(bob)
      yield* TestClock.adjust("10 seconds")
      yield* b.stop
      const before = a.heard.length
      yield* TestClock.adjust("1 minute")
      const last = a.heard.slice(before)
      assert.deepStrictEqual([...idsIn(last)], [bob.id])
      assert.isTrue(last.every(({ kind }) => kind === "goodbye"))
      assert.strictEqual(hosts(last).length, 2)
    })
  )

  it.effect("on one machine meet too, without any network", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 5 })
      const machine = network.host("machine", [])
      const [one, other] = [machine.node("one"), machine.node("other")]
      const a = yield* start(one, { port: 7001 })
      const b = yield* start(other, { port: 7002 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([...idsIn(a.heard)], [other.id])
      assert.deepStrictEqual([...idsIn(b.heard)], [one.id])
      assert.deepStrictEqual(a.heard[0]?.address, { _tag: "Tcp", host: "127.0.0.1", port: 7002 })
    })
  )

  it.effect("hear each other within 5 s where a third of everything is lost, doubled or late, whatever the seed", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 40; seed++) {
        yield* Effect.gen(function* () {
          const network = yield* SimulatedNetwork.make({ seed, loss: 0.3, duplication: 0.1, reordering: 0.2 })
          const [alice, bob] = [network.host("alice"), network.host("bob")]
          const a = yield* start(alice)
          yield* TestClock.adjust(Duration.millis(20_000 + seed * 137))
          const b = yield* start(bob)
          yield* TestClock.adjust("5 seconds")
          assert.deepStrictEqual([...idsIn(a.heard)], [bob.id], `seed ${seed}`)
          assert.deepStrictEqual([...idsIn(b.heard)], [alice.id], `seed ${seed}`)
        }).pipe(Effect.scoped)
      }
    })
  )
})

describe("a network", () => {
  it.effect("of 50 nodes that start at once is known to each of them within a second", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 6 })
      const nodes = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) => start(network.host(`n${n}`))
      )
      yield* TestClock.adjust("1 second")
      for (const node of nodes) assert.strictEqual(idsIn(node.heard).size, 49)
    })
  )

  it.effect("that is divided does not meet, and the report shows that nobody was heard; healed, it meets in 5 s", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const [alice, bob] = [network.host("alice"), network.host("bob")]
      network.partition(["alice"], ["bob"])
      const [a, b] = [yield* start(alice), yield* start(bob)]
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual([a.heard, b.heard], [[], []])
      const report = yield* a.discovery.report
      assert.deepStrictEqual(
        report.interfaces.map(({ name, heard }) => ({ name, heard })),
        [
          { name: "lo", heard: 0 },
          { name: "eth0", heard: 0 },
          { name: "eth0", heard: 0 }
        ]
      )
      assert.isTrue(
        report.interfaces.every(({ sent }) => sent.every(({ count, error }) => count > 5 && error === null))
      )
      assert.deepInclude(report, { dropped: 0, deaf: null })
      network.heal()
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([...idsIn(a.heard)], [bob.id])
      assert.deepStrictEqual([...idsIn(b.heard)], [alice.id])
      yield* TestClock.adjust("30 seconds")
      // Both answers to its own announcements and announcements of the other: nothing stands between.
      const eth0 = (yield* a.discovery.report).interfaces.find(({ name }) => name === "eth0")
      assert(eth0 !== undefined && eth0.answered > 0 && eth0.heard > eth0.answered)
    })
  )

  it.effect(
    "that appears on a running machine is announced to, and reported, within 5 s; one that goes is forgotten",
    () =>
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make({ seed: 8 })
        const [alice, bob] = [network.host("alice"), network.host("bob", [])]
        const a = yield* start(alice)
        const b = yield* start(bob)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(a.heard, [])
        assert.strictEqual((yield* b.discovery.report).interfaces.length, 1)
        network.plug("bob", "lan")
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual([...idsIn(a.heard)], [bob.id])
        assert.deepStrictEqual([...idsIn(b.heard)], [alice.id])
        const { interfaces } = yield* b.discovery.report
        assert.isTrue(interfaces.filter(({ name }) => name === "eth0").every(({ heard }) => heard > 0))
        network.unplug("bob", "lan")
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* b.discovery.report).interfaces.length, 1)
        // It comes again under its old name and addresses.
        network.plug("bob", "lan")
        const before = a.heard.length
        yield* TestClock.adjust("3 seconds")
        assert.isAbove(a.heard.length, before)
      })
  )

  it.effect("is told at once when asked to announce", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 9 })
      const a = yield* start(network.host("alice"))
      const b = yield* start(network.host("bob"))
      yield* TestClock.adjust("1 minute")
      const before = a.heard.length
      yield* b.discovery.announce
      yield* TestClock.adjust("2 millis")
      assert.isAtLeast(a.heard.length, before + 2)
    })
  )
})

describe("a node", () => {
  it.effect("that is alone takes its own datagrams for nothing", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 10 })
      const a = yield* start(network.host("alice"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([a.heard, a.events], [[], []])
      const report = yield* a.discovery.report
      assert.strictEqual(report.dropped, 0)
      assert.isTrue(report.interfaces.every(({ heard }) => heard === 0))
    })
  )

  it.effect("announces often at first, then every 5 s at the latest", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 11 })
      const [alice] = [network.host("alice"), network.host("bob")]
      yield* start(alice)
      yield* TestClock.adjust("2 minutes")
      const times = network
        .history()
        .filter(({ detail, to }) => detail === "broadcast" && to.startsWith("bob"))
        .map(({ at }) => Math.round(at / 1000) - 1)
      assert.deepStrictEqual(times.slice(0, 7), [0, 200, 700, 1500, 2500, 3500, 4500])
      const gaps = times.slice(7).map((at, index) => at - (times[index + 6] ?? 0))
      assert.isAbove(gaps.length, 20)
      for (const gap of gaps) assert.isTrue(gap >= 3750 && gap <= 5000, `${gap} ms`)
      assert.isAbove(new Set(gaps).size, 10)
    })
  )

  it.effect("with discovery off says nothing, hears nothing, and its report says so", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 12 })
      const a = yield* start(network.host("alice"), { settings: { discovery: false } })
      const b = yield* start(network.host("bob"))
      yield* TestClock.adjust("1 minute")
      yield* a.discovery.announce
      assert.deepStrictEqual([a.heard, b.heard], [[], []])
      assert.isFalse(network.history().some(({ from }) => from.startsWith("alice:")))
      assert.deepStrictEqual(yield* a.discovery.report, { interfaces: [], dropped: 0, deaf: "discovery is off" })
    })
  )

  it.effect("whose identity also runs elsewhere raises the alarm on both sides, once a minute at most", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 13 })
      const alice = network.host("alice")
      const a = yield* start(alice)
      const copy = yield* start(network.host("bob"), { identity: alice.identity })
      yield* TestClock.adjust("59 seconds")
      for (const node of [a, copy]) {
        assert.strictEqual(node.events.length, 1)
        assert.deepInclude(node.events[0], { _tag: "Alarm", kind: "clonedIdentity", peer: alice.id })
        assert.deepStrictEqual(node.heard, [])
      }
      yield* TestClock.adjust("9 minutes")
      assert.isTrue(a.events.length >= 8 && a.events.length <= 10, String(a.events.length))
    })
  )

  it.effect("draws its chances from effect's Random, so that one seed is one history", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* minute(15), yield* minute(15))
      assert.notStrictEqual(yield* minute(15), yield* minute(16))
    })
  )

  it.effect("leaves nothing running or scheduled behind", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 14 })
      const a = yield* start(network.host("alice"))
      yield* TestClock.adjust("10 seconds")
      yield* a.stop
      const before = network.fingerprint()
      const [{ at = 0 } = {}] = network.history().slice(-1)
      yield* TestClock.adjust("10 minutes")
      assert.isTrue(
        network.history().every((happening) => happening.at <= at + 1_000_000),
        before
      )
    })
  )
})

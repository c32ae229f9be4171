/** The simulated transport: dialling, bytes, ends and refusals, in simulated time. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { tcp } from "../../src/schema/Address.ts"
import type { Link } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { windowBytes } from "../../src/testing/LinkEnd.ts"
import { type ContractNetwork, transportContract } from "../services/TransportContract.ts"
import { bytes, inbound, pair, start, text } from "./SimulatedPair.ts"

const readAll = (link: Link, total: number) =>
  Effect.gen(function* () {
    const into = new Uint8Array(total)
    yield* link.readFully(into)
    return into
  })

const network = Effect.gen(function* () {
  const network = yield* SimulatedNetwork.make({ seed: 1, jitter: "500 micros" })
  network.host("nothing listens")
  let count = 0
  return {
    node: Effect.suspend(() => start(network.host(`host${count++}`))).pipe(
      Effect.orDie,
      Effect.map(({ identity, node, transport }) => ({ id: identity.id, transport, address: tcp(node.name, 9090) }))
    ),
    refusing: Effect.succeed(tcp("nothing listens", 9090)),
    silent: Effect.succeed(tcp("10.99.99.99", 9090)),
    open: Effect.sync(() => network.linkCount())
  } satisfies ContractNetwork
})

transportContract("SimulatedTransport", {
  network,
  test: (title, body) => it.effect(title, () => elapse(body, { within: "10 minutes", step: "50 millis" }))
})

describe("SimulatedTransport", () => {
  it.effect("carries bytes both ways, and knows who is there", () =>
    Effect.gen(function* () {
      const { alice, bob, connect } = yield* pair()
      const [there, back] = yield* elapse(connect)
      yield* there.write(bytes("hello"), bytes(" bob"))
      assert.deepStrictEqual([there.peer, there.side], [bob.identity.id, "dialled"])
      assert.deepStrictEqual([back.peer, back.side], [alice.identity.id, "accepted"])
      assert.strictEqual(text(yield* elapse(back.read)), "hello bob")
      yield* back.write(bytes("hello alice"))
      assert.strictEqual(text(yield* elapse(there.read)), "hello alice")
      const label = "EXPERIMENTAL kith"
      assert.deepStrictEqual(yield* there.exportKey(label, 40), yield* back.exportKey(label, 40))
      assert.notDeepEqual(yield* there.exportKey(label, 40), yield* there.exportKey("other", 40))
    })
  )

  it.effect("returns from a dial after two round trips, half of one before the other side's handler starts", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ latency: "10 millis" })
      const times: Record<string, number> = {}
      const note = (what: string) => Effect.map(Clock.currentTimeMillis, (now) => void (times[what] = now))
      yield* bob.transport.accept("kith-data/1", () => note("accepted"))
      yield* alice.transport
        .dial(tcp("bob", 9090), { protocol: "kith-data/1" })
        .pipe(Effect.andThen(note("dialled")), Effect.andThen(Effect.never), Effect.scoped, Effect.forkChild)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(times, { dialled: 40, accepted: 50 })
    })
  )

  it.effect("refuses a dial for the right reason", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* pair()
      network.host("empty")
      network.host("printer")
      network.stranger("printer", 9090)
      const problem = (host: string, port = 9090, expect?: typeof bob.identity.id) =>
        alice.transport.dial(tcp(host, port), { protocol: "kith/1", ...(expect === undefined ? {} : { expect }) }).pipe(
          Effect.scoped,
          Effect.flip,
          Effect.map((error) => error.problem),
          elapse
        )
      assert.deepStrictEqual(
        [
          yield* problem("bob", 9091),
          yield* problem("empty"),
          yield* problem("printer"),
          yield* problem("nobody.example"),
          yield* problem("10.9.9.9"),
          yield* problem("alice"),
          yield* problem("127.0.0.1"),
          yield* problem("fe80::1:2"),
          yield* problem("bob", 9090, alice.identity.id)
        ],
        ["refused", "refused", "notKith", "unresolved", "unreachable", "self", "self", "unreachable", "wrongPeer"]
      )
      assert.strictEqual(network.linkCount(), 0)
    })
  )

  it.effect("reaches a link-local address by its zone, a node of the same machine by loopback", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* pair()
      const second = yield* start(network.host("bob").node("second"))
      const links = yield* inbound(second.transport)
      assert.notStrictEqual(second.transport.port, bob.transport.port)
      for (const [from, host] of [
        [alice, "fe80::1:2%eth0"],
        [bob, "127.0.0.1"]
      ] as const) {
        const link = yield* elapse(from.transport.dial(tcp(host, second.transport.port), { protocol: "kith/1" }))
        assert.strictEqual(link.peer, second.identity.id)
        const accepted = yield* elapse(Queue.take(links))
        assert.strictEqual(accepted.remote.host, from === alice ? "fe80::1:1%eth0" : "127.0.0.1")
      }
    })
  )

  it.effect("lets at most a window be on its way, and a slow reader slows its writer", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const [there, back] = yield* elapse(connect)
      const total = 4 * windowBytes
      const sent = network.history().length
      const writing = yield* Effect.forkChild(there.write(new Uint8Array(total)), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      const arrived = () =>
        network
          .history()
          .slice(sent)
          .reduce((sum, each) => sum + each.size, 0)
      assert.strictEqual(arrived(), windowBytes)
      assert.isUndefined(writing.pollUnsafe())
      yield* elapse(readAll(back, windowBytes))
      yield* TestClock.adjust("1 minute")
      assert.isAtMost(arrived(), 2 * windowBytes)
      assert.isUndefined(writing.pollUnsafe())
      assert.strictEqual((yield* elapse(readAll(back, total - windowBytes))).length, total - windowBytes)
      yield* elapse(Fiber.join(writing))
    })
  )

  it.effect("a bandwidth is kept in each direction", () =>
    Effect.gen(function* () {
      const { connect } = yield* pair({ bandwidth: 1_000_000 })
      const [there, back] = yield* elapse(connect)
      const before = yield* Clock.currentTimeMillis
      const both = Effect.all(
        [
          there.write(new Uint8Array(2_000_000)),
          back.write(new Uint8Array(2_000_000)),
          readAll(there, 2_000_000),
          readAll(back, 2_000_000)
        ],
        { concurrency: "unbounded" }
      )
      yield* elapse(both)
      const took = (yield* Clock.currentTimeMillis) - before
      assert.isTrue(took >= 2000 && took <= 2050, `${took} ms`)
    })
  )

  it.effect("close lets what was written arrive, then ends both sides cleanly", () =>
    Effect.gen(function* () {
      const { network, connect } = yield* pair()
      const [there, back] = yield* elapse(connect)
      yield* there.write(bytes("the last words"))
      yield* elapse(there.close)
      assert.strictEqual(text(yield* back.read), "the last words")
      assert.isTrue((yield* Effect.flip(back.read)).clean)
      assert.isTrue((yield* Effect.flip(back.write(bytes("too late")))).clean)
      yield* Effect.flip(there.write(bytes("too late")))
      yield* back.close
      yield* there.close
      assert.strictEqual(network.linkCount(), 0)
    })
  )

  it.effect("the end of its scope resets a link, whichever side it is", () =>
    Effect.gen(function* () {
      const { network, alice, bob, connect } = yield* pair()
      const scope = yield* Scope.make()
      const [, back] = yield* elapse(Scope.provide(connect, scope))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse((yield* Effect.flip(elapse(back.read))).clean)
      yield* bob.transport.accept("kith-data/1", () => Effect.void)
      const dial = alice.transport.dial(tcp("bob", 9090), { protocol: "kith-data/1" })
      yield* Effect.flip(elapse(Effect.flatMap(dial, (link) => link.read)))
      assert.strictEqual(network.linkCount(), 2)
    })
  )

  it.effect("a defect in a handler ends that link only, and a protocol without a handler is closed", () =>
    Effect.gen(function* () {
      const { alice, bob, connect } = yield* pair()
      yield* bob.transport.accept("kith-data/1", () => Effect.die(new Error("on purpose")))
      const doomed = yield* elapse(alice.transport.dial(tcp("bob", 9090), { protocol: "kith-data/1" }))
      assert.isFalse((yield* Effect.flip(elapse(doomed.read))).clean)
      const [there, back] = yield* elapse(connect)
      yield* there.write(bytes("still here"))
      assert.strictEqual(text(yield* elapse(back.read)), "still here")

      const unheard = yield* elapse(bob.transport.dial(tcp("alice", 9090), { protocol: "kith/1" }))
      yield* Effect.flip(elapse(unheard.read))
    })
  )

  it.effect("who stands still hears of no answer only once it goes on, as does who dials one that stands still", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* pair()
      const dial = (from: typeof alice, to: string) =>
        from.transport
          .dial(tcp(to, 9090), { protocol: "kith/1" })
          .pipe(Effect.scoped, Effect.flip, Effect.forkChild({ startImmediately: true }))
      network.host("off")
      network.freeze("alice")
      const [own, other] = [yield* dial(alice, "off"), yield* dial(bob, "alice")]
      yield* TestClock.adjust("20 seconds")
      assert.isUndefined(own.pollUnsafe())
      assert.deepInclude(yield* Fiber.join(other), { problem: "unreachable", detail: "no answer in time" })
      network.thaw("alice")
      assert.strictEqual((yield* elapse(Fiber.join(own))).problem, "refused")
    })
  )

  it.effect("an interrupted dial leaves nothing open", () =>
    Effect.gen(function* () {
      const { network, connect, accepted } = yield* pair()
      for (let at = 0; at < 8; at++) {
        const dialling = yield* Effect.forkChild(Effect.scoped(connect), { startImmediately: true })
        yield* TestClock.adjust(`${at} millis`)
        yield* Fiber.interrupt(dialling)
        yield* TestClock.adjust("1 second")
        for (const link of yield* Queue.clear(accepted)) yield* Effect.flip(elapse(link.read))
      }
      assert.isTrue(network.history().some((each) => each.kind === "linked"))
    })
  )
})

/**
 * What every transport must do, whatever carries its links. Run it with a network of the transport and a way to run a
 * test on it; nothing here reads a clock or sleeps, so a simulated network may decide how time passes.
 */
import { assert, describe } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { Address } from "../../src/schema/Address.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import type { Link, LinkClosed, Protocol, Transport } from "../../src/services/Transport.ts"

/** A node that has nothing but a transport, and where the others can dial it. */
export interface ContractNode {
  readonly id: PeerId
  readonly transport: Transport["Service"]
  readonly address: Address
}

export interface ContractNetwork {
  /** Another node, for as long as the scope. */
  readonly node: Effect.Effect<ContractNode, never, Scope.Scope>
  /** A machine that answers, where nothing listens. */
  readonly refusing: Effect.Effect<Address>
  /** Something that takes a connection, or a packet, and never answers, for as long as the scope. */
  readonly silent: Effect.Effect<Address, never, Scope.Scope>
  /** How many ends of links and of dials are open now; once those that ended are done ending. */
  readonly open: Effect.Effect<number>
}

export interface ContractOptions {
  readonly network: Effect.Effect<ContractNetwork, never, Scope.Scope>
  /** Registers a test: `it.live` for a real network, `it.effect` and whatever makes time pass for a simulated one. */
  readonly test: (title: string, body: Effect.Effect<void, unknown, Scope.Scope>) => void
}

/** Bytes that tell their position, so that a lost, doubled or moved one shows. */
const counting = (length: number, from = 0): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = ((from + index) * 31 + ((from + index) >> 8)) & 0xff
  return bytes
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** Links that come in, each open until the scope ends. */
const incoming = Effect.fnUntraced(function* (node: ContractNode, protocol: Protocol) {
  const links = yield* Queue.bounded<Link>(256)
  yield* node.transport.accept(protocol, (link) => Effect.andThen(Queue.offer(links, link), Effect.never))
  return { next: Queue.take(links) }
})

/** Both ends of a link between two new nodes. */
const pair = Effect.fnUntraced(function* (network: ContractNetwork, protocol: Protocol = "kith/1") {
  const [near, far] = [yield* network.node, yield* network.node]
  const accepted = yield* incoming(far, protocol)
  const dialled = yield* near.transport.dial(far.address, { protocol })
  return { near, far, dialled, accepted: yield* accepted.next, next: accepted.next }
})

const readAll = Effect.fnUntraced(function* (link: Link, length: number) {
  const whole = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const bytes = yield* link.read
    assert.isAbove(bytes.length, 0)
    whole.set(bytes, filled)
    filled += bytes.length
  }
  return whole
})

/** Lets the network work: so many messages there and back on another link. */
const roundTrips = Effect.fnUntraced(function* (network: ContractNetwork, count: number) {
  const { accepted, dialled } = yield* pair(network)
  for (let round = 0; round < count; round++) {
    yield* dialled.write(counting(10))
    yield* accepted.readFully(new Uint8Array(10))
    yield* accepted.write(counting(10))
    yield* dialled.readFully(new Uint8Array(10))
  }
}, Effect.scoped)

/** The end of a link, after whatever is still unread. */
const untilClosed = (link: Link): Effect.Effect<LinkClosed> => Effect.flip(Effect.forever(link.read))

/** Waits until no more ends are open than there were. */
const settled = (network: ContractNetwork, before: number) =>
  Effect.gen(function* () {
    for (let round = 0; round < 200; round++) {
      if ((yield* network.open) <= before) return
      yield* roundTrips(network, 1)
    }
    assert.isAtMost(yield* network.open, before, "links or dials were left open")
  })

export const transportContract = (name: string, options: ContractOptions): void => {
  const test = (title: string, body: (network: ContractNetwork) => Effect.Effect<void, unknown, Scope.Scope>) =>
    options.test(title, Effect.scoped(Effect.flatMap(options.network, body)))

  describe(`${name} as a transport`, () => {
    test("opens links on which both sides know each other", (network) =>
      Effect.gen(function* () {
        for (const protocol of ["kith/1", "kith-data/1"] as const) {
          const { accepted, dialled, far, near } = yield* pair(network, protocol)
          assert.strictEqual(dialled.peer, far.id)
          assert.strictEqual(accepted.peer, near.id)
          assert.strictEqual(dialled.side, "dialled")
          assert.strictEqual(accepted.side, "accepted")
          assert.strictEqual(dialled.protocol, protocol)
          assert.strictEqual(accepted.protocol, protocol)
          assert.strictEqual(dialled.remote.port, far.address.port)
          assert.strictEqual(far.transport.port, far.address.port)
        }
      }))

    test("carries bytes in both directions, however they are cut", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled } = yield* pair(network)
        for (const [from, to] of [
          [dialled, accepted],
          [accepted, dialled]
        ] as const) {
          for (const size of [1, 2, 1000, 16_384, 16_385, 100_000]) {
            const bytes = counting(size)
            const writing = yield* Effect.forkChild(
              from.write(bytes.slice(0, 1), bytes.slice(1, 700), bytes.slice(700))
            )
            assert.isTrue(same(yield* readAll(to, size), bytes))
            yield* Fiber.join(writing)
          }
        }
      }))

    test("carries 8 MiB in both directions at once", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled } = yield* pair(network, "kith-data/1")
        const size = 8 * 1024 * 1024
        const bytes = counting(size)
        const send = Effect.fnUntraced(function* (link: Link) {
          for (let at = 0; at < size; at += 1_000_000) yield* link.write(bytes.subarray(at, at + 1_000_000))
        })
        const receive = Effect.fnUntraced(function* (link: Link) {
          const whole = new Uint8Array(size)
          for (let at = 0; at < size; at += 1 << 20) yield* link.readFully(whole.subarray(at, at + (1 << 20)))
          assert.isTrue(same(whole, bytes))
        })
        yield* Effect.all([send(dialled), receive(accepted), send(accepted), receive(dialled)], {
          concurrency: "unbounded"
        })
      }))

    test("fills blocks across the borders of what was written, and gives the rest to read", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled } = yield* pair(network)
        const bytes = counting(5000)
        for (let at = 0; at < 5000; at += 1000) yield* dialled.write(bytes.subarray(at, at + 1000))
        yield* accepted.readFully(new Uint8Array(0))
        let at = 0
        for (const size of [1, 1777, 999, 2000]) {
          const block = new Uint8Array(size)
          yield* accepted.readFully(block)
          assert.isTrue(same(block, bytes.subarray(at, at + size)))
          at += size
        }
        assert.isTrue(same(yield* readAll(accepted, 5000 - at), bytes.subarray(at)))
      }))

    test("loses nothing to a read that is interrupted", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled } = yield* pair(network)
        const reading = yield* Effect.forkChild(accepted.readFully(new Uint8Array(100)), { startImmediately: true })
        yield* dialled.write(counting(60))
        yield* roundTrips(network, 5)
        yield* Fiber.interrupt(reading)
        yield* dialled.write(counting(40, 60))
        assert.isTrue(same(yield* readAll(accepted, 100), counting(100)))
      }))

    for (const writer of ["dialled", "accepted"] as const) {
      test(`lets a writer on the side that ${writer} wait while nobody reads`, (network) =>
        Effect.gen(function* () {
          const ends = yield* pair(network, "kith-data/1")
          const [from, to] =
            writer === "dialled" ? [ends.dialled, ends.accepted] : ([ends.accepted, ends.dialled] as const)
          const block = counting(1 << 20)
          const total = 64
          let written = 0
          const writing = yield* Effect.forkChild(
            Effect.gen(function* () {
              for (; written < total; written++) yield* from.write(block)
            })
          )
          yield* roundTrips(network, 100)
          const waiting = written
          assert.isBelow(waiting, total / 2, "64 MiB were taken though nobody read")
          yield* roundTrips(network, 20)
          assert.isAtMost(written - waiting, 2, "the writer goes on though nobody reads")
          const into = new Uint8Array(1 << 20)
          for (let count = 0; count < total; count++) {
            yield* to.readFully(into)
            assert.isTrue(same(into, block))
          }
          yield* Fiber.join(writing)
        }))
    }

    test("lets what was written arrive before it closes", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled } = yield* pair(network)
        const bytes = counting(200_000)
        yield* dialled.write(bytes)
        const closing = yield* Effect.forkChild(dialled.close)
        assert.isTrue(same(yield* readAll(accepted, bytes.length), bytes))
        const closed = yield* untilClosed(accepted)
        assert.isTrue(closed.clean)
        yield* Fiber.join(closing)
        assert.strictEqual((yield* untilClosed(dialled))._tag, "LinkClosed")
        assert.strictEqual((yield* Effect.flip(dialled.write(bytes)))._tag, "LinkClosed")
        yield* dialled.close
      }))

    test("lets what was written arrive though it has not read everything itself", (network) =>
      Effect.gen(function* () {
        for (const closing of ["dialled", "accepted"] as const) {
          const { accepted, dialled } = yield* pair(network)
          const [from, to] = closing === "dialled" ? [dialled, accepted] : ([accepted, dialled] as const)
          const unread = yield* Effect.forkChild(Effect.exit(to.write(counting(4 << 20))))
          yield* roundTrips(network, 10)
          const bytes = counting(200_000)
          yield* from.write(bytes)
          yield* Effect.forkChild(from.close)
          assert.isTrue(same(yield* readAll(to, bytes.length), bytes))
          assert.isTrue((yield* untilClosed(to)).clean)
          yield* Fiber.join(unread)
        }
      }))

    test("fails everything in the same way once it is over", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled } = yield* pair(network)
        yield* accepted.close
        const closed = yield* untilClosed(dialled)
        assert.deepStrictEqual(yield* Effect.flip(dialled.read), closed)
        assert.deepStrictEqual(yield* Effect.flip(dialled.readFully(new Uint8Array(1))), closed)
        assert.deepStrictEqual(yield* Effect.flip(dialled.exportKey("EXPORTER-kith", 32)), closed)
      }))

    test("ends a link with the scope it was opened in", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        const accepted = yield* incoming(far, "kith/1")
        const scope = yield* Scope.make()
        const dialled = yield* Scope.provide(near.transport.dial(far.address, { protocol: "kith/1" }), scope)
        const link = yield* accepted.next
        const reading = yield* Effect.forkChild(Effect.flip(dialled.read), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(reading))._tag, "LinkClosed")
        assert.strictEqual((yield* untilClosed(link))._tag, "LinkClosed")
      }))

    test("ends a link when its handler ends", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        yield* far.transport.accept("kith/1", (link) => Effect.ignore(link.readFully(new Uint8Array(1))))
        const link = yield* near.transport.dial(far.address, { protocol: "kith/1" })
        yield* link.write(new Uint8Array(1))
        assert.strictEqual((yield* untilClosed(link))._tag, "LinkClosed")
      }))

    test("loses only the link whose handler fails", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        yield* far.transport.accept("kith/1", (link) =>
          Effect.forever(
            Effect.flatMap(link.read, ([byte]) => (byte === 13 ? Effect.die("thirteen") : Effect.void))
          ).pipe(Effect.ignore)
        )
        const [good, bad] = [
          yield* near.transport.dial(far.address, { protocol: "kith/1" }),
          yield* near.transport.dial(far.address, { protocol: "kith/1" })
        ]
        yield* good.write(Uint8Array.of(1))
        yield* bad.write(Uint8Array.of(13))
        assert.strictEqual((yield* untilClosed(bad))._tag, "LinkClosed")
        yield* good.write(Uint8Array.of(2))
        yield* good.write(Uint8Array.of(13))
        assert.strictEqual((yield* untilClosed(good))._tag, "LinkClosed")
      }).pipe(Effect.provide(Logger.layer([]))))

    test("gives each protocol its own handler, and closes what has none", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        const unheard = yield* near.transport.dial(far.address, { protocol: "kith-data/1" })
        assert.strictEqual((yield* untilClosed(unheard))._tag, "LinkClosed")
        const [control, data] = [yield* incoming(far, "kith/1"), yield* incoming(far, "kith-data/1")]
        yield* near.transport.dial(far.address, { protocol: "kith-data/1" })
        yield* near.transport.dial(far.address, { protocol: "kith/1" })
        assert.strictEqual((yield* control.next).protocol, "kith/1")
        assert.strictEqual((yield* data.next).protocol, "kith-data/1")
      }))

    test("stops handling when the acceptor's scope ends, and can begin again", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(incoming(far, "kith/1"), scope)
        const link = yield* near.transport.dial(far.address, { protocol: "kith/1" })
        yield* first.next
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* untilClosed(link))._tag, "LinkClosed")
        const second = yield* incoming(far, "kith/1")
        yield* near.transport.dial(far.address, { protocol: "kith/1" })
        assert.strictEqual((yield* second.next).peer, near.id)
      }))

    test("says why a dial became no link", (network) =>
      Effect.gen(function* () {
        const [near, far, third] = [yield* network.node, yield* network.node, yield* network.node]
        yield* incoming(far, "kith/1")
        const problem = (address: Address, expect?: PeerId) =>
          Effect.map(
            Effect.flip(
              near.transport.dial(address, { protocol: "kith/1", ...(expect === undefined ? {} : { expect }) })
            ),
            (error) => error.problem
          )
        assert.strictEqual(yield* problem(yield* network.refusing), "refused")
        assert.strictEqual(yield* problem(far.address, third.id), "wrongPeer")
        assert.strictEqual(yield* problem(near.address), "self")
        assert.strictEqual(
          (yield* near.transport.dial(far.address, { protocol: "kith/1", expect: far.id })).peer,
          far.id
        )
      }))

    test("leaves nothing behind when a dial is interrupted", (network) =>
      Effect.gen(function* () {
        const near = yield* network.node
        const silent = yield* network.silent
        yield* roundTrips(network, 1)
        const before = yield* network.open
        const dialling = yield* Effect.forkChild(near.transport.dial(silent, { protocol: "kith/1" }), {
          startImmediately: true
        })
        yield* roundTrips(network, 3)
        yield* Fiber.interrupt(dialling)
        yield* settled(network, before)
      }))

    test("leaves nothing behind after 200 links", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        let handled = 0
        const all = yield* Deferred.make<void>()
        yield* far.transport.accept("kith/1", (link) =>
          Effect.ensuring(
            untilClosed(link),
            Effect.suspend(() => (++handled === 200 ? Deferred.succeed(all, undefined) : Effect.void))
          )
        )
        const before = yield* network.open
        for (let round = 0; round < 200; round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const link = yield* near.transport.dial(far.address, { protocol: "kith/1" })
              yield* link.write(counting(100))
              if (round % 2 === 0) yield* link.close
            })
          )
        }
        yield* Deferred.await(all)
        yield* settled(network, before)
      }))

    test("takes fifty dials at once", (network) =>
      Effect.gen(function* () {
        const [near, far] = [yield* network.node, yield* network.node]
        yield* far.transport.accept("kith/1", (link) =>
          Effect.ignore(Effect.forever(Effect.flatMap(link.read, (bytes) => link.write(bytes.slice()))))
        )
        const echoes = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, index) => index),
          (index) =>
            Effect.gen(function* () {
              const link = yield* near.transport.dial(far.address, { protocol: "kith/1" })
              yield* link.write(Uint8Array.of(index))
              const into = new Uint8Array(1)
              yield* link.readFully(into)
              return into[0]
            }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          echoes,
          Array.from({ length: 50 }, (_, index) => index)
        )
      }))

    test("derives a key that both ends share, and no other link has", (network) =>
      Effect.gen(function* () {
        const { accepted, dialled, far, near, next } = yield* pair(network)
        const key = yield* dialled.exportKey("EXPORTER-kith", 32)
        assert.strictEqual(key.length, 32)
        assert.isTrue(same(yield* accepted.exportKey("EXPORTER-kith", 32), key))
        assert.isFalse(same(yield* dialled.exportKey("EXPORTER-other", 32), key))
        const another = yield* near.transport.dial(far.address, { protocol: "kith/1" })
        yield* next
        assert.isFalse(same(yield* another.exportKey("EXPORTER-kith", 32), key))
      }))
  })
}

/** Discovery and those who mean it no good: every datagram that is no announcement, floods, lies, broken sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { type Announcement, announcementBytes, datagramMaxBytes, encode } from "../../src/schema/Announcement.ts"
import { type Datagram, DatagramError, Datagrams, type Endpoint, type Interface } from "../../src/services/Datagrams.ts"
import { someId } from "../Some.ts"
import { identityOf, someInstance, startNode } from "./DiscoveryNode.ts"

const self = { id: someId(0), instance: someInstance(0) }

const eth0: Interface = { name: "eth0", family: "IPv4", address: "192.0.2.1", prefix: 24, loopback: false }

interface Sent {
  readonly payload: Uint8Array
  readonly to: Endpoint
}

/** A medium in the hands of the test: it says what arrives and what works, and sees what is sent. */
const makeWire = (interfaces: ReadonlyArray<Interface> = [eth0]) => {
  const wire = {
    interfaces,
    /** What listening, opening and broadcasting fail with. */
    listenError: null as DatagramError | null,
    openError: null as DatagramError | null,
    sendError: null as DatagramError | null,
    opened: 0,
    open: 0,
    broadcasts: [] as Array<Uint8Array>,
    unicasts: [] as Array<Sent>,
    hear: (_datagram: Datagram): Effect.Effect<void> => Effect.die("nobody listens"),
    replies: (_datagram: Datagram): Effect.Effect<void> => Effect.die("no outlet is open")
  }
  const layer = Layer.succeed(Datagrams, {
    interfaces: Effect.sync(() => wire.interfaces),
    dropped: Effect.succeed(0),
    listen: (_port, receive) =>
      Effect.suspend(() => {
        if (wire.listenError !== null) return Effect.fail(wire.listenError)
        wire.hear = receive
        return Effect.void
      }),
    open: (_from, _port, receive) =>
      Effect.gen(function* () {
        if (wire.openError !== null) return yield* wire.openError
        wire.replies = receive
        yield* Effect.acquireRelease(
          Effect.sync(() => wire.open++),
          () => Effect.sync(() => wire.open--)
        )
        const port = 40_000 + wire.opened++
        return {
          port,
          broadcast: (payload: Uint8Array) =>
            Effect.sync(() => {
              if (wire.sendError === null) wire.broadcasts.push(payload)
              return [{ to: "192.0.2.255", error: wire.sendError }]
            }),
          send: (payload: Uint8Array, to: Endpoint) =>
            Effect.sync(() => {
              wire.unicasts.push({ payload, to })
            })
        }
      })
  })
  return { wire, layer }
}

const start = Effect.fnUntraced(function* (interfaces?: ReadonlyArray<Interface>, set?: (wire: Wire) => void) {
  const { wire, layer } = makeWire(interfaces)
  set?.(wire)
  const node = yield* startNode({ datagrams: layer, identity: identityOf(self.id, self.instance) })
  return { ...node, wire }
})
type Wire = ReturnType<typeof makeWire>["wire"]

const stranger: Announcement = {
  kith: 1,
  kind: "announce",
  id: someId(1),
  instance: someInstance(1),
  name: "stranger",
  port: 7001,
  reply: 50_001
}

const from = (host: string, port = 50_001): Endpoint => ({ host, port })

/** An announcement with some fields replaced by anything, in the right length. */
const forged = (fields: Record<string, unknown>, length = announcementBytes): Uint8Array => {
  const bytes = new Uint8Array(length).fill(0x20)
  bytes.set(new TextEncoder().encode(JSON.stringify({ ...stranger, ...fields })).subarray(0, length))
  return bytes
}

const seeded = (length: number, seed: number): Uint8Array => {
  let state = seed + 1
  return new Uint8Array(length).map(() => (state = Math.imul(state, 1_103_515_245) + 12_345) >>> 16)
}

const garbage: Record<string, Uint8Array | Datagram> = {
  empty: new Uint8Array(0),
  "one byte": new Uint8Array([0x7b]),
  "no magic": forged({ kith: undefined }),
  "a wrong magic": forged({ kith: "1" }),
  "a future version": forged({ kith: 2 }),
  "65,507 bytes": forged({}, 65_507),
  "one byte too long": forged({}, datagramMaxBytes + 1),
  truncated: encode(stranger).subarray(0, 100),
  "one byte too short, so that an answer would be longer": encode(stranger).subarray(0, announcementBytes - 1),
  "an invalid UTF-8 name": encode(stranger).map((byte) => (byte === 0x73 ? 0xff : byte)),
  "a lone surrogate as name": forged({ name: "\ud800" }),
  "a 10 kB name": forged({ name: "x".repeat(10_000) }, 11_000),
  "a name of 65 bytes": forged({ name: "x".repeat(65) }),
  "an empty name": forged({ name: "" }),
  "an id that is none": forged({ id: "alice" }),
  "an id in capitals": forged({ id: stranger.id.toUpperCase() }),
  "an instance that is none": forged({ instance: "" }),
  "an unknown kind": forged({ kind: "unpair" }),
  "port 0": forged({ port: 0 }),
  "port 22": forged({ port: 22 }),
  "port 65536": forged({ port: 65_536 }),
  "port -1": forged({ port: -1 }),
  "a fractional port": forged({ port: 7001.5 }),
  "a port in letters": forged({ port: "7001" }),
  "reply port 0": forged({ reply: 0 }),
  "reply port 53": forged({ reply: 53 }),
  "JSON that is a list": forged({}).map((byte, index) => (index === 0 ? 0x5b : byte)),
  "plain text": new Uint8Array(announcementBytes).fill(0x41),
  zeros: new Uint8Array(announcementBytes),
  noise: seeded(announcementBytes, 1),
  "a prototype": new TextEncoder().encode(`{"__proto__":{"kith":1}}`.padEnd(announcementBytes)),
  "a deep nest": new TextEncoder().encode("[".repeat(1000)),
  "a multicast source": { payload: encode(stranger), from: from("239.255.90.90") },
  "a broadcast source": { payload: encode(stranger), from: from("255.255.255.255") },
  "no source": { payload: encode(stranger), from: from("0.0.0.0") },
  "no IPv6 source": { payload: encode(stranger), from: from("::") },
  "a host name as source": { payload: encode(stranger), from: from("router.lan") }
}

describe("datagrams that are no announcement", () => {
  it.effect("are dropped and counted, and nothing is answered, seen or changed", () =>
    Effect.gen(function* () {
      const node = yield* start()
      const cases = Object.entries(garbage)
      for (const [index, [name, each]] of cases.entries()) {
        const datagram = each instanceof Uint8Array ? { payload: each, from: from("192.0.2.66") } : each
        yield* node.wire.hear(datagram)
        assert.strictEqual((yield* node.discovery.report).dropped, index + 1, name)
      }
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual([node.heard, node.events, node.wire.unicasts], [[], [], []])
      const { interfaces } = yield* node.discovery.report
      assert.deepStrictEqual(
        interfaces.map(({ heard }) => heard),
        [0]
      )
      // The node is as well as before.
      yield* node.wire.hear({ payload: encode(stranger), from: from("192.0.2.66") })
      assert.strictEqual(node.wire.unicasts.length, 1)
    })
  )

  it.effect("are told in one line a minute, however many they are", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message }) => void lines.push(message))
      yield* Effect.gen(function* () {
        const node = yield* start()
        for (let n = 0; n < 1000; n++) {
          yield* node.wire.hear({ payload: seeded(announcementBytes, n), from: from("192.0.2.66") })
        }
        assert.deepStrictEqual(lines, [])
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(lines, [["Dropped datagrams that were no announcement"]])
      }).pipe(Effect.provide(Logger.layer([logger])))
    })
  )
})

describe("announcements that lie", () => {
  it.effect("are heard with their source as address, whatever they hold besides", () =>
    Effect.gen(function* () {
      const node = yield* start()
      const payload = forged({ host: "198.51.100.1", address: "198.51.100.1:1", trust: "verified" })
      yield* node.wire.hear({ payload, from: from("192.0.2.66") })
      assert.deepStrictEqual(node.heard[0]?.address, { _tag: "Tcp", host: "192.0.2.66", port: stranger.port })
      assert.hasAllKeys(node.heard[0], ["kind", "id", "instance", "name", "address"])
    })
  )

  it.effect("show a name without what moves a terminal's cursor or turns text around", () =>
    Effect.gen(function* () {
      const node = yield* start()
      const payload = encode({ ...stranger, name: "\u001b[31mred\u202etxt.exe" })
      yield* node.wire.hear({ payload, from: from("192.0.2.66") })
      assert.strictEqual(node.heard[0]?.name, "\ufffd[31mred\ufffdtxt.exe")
    })
  )

  it.effect("as if another stopped are no more than a hint: nobody is new again by it", () =>
    Effect.gen(function* () {
      const node = yield* start()
      yield* node.wire.hear({ payload: encode(stranger), from: from("192.0.2.66") })
      yield* TestClock.adjust("10 seconds")
      yield* node.wire.hear({ payload: encode({ ...stranger, kind: "goodbye" }), from: from("192.0.2.66") })
      yield* node.wire.hear({ payload: encode(stranger), from: from("192.0.2.66") })
      assert.deepStrictEqual(
        node.heard.map(({ kind }) => kind),
        ["here", "goodbye", "here"]
      )
      assert.strictEqual(node.wire.unicasts.length, 1)
    })
  )

  it.effect("as if we stopped are ours, and nothing happens", () =>
    Effect.gen(function* () {
      const node = yield* start()
      for (const instance of [self.instance, someInstance(9)]) {
        const payload = encode({ ...stranger, id: self.id, instance, kind: "goodbye" })
        yield* node.wire.hear({ payload, from: from("192.0.2.66") })
      }
      assert.deepStrictEqual([node.heard, node.events, node.wire.unicasts], [[], [], []])
    })
  )

  it.effect("replayed earn no answer while the node is known", () =>
    Effect.gen(function* () {
      const node = yield* start()
      const replay = { payload: encode(stranger), from: from("192.0.2.66") }
      yield* node.wire.hear(replay)
      yield* TestClock.adjust("6 seconds")
      for (let n = 0; n < 100; n++) yield* node.wire.hear(replay)
      assert.strictEqual(node.wire.unicasts.length, 1)
    })
  )

  it.effect("with a victim's address as source send the victim no more than was sent here, and to no other port", () =>
    Effect.gen(function* () {
      const node = yield* start()
      let sent = 0
      for (let n = 0; n < 5000; n++) {
        const payload = encode({ ...stranger, id: someId(n + 10), instance: someInstance(n) })
        sent += payload.length
        yield* node.wire.hear({ payload, from: from("192.0.2.99") })
      }
      const received = node.wire.unicasts.reduce((sum, { payload }) => sum + payload.length, 0)
      assert.isTrue(node.wire.unicasts.every(({ to }) => to.host === "192.0.2.99" && to.port === stranger.reply))
      assert.isAtMost(received, sent)
      // And in a burst of this size, far less.
      assert.isAtMost(node.wire.unicasts.length, 100)
    })
  )

  it.effect("in numbers, 50,000 of them, leave memory and answers bounded, and known nodes are heard on", () =>
    Effect.gen(function* () {
      const node = yield* start()
      for (let n = 0; n < 50_000; n++) {
        const payload = encode({ ...stranger, id: someId(n + 10), instance: someInstance(n) })
        yield* node.wire.hear({ payload, from: from(`192.0.2.${n % 250}`) })
        if (n % 5000 === 0) yield* TestClock.adjust("1 second")
      }
      // 100 at once and 50 a second.
      assert.isAtMost(node.wire.unicasts.length, 100 + 10 * 50)
      yield* TestClock.adjust("5 seconds")
      yield* node.wire.hear({ payload: encode(stranger), from: from("192.0.2.66") })
      assert.strictEqual(node.heard.at(-1)?.id, stranger.id)
      assert.strictEqual(node.wire.unicasts.at(-1)?.to.host, "192.0.2.66")
    })
  )
})

describe("a machine in trouble", () => {
  it.effect("without any interface says so", () =>
    Effect.gen(function* () {
      const node = yield* start([])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* node.discovery.report, {
        interfaces: [],
        dropped: 0,
        deaf: "this machine has no network interface with an address"
      })
    })
  )

  it.effect("whose discovery port is taken goes on, warns once, finds by answers, and hears once it is free", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message, logLevel }) => void lines.push(`${logLevel} ${String(message)}`))
      yield* Effect.gen(function* () {
        const listenError = new DatagramError({ action: "opening UDP 0.0.0.0:9090", code: "EADDRINUSE" })
        const node = yield* start([eth0], (wire) => {
          wire.listenError = listenError
        })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* node.discovery.report).deaf, listenError.message)
        assert.strictEqual(lines.length, 1)
        assert.match(lines[0] ?? "", /^Warn Announcements cannot be heard, only answers to ours: .*9090.*EADDRINUSE/)
        assert.isAbove(node.wire.broadcasts.length, 10)
        yield* node.wire.replies({ payload: encode({ ...stranger, kind: "answer" }), from: from("192.0.2.66") })
        assert.strictEqual(node.heard.length, 1)
        node.wire.listenError = null
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* node.discovery.report).deaf, null)
        yield* node.wire.hear({ payload: encode(stranger), from: from("192.0.2.66") })
        assert.strictEqual(node.heard.length, 2)
      }).pipe(Effect.provide(Logger.layer([logger])))
    })
  )

  it.effect("whose interface cannot be opened yet reports why, and opens it when it can", () =>
    Effect.gen(function* () {
      const openError = new DatagramError({ action: "opening UDP 192.0.2.1:0", code: "EADDRNOTAVAIL" })
      const node = yield* start([eth0], (wire) => {
        wire.openError = openError
      })
      yield* TestClock.adjust("1 minute")
      const [before] = (yield* node.discovery.report).interfaces
      assert.deepStrictEqual(before?.sent, [{ to: "socket", count: 0, error: openError.message }])
      node.wire.openError = null
      yield* TestClock.adjust("2 seconds")
      const [after] = (yield* node.discovery.report).interfaces
      assert.deepStrictEqual(after?.sent, [{ to: "192.0.2.255", count: 1, error: null }])
    })
  )

  it.effect("whose socket reaches nothing any more opens another, and the report tells what failed meanwhile", () =>
    Effect.gen(function* () {
      const node = yield* start()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(node.wire.opened, 1)
      const sendError = new DatagramError({ action: "sending to 192.0.2.255", code: "ENETUNREACH" })
      node.wire.sendError = sendError
      yield* TestClock.adjust("10 seconds")
      assert.isAbove(node.wire.opened, 1)
      assert.strictEqual(node.wire.open, 1)
      assert.strictEqual((yield* node.discovery.report).interfaces[0]?.sent[0]?.error, sendError.message)
      node.wire.sendError = null
      const before = node.wire.broadcasts.length
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(node.wire.broadcasts.length, before)
      assert.strictEqual((yield* node.discovery.report).interfaces[0]?.sent[0]?.error, null)
      yield* node.stop
      assert.strictEqual(node.wire.open, 0)
    })
  )
})

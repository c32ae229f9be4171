/**
 * Cases 1 to 16: datagrams that are no announcement, or lie. Dropped and counted without an answer or a line in the
 * log; what they claim changes no name, no trust and no session, and they make the node send nobody more than they are.
 *
 * Real datagrams on the loopback here. Sources that the loopback cannot have (multicast, broadcast, other networks;
 * 12, 16) and time (14) are in test/services/DiscoveryHostile.test.ts.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { createSocket, type Socket } from "node:dgram"
import * as net from "node:net"
import { PeerId } from "../../src/schema/PeerId.ts"
import { Mallory } from "./Attacker.ts"
import { randomId, randomPeer } from "./Forge.ts"
import { attack, freeUdpPort, Target, until } from "./Target.ts"
import * as Targets from "./Target.ts"

const announcement = (fields: Record<string, unknown> = {}, length = 512): Buffer => {
  const json = {
    kith: 1,
    kind: "announce",
    id: randomPeer(),
    instance: randomId(),
    name: "mallory",
    port: 40_000,
    reply: 40_001,
    ...fields
  }
  return Buffer.from(JSON.stringify(json).padEnd(length))
}

const nobody = announcement()

/** Datagrams that are dropped: [number, what, bytes]. */
const dropped: ReadonlyArray<readonly [number, string, Buffer]> = [
  [1, "empty", Buffer.alloc(0)],
  [2, "one byte", Buffer.of(0x7b)],
  [3, "a wrong magic", announcement({ kith: "1" })],
  [3, "no magic", announcement({ kith: undefined })],
  [4, "a future version", announcement({ kith: 2 })],
  [5, "65,507 bytes", announcement({}, 65_507)],
  [5, "one byte more than the limit", announcement({}, 1201)],
  [6, "truncated", nobody.subarray(0, 200)],
  [6, "one byte less than an announcement", nobody.subarray(0, 511)],
  [
    7,
    "a name that is not UTF-8",
    Buffer.from(nobody).fill(0xff, nobody.indexOf("mallory"), nobody.indexOf("mallory") + 7)
  ],
  [7, "a name with half a character", Buffer.from(nobody.toString().replace("mallory", "\\ud800m"))],
  [8, "a name of 65 bytes", announcement({ name: "x".repeat(65) })],
  [8, "a name of 10 kB", announcement({ name: "x".repeat(10_000) })],
  [11, "port 0", announcement({ port: 0 })],
  [11, "port 22", announcement({ port: 22 })],
  [11, "port 65536", announcement({ port: 65_536 })],
  [11, "reply port 53", announcement({ reply: 53 })],
  [15, "an unpair", announcement({ kind: "unpair" })]
]

const bound = (host = "127.0.0.1"): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = createSocket("udp4")
    socket.once("error", reject)
    socket.bind(0, host, () => resolve(socket))
  })

const shoot = (socket: Socket, port: number, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => socket.send(bytes, port, "127.0.0.1", () => resolve()))

/** The port of discovery, known before the node starts. */
let discoveryPort = 0
const target = Layer.unwrap(
  Effect.map(freeUdpPort, (port) => {
    discoveryPort = port
    return Targets.layer({ discovery: true, discoveryPort: port })
  })
)

const send = (bytes: Uint8Array, times = 1, host = "127.0.0.1") =>
  attack(async () => {
    const socket = await bound(host)
    const answers: Array<Buffer> = []
    socket.on("message", (bytes) => answers.push(bytes))
    for (let count = 0; count < times; count++) await shoot(socket, discoveryPort, bytes)
    return { socket, answers, reply: socket.address().port }
  })

layer(target, { excludeTestServices: true })("udp:", (it) => {
  /** Waits until the node has dealt with what was sent before: datagrams keep their order on the loopback. */
  const settled = Effect.gen(function* () {
    const node = yield* Target
    const id = randomPeer()
    const { socket } = yield* send(announcement({ id }))
    // Said again: after a flood the first may have found no room.
    const again = setInterval(() => void shoot(socket, discoveryPort, announcement({ id })), 100)
    yield* until("a sighting", () => node.events.some((event) => event._tag === "PeerChanged" && event.peer.id === id))
    clearInterval(again)
    socket.close()
  })

  for (const [number, what, bytes] of dropped) {
    it.effect(`${number} ${what} is dropped and counted, and nothing comes back`, () =>
      Effect.gen(function* () {
        const node = yield* Target
        const before = (yield* node.discovery.report).dropped
        const lines = node.lines.length
        const known = (yield* node.registry.list).length
        const { answers, socket } = yield* send(bytes, 3)
        yield* settled
        assert.strictEqual((yield* node.discovery.report).dropped, before + 3)
        assert.deepStrictEqual(answers, [])
        assert.deepStrictEqual(node.lines.slice(lines), [])
        // The one who asked whether all was dealt with.
        assert.isAtMost((yield* node.registry.list).length, known + 1)
        socket.close()
      })
    )
  }

  it.effect("8 a name with escapes and turned text is shown inert, and only by a peer that is met", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const id = randomPeer()
      const { socket } = yield* send(announcement({ id, name: "\u001b[31mred\u202etxt" }))
      yield* settled
      const peer = (yield* node.registry.list).find((each) => each.id === id)
      assert.notMatch(JSON.stringify(peer ?? ""), /\\u001b|\u202e/)
      assert.notInclude(node.lines.join("\n"), "\u001b")
      socket.close()
      yield* node.wellbeing
    })
  )

  it.effect("9 its own id is ignored; from another instance it is an alarm, once", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const alarms = () => node.events.filter((event) => event._tag === "Alarm")
      const before = alarms().length
      const own = yield* send(announcement({ id: node.id, instance: node.instance }), 5)
      yield* settled
      assert.strictEqual(alarms().length, before)
      // In its first second a node takes it for an echo of its last run.
      while (alarms().length === before) {
        const early = yield* send(announcement({ id: node.id }))
        yield* Effect.sleep("200 millis")
        early.socket.close()
      }
      const clone = yield* send(announcement({ id: node.id }), 50)
      yield* settled
      assert.strictEqual(alarms().length, before + 1)
      assert.deepStrictEqual([...own.answers, ...clone.answers], [])
      assert.isFalse((yield* node.registry.list).some(({ id }) => id === node.id))
      own.socket.close()
      clone.socket.close()
      yield* node.wellbeing
    })
  )

  it.effect("10 the id of another at the attacker's address is tried there, and believed to nobody", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const mallory = yield* attack(() => Mallory.meet(node.port))
      const absent = PeerId.make(randomPeer())
      const before = yield* node.registry.get(node.friend.id)
      for (const id of [absent, node.friend.id]) {
        const { socket } = yield* send(announcement({ id, port: mallory.port, name: "not me" }))
        socket.close()
      }
      yield* settled
      yield* until("the failed dial", () =>
        node.events.some(
          (event) => event._tag === "PeerChanged" && event.peer.id === absent && event.peer.state === "away"
        )
      )
      assert.notInclude(yield* node.connection.connected, absent)
      const after = Option.getOrThrow(yield* node.registry.get(node.friend.id))
      const then = Option.getOrThrow(before)
      assert.deepStrictEqual([after.name, after.trust, after.state], [then.name, then.trust, then.state])
      mallory.end()
      yield* node.wellbeing
    })
  )

  it.effect("12 an address inside an announcement is not even read: the source is dialled, no name is looked up", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const dialled: Array<string> = []
      const listener = net.createServer((socket) => {
        dialled.push(socket.remoteAddress ?? "")
        socket.destroy()
      })
      const port = yield* attack(
        () =>
          new Promise<number>((resolve) =>
            listener.listen(0, "127.0.0.1", () => {
              const address = listener.address()
              resolve(typeof address === "object" && address !== null ? address.port : 0)
            })
          )
      )
      const id = randomPeer()
      const lies = {
        host: "victim.example",
        address: "224.0.0.1:9090",
        addresses: ["255.255.255.255:9090"],
        ip: "10.0.0.1"
      }
      const { socket } = yield* send(announcement({ id, port, ...lies }))
      yield* until("the dial", () => dialled.length > 0)
      const peer = (yield* node.registry.list).find((each) => each.id === id)
      assert.deepStrictEqual(peer?.addresses, [`127.0.0.1:${port}`])
      yield* node.connection.remove(PeerId.make(id))
      listener.close()
      socket.close()
    })
  )

  it.effect("14 an announcement that is played again a hundred times earns at most a few answers", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const socket = yield* attack(() => bound())
      const answers: Array<Buffer> = []
      socket.on("message", (bytes) => answers.push(bytes))
      const replay = announcement({ reply: socket.address().port })
      for (let count = 0; count < 100; count++) yield* attack(() => shoot(socket, discoveryPort, replay))
      yield* settled
      assert.isAtLeast(answers.length, 1)
      assert.isAtMost(answers.length, 5)
      socket.close()
      yield* node.wellbeing
    })
  )

  it.effect("15 a goodbye in another's name ends nothing", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const { id, instance } = node.friend
      const { answers, socket } = yield* send(
        announcement({ kind: "goodbye", id, instance, port: node.friend.port }),
        20
      )
      yield* settled
      assert.deepStrictEqual(answers, [])
      socket.close()
      yield* node.wellbeing
    })
  )

  it.effect("16 whoever's address is forged as source gets no more bytes than were sent in their name", () =>
    Effect.gen(function* () {
      const victim = yield* attack(() => bound())
      let received = 0
      const began = performance.now()
      victim.on("message", (bytes) => (received += bytes.length))
      const reply = victim.address().port
      const { socket } = yield* attack(async () => {
        const socket = await bound()
        return { socket }
      })
      let sent = 0
      for (let count = 0; count < 500; count++) {
        const lie = announcement({ reply, port: reply })
        sent += lie.length
        yield* attack(() => shoot(socket, discoveryPort, lie))
        if (count % 16 === 0) yield* attack(() => new Promise<void>((resolve) => void setImmediate(resolve)))
      }
      yield* settled
      yield* until("an answer", () => received > 0)
      assert.isAtMost(received, sent)
      // Less, since answers a second are limited whoever asks: 100 at once, and 50 a second.
      const seconds = (performance.now() - began) / 1000
      assert.isAtMost(received, (100 + 50 * (seconds + 1)) * 512)
      socket.close()
      victim.close()
    })
  )

  it.effect("13 fifty thousand ids leave the tables bounded, the memory too, and the friend alone", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const lines = node.lines.length
      const before = process.memoryUsage().rss
      yield* attack(async () => {
        const socket = await bound()
        for (let count = 0; count < 50_000; count++) {
          const lie = announcement({ port: 1025 + (count % 60_000) })
          if (count % 64 === 0) await shoot(socket, discoveryPort, lie)
          else socket.send(lie, discoveryPort, "127.0.0.1")
        }
        await new Promise<void>((resolve) => socket.close(() => resolve()))
      })
      assert.isAtMost((yield* node.registry.list).length, 1024 + 64)
      assert.isAtMost(node.lines.length - lines, 20, node.lines.slice(lines).join("\n"))
      assert.isBelow((process.memoryUsage().rss - before) / 1024 / 1024, 200)
      yield* node.wellbeing
    })
  )
})

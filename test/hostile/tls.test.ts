/**
 * Cases 17 to 32: whoever dials without what a node must show is closed within the deadlines and never counts as
 * connected; nobody else notices.
 *
 * 17, 20, 22, 24, 26, 29 in the table · 18, 19, 21, 23, 25, 27, 28, 30, 31, 32 below. The listener alone, with fifteen
 * more kinds of visitors, is in test/services/TransportTlsHostile.test.ts.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as tls from "node:tls"
import { tcp } from "../../src/schema/Address.ts"
import { PeerId } from "../../src/schema/PeerId.ts"
import { accepting, dialling } from "../../src/services/transport/TransportTlsSecurity.ts"
import { connect, connectRaw, type Dial, hello, Mallory } from "./Attacker.ts"
import { hugeRsa, type Persona, persona, personaOf } from "./Forge.ts"
import { attack, Target, until } from "./Target.ts"
import * as Targets from "./Target.ts"

/** Says Hello if it gets so far, and waits for the end; true if the node answered with a Hello. */
const knock = async (port: number, dial: Dial): Promise<boolean> => {
  const link = await connect(port, dial).catch(() => undefined)
  if (link === undefined) return false
  await link.say(hello(dial.who ?? persona()))
  await link.farewell()
  return link.heard.some(({ _tag }) => _tag === "Hello")
}

const repeated = (text: string, times: number) => Array.from({ length: times }, () => text).join("")
const chained = (who: Persona): Persona => ({ ...who, cert: who.cert + persona().cert })

const refused: ReadonlyArray<readonly [number: number, what: string, dial: () => Dial]> = [
  [17, "no certificate", () => ({})],
  [20, "TLS 1.2", () => ({ who: persona(), options: { maxVersion: "TLSv1.2" } })],
  [22, "a chain of two certificates", () => ({ who: chained(persona()) })],
  [22, "a chain of a thousand", () => ({ who: { ...persona(), cert: repeated(persona().cert, 1000) } })],
  [24, "a certificate of 1 MB", () => ({ who: persona({ padding: 1_000_000 }) })],
  [29, "no ALPN", () => ({ who: persona(), alpn: [] })],
  [29, "another ALPN", () => ({ who: persona(), alpn: ["h2", "kith/2"] })],
  [29, "an ALPN of 255 bytes", () => ({ who: persona(), alpn: ["k".repeat(255)] })]
]

layer(Targets.layer(), { excludeTestServices: true })("tls:", (it) => {
  for (const [number, what, dial] of refused) {
    it.effect(`${number} ${what} is closed, and never connected`, () =>
      Effect.gen(function* () {
        const target = yield* Target
        const known = (yield* target.registry.list).length
        const began = performance.now()
        assert.isFalse(yield* attack(() => knock(target.port, dial())))
        assert.isBelow(performance.now() - began, 5000)
        assert.strictEqual((yield* target.registry.list).length, known)
        yield* target.wellbeing
      })
    )
  }

  it.effect("18 an unknown key becomes a peer that nobody has verified, and no more", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const peer = (yield* target.registry.list).find(({ id }) => id === mallory.who.id)
      assert.deepStrictEqual([peer?.trust, peer?.state], ["unverified", "connected"])
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect(
    "19 another key under a known name, or where a known peer is expected, changes nothing about that peer",
    () =>
      Effect.gen(function* () {
        const target = yield* Target
        const before = yield* target.registry.get(target.friend.id)
        const mallory = yield* attack(() => Mallory.meet(target.port, persona(), { name: "friend" }))
        const named = yield* Effect.flip(target.registry.find("friend"))
        assert.strictEqual(named._tag, "AmbiguousPeer")
        // Whom the node wants to reach is a key: mallory's listener answers in vain.
        const wanted = PeerId.make(persona().id)
        const failed = yield* Effect.flip(target.connection.reach(wanted, [tcp("127.0.0.1", mallory.port)]))
        assert.match(failed.message, /not|wrong|other/i)
        assert.notInclude(yield* target.connection.connected, wanted)
        mallory.end()
        yield* until("mallory's end", () => mallory.control.isClosed)
        const after = yield* target.registry.get(target.friend.id)
        assert.deepStrictEqual(
          { ...after, value: { ...valueOf(after), lastSeen: 0 } },
          {
            ...before,
            value: { ...valueOf(before), lastSeen: 0 }
          }
        )
        yield* target.connection.remove(wanted)
        yield* target.wellbeing
      })
  )

  it.effect("21 an RSA key of 15,636 bits costs nothing, whichever side shows it", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const who = hugeRsa()
      const began = performance.now()
      assert.isFalse(yield* attack(() => knock(target.port, { who })))
      const server = tls.createServer({ key: who.key, cert: who.cert, requestCert: true, ALPNProtocols: ["kith/1"] })
      server.on("tlsClientError", () => {})
      const port = yield* attack(
        () =>
          new Promise<number>((resolve) =>
            server.listen(0, "127.0.0.1", () => {
              const address = server.address()
              resolve(typeof address === "object" && address !== null ? address.port : 0)
            })
          )
      )
      const failed = yield* Effect.flip(target.connection.add(`127.0.0.1:${port}`))
      assert.match(failed.message, /Kith/)
      assert.isBelow(performance.now() - began, 3000)
      server.close()
      yield* target.wellbeing
    })
  )

  it.effect("23 a certificate that has expired, or is not valid yet, is as good as any: clocks lie, keys do not", () =>
    Effect.gen(function* () {
      const target = yield* Target
      for (const dates of [{ to: new Date("2021-01-01") }, { from: new Date("2048-01-01") }]) {
        const mallory = yield* attack(() => Mallory.meet(target.port, persona(dates)))
        yield* attack(() => mallory.control.settled())
        mallory.end()
      }
      yield* target.wellbeing
    })
  )

  it.effect("25 a session that another one began is not resumed, with or without a certificate", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const honest = persona()
      const link = yield* attack(() => connect(target.port, { who: honest }))
      const session = new Promise<Buffer>((resolve) => link.socket.once("session", resolve))
      yield* attack(() => link.say(hello(honest)))
      const ticket = yield* attack(() => session)
      assert.isFalse(yield* attack(() => knock(target.port, { options: { session: ticket } })))
      const other = persona()
      const stolen = yield* attack(() => connect(target.port, { who: other, options: { session: ticket } }))
      // Were it taken for the honest one, this Hello would be a mismatch.
      yield* attack(() => stolen.say(hello(other)))
      yield* attack(() => stolen.next("Hello"))
      assert.isFalse(stolen.socket.isSessionReused())
      link.end()
      stolen.end()
      yield* target.wellbeing
    })
  )

  it.effect("26 plain HTTP is closed at once, and learns nothing", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const raw = yield* attack(() => connectRaw(target.port))
      raw.socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
      assert.isBelow(yield* attack(() => raw.closed), 1000)
      assert.notInclude(raw.received.toString("latin1"), "HTTP")
      yield* target.wellbeing
    })
  )

  it.effect(
    "27, 28 silence, a ClientHello that trickles in, and silence after the handshake end at the deadline",
    () =>
      Effect.gen(function* () {
        const target = yield* Target
        const clientHello = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
        const silent = async () => (await connectRaw(target.port)).closed
        const trickling = async () => {
          const raw = await connectRaw(target.port)
          let at = 0
          const trickle = setInterval(() => raw.socket.write(clientHello.subarray(at, ++at)), 1000)
          return raw.closed.finally(() => clearInterval(trickle))
        }
        const speechless = async (alpn: string) => {
          const began = performance.now()
          const link = await connect(target.port, { who: persona(), alpn: [alpn] })
          await link.closed
          assert.isFalse(link.heard.some(({ _tag }) => _tag === "Hello"))
          return performance.now() - began
        }
        const lives = yield* attack(() =>
          Promise.all([silent(), trickling(), speechless("kith/1"), speechless("kith-data/1")])
        )
        for (const life of lives) {
          assert.isAbove(life, 4500)
          assert.isBelow(life, 7500)
        }
        yield* target.wellbeing
      }),
    20_000
  )

  it.effect("29 a server name that is none, with NUL and escapes, is not looked at", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const who = persona()
      const link = yield* attack(() =>
        connect(target.port, { who, options: { servername: "\u0000\u001b[2J.example" } })
      )
      yield* attack(() => link.say(hello(who)))
      yield* attack(() => link.next("Hello"))
      link.end()
      assert.notInclude(target.lines.join("\n"), "\u001b")
      yield* target.wellbeing
    })
  )

  it.effect("30 there is no callback in the handshake that could throw", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const security = { id: target.id, context: tls.createSecureContext() }
      for (const options of [accepting(security), dialling(security, "kith/1")]) {
        const called = Object.entries(options).filter(([, value]) => typeof value === "function")
        assert.deepStrictEqual(
          called.filter(([name]) => name !== "checkServerIdentity").map(([name]) => name),
          []
        )
      }
      assert.isUndefined(dialling(security, "kith/1").checkServerIdentity?.("", Object.create(null)))
    })
  )

  it.effect("31 a node that dials itself, or is dialled with its own copied key, is told so and meets nobody", () =>
    Effect.gen(function* () {
      const target = yield* Target
      assert.match((yield* Effect.flip(target.connection.add(target.address))).message, /this node|itself|own/i)
      const copied = personaOf(readFileSync(join(target.dataDir, "identity.pem"), "utf8"))
      assert.strictEqual(copied.id, target.id)
      const link = yield* attack(() => connect(target.port, { who: copied }))
      yield* attack(() => link.say(hello(copied)))
      assert.strictEqual(yield* attack(() => link.farewell()), "self")
      assert.isFalse((yield* target.registry.list).some(({ id }) => id === target.id))
      yield* target.wellbeing
    })
  )

  it.effect("32 hanging up before Hello, a hundred times, leaves nothing and writes nothing", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const before = target.lines.length
      for (let count = 0; count < 10; count++) {
        yield* attack(() =>
          Promise.all(
            Array.from({ length: 10 }, async () => {
              const link = await connect(target.port, { who: persona() })
              link.end()
              await link.closed
            })
          )
        )
      }
      yield* target.wellbeing
      assert.deepStrictEqual(target.lines.slice(before), [])
    })
  )

  it.effect("two hundred bad Hellos from two hundred keys write one line", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const before = target.lines.length
      for (let count = 0; count < 20; count++) {
        yield* attack(() => Promise.all(Array.from({ length: 10 }, () => mismatch(target.port))))
      }
      const lines = target.lines.slice(before).filter((line) => line.includes("did not become a session"))
      assert.isAtMost(lines.length, 1)
      yield* target.wellbeing
    })
  )
})

const mismatch = async (port: number) => {
  const who = persona()
  const link = await connect(port, { who })
  await link.say(hello(who, { id: persona().id }))
  await link.farewell()
}

const valueOf = (option: unknown): object =>
  typeof option === "object" && option !== null && "value" in option && typeof option.value === "object"
    ? { ...option.value }
    : {}

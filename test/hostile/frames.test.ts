/**
 * Cases 33 to 44: bytes on a control link that are no frames, or frames that may not come now. Each ends that link,
 * with a Goodbye that says why, or is answered and the link lives; nobody else notices.
 *
 * 33-36 here · 37 here · 38 here · 39 here · 40 here, and on data links · 41 here · 42 here · 43 on data links: what is
 * wanted and never read (there are no windows to overflow) · 44 here
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { gzipSync } from "node:zlib"
import { connect, framed, hello, type Json, type Link, Mallory, record } from "./Attacker.ts"
import { persona, randomId } from "./Forge.ts"
import { attack, Target } from "./Target.ts"
import * as Targets from "./Target.ts"

const length = (value: number): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(value)
  return head
}

const limit = 512 * 1024

interface Case {
  readonly number: number
  readonly what: string
  readonly bytes: () => Buffer
  /** How it ends: a Goodbye with this reason; or the tag of the answer, after which the link lives. */
  readonly ends?: string
  readonly answers?: (json: Json) => boolean
}

/** In a session. */
const cases: ReadonlyArray<Case> = [
  { number: 33, what: "a length of 0", bytes: () => length(0), ends: "protocol" },
  { number: 34, what: "a length of 2^31", bytes: () => length(2 ** 31), ends: "protocol" },
  { number: 35, what: "a length of -1", bytes: () => length(2 ** 32 - 1), ends: "protocol" },
  { number: 36, what: "a length of the limit and 1", bytes: () => length(limit + 1), ends: "protocol" },
  {
    number: 38,
    what: "an unknown kind",
    bytes: () => framed({ _tag: "Teleport", to: { the: ["moon"] } })
  },
  {
    number: 39,
    what: "a second Hello",
    bytes: () => framed(hello(persona())),
    answers: (json) => json._tag === "Refused" && json["frame"] === "Hello"
  },
  {
    number: 42,
    what: "a second Hello of another version",
    bytes: () => framed(hello(persona(), { version: { major: 2, minor: 0 } })),
    answers: (json) => json._tag === "Refused" && json["frame"] === "Hello"
  },
  { number: 44, what: "gzip", bytes: () => framed(gzipSync(Buffer.alloc(10_000_000))), ends: "protocol" },
  { number: 44, what: "a frame of as many spaces as fit", bytes: () => framed(" ".repeat(limit)), ends: "protocol" },
  { number: 34, what: "bytes that are no UTF-8", bytes: () => framed(Buffer.of(0xff, 0xfe)), ends: "protocol" },
  { number: 34, what: "text that is no JSON", bytes: () => framed("{"), ends: "protocol" }
]

const session = (port: number) => attack(() => Mallory.meet(port))

const dataLink = (port: number, who = persona()): Effect.Effect<Link> =>
  attack(() => connect(port, { who, alpn: ["kith-data/1"] }))

layer(Targets.layer(), { excludeTestServices: true })("frames:", (it) => {
  for (const { answers, bytes, ends, number, what } of cases) {
    it.effect(`${number} ${what}`, () =>
      Effect.gen(function* () {
        const target = yield* Target
        const mallory = yield* session(target.port)
        const { control } = mallory
        yield* attack(() => control.write(bytes()))
        if (ends !== undefined) assert.strictEqual(yield* attack(() => control.farewell()), ends)
        else {
          yield* attack(() => control.settled())
          if (answers !== undefined) assert.isTrue(control.heard.some(answers), JSON.stringify(control.heard))
        }
        mallory.end()
        yield* target.wellbeing
      })
    )
  }

  it.effect("36 a length beyond the limit is refused before anything is set aside for it", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const before = process.memoryUsage().arrayBuffers
      const links = yield* attack(() => Promise.all(Array.from({ length: 8 }, () => Mallory.meet(target.port))))
      yield* attack(() => Promise.all(links.map(({ control }) => control.write(length(limit + 1)))))
      for (const { control } of links) assert.strictEqual(yield* attack(() => control.farewell()), "protocol")
      assert.isBelow(process.memoryUsage().arrayBuffers - before, 8 * limit)
      links.forEach((mallory) => mallory.end())
      yield* target.wellbeing
    })
  )

  it.effect("36 before Hello the limit is 8 KiB", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const link = yield* attack(() => connect(target.port, { who: persona() }))
      yield* attack(() => link.write(length(8 * 1024 + 1)))
      assert.strictEqual(yield* attack(() => link.farewell()), "protocol")
      yield* target.wellbeing
    })
  )

  it.effect("37 frames split at every byte are the same frames", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const who = persona()
      const link = yield* attack(() => connect(target.port, { who }))
      yield* attack(async () => {
        for (const byte of framed(hello(who))) await link.write(Buffer.of(byte))
        await link.next("Hello")
        const ping = framed({ _tag: "Ping", nonce: 77 })
        for (let at = 1; at < ping.length; at++) {
          await link.write(ping.subarray(0, at))
          await link.write(ping.subarray(at))
          await link.next("Pong")
        }
        link.end()
      })
      yield* target.wellbeing
    })
  )

  it.effect("40 anything before Hello ends the link", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const early: ReadonlyArray<Json> = [
        { _tag: "Ping", nonce: 1 },
        { _tag: "Offer", transfer: randomId(), group: randomId(), name: "x", files: 1, directories: 0, bytes: 1 },
        { _tag: "Teleport" }
      ]
      for (const json of early) {
        const link = yield* attack(() => connect(target.port, { who: persona() }))
        yield* attack(() => link.say(json))
        assert.strictEqual(yield* attack(() => link.farewell()), "protocol", json._tag)
        assert.isFalse(link.heard.some(({ _tag }) => _tag === "Hello"))
      }
      yield* target.wellbeing
    })
  )

  it.effect("40 on a data link anything before Attach, and an Attach to what is not one's own, ends it", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const bytes: Record<string, Buffer> = {
        "a Want": record({ _tag: "Want", first: 0, count: 1 }),
        "an unknown kind of record": Buffer.of(9, 0, 0, 0, 1, 0),
        "a record of 0 bytes": Buffer.of(1, 0, 0, 0, 0),
        "a record of 4 GiB": Buffer.of(1, 255, 255, 255, 255),
        "a block of 2 GiB": Buffer.of(2, 128, 0, 0, 0),
        "an Attach of more than 8 KiB": Buffer.of(1, 0, 0, 32, 1),
        "a lane below 0": record({ _tag: "Attach", transfer: randomId(), lane: -1, attempt: 1 })
      }
      for (const [what, each] of Object.entries(bytes)) {
        const link = yield* dataLink(target.port)
        const began = performance.now()
        yield* attack(() => link.write(each))
        yield* attack(() => link.farewell())
        // Not by the deadline: at once.
        assert.isBelow(performance.now() - began, 3000, what)
        assert.isFalse(
          link.heard.some((json) => json["accepted"] === true),
          what
        )
      }
      const foreign = yield* dataLink(target.port)
      yield* attack(() => foreign.say({ _tag: "Attach", transfer: randomId(), lane: 0, attempt: 1 }))
      assert.isFalse((yield* attack(() => foreign.next("AttachReply")))["accepted"])
      yield* attack(() => foreign.farewell())
      yield* target.wellbeing
    })
  )

  it.effect("41 a Hello whose id is not the certificate's ends the link and makes nobody known", () =>
    Effect.gen(function* () {
      const target = yield* Target
      for (const id of [target.friend.id, persona().id, target.id]) {
        const who = persona()
        const link = yield* attack(() => connect(target.port, { who }))
        yield* attack(() => link.say(hello(who, { id })))
        assert.strictEqual(yield* attack(() => link.farewell()), "idMismatch")
        const known = yield* target.registry.list
        assert.isFalse(known.some((peer) => peer.id === who.id))
      }
      yield* target.wellbeing
    })
  )

  it.effect("42 a Hello of another major version ends the link, one of a newer minor does not", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const who = persona()
      const old = yield* attack(() => connect(target.port, { who }))
      yield* attack(() => old.say(hello(who, { version: { major: 2, minor: 0 } })))
      assert.strictEqual(yield* attack(() => old.farewell()), "version")
      const newer = yield* attack(() =>
        Mallory.meet(target.port, who, { version: { major: 1, minor: 99 }, features: ["teleport"] })
      )
      yield* attack(() => newer.control.settled())
      newer.end()
      yield* target.wellbeing
    })
  )
})

/** Announcements: always 512 bytes, whatever the name; anything else on the port is no announcement. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { Announcement, announcementBytes, datagramMaxBytes, decode, encode } from "../../src/schema/Announcement.ts"
import { Instance } from "../../src/schema/Id.ts"
import { byteLength, nameMaxBytes } from "../../src/schema/Text.ts"
import { someId } from "../Some.ts"
import * as Wild from "./Wild.ts"

const utf8 = new TextEncoder()

const valid: Announcement = {
  kith: 1,
  kind: "announce",
  id: someId(1),
  instance: Instance.make("a".repeat(26)),
  name: "alice",
  port: 9090,
  reply: 40_000
}

/** JSON text as a datagram of the right size. */
const datagram = (json: string, size = announcementBytes) => utf8.encode(json.padEnd(size, " "))
const withField = (change: object) => datagram(JSON.stringify({ ...valid, ...change }))
const refuses = (bytes: Uint8Array, why?: string) => assert.isTrue(Option.isNone(decode(bytes)), why)

describe("Announcement", () => {
  it.prop("is 512 bytes and decodes to itself", [Announcement], ([announcement]) => {
    const bytes = encode(announcement)
    assert.strictEqual(bytes.length, announcementBytes)
    const decoded = Option.getOrThrow(decode(bytes))
    // oxlint-disable-next-line no-control-regex -- control characters are what encode replaces
    assert.deepStrictEqual(decoded, { ...announcement, name: announcement.name.replace(/[\u0000-\u001f]/g, "\ufffd") })
  })

  it("fits whatever the name costs in JSON", () => {
    for (const character of ["\u0001", '"', "\\", "\u007f", "é", "\u2028", "😀", "\n"]) {
      const name = character.repeat(Math.floor(nameMaxBytes / byteLength(character)))
      const bytes = encode({ ...valid, kind: "announce", name, port: 65535, reply: 65535 })
      assert.strictEqual(bytes.length, announcementBytes)
      const decoded = Option.getOrThrow(decode(bytes))
      assert.isAtMost(byteLength(decoded.name), nameMaxBytes)
      assert.strictEqual(decoded.id, valid.id)
    }
  })

  it("drops what is no announcement", () => {
    refuses(new Uint8Array(0), "empty")
    refuses(Uint8Array.of(0x7b), "one byte")
    refuses(datagram(JSON.stringify(valid), 511), "too short: an answer would be larger than it")
    refuses(datagram(JSON.stringify(valid), datagramMaxBytes + 1), "too long")
    refuses(new Uint8Array(65_507).fill(0x20))
    refuses(datagram("{".repeat(100)))
    refuses(datagram(JSON.stringify(valid).slice(0, -5)), "cut short")
    refuses(datagram(`${JSON.stringify(valid)}x`), "something after it")
    refuses(datagram(`\ufeff${JSON.stringify(valid)}`), "a byte order mark")
    refuses(datagram("[".repeat(500) + "]".repeat(500)), "deep")
    assert.isTrue(Option.isSome(decode(datagram(JSON.stringify(valid), datagramMaxBytes))), "longer is a later version")
  })

  it("drops bad fields", () => {
    refuses(withField({ kith: 2 }), "a version to come")
    refuses(withField({ kith: "1" }))
    refuses(withField({ kith: undefined }), "no magic")
    refuses(withField({ kind: "unpair" }))
    refuses(withField({ id: valid.id.toUpperCase() }))
    refuses(withField({ id: "__proto__" }))
    refuses(withField({ name: "" }))
    refuses(withField({ name: "a".repeat(65) }))
    refuses(withField({ name: "\ud800" }))
    for (const port of [0, -1, 65536, 1.5, "9090", null]) {
      refuses(withField({ port }), `port ${port}`)
      refuses(withField({ reply: port }), `reply ${port}`)
    }
    const bytes = encode(valid)
    bytes[bytes.indexOf(0x61, 100)] = 0xff
    refuses(bytes, "bad UTF-8")
  })

  it("skips fields of later versions", () => {
    assert.deepStrictEqual(Option.getOrThrow(decode(withField({ later: [1], __proto__: 1 }))), valid)
  })

  it.prop("any bytes: none, never an exception", [Wild.bytes], ([bytes]) => {
    decode(bytes)
    const padded = new Uint8Array(announcementBytes).fill(0x20)
    padded.set(bytes.subarray(0, announcementBytes))
    decode(padded)
  })

  it.prop(
    "a damaged one: never an exception, and never an invalid one",
    [Announcement, Wild.damaged],
    ([value, damage]) => {
      const bytes = damage(encode(value))
      const padded = new Uint8Array(Math.max(announcementBytes, bytes.length)).fill(0x20)
      padded.set(bytes)
      const decoded = decode(padded)
      if (Option.isSome(decoded)) assert.isTrue(Announcement.pipe((schema) => schema.make(decoded.value)) !== undefined)
    }
  )
})

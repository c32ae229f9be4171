/** Ids: base32 as RFC 4648 has it, one spelling each, forms for screens. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { TransferId } from "../../src/schema/Id.ts"
import { base32, fromDigest, grouped, PeerId, short } from "../../src/schema/PeerId.ts"
import * as Wild from "./Wild.ts"

const isPeerId = (text: unknown) => Option.isSome(Schema.decodeUnknownOption(PeerId)(text))
const isTransferId = (text: unknown) => Option.isSome(Schema.decodeUnknownOption(TransferId)(text))
const ascii = (text: string) => new TextEncoder().encode(text)

describe("base32", () => {
  it("agrees with RFC 4648, section 10, in lower case and unpadded", () => {
    assert.strictEqual(base32(ascii("")), "")
    assert.strictEqual(base32(ascii("f")), "my")
    assert.strictEqual(base32(ascii("fo")), "mzxq")
    assert.strictEqual(base32(ascii("foo")), "mzxw6")
    assert.strictEqual(base32(ascii("foob")), "mzxw6yq")
    assert.strictEqual(base32(ascii("fooba")), "mzxw6ytb")
    assert.strictEqual(base32(ascii("foobar")), "mzxw6ytboi")
  })

  it.prop("holds every bit: reading it back gives the bytes", [Wild.bytes], ([bytes]) => {
    const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    const bits = [...base32(bytes)].map((digit) => alphabet.indexOf(digit).toString(2).padStart(5, "0")).join("")
    const back = Uint8Array.from({ length: bytes.length }, (_, i) => parseInt(bits.slice(8 * i, 8 * i + 8), 2))
    assert.deepStrictEqual(back, bytes)
    assert.match(bits.slice(8 * bytes.length), /^0*$/, "the spare bits are zero")
  })
})

describe("PeerId", () => {
  it("of the least and the greatest digest", () => {
    assert.strictEqual(fromDigest(new Uint8Array(32)), "a".repeat(52))
    assert.strictEqual(fromDigest(new Uint8Array(32).fill(255)), `${"7".repeat(51)}q`)
  })

  it("has one spelling", () => {
    const id = fromDigest(new Uint8Array(32).fill(7))
    assert.isTrue(isPeerId(id))
    assert.isFalse(isPeerId(id.toUpperCase()))
    assert.isFalse(isPeerId(grouped(id)))
    assert.isFalse(isPeerId(id.slice(1)))
    assert.isFalse(isPeerId(`${id}a`))
    assert.isFalse(isPeerId(`${id}\n`))
    assert.isFalse(isPeerId(id.slice(0, 51) + "b"), "a last digit with bits no digest has")
    assert.isFalse(isPeerId("0".repeat(52)))
    assert.isFalse(isPeerId(""))
    for (const other of [null, 5, {}, [id]]) assert.isFalse(isPeerId(other))
    for (const digit of "abcdefghijklmnopqrstuvwxyz234567") {
      assert.strictEqual(isPeerId("a".repeat(51) + digit), digit === "a" || digit === "q")
    }
  })

  it.prop("its forms carry it", [PeerId], ([id]) => {
    assert.strictEqual(grouped(id).replaceAll("-", ""), id)
    assert.strictEqual(grouped(id).length, 64)
    assert.isTrue(id.startsWith(short(id)))
    assert.lengthOf(short(id), 8)
  })
})

describe("ids that are not keys", () => {
  it("are 128 bits with one spelling", () => {
    const id = base32(Uint8Array.from({ length: 16 }, (_, i) => 17 * i))
    assert.isTrue(isTransferId(id))
    assert.lengthOf(id, 26)
    for (const wrong of ["", id.slice(1), `${id}a`, id.toUpperCase(), `${id.slice(0, 25)}b`, "__proto__", `${id}\n`]) {
      assert.isFalse(isTransferId(wrong), wrong)
    }
  })
})

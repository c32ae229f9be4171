/** Data records: heads checked before anything is set aside, frames by their schema, numbers to the last bit. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  blockHeadBytes,
  DataFrame,
  decode,
  decodeBlockHead,
  decodeHeader,
  encodeBlockHead,
  encodeFrame,
  headerBytes,
  wantsMax
} from "../../src/schema/Block.ts"
import { blockMaxBytes, pageMaxBytes } from "../../src/schema/Manifest.ts"
import * as Wild from "./Wild.ts"

const header = (kind: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(5)
  bytes[0] = kind
  new DataView(bytes.buffer).setUint32(1, length)
  return bytes
}

const verdict = (bytes: Uint8Array) =>
  Result.match(decodeHeader(bytes), {
    onSuccess: ({ kind, length }) => `${kind} ${length}`,
    onFailure: () => "refused"
  })

describe("a record's header", () => {
  it("has a length within bounds, for its kind", () => {
    assert.strictEqual(verdict(header(1, 1)), "frame 1")
    assert.strictEqual(verdict(header(1, pageMaxBytes)), `frame ${pageMaxBytes}`)
    assert.strictEqual(verdict(header(2, blockHeadBytes + 1)), `block ${blockHeadBytes + 1}`)
    assert.strictEqual(verdict(header(2, blockHeadBytes + blockMaxBytes)), `block ${blockHeadBytes + blockMaxBytes}`)
    for (const wrong of [0, pageMaxBytes + 1, 2 ** 31, 0xffff_ffff]) {
      assert.strictEqual(verdict(header(1, wrong)), "refused", `frame ${wrong}`)
    }
    for (const wrong of [0, 1, blockHeadBytes, blockHeadBytes + blockMaxBytes + 1, 2 ** 31, 0xffff_ffff]) {
      assert.strictEqual(verdict(header(2, wrong)), "refused", `block ${wrong}`)
    }
    for (const kind of [0, 3, 0x47, 255]) assert.strictEqual(verdict(header(kind, 10)), "refused", `kind ${kind}`)
  })

  it("that is cut short is refused, also inside a larger buffer", () => {
    for (let length = 0; length < headerBytes; length++) {
      assert.strictEqual(verdict(header(1, 1).subarray(0, length)), "refused")
      assert.strictEqual(verdict(header(1, 1).slice(0, length)), "refused")
    }
  })

  it.prop("any bytes: a verdict, never an exception", [Wild.bytes], ([bytes]) => {
    decodeHeader(bytes)
    decodeBlockHead(bytes)
    decode(bytes)
  })
})

describe("a block's head", () => {
  const digest = Uint8Array.from({ length: 32 }, (_, i) => 255 - i)

  it("says number, digest and length", () => {
    for (const number of [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
      for (const length of [1, 1000, blockMaxBytes]) {
        const bytes = encodeBlockHead({ number, digest, length })
        assert.lengthOf(bytes, headerBytes + blockHeadBytes)
        assert.deepStrictEqual(Result.getOrThrow(decodeHeader(bytes)), {
          kind: "block",
          length: blockHeadBytes + length
        })
        assert.deepStrictEqual(Result.getOrThrow(decodeBlockHead(bytes.subarray(headerBytes))), { number, digest })
      }
    }
  })

  it("beyond what a number can hold exactly is refused", () => {
    for (const [at, value] of [
      [0, 0x80],
      [1, 0x20],
      [0, 0xff]
    ] as const) {
      const bytes = new Uint8Array(blockHeadBytes)
      bytes[at] = value
      assert.isTrue(Result.isFailure(decodeBlockHead(bytes)))
    }
  })

  it("that is cut short is refused", () => {
    for (let length = 0; length < blockHeadBytes; length++) {
      assert.isTrue(Result.isFailure(decodeBlockHead(new Uint8Array(blockHeadBytes).subarray(0, length))))
    }
  })

  const byte = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))

  it.prop(
    "any number and digest come back",
    [Schema.Natural, Arbitrary.array(byte, { minLength: 32, maxLength: 32 })],
    ([number, bytes]) => {
      const digest = Uint8Array.from(bytes)
      const head = encodeBlockHead({ number, digest, length: 1 }).subarray(headerBytes)
      assert.deepStrictEqual(Result.getOrThrow(decodeBlockHead(head)), { number: number + 0, digest })
    }
  )
})

const verdictOf = (value: unknown) =>
  Result.match(decode(new TextEncoder().encode(JSON.stringify(value))), {
    onSuccess: (decoded) => decoded._tag,
    onFailure: (error) => error.problem
  })

const page = (...entries: ReadonlyArray<unknown>) => verdictOf({ _tag: "Page", page: 0, entries })

describe("a data frame", () => {
  it.prop("as a record, comes back", [DataFrame], ([frame]) => {
    const record = encodeFrame(frame)
    assert.deepStrictEqual(Result.getOrThrow(decodeHeader(record)), {
      kind: "frame",
      length: record.length - headerBytes
    })
    const decoded = Result.getOrThrow(decode(record.subarray(headerBytes)))
    assert.isTrue(decoded._tag === "Known")
    if (decoded._tag === "Known") assert.deepStrictEqual(encodeFrame(decoded.frame), record)
  })

  it.prop("damaged: a verdict, never an exception", [DataFrame, Wild.damaged], ([frame, damage]) => {
    decode(damage(encodeFrame(frame).subarray(headerBytes)))
  })

  it("asks for and reports only so much at once", () => {
    assert.strictEqual(verdictOf({ _tag: "Want", first: 0, count: 1 }), "Known")
    assert.strictEqual(verdictOf({ _tag: "Want", first: 0, count: wantsMax }), "Known")
    for (const count of [0, -1, wantsMax + 1, 1.5, "1"]) {
      assert.strictEqual(verdictOf({ _tag: "Want", first: 0, count }), "Invalid", `${count}`)
    }
    assert.strictEqual(verdictOf({ _tag: "Want", first: -1, count: 1 }), "Invalid")
    assert.strictEqual(verdictOf({ _tag: "Safe", ranges: Array.from({ length: 4096 }, () => [0, 1]) }), "Known")
    assert.strictEqual(verdictOf({ _tag: "Safe", ranges: Array.from({ length: 4097 }, () => [0, 1]) }), "Invalid")
    assert.strictEqual(verdictOf({ _tag: "Safe", ranges: [[0]] }), "Invalid")
  })

  it("refuses a page with one bad entry, whole", () => {
    const good = ["a.txt", "f", 5, 0, 0]
    assert.strictEqual(page(good), "Known")
    assert.strictEqual(page(), "Known")
    const bad: ReadonlyArray<unknown> = [
      ["../x", "f", 5, 0, 0],
      ["a", "l", 5, 0, 0],
      ["a", "f", -1, 0, 0],
      ["a", "f", 2 ** 63, 0, 0],
      ["a", "f", 1.5, 0, 0],
      ["a", "f", 5, 1e300, 0],
      ["a", "f", 5, 0, 0o4755],
      ["a", "f", 5, 0, true],
      ["a", "d", 1, 0, 0],
      ["a", "f", 5, 0],
      { path: "a" },
      null
    ]
    for (const entry of bad) assert.strictEqual(page(good, entry), "Invalid", JSON.stringify(entry))
  })
})

/** Text: measured in UTF-8 bytes, well-formed, and made inert where it is shown. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  bounded,
  byteLength,
  chatMaxBytes,
  ChatText,
  inert,
  inertLines,
  Name,
  Reason,
  Word
} from "../../src/schema/Text.ts"
import * as Wild from "./Wild.ts"

const accepts = (schema: Schema.Codec<string>, text: unknown) => Option.isSome(Schema.decodeUnknownOption(schema)(text))

const problem = (text: string) => {
  const result = Schema.decodeResult(Name)(text)
  return result._tag === "Failure" ? result.failure.message : ""
}

describe("bounded text", () => {
  it("counts UTF-8 bytes, not characters", () => {
    assert.isTrue(accepts(ChatText, "a".repeat(chatMaxBytes)))
    assert.isFalse(accepts(ChatText, "a".repeat(chatMaxBytes + 1)))
    assert.isTrue(accepts(ChatText, "é".repeat(chatMaxBytes / 2)))
    assert.isFalse(accepts(ChatText, "é".repeat(chatMaxBytes / 2) + "a"))
    assert.isTrue(accepts(ChatText, "😀".repeat(chatMaxBytes / 4)))
    assert.isFalse(accepts(ChatText, "😀".repeat(chatMaxBytes / 4) + "a"))
    assert.isTrue(accepts(Name, "😀".repeat(16)))
    assert.isFalse(accepts(Name, "😀".repeat(16) + "a"))
  })

  it("knows its least length", () => {
    assert.isFalse(accepts(ChatText, ""))
    assert.isFalse(accepts(Name, ""))
    assert.isFalse(accepts(Word, ""))
    assert.isTrue(accepts(Reason, ""))
    assert.isTrue(accepts(ChatText, "\u0000"))
    assert.isFalse(accepts(bounded({ min: 4, max: 8 }), "abc"))
    assert.isTrue(accepts(bounded({ min: 4, max: 8 }), "😀"))
  })

  it("refuses lone surrogates and what is not text", () => {
    for (const text of ["\ud800", "a\udfffb", "\udc00\ud800", "😀".slice(0, 1), "😀".slice(1)]) {
      assert.isFalse(accepts(ChatText, text), JSON.stringify(text))
    }
    for (const other of [0, null, undefined, {}, ["a"], true, NaN]) assert.isFalse(accepts(ChatText, other))
  })

  it("says in words what was wrong", () => {
    assert.include(problem("a".repeat(65)), "is 65 bytes of UTF-8, of at most 64")
    assert.include(problem(""), "is 0 bytes of UTF-8, of at least 1")
    assert.include(problem("\ud800"), "lone surrogate")
  })

  it.prop("accepts exactly what is well-formed and in bounds", [Wild.text], ([text]) => {
    const bytes = byteLength(text)
    const within = text.isWellFormed() && bytes >= 2 && bytes <= 12
    assert.strictEqual(accepts(bounded({ min: 2, max: 12 }), text), within)
    assert.strictEqual(bytes, Buffer.byteLength(text))
  })
})

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const unsafe = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/u

describe("inert", () => {
  it("takes the teeth of what moves a cursor or turns text around", () => {
    assert.strictEqual(inert("\u001b[2Jx"), "\ufffd[2Jx")
    assert.strictEqual(inert("a\u0000b\rc\nd\te"), "a\ufffdb\ufffdc\ufffdd\ufffde")
    assert.strictEqual(inert("\u009b31m"), "\ufffd31m")
    assert.strictEqual(inert("exe.\u202egpj"), "exe.\ufffdgpj")
    assert.strictEqual(inert("ali\u200bce\ufeff"), "ali\ufffdce\ufffd")
    assert.strictEqual(inert("\u2066x\u2069"), "\ufffdx\ufffd")
    assert.strictEqual(inert("\ud800x"), "\ufffdx")
  })

  it("leaves every script and emoji alone", () => {
    for (const text of ["plain", "naïve café", "שלום", "سلام", "日本語", "e\u0301", "👩‍👩‍👧‍👦", "🏴‍☠️", "नमस्ते", "می‌خواهم"]) {
      assert.strictEqual(inert(text), text)
    }
  })

  it("keeps lines and tabs in the body of a message, and nothing else", () => {
    assert.strictEqual(inertLines("a\n\tb\r\n\u001bc"), "a\n\tb\ufffd\n\ufffdc")
    assert.strictEqual(inertLines(""), "")
  })

  it.prop("nothing unsafe is left, and twice is once", [Wild.text], ([text]) => {
    const shown = inert(text)
    assert.isFalse(unsafe.test(shown))
    assert.isTrue(shown.isWellFormed())
    assert.strictEqual(inert(shown), shown)
    assert.isFalse(unsafe.test(inertLines(text).replace(/[\n\t]/g, "")))
    assert.strictEqual(shown.length, text.toWellFormed().length)
  })
})

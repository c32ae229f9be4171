/** How text is cut into words, and queries into phrases: the same on both sides, so that what is there is found. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { excerpt, expression, indexed, phrasesOf } from "../../src/services/chat/SearchTerms.ts"
import * as Wild from "../schema/Wild.ts"

const marked = (text: string, query: string) =>
  excerpt(text, phrasesOf(query))
    .filter((one) => one.isMatch)
    .map((one) => one.text)

describe("SearchTerms", () => {
  const cut: ReadonlyArray<readonly [text: string, words: string]> = [
    ["Hello, World! don't foo_bar", "hello world don t foo bar"],
    ["", ""],
    ["?!", ""],
    ["私は東京に行く", "私 は 東 京 に 行 く"],
    ["Ünïcode ＡＢＣ ½ ⑴", "unicode abc 12 1"],
    ["party 🎉👍🏽 🇩🇪🇫🇷 👨‍👩‍👧", "party 🎉 👍 🇩🇪 🇫🇷 👨 👩 👧"],
    ["が か\u3099", "が が"],
    ["한국어 हिन्दी ΟΔΟΣ", "한국어 हिन्दी οδοσ"],
    ["x".repeat(70), "x".repeat(64)],
    ["é".repeat(70), "e".repeat(64)]
  ]
  for (const [text, words] of cut) {
    it(`cuts ${JSON.stringify(text.slice(0, 30))}`, () => assert.strictEqual(indexed(text), words))
  }

  const asked: ReadonlyArray<readonly [query: string, expression: string | undefined]> = [
    ["hel", 'words : ("hel" *)'],
    ["hel ", 'words : ("hel")'],
    ["he", 'words : ("he")'],
    ["one two", 'words : ("one" AND "two" *)'],
    ['"one two"', 'words : ("one two")'],
    ['a"b" c', 'words : ("a" AND "b" AND "c")'],
    ["foo-bar", 'words : ("foo bar" *)'],
    ["東京", 'words : ("東 京")'],
    ["NOT words:x *", 'words : ("not" AND "words x")'],
    ['"', undefined],
    ["* ( )", undefined]
  ]
  for (const [query, wanted] of asked) {
    it(`asks for ${query}`, () => assert.strictEqual(expression(phrasesOf(query)), wanted))
  }

  it.prop("no character of any text means anything to the index", [Wild.text], ([text]) => {
    assert.notMatch(indexed(text), /["*^:(){}+\n\r\0]/)
    assert.isTrue(indexed(text).isWellFormed())
    for (const { words } of phrasesOf(text)) for (const word of words) assert.notMatch(word, /["\s]/)
  })

  it.prop(
    "an excerpt is part of its text, marked where the words stand",
    [Wild.text, Schema.String],
    ([text, query]) => {
      const pieces = excerpt(text, phrasesOf(query)).map((one) => one.text)
      // Two ellipses at most.
      assert.isAtMost(pieces.join("").length, 202)
      for (const piece of pieces) assert.isTrue(piece.isWellFormed())
      if (text.isWellFormed() && text.length <= 40) assert.strictEqual(pieces.join(""), text)
    }
  )

  it("marks every word that was looked for, and the whole of a phrase", () => {
    assert.deepStrictEqual(marked("to be or not to be", "be to "), ["to", "be", "to", "be"])
    assert.deepStrictEqual(marked("to be or not to be", '"or not"'), ["or not"])
    assert.deepStrictEqual(marked("私は東京に行く", "東京"), ["東京"])
    assert.deepStrictEqual(marked("Orléans, ORLEANS", "orlé"), ["Orléans", "ORLEANS"])
    assert.deepStrictEqual(marked("nothing", "else"), [])
  })

  it("takes time in proportion to the text, however it is made", () => {
    const start = performance.now()
    for (const text of [
      "a ".repeat(32_768),
      "a".repeat(65_536),
      "é".repeat(32_768),
      "東".repeat(21_845),
      '"'.repeat(65_536)
    ]) {
      indexed(text)
      excerpt(text, phrasesOf(text))
    }
    assert.isBelow(performance.now() - start, 5000)
  })
})

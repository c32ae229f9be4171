/** Patterns over the paths of an offer. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as path from "node:path"
import { compile } from "../../src/schema/Glob.ts"

const cases: ReadonlyArray<readonly [pattern: string, yes: ReadonlyArray<string>, no: ReadonlyArray<string>]> = [
  ["*.jpg", ["a.jpg", "d/e/.jpg", "photos.jpg/inside"], ["a.jpeg", "ajpg", "d.jp/g"]],
  ["a", ["a", "a/b/c", "x/a", "x/a/y"], ["ab", "x/ab"]],
  ["a/b", ["a/b", "a/b/c"], ["x/a/b", "a", "a/bc"]],
  ["a/", ["a", "a/b", "x/a"], ["b"]],
  ["/a", ["a", "a/b"], ["x/a"]],
  ["./a", ["a", "a/b"], ["x/a"]],
  ["a/*", ["a/b", "a/b/c"], ["a", "b/a"]],
  ["a/*/c", ["a/b/c"], ["a/c", "a/b/b/c"]],
  ["a/**/c", ["a/c", "a/b/c", "a/b/b/c", "a/b/c/d"], ["b/a/c", "ac", "a/b"]],
  ["**/c", ["c", "a/c", "a/b/c"], ["ac"]],
  ["a/**", ["a/b", "a/b/c", "a"], ["b"]],
  ["?.txt", ["a.txt", "\u{1f600}.txt"], ["ab.txt", ".txt"]],
  ["[a-c]x", ["ax", "cx"], ["dx", "x"]],
  ["[!a-c]x", ["dx"], ["ax", "x"]],
  ["[]]x", ["]x"], ["x"]],
  ["[a", ["[a"], ["a"]],
  ["{a,b/c}.txt", ["a.txt", "x/a.txt", "b/c.txt"], ["c.txt", "x/b/c.txt"]],
  ["{a,{b,c}}d", ["ad", "bd", "cd"], ["d"]],
  ["{a", ["{a"], ["a"]],
  ["{a}", ["{a}"], ["a"]],
  ["\\*", ["*"], ["a"]],
  ["a**b", ["ab", "axb"], ["a/b"]]
]

describe("a pattern", () => {
  for (const [pattern, yes, no] of cases) {
    it(pattern, () => {
      const glob = compile([pattern])
      for (const path of yes) assert.isTrue(glob(path), path)
      for (const path of no) assert.isFalse(glob(path), path)
    })
  }

  it("may be one of several", () => {
    const glob = compile(["*.a", "*.b"])
    assert.deepStrictEqual(
      ["x.a", "x.b", "x.c"].map((path) => glob(path)),
      [true, true, false]
    )
    assert.isFalse(compile([])("a"))
  })

  it.prop(
    "means within one name what node:path means",
    [
      Schema.Array(Schema.Literals(["a", "b", "*", "?", "ab", "[ab]", "[!a]"])).check(Schema.isMaxLength(8)),
      Schema.Array(Schema.Literals(["a", "b", "c"])).check(Schema.isMaxLength(10))
    ],
    ([parts, letters]) => {
      const pattern = `/x${parts.join("")}`
      const text = `x${letters.join("")}`
      assert.strictEqual(compile([pattern])(text), path.matchesGlob(`/${text}`, pattern), `${pattern} ${text}`)
    }
  )

  it("takes no longer than it should, however it is made", () => {
    const glob = compile([`${"*a".repeat(400)}b`, `${"**/a/".repeat(200)}b`])
    assert.isFalse(glob("a".repeat(1000)))
    assert.isFalse(glob("a/".repeat(500)))
    assert.isFalse(compile(["{a,b}".repeat(200)])("c"))
  })
})

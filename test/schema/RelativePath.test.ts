/** Paths of an offer: what is dangerous anywhere is refused at the door, what merely cannot be stored is not. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { posix, win32 } from "node:path"
import { problem, RelativePath, top } from "../../src/schema/RelativePath.ts"
import * as Wild from "./Wild.ts"

const isPath = (path: unknown) => Option.isSome(Schema.decodeUnknownOption(RelativePath)(path))

describe("RelativePath", () => {
  const refused: ReadonlyArray<readonly [string, string]> = [
    ["", "is empty"],
    ["../x", '".."'],
    ["a/../../x", '".."'],
    ["a/..", '".."'],
    ["..", '".."'],
    [".", '"."'],
    ["./a", '"."'],
    ["a/./b", '"."'],
    ["/x", "absolute"],
    ["//server/share", "absolute"],
    ["/", "absolute"],
    ["a//b", "empty component"],
    ["a/", "empty component"],
    ["C:\\x", "backslash"],
    ["c:/x", "drive"],
    ["Z:", "drive"],
    ["\\\\server\\share", "backslash"],
    ["a\\..\\..\\x", "backslash"],
    ["a\\b", "backslash"],
    ["a\u0000b", "control character"],
    ["a\nb", "control character"],
    ["a\rb", "control character"],
    ["\u001b[2J", "control character"],
    ["a\u007f", "control character"],
    ["a\u0085", "control character"],
    ["a\u009bm", "control character"],
    ["a\ud800", "lone surrogate"],
    ["\udfff/b", "lone surrogate"],
    [".kith", ".kith"],
    [".kith/x", ".kith"],
    [".KiTh/journal", ".kith"],
    ["．ｋｉｔｈ/x", ".kith"],
    [".\u212aith/x", ".kith"],
    [".k\u200cith/x", ".kith"],
    [".kith\ufeff", ".kith"],
    [".kith./x", ".kith"],
    [".kith /x", ".kith"],
    [".kıth", ".kith"],
    ["a".repeat(256), "component longer than 255"],
    ["é".repeat(128), "component longer than 255"],
    [Array.from({ length: 65 }, () => "a").join("/"), "deeper than 64"],
    [Array.from({ length: 10_000 }, () => "a").join("/"), "longer than 1024"],
    [`${`${"a".repeat(255)}/`.repeat(4)}b`, "longer than 1024"]
  ]

  for (const [path, why] of refused) {
    it(`refuses ${JSON.stringify(path).slice(0, 40)}`, () => {
      assert.isFalse(isPath(path))
      assert.include(problem(path) ?? "nothing", why)
    })
  }

  it("takes what only some receivers cannot store, since those leave it out by name", () => {
    const paths =
      "CON|nul.txt|COM1 |COM¹|a:b|dir/C:x|trailing.|trailing |a/.kith|a/.kith/b|README|readme|é|e\u0301|ß|ss|-rf|~|$HOME|" +
      'a b|...|..a|a..|.git/config|😀/👩‍👩‍👧‍👦.txt|exe.\u202egpj|ali\u200bce|.kithx|kith|.kit|a?*<>"b|%2e%2e|а/..б'
    for (const path of paths.split("|")) {
      assert.isUndefined(problem(path), path)
      assert.isTrue(isPath(path), path)
    }
  })

  it("takes the longest it promises", () => {
    assert.isTrue(isPath("a".repeat(255)))
    assert.isTrue(isPath(`${"é".repeat(127)}a`))
    assert.isTrue(isPath(Array.from({ length: 64 }, () => "a").join("/")))
    assert.isTrue(isPath(`${`${"a".repeat(255)}/`.repeat(3)}${"a".repeat(255)}/`.slice(0, -1)))
  })

  it("refuses what is not text, and quotes no more than a little of it", () => {
    for (const other of [null, undefined, 1, {}, ["a"], true]) assert.isFalse(isPath(other))
    const result = Schema.decodeResult(RelativePath)(`${"a".repeat(100_000)}`)
    assert.isTrue(result._tag === "Failure" && result.failure.message.length < 1000)
  })

  it("knows its first component", () => {
    assert.strictEqual(top(RelativePath.make("photos/2024/a.jpg")), "photos")
    assert.strictEqual(top(RelativePath.make("a.txt")), "a.txt")
  })

  it.prop(
    "never throws, and what it takes stays below any directory, by either platform's rules",
    [Wild.text],
    ([text]) => {
      for (const path of [text, `a/${text}`, `${text}/b`, `../${text}`]) {
        if (problem(path) !== undefined) continue
        assert.isTrue(posix.join("/base", path).startsWith("/base/"), path)
        assert.strictEqual(posix.normalize(path), path)
        assert.isTrue(win32.join("X:\\base", path).startsWith("X:\\base\\"), path)
        assert.isFalse(posix.isAbsolute(path) || win32.isAbsolute(path), path)
      }
    }
  )
})

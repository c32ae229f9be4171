/** A ticked part of an offer becomes patterns that name this part and nothing else, whatever the names are. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { compile, patternsMax } from "../../src/schema/Glob.ts"
import type { ListedEntry } from "../../src/schema/ListedEntry.ts"
import * as OfferTree from "../../src/web/state/OfferTree.ts"

const entry = (path: string, change: Partial<ListedEntry> = {}): ListedEntry => ({
  index: 0,
  path,
  kind: "f",
  size: 10,
  mtime: 0,
  executable: false,
  state: "offered",
  reason: null,
  digest: null,
  ...change
})

const directory = (path: string) => entry(path, { kind: "d", size: 0 })

const photos = OfferTree.build([
  directory("photos"),
  directory("photos/2025"),
  entry("photos/2025/b10.jpg"),
  entry("photos/2025/b9.jpg"),
  directory("photos/empty"),
  entry("photos/[1]*.txt"),
  entry("photos/aux", { state: "leftOut", reason: "this disk cannot store the name" }),
  entry("loose.txt", { size: 5 })
])

/** Names that would mean something else, were they patterns. */
const Name = Schema.Literals(["a", "b", "*", "a*", "?", "[ab]", "[!a]", "{a,b}", "**", "\\a", "a,b", "!a", ".a", "a b"])

describe("the tree of an offer", () => {
  it("has directories first, names in people's order, and the size of what is inside", () => {
    const names = (node: OfferTree.Node): ReadonlyArray<unknown> => node.children.map(({ name, size }) => [name, size])
    assert.deepStrictEqual(names(photos), [
      ["photos", 40],
      ["loose.txt", 5]
    ])
    const [top] = photos.children
    assert.deepStrictEqual(
      top?.children.map(({ name }) => name),
      ["2025", "empty", "[1]*.txt", "aux"]
    )
    assert.deepStrictEqual(
      top?.children[0]?.children.map(({ name }) => name),
      ["b9.jpg", "b10.jpg"]
    )
  })

  it("is one pattern for each whole part, and never names what is left out alone", () => {
    assert.deepStrictEqual(OfferTree.patterns(photos, new Set()), ["/photos", "/loose.txt"])
    const some = new Set(["photos/2025/b9.jpg"])
    assert.deepStrictEqual(OfferTree.patterns(photos, some), [
      "/photos/2025/b10.jpg",
      "/photos/empty",
      "/photos/\\[1\\]\\*.txt",
      "/loose.txt"
    ])
    assert.strictEqual(OfferTree.ticks(photos, some).get("photos"), "some")
    assert.deepStrictEqual(OfferTree.sum(photos, some), { files: 3, bytes: 25 })
  })

  it("ticks and unticks all that is below", () => {
    const [top = photos] = photos.children
    const none = OfferTree.withTick(new Set(), top, false)
    assert.strictEqual(OfferTree.ticks(photos, none).get("photos"), "none")
    assert.deepStrictEqual(OfferTree.patterns(photos, none), ["/loose.txt"])
    assert.deepStrictEqual([...OfferTree.withTick(none, top, true)], [])
  })

  it("says when a part is more than patterns can name", () => {
    const many = OfferTree.build(Array.from({ length: 2 * patternsMax + 2 }, (_, at) => entry(`all/${at}`)))
    const half = OfferTree.onlyTicked(many, ({ name }) => Number(name) % 2 === 0)
    assert.isUndefined(OfferTree.patterns(many, half))
    assert.deepStrictEqual(OfferTree.patterns(many, new Set()), ["/all"])
  })

  it.prop(
    "names exactly what is ticked",
    { paths: Schema.Array(Schema.Tuple([Name, Name, Name, Schema.Boolean])).check(Schema.isMaxLength(12)) },
    ({ paths }) => {
      const files = new Map(paths.map(([a, b, c, ticked]) => [`${a}/d${b}/f${c}`, ticked]))
      const top = OfferTree.build([...files.keys()].map((path) => entry(path)))
      const found = OfferTree.patterns(top, new Set([...files].flatMap(([path, ticked]) => (ticked ? [] : [path]))))
      const taken = found === undefined || found.length === 0 ? () => false : compile(found)
      for (const [path, ticked] of files) assert.strictEqual(taken(path), ticked, path)
    }
  )
})

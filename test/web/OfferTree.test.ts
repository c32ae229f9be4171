/** A ticked part of an offer becomes ranges of its list that are this part and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { EntryRanges, type ListedEntry, rangesMax } from "../../src/schema/ListedEntry.ts"
import { Ranges } from "../../src/schema/Ranges.ts"
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

/** The tree of a list of these. */
const build = (entries: ReadonlyArray<ListedEntry>) => OfferTree.build(entries.map((one, index) => ({ ...one, index })))

const photos = build([
  directory("photos"),
  directory("photos/2025"),
  entry("photos/2025/b10.jpg"),
  entry("photos/2025/b9.jpg"),
  directory("photos/empty"),
  entry("photos/[1]*.txt"),
  entry("photos/aux", { state: "leftOut", reason: "this disk cannot store the name" }),
  entry("loose.txt", { size: 5 })
])

const Name = Schema.Literals(["a", "b", "*", "a/b", ".a"])

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

  it("is one range for each run that is taken, over what is left out within it", () => {
    assert.deepStrictEqual(OfferTree.ranges(photos, new Set()), [[0, 8]])
    const some = new Set(["photos/2025/b9.jpg"])
    assert.deepStrictEqual(OfferTree.ranges(photos, some), [
      [0, 3],
      [4, 4]
    ])
    assert.strictEqual(OfferTree.ticks(photos, some).get("photos"), "some")
    assert.deepStrictEqual(OfferTree.sum(photos, some), { files: 3, bytes: 25 })
    assert.deepStrictEqual(OfferTree.ranges(photos, new Set(["loose.txt"])), [[0, 6]])
  })

  it("ticks and unticks all that is below", () => {
    const [top = photos] = photos.children
    const none = OfferTree.withTick(new Set(), top, false)
    assert.strictEqual(OfferTree.ticks(photos, none).get("photos"), "none")
    assert.deepStrictEqual(OfferTree.ranges(photos, none), [[7, 1]])
    assert.deepStrictEqual([...OfferTree.withTick(none, top, true)], [])
  })

  it("never has more ranges than may be asked for", () => {
    const many = build(Array.from({ length: OfferTree.entriesReadMax }, (_, at) => entry(`all/${at}`)))
    const half = OfferTree.onlyTicked(many, ({ name }) => Number(name) % 2 === 0)
    assert.strictEqual(OfferTree.ranges(many, half).length, rangesMax)
    assert.isTrue(Schema.is(EntryRanges)(OfferTree.ranges(many, half)))
  })

  it.prop(
    "names exactly what is ticked",
    {
      paths: Schema.Array(Schema.Tuple([Name, Name, Name, Schema.Boolean, Schema.Boolean])).check(
        Schema.isMaxLength(12)
      )
    },
    ({ paths }) => {
      const all = paths.map(([a, b, c, ...rest]) => [`${a}/d${b}/f${c}`, rest] as const)
      // No list names a file and something below it: such an offer is refused whole.
      const files = new Map(all.filter(([path]) => !all.some(([other]) => other.startsWith(`${path}/`))))
      const directories = new Set([...files.keys()].flatMap((path) => [path.slice(0, path.lastIndexOf("/"))]))
      const top = build([
        ...[...directories].map(directory),
        ...[...files].map(([path, [, isLeftOut]]) => entry(path, isLeftOut ? { state: "leftOut" } : {}))
      ])
      const found = OfferTree.ranges(top, new Set([...files].flatMap(([path, [ticked]]) => (ticked ? [] : [path]))))
      assert.isTrue(found.length === 0 || Schema.is(EntryRanges)(found))
      const taken = new Ranges()
      for (const [first, count] of found) taken.add(first, count)
      for (const [at, [path, [ticked, isLeftOut]]] of [...files].entries()) {
        if (!isLeftOut) assert.strictEqual(taken.has(directories.size + at), ticked, path)
      }
    }
  )
})

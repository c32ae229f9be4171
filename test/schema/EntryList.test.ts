/** The compact manifest, its pages, its block numbers, and what is refused of a peer's. */
import { assert, describe, it } from "@effect/vitest"
import { encodeFrame } from "../../src/schema/Block.ts"
import { EntryList, type NewEntry } from "../../src/schema/EntryList.ts"
import { blockCount, blockSize, pageMaxBytes } from "../../src/schema/Manifest.ts"
import { ManifestCheck, type Page } from "../../src/schema/ManifestCheck.ts"
import { Collisions, type Naming, unstorable } from "../../src/schema/Naming.ts"
import { Ranges } from "../../src/schema/Ranges.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import * as Schema from "effect/Schema"

const mebi = 1024 * 1024
const file = (path: string, size = 1): NewEntry => ({
  path: RelativePath.make(path),
  kind: "f",
  size,
  mtime: 1000.5,
  executable: false
})
const directory = (path: string): NewEntry => ({ ...file(path, 0), kind: "d" })

const listOf = (...entries: ReadonlyArray<NewEntry>): EntryList => {
  const list = new EntryList(7)
  for (const entry of entries) assert.isTrue(list.append(entry))
  return list
}

describe("EntryList", () => {
  it("gives back what was put in, found by path", () => {
    const list = listOf(directory("d"), { ...file("d/\u{1f600} x", 5), executable: true }, file("e", 0))
    assert.deepStrictEqual(list.entry(1), [RelativePath.make("d/\u{1f600} x"), "f", 5, 1000, 1])
    assert.strictEqual(list.mtime(1), 1000.5)
    assert.strictEqual(list.find("d/\u{1f600} x"), 1)
    assert.strictEqual(list.find("d/x"), -1)
    assert.isFalse(list.append(file("e")))
    assert.deepStrictEqual(list.totals, { files: 2, directories: 1, bytes: 5, blocks: 1 })
  })

  it("numbers blocks in one line, over entries that have none", () => {
    const sizes = [0, 1, mebi - 1, mebi, mebi + 1, 0, 0, 3 * mebi, 0]
    const list = listOf(directory("d"), ...sizes.map((size, i) => file(`f${i}`, size)), directory("e"))
    let number = 0
    for (let at = 0; at < list.length; at++) {
      assert.strictEqual(list.firstBlock(at), number)
      for (let i = 0; i < list.blockCount(at); i++) {
        const offset = i * blockSize(list.size(at))
        const length = Math.min(blockSize(list.size(at)), list.size(at) - offset)
        assert.deepStrictEqual(list.place(number++), { entry: at, offset, length })
      }
    }
    assert.strictEqual(list.totals.blocks, number)
    assert.isUndefined(list.place(number))
    assert.isUndefined(list.place(-1))
  })

  it("cuts pages that fit the wire, and only as many as needed", () => {
    const list = new EntryList(1)
    const long = `${'"'.repeat(200)}/${"\u{1f600}".repeat(60)}`
    for (let i = 0; i < 3000; i++) list.append(file(`${i}/${i % 3 === 0 ? long : "short"}`, 2 ** 40))
    let seen = 0
    for (let page = 0; page < list.pages; page++) {
      const entries = list.page(page) ?? []
      const bytes = encodeFrame({ _tag: "Page", page, entries, totals: list.totals }).length
      assert.isAtMost(bytes, pageMaxBytes + 5)
      if (page < list.pages - 1) assert.isAbove(bytes, pageMaxBytes * 0.8)
      seen += entries.length
    }
    assert.strictEqual(seen, 3000)
    assert.isUndefined(list.page(list.pages))
  })

  it("holds 100,000 entries in little memory", () => {
    const list = new EntryList(1)
    for (let i = 0; i < 100_000; i++) list.append(file(`directory ${i % 100}/some file name ${i}.jpg`, i))
    assert.isBelow(list.memory, 16 * mebi)
    assert.strictEqual(list.path(99_999), "directory 99/some file name 99999.jpg")
    assert.strictEqual(list.find("directory 7/some file name 7.jpg"), 7)
    assert.strictEqual(blockCount(0), 0)
  })
})

const pageOf = (list: EntryList, changes: Partial<Page> = {}): Page => ({
  _tag: "Page",
  page: 0,
  entries: list.page(0) ?? [],
  totals: list.totals,
  ...changes
})

const refusal = (page: Page, entriesMax?: number): string | undefined => {
  const check = new ManifestCheck({
    seed: 3,
    memoryMax: 64 * mebi,
    ...(entriesMax === undefined ? {} : { entriesMax })
  })
  return check.add(page) ?? check.clash(0, Infinity)
}

describe("ManifestCheck", () => {
  const good = listOf(directory("d"), file("d/a", 10), file("b", 3))

  it("takes a true manifest", () => {
    assert.isUndefined(refusal(pageOf(good)))
  })

  it("refuses each lie by its own reason", () => {
    assert.match(refusal(pageOf(good, { page: 1 })) ?? "", /out of turn/)
    assert.match(refusal(pageOf(good, { entries: [...pageOf(good).entries, ...pageOf(good).entries] })) ?? "", /twice/)
    assert.match(
      refusal(pageOf(good, { totals: { ...good.totals, bytes: 12 } })) ?? "",
      /states 12 bytes, but lists 13/
    )
    assert.match(refusal(pageOf(good, { totals: { ...good.totals, blocks: 1 } })) ?? "", /blocks/)
    assert.match(refusal(pageOf(good), 2) ?? "", /more than 2 entries/)
    assert.match(refusal(pageOf(listOf(file("a"), file("a/b")))) ?? "", /"a" as a file and as a directory/)
    assert.match(refusal(pageOf(listOf(file("x/a/b/c"), file("x/a")))) ?? "", /"x\/a" as a file/)
    assert.match(refusal(pageOf(listOf({ ...directory("d"), size: 4 }))) ?? "", /has a size/)
    assert.match(refusal(pageOf(new EntryList(1))) ?? "", /lists nothing/)
    const { totals: _, ...unfinished } = pageOf(new EntryList(1))
    assert.match(refusal(unfinished) ?? "", /empty page/)
    const huge = listOf(file("a", Number.MAX_SAFE_INTEGER), file("b", Number.MAX_SAFE_INTEGER))
    assert.match(refusal(pageOf(huge)) ?? "", /more than can be counted/)
  })

  it("refuses a list that is too long for its memory", () => {
    const list = new EntryList(1)
    for (let i = 0; i < 4000; i++) list.append(file(`${i}`))
    const check = new ManifestCheck({ seed: 1, memoryMax: 1024 })
    assert.match(check.add(pageOf(list)) ?? "", /too long to be held/)
  })
})

describe("Naming", () => {
  const linux: Naming = {
    caseSensitive: true,
    normalizationSensitive: true,
    componentMaxBytes: 255,
    pathMaxBytes: 1024,
    windows: false
  }

  it("leaves out what cannot be stored", () => {
    assert.isUndefined(unstorable(linux, "a:b/CON/x. "))
    for (const path of ["CON", "x/nul.txt", "COM1 ", "com\u00b9", "a:b", "x.", "x ", 'q"', "d*"]) {
      assert.isDefined(unstorable({ ...linux, windows: true }, path), path)
    }
    assert.isUndefined(unstorable({ ...linux, windows: true }, "console/command.com1"))
    assert.isDefined(unstorable({ ...linux, componentMaxBytes: 3 }, "a/\u00e9\u00e9"))
  })

  it("leaves out what cannot be told apart", () => {
    const apart = new Collisions(linux)
    for (const path of ["README", "readme", "e\u0301", "\u00e9"]) assert.isUndefined(apart.problem(path))
    const folded = new Collisions({ ...linux, caseSensitive: false })
    for (const path of ["README", "d/x", "stra\u00dfe", "\u00e9"]) assert.isUndefined(folded.problem(path))
    for (const path of ["readme", "D/y", "STRASSE", "e\u0301"]) assert.isDefined(folded.problem(path), path)
    assert.isUndefined(folded.problem("d/y"))
    const normalizing = new Collisions({ ...linux, normalizationSensitive: false })
    assert.isUndefined(normalizing.problem("\u00e9"))
    assert.isUndefined(normalizing.problem("\u00c9"))
    assert.isDefined(normalizing.problem("e\u0301"))
  })
})

describe("Ranges", () => {
  it.prop(
    "is the set it says",
    [
      Schema.Array(
        Schema.Tuple([
          Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
          Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
        ])
      )
    ],
    ([added]) => {
      const ranges = new Ranges()
      const set = new Set<number>()
      for (const [first, count] of added) {
        const before = set.size
        for (let n = first; n < first + count; n++) set.add(n)
        assert.strictEqual(ranges.add(first, count), set.size - before)
      }
      assert.strictEqual(ranges.size, set.size)
      for (let n = 0; n < 75; n++) assert.strictEqual(ranges.has(n), set.has(n))
      const listed = ranges.toArray()
      for (const [i, [first]] of listed.entries()) {
        const [before, count] = listed[i - 1] ?? [-2, 1]
        assert.isAbove(first, before + count)
      }
      const missing: Array<number> = []
      for (let at = 5; ;) {
        const run = ranges.missing(at, 70)
        if (run === undefined) break
        for (let n = run[0]; n < run[0] + run[1]; n++) missing.push(n)
        at = run[0] + run[1]
      }
      assert.deepStrictEqual(
        missing,
        Array.from({ length: 65 }, (_, i) => i + 5).filter((n) => !set.has(n))
      )
    }
  )
})

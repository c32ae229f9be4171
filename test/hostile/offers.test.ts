/**
 * Cases 53 to 67: what is offered. A list that is dangerous or untrue anywhere is refused whole, with a reason, and
 * not a file is made; names that merely cannot be stored here are left out by name (DESIGN.md, section 8).
 *
 * 53, 56, 60, 61, 62, 63, 64 in the table · 54, 55, 57, 58, 59 taken or left out, and as Windows and macOS would have
 * it · 64, 65, 66, 67 below. Receiving below a held directory is tried at the file store itself in containment.test.ts.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { basename, join } from "node:path"
import { TransferId } from "../../src/schema/Id.ts"
import { PeerId } from "../../src/schema/PeerId.ts"
import { Collisions, type Naming, unstorable } from "../../src/schema/Naming.ts"
import { block, type Entry, type Json, Mallory, page } from "./Attacker.ts"
import { attack, filesOf, Target, until } from "./Target.ts"
import * as Targets from "./Target.ts"

const file = (path: unknown, size: unknown = 5): Entry => [path, "f", size, 1_700_000_000_000, 0]
const five = Buffer.from("hello")

const refused: ReadonlyArray<readonly [number: number, what: string, page: Json, reason: RegExp]> = [
  [53, "../x", page([file("../x")]), /component "\.\."/],
  [53, "a/../../x", page([file("a/../../x")]), /component "\.\."/],
  [53, "/x", page([file("/x")]), /absolute/],
  [53, "C:\\x", page([file("C:\\x")]), /backslash|drive/],
  [53, "C:/x", page([file("C:/x")]), /drive/],
  [53, "\\\\s\\x", page([file("\\\\s\\x")]), /backslash/],
  [53, "./x", page([file("./x")]), /component "\."/],
  [53, "a//x", page([file("a//x")]), /empty component/],
  [53, "one bad among a thousand", page([...many(999), file("../x")]), /component "\.\."/],
  [53, ".kith/x", page([file(".kith/x")]), /begins with \.kith/],
  [53, ".KITH/x", page([file(".KITH/x")]), /begins with \.kith/],
  [56, "NUL", page([file("a\u0000b")]), /control character/],
  [56, "a line break", page([file("a\nb")]), /control character/],
  [56, "ESC", page([file("a\u001b[2Jb")]), /control character/],
  [56, "C1", page([file("a\u009bb")]), /control character/],
  [56, "half a character", page([file("a\ud800")]), /surrogate/],
  [60, "a file and a directory", page([file("a"), file("a/b")]), /as a file and as a directory/],
  [60, "the same twice", page([file("a"), file("a")]), /twice/],
  [61, "a symbolic link", page([["a", "l", 0, 0, 0]]), /Page/],
  [61, "a hard link", page([["a", "h", 0, 0, 0]]), /Page/],
  [61, "a device", page([["a", "b", 0, 0, 0]]), /Page/],
  [61, "a link's target", page([["a", "f", 0, 0, 0, "/etc/passwd"] as unknown as Entry]), /Page/],
  [62, "a component of 256 bytes", page([file("x".repeat(256))]), /longer than 255/],
  [62, "a depth of 10,000", page([file("d/".repeat(10_000) + "x")]), /longer|deeper/],
  [62, "a depth of 65", page([file("d/".repeat(64) + "x")]), /deeper/],
  [63, "a size of -1", page([file("a", -1)]), /Page/],
  [63, "a size of 2^63", page([file("a", 2 ** 63)]), /Page/],
  [63, "a size beyond what is free", page([file("a", 2 ** 46)], { blocks: 2 ** 46 / (4 * 1_048_576) }), /free here/],
  [63, "sizes that overflow", page([file("a", 2 ** 53 - 1), file("b", 2 ** 53 - 1)]), /Page|counted/],
  [63, "totals that are not the sums", page([file("a")], { bytes: 4 }), /states 4 bytes/],
  [64, "nothing", page([]), /lists nothing/],
  [64, "a page out of turn", page([file("a")], {}, 7), /out of turn/]
]

function many(count: number): ReadonlyArray<Entry> {
  return Array.from({ length: count }, (_, at) => file(`d/${at}`))
}

/** Blocks of five bytes, whichever is wanted. */
const hellos = (asked: Json): Buffer | undefined => {
  if (asked._tag !== "Want") return undefined
  const numbers = Array.from({ length: Number(asked["count"]) }, (_, at) => Number(asked["first"]) + at)
  return Buffer.concat(numbers.map((number) => block(number, five)))
}

/** What is being received now: the directory comes and goes at any moment. */
const idsIn = (reserved: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(reserved)
  } catch {
    return []
  }
}

/** Puts a link in the place of the directory `d` of every transfer that is being received. */
const swapIn = (reserved: string, outside: string): void => {
  for (const id of idsIn(reserved)) {
    const dir = join(reserved, id, "data", "d")
    try {
      fs.renameSync(dir, join(reserved, id, "data", `moved-${Math.random()}`))
      fs.symlinkSync(outside, dir)
    } catch {
      // Not there yet, or not any more.
    }
  }
}

layer(Targets.layer({ accept: "everyone" }), { excludeTestServices: true })("offers:", (it) => {
  for (const [number, what, bad, reason] of refused) {
    it.effect(`${number} ${what}: the whole offer is refused, with a reason, and nothing is made`, () =>
      Effect.gen(function* () {
        const target = yield* Target
        const before = filesOf(target)
        const mallory = yield* attack(() => Mallory.meet(target.port))
        const id = yield* attack(() => mallory.offerPages([bad], hellos))
        const { error, state } = yield* target.outcome(id)
        assert.strictEqual(state, "declined")
        assert.match(error ?? "", reason)
        assert.strictEqual((yield* attack(() => mallory.control.next("OfferReply")))["decision"], "declined")
        yield* attack(() => mallory.control.settled())
        assert.deepStrictEqual(filesOf(target), before)
        mallory.end()
        yield* target.wellbeing
      })
    )
  }

  it.effect("54, 55, 57 to 59 names that only some systems cannot store are stored where they can be", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const names = [
        "CON",
        "nul.txt",
        "COM1 ",
        "COM¹",
        "a:b",
        "dot.",
        "space ",
        "README",
        "readme",
        "é",
        "e\u0301",
        "ß",
        "ss"
      ]
      const hidden = ["\u202egnp.exe", "\u200binvisible", "-rf", "$(reboot)", "'; rm -rf"]
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const paths = [...names, ...hidden].map((name) => `names/${name}`)
      const id = yield* attack(() => mallory.offerPages([page(paths.map((path) => file(path)))], hellos))
      const view = yield* target.outcome(id)
      // On a file system that tells all of them apart nothing is left out; elsewhere each that is has its line.
      assert.include(["done", "partial"], view.state)
      const stored = fs.readdirSync(join(target.received, "names"))
      assert.strictEqual(stored.length + view.problemCount, paths.length)
      mallory.end()
      fs.rmSync(join(target.received, "names"), { recursive: true })
      yield* target.wellbeing
    })
  )

  it.effect("54, 55, 57 to 59 where they cannot be told apart or stored they are left out, each with its reason", () =>
    Effect.sync(() => {
      const windows: Naming = {
        caseSensitive: false,
        normalizationSensitive: false,
        componentMaxBytes: 255,
        pathMaxBytes: 1024,
        windows: true
      }
      const unstored = ["CON", "nul.txt", "COM1 ", "COM¹", "a:b", "dot.", "space ", "lpt9.tar.gz", "a/aux", "what?"]
      for (const name of unstored) assert.isDefined(unstorable(windows, name), name)
      for (const name of ["CONSOLE", "null.txt", "COM10", ".hidden"])
        assert.isUndefined(unstorable(windows, name), name)
      const pairs = [
        ["README", "readme"],
        ["é", "e\u0301"],
        ["ß", "ss"],
        ["ﬁ", "fi"],
        ["Straße/x", "STRASSE/y"]
      ] as const
      for (const [one, other] of pairs) {
        const collisions = new Collisions(windows)
        assert.isUndefined(collisions.problem(one))
        assert.isDefined(collisions.problem(other), `${one} and ${other}`)
      }
    })
  )

  it.effect(
    "64 a list without end is cut off at its limit, in memory that is bounded",
    () =>
      Effect.gen(function* () {
        const target = yield* Target
        const before = filesOf(target)
        const mallory = yield* attack(() => Mallory.meet(target.port))
        const peer = PeerId.make(mallory.who.id)
        yield* target.registry.update(peer, (record) => ({ ...record, accept: "ask" }))
        let pages = 0
        mallory.answer = (asked) => {
          if (asked._tag !== "WantPage") return undefined
          const number = Number(asked["page"])
          pages = Math.max(pages, number)
          const stem = "x".repeat(200)
          const entries = Array.from({ length: 900 }, (_, at) => file(`${stem}/${number}-${at}`))
          const json = Buffer.from(JSON.stringify({ _tag: "Page", page: number, entries }))
          const head = Buffer.alloc(5)
          head[0] = 1
          head.writeUInt32BE(json.length, 1)
          return Buffer.concat([head, json])
        }
        const rss = process.memoryUsage().rss
        const id = yield* attack(() => mallory.offer({ files: 10_000_000 }))
        const view = yield* target.outcome(id)
        assert.strictEqual(view.state, "declined")
        assert.match(view.error ?? "", /too long to be held/)
        // 16 MiB of list is some 60,000 entries of this length.
        assert.isBelow(pages, 120)
        assert.isBelow((process.memoryUsage().rss - rss) / 2 ** 20, 256)
        assert.deepStrictEqual(filesOf(target), before)
        mallory.end()
        yield* target.wellbeing
      }),
    25_000
  )

  it.effect("64 pages asked for and never sent cost nothing but a waiting offer, which ends with its peer", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const ids = yield* attack(() => Promise.all(Array.from({ length: 40 }, () => mallory.offer())))
      yield* attack(() => mallory.control.settled())
      const open = (yield* target.transfer.list).filter((view) => ids.includes(view.id) && view.state === "offered")
      assert.isAtMost(open.length, 16)
      const declined = mallory.control.heard.filter((json) => json["decision"] === "declined")
      assert.strictEqual(declined.length, 40 - open.length)
      for (const { id } of open) yield* Effect.ignore(target.transfer.cancel(id))
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("65 no mode but the owner's executable bit is taken: setuid cannot even be said", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const modes = [0o4755, 0o7777, 2, -1, "1", true]
      for (const mode of modes) {
        const id = yield* attack(() => mallory.offerPages([page([["setuid", "f", 5, 0, mode]])], hellos))
        assert.strictEqual((yield* target.outcome(id)).state, "declined")
      }
      const id = yield* attack(() => mallory.offerPages([page([["setuid", "f", 5, 0, 1]])], hellos))
      assert.strictEqual((yield* target.outcome(id)).state, "done")
      const { mode } = fs.statSync(join(target.received, "setuid"))
      assert.strictEqual(mode & 0o7000, 0)
      assert.strictEqual(mode & 0o111 & ~process.umask(), mode & 0o111)
      fs.rmSync(join(target.received, "setuid"))
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("66 what stands under the name, or where a link under it leads, is never replaced", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const outside = join(target.home, "outside.txt")
      fs.writeFileSync(outside, "mine")
      fs.writeFileSync(join(target.received, "there.txt"), "mine")
      fs.symlinkSync(outside, join(target.received, "link.txt"))
      fs.symlinkSync(join(target.home, "nowhere"), join(target.received, "dangling.txt"))
      fs.symlinkSync(target.home, join(target.received, "dir"))
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const paths = ["there.txt", "link.txt", "dangling.txt", "dir/inside.txt"]
      const id = yield* attack(() => mallory.offerPages([page(paths.map((path) => file(path)))], hellos))
      const view = yield* target.outcome(id)
      assert.strictEqual(view.state, "done")
      assert.sameMembers(
        view.published.map((path) => basename(path)),
        ["there (1).txt", "link (1).txt", "dangling (1).txt", "dir (1)"]
      )
      assert.strictEqual(fs.readFileSync(outside, "utf8"), "mine")
      assert.strictEqual(fs.readFileSync(join(target.received, "there.txt"), "utf8"), "mine")
      assert.isFalse(fs.existsSync(join(target.home, "nowhere")))
      assert.isFalse(fs.existsSync(join(target.home, "inside.txt")))
      assert.strictEqual(fs.readFileSync(join(target.received, "dir (1)", "inside.txt"), "utf8"), "hello")
      for (const name of fs.readdirSync(target.received)) fs.rmSync(join(target.received, name), { recursive: true })
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("67 a local user who swaps directories for links while it is received leads nothing outside", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const outside = join(target.home, "outside")
      fs.mkdirSync(outside)
      const swapping = setInterval(() => swapIn(join(target.received, ".kith"), outside), 1)
      const mallory = yield* attack(() => Mallory.meet(target.port))
      for (let round = 0; round < 20; round++) {
        const entries = Array.from({ length: 50 }, (_, at) => file(`d/${at}`))
        const id = yield* attack(() => mallory.offerPages([page(entries)], hellos))
        // Over, or held up by what happens to its files until a person looks: then it has tried.
        yield* until("the end, or an error", () =>
          target.events.some(
            (event) =>
              event._tag === "TransferChanged" &&
              event.transfer.id === id &&
              (event.transfer.error !== null || event.transfer.state === "done")
          )
        )
        yield* Effect.ignore(target.transfer.cancel(TransferId.make(id)))
        yield* target.outcome(id)
        assert.deepStrictEqual(fs.readdirSync(outside), [], `round ${round}`)
      }
      clearInterval(swapping)
      mallory.end()
      for (const name of fs.readdirSync(target.received)) fs.rmSync(join(target.received, name), { recursive: true })
      yield* target.wellbeing
    })
  )
})

/** What needs no process: which verb is meant, how numbers and tables look, how sending is drawn. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { withVerb } from "../../src/cli/DefaultVerb.ts"
import { account, remarks } from "../../src/cli/Account.ts"
import { lineOf as listedLine } from "../../src/cli/EntryLines.ts"
import * as Output from "../../src/cli/Output.ts"
import * as Progress from "../../src/cli/Progress.ts"
import { outcome as saidOutcome } from "../../src/cli/verbs/say.ts"
import { verdict } from "../../src/cli/verbs/send.ts"
import type { ListedEntry } from "../../src/schema/ListedEntry.ts"
import type { Message } from "../../src/schema/Message.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import type { Transfer } from "../../src/schema/Offer.ts"
import { aTransfer, bob, carol, me, someTransfer } from "../api/FakeNode.ts"
import { someMessage } from "../Some.ts"

const nameOf = (id: PeerId) => (id === bob ? "bob" : "carol 👋")
const transfer = (change: Partial<Transfer>, n = 1) => aTransfer(someTransfer(n), change)

describe("the verb", () => {
  const cases: ReadonlyArray<readonly [string, string | null, string]> = [
    ["", "up", "up"],
    ["--name x", "up", "up --name x"],
    ["--data-dir d", "up", "--data-dir d up"],
    ["--data-dir d --log-level debug --port 1", "up", "--data-dir d --log-level debug up --port 1"],
    ["--data-dir=d --port 1", "up", "--data-dir=d up --port 1"],
    ["--data-dir d peers --json", "peers", "--data-dir d peers --json"],
    ["peers --data-dir d", "peers", "peers --data-dir d"],
    ["--help", null, "--help"],
    ["--data-dir d --version", null, "--data-dir d --version"],
    ["--data-dir", null, "--data-dir"],
    ["--completions=bash", null, "--completions=bash"],
    ["help", null, "--help"],
    ["--data-dir d help send", null, "--data-dir d send --help"],
    ["bogus", "bogus", "bogus"]
  ]
  for (const [given, verb, args] of cases) {
    it(`of "kith ${given}"`, () =>
      assert.deepStrictEqual(withVerb(given.split(" ").filter((word) => word !== "")), { verb, args: args.split(" ") }))
  }
})

describe("output", () => {
  it("gives sizes three digits or so", () => {
    const sizes = [0, 1, 999, 1000, 1024, 1536, 1024 * 1024, 150 * 1024 * 1024, 2 ** 40, Number.MAX_SAFE_INTEGER]
    assert.deepStrictEqual(sizes.map(Output.bytes), [
      "0 B",
      "1 B",
      "999 B",
      "1.0 KiB",
      "1.0 KiB",
      "1.5 KiB",
      "1.0 MiB",
      "150 MiB",
      "1.0 TiB",
      "8.0 PiB"
    ])
  })

  it("gives times in the unit that says enough", () => {
    assert.deepStrictEqual([0, 0.2, 99, 100, 5999, 7200, 36_000].map(Output.duration), [
      "0 s",
      "1 s",
      "99 s",
      "2 min",
      "1 h 40 min",
      "2 h 0 min",
      "10 h 0 min"
    ])
  })

  it("lines up wide letters, and makes cells inert", () => {
    assert.deepStrictEqual(
      Output.table([
        ["日本", "x"],
        ["👋\u001b", "y"],
        ["abcdef", "z"]
      ]),
      ["日本    x", "👋\ufffd     y", "abcdef  z"]
    )
    assert.deepStrictEqual(Output.table([]), [])
  })
})

const codes = (...states: ReadonlyArray<Transfer["state"]>) =>
  verdict(states.map((state, n) => transfer({ state }, n)))?._tag

describe("progress", () => {
  it("draws a bar for each peer, cut to the terminal", () => {
    const running = transfer({ state: "running", bytes: 1536 * 1024, bytesPerSecond: 512 * 1024 })
    const waiting = transfer({ peer: carol }, 2)
    assert.deepStrictEqual(Progress.bars([running, waiting], nameOf, 200), [
      `bob       ${"█".repeat(12)}${"░".repeat(12)}  50%  1.5 MiB of 3.0 MiB  512 KiB/s, 3 s left`,
      `carol 👋  ${"░".repeat(24)}   0%  0 B of 3.0 MiB  waiting for an answer`
    ])
    for (const columns of [0, 1, 10, 40]) {
      for (const line of Progress.bars([running, waiting], nameOf, columns)) {
        assert.isAtMost(Output.width(line), columns)
      }
    }
    const empty = transfer({ totalBytes: 0, state: "done" })
    assert.include(Progress.bars([empty], nameOf, 200)[0] ?? "", "100%")
  })

  it.effect("redraws in place on a terminal, and clears before the end", () =>
    Effect.gen(function* () {
      let out = ""
      const display = Progress.show({ isTTY: true, columns: 80, write: (text) => (out += text) }, nameOf)
      const one = transfer({})
      yield* display.update(one, [one, one])
      assert.strictEqual(out.split("\n").length, 3)
      out = ""
      yield* display.update(one, [one, one])
      assert.isTrue(out.startsWith("\u001b[2F\u001b[J"))
      out = ""
      yield* display.clear
      yield* display.clear
      assert.strictEqual(out, "\u001b[2F\u001b[J")
    })
  )

  it.effect("writes a line where there is news elsewhere, and never many", () =>
    Effect.gen(function* () {
      let out = ""
      const display = Progress.show({ isTTY: false, write: (text) => (out += text) }, nameOf)
      const running = transfer({ state: "running", name: "a\u001b", bytesPerSecond: 1024, filesDone: 0 })
      const at = (share: number) => display.update({ ...running, bytes: share * running.totalBytes }, [])
      yield* display.update(transfer({}), [])
      yield* at(0)
      assert.strictEqual(out, "bob: waiting for an answer\nbob: receiving a\ufffd\n")
      out = ""
      // All of it within a second is no news.
      for (const share of [0.1, 0.3, 0.5]) yield* at(share)
      assert.strictEqual(out, "")
      yield* TestClock.adjust("1 second")
      for (let n = 500; n < 600; n++) yield* at(n / 1000)
      assert.strictEqual(out, "bob: 50%, 1.5 MiB of 3.0 MiB, 0 of 3 files, 1.0 KiB/s, 26 min left\n")
      out = ""
      yield* TestClock.adjust("29 seconds")
      yield* at(0.55)
      assert.strictEqual(out, "")
      yield* TestClock.adjust("1 second")
      yield* at(0.55)
      assert.match(out, /^bob: 55%, [^\n]+\n$/)
      out = ""
      yield* display.update(transfer({ state: "done" }), [])
      assert.strictEqual(out, "")
    })
  )

  it("shows no more bars than fit: those that go on, and how many more there are", () => {
    const many = Array.from({ length: 50 }, (_, n) => transfer({ state: n < 30 ? "done" : "running" }, n))
    const lines = Progress.bars(many, nameOf, 80, 10)
    assert.strictEqual(lines.length, 10)
    assert.isTrue(lines.slice(0, 9).every((line) => line.includes("running")))
    assert.strictEqual(lines.at(-1), "and 41 more")
    assert.strictEqual(Progress.bars(many, nameOf, 80, 50).length, 50)
  })

  it("ends refused only where nothing worse happened", () => {
    assert.isUndefined(codes("done", "done"))
    assert.strictEqual(codes("declined"), "Declined")
    assert.strictEqual(codes("done", "declined"), "Declined")
    assert.strictEqual(codes("failed", "declined"), "Failed")
    assert.strictEqual(codes("done", "partial"), "Failed")
    assert.strictEqual(codes("cancelled"), "Failed")
  })
})

describe("the account of a transfer", () => {
  const whole = transfer({
    direction: "receive",
    state: "paused",
    pausedBy: "peer",
    priority: "high",
    bytes: 1024 * 1024,
    filesDone: 1,
    secondsLeft: 30,
    bytesPerSecond: 2048,
    published: ["/srv/pho\u001btos", "/srv/b"],
    renamed: [{ path: "b\u202e", name: "b (1)" }],
    notTaken: { count: 4, paths: ["c", "d\u001b"] },
    skipped: 17,
    problems: [
      { kind: "leftOut", path: "e\n", reason: "it is a \u0007symbolic link" },
      { kind: "failed", path: "f\u001b", reason: "it changed" }
    ],
    problemCount: 5,
    failedCount: 2
  })

  it("says where things are, what was renamed or there already, what failed, was left out and was not taken", () => {
    assert.deepStrictEqual(remarks(whole, 100), [
      "in /srv/pho\ufffdtos",
      "in /srv/b",
      "renamed: b\ufffd is b (1), since the name was taken",
      "17 files were here already",
      "failed: f\ufffd: it changed",
      "and 1 more failed",
      "left out: e\ufffd: it is a \ufffdsymbolic link",
      "and 2 more left out",
      "not taken: c",
      "not taken: d\ufffd",
      "and 2 more not taken"
    ])
    assert.deepStrictEqual(remarks(transfer({ state: "done", skipped: 1 }), 9), ["1 file was there already"])
    assert.strictEqual(remarks(whole, 1).length, 10)
    assert.deepStrictEqual(remarks(transfer({ state: "done", published: ["photos (1)"] }), 9), [
      "stored there as photos (1)"
    ])
    const offered = transfer({ direction: "receive" })
    const id = offered.id.slice(0, 8)
    assert.deepStrictEqual(remarks(offered, 9), [`see it: kith transfers ${id} --list`, `take it: kith accept ${id}`])
  })

  it("is in full, and inert", () => {
    const lines = account(whole, nameOf)
    const text = lines.join("\n")
    for (const expected of [
      whole.id,
      "photos (3 files, 1 directory, 3.0 MiB)",
      "paused, by the peer",
      "1.0 MiB of 3.0 MiB, 1 of 3 files, 2.0 KiB/s, 30 s left",
      /priority +high/
    ]) {
      if (typeof expected === "string") assert.include(text, expected)
      else assert.match(text, expected)
    }
    // oxlint-disable-next-line no-control-regex -- finding control characters is the point
    assert.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u202e]/)
  })

  it("lists entries, each as a line", () => {
    const entry: ListedEntry = {
      index: 0,
      path: "a\u001b.sh",
      kind: "f",
      size: 2048,
      mtime: 0,
      executable: true,
      state: "done",
      reason: null,
      digest: "0123456789abcdef".repeat(4)
    }
    assert.strictEqual(listedLine(entry), "done         2.0 KiB  a\ufffd.sh*  0123456789abcdef")
    const left = { ...entry, kind: "d" as const, state: "leftOut" as const, reason: "its na\u202eme", digest: null }
    assert.strictEqual(listedLine(left), "left out              a\ufffd.sh/: its na\ufffdme")
  })
})

const message = (recipients: Message["recipients"]): Message => ({
  id: someMessage(1),
  from: me,
  to: null,
  text: "hi",
  sentAt: 0,
  state: "queued",
  recipients
})

describe("what was said", () => {
  it("is told for each state", () => {
    assert.deepStrictEqual(saidOutcome(message([{ peer: bob, state: "sent" }]), nameOf), [
      "sent to bob, not confirmed yet"
    ])
    assert.deepStrictEqual(
      saidOutcome(
        message([
          { peer: bob, state: "read" },
          { peer: carol, state: "queued" }
        ]),
        nameOf
      ),
      ["delivered to bob", "waiting for carol 👋; it goes out when they are back"]
    )
    assert.deepStrictEqual(saidOutcome(message([{ peer: bob, state: "expired" }]), nameOf), [
      "not delivered to bob: they did not come back in time"
    ])
    assert.deepStrictEqual(saidOutcome(message([]), nameOf), [])
  })
})

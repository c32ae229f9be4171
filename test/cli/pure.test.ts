/** What needs no process: which verb is meant, how numbers and tables look, how sending is drawn. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { withVerb } from "../../src/cli/DefaultVerb.ts"
import * as Output from "../../src/cli/Output.ts"
import * as Progress from "../../src/cli/Progress.ts"
import { outcome as saidOutcome } from "../../src/cli/say.ts"
import { verdict } from "../../src/cli/send.ts"
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
      yield* display.update(undefined, one, [one, one])
      assert.strictEqual(out.split("\n").length, 3)
      out = ""
      yield* display.update(one, one, [one, one])
      assert.isTrue(out.startsWith("\u001b[2F\u001b[J"))
      out = ""
      yield* display.clear
      yield* display.clear
      assert.strictEqual(out, "\u001b[2F\u001b[J")
    })
  )

  it.effect("writes a line for each change of state elsewhere", () =>
    Effect.gen(function* () {
      let out = ""
      const display = Progress.show({ isTTY: false, write: (text) => (out += text) }, nameOf)
      const offered = transfer({})
      const running = transfer({ state: "running", name: "a\u001b" })
      yield* display.update(undefined, offered, [])
      yield* display.update(offered, running, [])
      yield* display.update(running, { ...running, bytes: 5 }, [])
      yield* display.update(running, transfer({ state: "done" }), [])
      assert.strictEqual(out, "bob: waiting for an answer\nbob: receiving a\ufffd\n")
    })
  )

  it("ends refused only where nothing worse happened", () => {
    assert.isUndefined(codes("done", "done"))
    assert.strictEqual(codes("declined"), "Declined")
    assert.strictEqual(codes("done", "declined"), "Declined")
    assert.strictEqual(codes("failed", "declined"), "Failed")
    assert.strictEqual(codes("done", "partial"), "Failed")
    assert.strictEqual(codes("cancelled"), "Failed")
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
      ["delivered to bob", "waiting for carol 👋"]
    )
    assert.deepStrictEqual(saidOutcome(message([]), nameOf), [])
  })
})

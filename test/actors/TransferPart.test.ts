/** Taking a part of an offer, what both sides show of it and of the end, and how often they say so. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import type * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Speed } from "../../src/actors/transfers/Speed.ts"
import { makeMailbox } from "../../src/actors/transfers/TransferActor.ts"
import { TransferBook } from "../../src/actors/transfers/TransferBook.ts"
import { doneOf } from "../../src/actors/transfers/TransferWords.ts"
import { limits } from "../../src/config.ts"
import type { Event } from "../../src/schema/Event.ts"
import { problemsOf } from "../../src/schema/Offer.ts"
import { aTransfer, someTransfer } from "../api/FakeNode.ts"
import { join, noise, pair, part, quietly } from "./TransferNode.ts"

const write = (directory: string, name: string, seed: number, bytes: number): string => {
  const location = path.join(directory, name)
  fs.mkdirSync(path.dirname(location), { recursive: true })
  fs.writeFileSync(location, noise(seed, bytes))
  return location
}

const ask = { settings: { accept: "ask" } } as const

const below = (root: string) => fs.readdirSync(root, { recursive: true }).map(String).toSorted()

describe("a part of an offer", () => {
  const offered = Effect.fnUntraced(function* () {
    const { alice, bob } = yield* pair(ask)
    yield* join(alice, bob)
    write(alice.sources, "tree/a.jpg", 1, 3000)
    write(alice.sources, "tree/deep/er/b.jpg", 2, 2_000_000)
    write(alice.sources, "tree/deep/c.txt", 3, 5000)
    write(alice.sources, "tree/empty.jpg", 4, 0)
    write(alice.sources, "tree/other/d.txt", 5, 10)
    fs.mkdirSync(path.join(alice.sources, "tree/empty"))
    const [sent] = yield* alice.transfer.send([path.join(alice.sources, "tree")], [bob.id])
    assert(sent !== undefined)
    yield* bob.until((view) => view.id === sent.id && view.listed === true)
    return { alice, bob, id: sent.id }
  })

  quietly("is what the patterns name with the directories that it is in, and both sides say so", () =>
    Effect.gen(function* () {
      const { alice, bob, id } = yield* offered()
      const accepted = yield* bob.transfer.accept(id, { only: ["*.jpg"] })
      assert.deepStrictEqual([accepted.files, accepted.totalBytes], [3, 2_003_000])
      assert.deepStrictEqual(accepted.notTaken?.paths.toSorted(), [
        "tree/deep/c.txt",
        "tree/empty",
        "tree/other",
        "tree/other/d.txt"
      ])
      const here = yield* bob.over(id)
      const there = yield* alice.over(id)
      for (const view of [here, there]) {
        assert.deepStrictEqual([view.state, view.error, view.problemCount], ["done", null, 0])
        assert.deepStrictEqual(
          [view.files, view.filesDone, view.directories, view.bytes, view.totalBytes],
          [3, 3, 3, 2_003_000, 2_003_000]
        )
        assert.strictEqual(view.notTaken?.count, 4)
        assert.deepStrictEqual(view.notTaken?.paths.toSorted(), accepted.notTaken?.paths.toSorted())
      }
      assert.deepStrictEqual(below(bob.received), [
        "tree",
        "tree/a.jpg",
        "tree/deep",
        "tree/deep/er",
        "tree/deep/er/b.jpg",
        "tree/empty.jpg"
      ])
    })
  )

  quietly("may be ranges of the list, with the directories that they are in; none beyond its end", () =>
    Effect.gen(function* () {
      const { bob, id } = yield* offered()
      const list = yield* bob.transfer.entries(id, { from: 0, limit: 100 })
      const at = (name: string) => list.find(({ path }) => path === `tree/${name}`)?.index ?? -1
      const why = (ranges: ReadonlyArray<readonly [number, number]>) =>
        Effect.map(Effect.flip(bob.transfer.accept(id, { ranges })), ({ message }) => message)
      assert.match(yield* why([[0, list.length + 1]]), /is still offered: its list has 10 entries, and more than those/)
      assert.match(yield* why([[list.length, 1]]), /its list has 10 entries/)
      const accepted = yield* bob.transfer.accept(id, {
        ranges: [
          [at("deep/er/b.jpg"), 1],
          [at("empty"), 1]
        ]
      })
      assert.deepStrictEqual([accepted.files, accepted.directories, accepted.totalBytes], [1, 4, 2_000_000])
      assert.strictEqual((yield* bob.over(id)).state, "done")
      assert.deepStrictEqual(below(bob.received), [
        "tree",
        "tree/deep",
        "tree/deep/er",
        "tree/deep/er/b.jpg",
        "tree/empty"
      ])
    })
  )

  quietly("may be a directory, with all that is in it", () =>
    Effect.gen(function* () {
      const { bob, id } = yield* offered()
      yield* bob.transfer.accept(id, { only: ["tree/deep", "tree/empty"] })
      assert.strictEqual((yield* bob.over(id)).state, "done")
      assert.deepStrictEqual(below(bob.received), [
        "tree",
        "tree/deep",
        "tree/deep/c.txt",
        "tree/deep/er",
        "tree/deep/er/b.jpg",
        "tree/empty"
      ])
    })
  )

  quietly("is not nothing: then the offer still waits", () =>
    Effect.gen(function* () {
      const { bob, id } = yield* offered()
      const refused = yield* Effect.flip(bob.transfer.accept(id, { only: ["*.png", "nowhere/**"] }))
      assert.include(refused.message, "*.png or nowhere/**")
      assert.strictEqual((yield* bob.transfer.find(id)).state, "offered")
      yield* bob.transfer.accept(id, {})
      const here = yield* bob.over(id)
      assert.deepStrictEqual([here.state, here.files, here.notTaken], ["done", 5, undefined])
    })
  )
})

describe("a part of an offer whose list is not known yet", () => {
  for (const [only, state] of [
    ["b.txt", "done"],
    ["c.txt", "declined"]
  ] as const) {
    quietly(`is chosen once it is: ${state}`, () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(ask)
        // The offer comes, but no data link for its list.
        yield* join(alice, bob, { oneDials: false, otherDials: false })
        const paths = ["a.txt", "b.txt"].map((name, seed) => write(alice.sources, name, seed, 100))
        const [sent] = yield* alice.transfer.send(paths, [bob.id])
        assert(sent !== undefined)
        yield* bob.until((view) => view.id === sent.id && view.state === "offered")
        yield* bob.transfer.accept(sent.id, { only: [only] })
        yield* part(alice, bob)
        yield* join(alice, bob)
        const here = yield* bob.over(sent.id)
        assert.strictEqual(here.state, state)
        if (state === "done") assert.deepStrictEqual(below(bob.received), ["b.txt"])
      })
    )
  }
})

describe("the end", () => {
  quietly("says at the sender too where things are, and what they are called now", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      fs.mkdirSync(bob.received, { recursive: true })
      fs.writeFileSync(path.join(bob.received, "a.txt"), "old")
      const paths = ["a.txt", "b.txt"].map((name, seed) => write(alice.sources, name, seed, 100))
      const [sent] = yield* alice.transfer.send(paths, [bob.id])
      assert(sent !== undefined)
      const here = yield* bob.over(sent.id)
      const there = yield* alice.over(sent.id)
      const renamed = [{ path: "a.txt", name: "a (1).txt" }]
      assert.deepStrictEqual([here.renamed, there.renamed], [renamed, renamed])
      assert.deepStrictEqual(there.published, ["a (1).txt", "b.txt"])
      assert.deepStrictEqual(
        here.published,
        ["a (1).txt", "b.txt"].map((name) => path.join(bob.received, name))
      )
      assert.deepStrictEqual([there.filesDone, here.filesDone], [2, 2])
    })
  )
})

describe("Speed", () => {
  it("does not depend on how often it is looked at, follows changes, and begins right", () => {
    const run = (step: number) => {
      const speed = new Speed()
      const seen: Array<number> = []
      for (let at = 0; at < 20; at += step) {
        speed.add((at < 10 ? 1000 : 5000) * step, step)
        if (Math.abs((at + step) % 5) < 1e-9) seen.push(speed.bytesPerSecond)
      }
      return { speed, seen }
    }
    const [fine, coarse] = [run(0.125), run(1)]
    assert.strictEqual(fine.seen[0], 1000)
    for (const [at, value] of fine.seen.entries()) assert.approximately(value, coarse.seen[at] ?? 0, 5)
    assert.approximately(fine.speed.bytesPerSecond, 5000, 50)
    assert.strictEqual(fine.speed.secondsFor(50_000), Math.ceil(50_000 / fine.speed.bytesPerSecond))
    fine.speed.reset()
    assert.deepStrictEqual([fine.speed.bytesPerSecond, fine.speed.secondsFor(1)], [0, null])
  })
})

describe("progress", () => {
  it.effect("is said at most ten times a second, whatever happens, and the last word is never lost", () =>
    Effect.gen(function* () {
      const events: Array<Event> = []
      const late: Array<Fiber.Fiber<void>> = []
      const scope = yield* Effect.scope
      const book = new TransferBook(
        { publish: (event) => Effect.sync(() => void events.push(event)), stream: Stream.never },
        (_, run) =>
          Effect.suspend(() =>
            late.some((fiber) => fiber.pollUnsafe() === undefined)
              ? Effect.void
              : Effect.map(Effect.forkIn(run, scope), (fiber) => void late.push(fiber))
          )
      )
      const mailbox = yield* makeMailbox<never>()
      const record = yield* book.add(aTransfer(someTransfer(1), { totalBytes: 1_000_000 }), mailbox)
      for (let i = 1; i <= 400; i++) {
        record.bytes = i * 1000
        yield* book.change(record, { state: i % 2 === 0 ? "running" : "paused" })
        yield* TestClock.adjust("10 millis")
      }
      assert.isAtMost(events.length, 41)
      assert.isAtLeast(events.length, 38)
      yield* TestClock.adjust("1 second")
      const last = events.at(-1)
      assert(last?._tag === "TransferChanged")
      assert.deepStrictEqual([last.transfer.bytes, last.transfer.state], [400_000, "running"])
      yield* book.change(record, { state: "paused" })
      yield* book.change(record, { state: "done" })
      const end = events.at(-1)
      assert.isTrue(end?._tag === "TransferChanged" && end.transfer.state === "done", "the end is said at once")
      yield* Queue.shutdown(mailbox)
    })
  )

  it.effect("is not lost where a sleep is shorter than was asked for, as those of a real clock are", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const hasty: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        sleep: (duration) => clock.sleep(Duration.millis(Math.max(1, Math.floor(Duration.toMillis(duration)) - 3)))
      }
      const events: Array<Event> = []
      const late = yield* FiberMap.make<string, void>()
      const book = new TransferBook(
        { publish: (event) => Effect.sync(() => void events.push(event)), stream: Stream.never },
        (id, run) => Effect.asVoid(FiberMap.run(late, id, run, { onlyIfMissing: true }))
      )
      const mailbox = yield* makeMailbox<never>()
      yield* Effect.gen(function* () {
        const record = yield* book.add(aTransfer(someTransfer(1), { totalBytes: 1_000_000 }), mailbox)
        for (let i = 1; i <= 20; i++) yield* book.change(record, { state: i % 2 === 0 ? "running" : "paused" })
        yield* book.change(record, { state: "stalled" })
      }).pipe(Effect.provideService(Clock.Clock, hasty))
      yield* TestClock.adjust("2 seconds")
      const last = events.at(-1)
      assert.isTrue(last?._tag === "TransferChanged" && last.transfer.state === "stalled")
      yield* Queue.shutdown(mailbox)
    })
  )
})

describe("problems", () => {
  it.effect("are named as far as there is room: what failed before what was left out", () =>
    Effect.gen(function* () {
      const book = new TransferBook({ publish: () => Effect.void, stream: Stream.never }, () => Effect.void)
      const mailbox = yield* makeMailbox<never>()
      const record = yield* book.add(aTransfer(someTransfer(1), {}), mailbox)
      const max = limits.problemsShownMax
      for (let i = 0; i < max + 5; i++) book.problem(record, "leftOut", `link ${i}`, "it is a symbolic link")
      for (let i = 0; i < 2; i++) book.problem(record, "failed", `file ${i}`, "it is gone")
      const { view } = record
      assert.deepStrictEqual([view.problems.length, view.problemCount, view.failedCount], [max, max + 7, 2])
      assert.deepStrictEqual(
        problemsOf(view, "failed").named.map(({ path }) => path),
        ["file 0", "file 1"]
      )
      assert.strictEqual(problemsOf(view, "leftOut").count, max + 5)
      assert.strictEqual(problemsOf(view, "leftOut").named.at(-1)?.path, `link ${max - 3}`)
      // The other side is told which is which, and takes it from there.
      const told = doneOf(record, { state: "partial", error: null })
      assert(told._tag === "TransferDone")
      assert.deepStrictEqual(told.failed.slice(-3), [
        { path: `link ${max - 3}`, reason: "it is a symbolic link", leftOut: true },
        { path: "file 0", reason: "it is gone" },
        { path: "file 1", reason: "it is gone" }
      ])
      for (let i = 2; i < max + 9; i++) book.problem(record, "failed", `file ${i}`, "it is gone")
      assert.lengthOf(problemsOf(record.view, "failed").named, max)
      assert.strictEqual(record.view.failedCount, max + 9)
      yield* Queue.shutdown(mailbox)
    })
  )
})

/**
 * Cases 68 to 74: what comes on a data link once an offer was accepted. What is wrong is never published; what was
 * right before it is kept for the next try of the same transfer.
 *
 * All here. 72 at the sender's side (a file that changes is named and left out) and 73 (there is no bitmap: what is
 * safe is said by ranges, which only the receiver's own progress comes from).
 */
import { assert, describe, it as each, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { block, connect, type Entry, type Json, type Link, Mallory, page, record } from "./Attacker.ts"
import { attack, filesOf, startNode, Target, tree, until } from "./Target.ts"
import * as Targets from "./Target.ts"

const mebi = 1_048_576
const file = (path: string, size: number): Entry => [path, "f", size, 1_700_000_000_000, 0]
const good = randomBytes(3 * mebi)
const part = (number: number): Buffer => good.subarray(number * mebi, (number + 1) * mebi)
const flipped = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes)
  copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1
  return copy
}
const digestOf = (bytes: Buffer): Buffer => block(0, bytes).subarray(13, 45)

/** [number, what, the bytes that answer the first Want, whether another try of the same could help]. */
const lies: ReadonlyArray<readonly [number, string, () => Buffer, RegExp]> = [
  [68, "a flipped bit", () => block(0, flipped(part(0)), digestOf(part(0))), /not what its digest says/],
  [70, "a byte too many", () => block(0, Buffer.concat([part(0), Buffer.of(0)])), /instead of 1048576/],
  [70, "a byte too few", () => block(0, part(0).subarray(1)), /instead of 1048576/],
  [71, "a block that was not asked for", () => block(2, part(2)), /was not asked for/],
  [71, "a block beyond the end", () => block(3, part(0)), /beyond the end/],
  [71, "a block number of 2^64 - 1", () => Buffer.concat([block(0, part(0))]).fill(0xff, 5, 13), /block number/],
  [71, "a block twice", () => Buffer.concat([block(0, part(0)), block(0, part(0))]), /was not asked for/],
  [
    71,
    "a failure of an entry that is none",
    () => record({ _tag: "EntryFailed", entry: 9, reason: "x" }),
    /not its turn/
  ],
  [73, "a Safe from the sender", () => record({ _tag: "Safe", ranges: [[0, 3]] }), /Safe came instead/],
  [73, "ranges beyond counting", () => record({ _tag: "Safe", ranges: [[0, 2 ** 60]] }), /Safe/]
]

layer(Targets.layer({ accept: "everyone" }), { excludeTestServices: true })("bytes:", (it) => {
  for (const [number, what, bytes, reason] of lies) {
    it.effect(
      `${number} ${what}: nothing is published, nothing is left`,
      () =>
        Effect.gen(function* () {
          const target = yield* Target
          const before = filesOf(target)
          const mallory = yield* attack(() => Mallory.meet(target.port))
          const id = yield* attack(() =>
            mallory.offerPages([page([file("good.bin", good.length)])], ({ _tag }) =>
              _tag === "Want" ? bytes() : undefined
            )
          )
          const { error, state } = yield* target.outcome(id)
          assert.strictEqual(state, "failed")
          assert.match(error ?? "", reason)
          assert.strictEqual((yield* attack(() => mallory.control.next("TransferDone")))["outcome"], "failed")
          assert.deepStrictEqual(filesOf(target), before)
          mallory.end()
          yield* target.wellbeing
        }),
      25_000
    )
  }

  it.effect(
    "69 a link that ends in the middle of a block is opened again, and what was right is not asked for again",
    () =>
      Effect.gen(function* () {
        const target = yield* Target
        const mallory = yield* attack(() => Mallory.meet(target.port))
        const asked: Array<number> = []
        const id = yield* attack(() =>
          mallory.offerPages([page([file("cut.bin", good.length)])], (want, lane) => {
            if (want._tag !== "Want") return undefined
            const first = Number(want["first"])
            asked.push(first)
            if (mallory.lanes.length > 1) {
              const numbers = Array.from({ length: Number(want["count"]) }, (_, at) => first + at)
              return Buffer.concat(numbers.map((number) => block(number, part(number))))
            }
            // Two blocks, the beginning of a third, and the end.
            const bytes = Buffer.concat([block(0, part(0)), block(1, part(1)), block(2, part(2)).subarray(0, 5000)])
            void lane.write(bytes).then(() => lane.socket.end())
            return undefined
          })
        )
        assert.strictEqual((yield* target.outcome(id)).state, "done")
        assert.isTrue(fs.readFileSync(join(target.received, "cut.bin")).equals(good))
        // What was verified last may not have been handed to the disk yet.
        assert.strictEqual(asked[0], 0)
        assert.isAtLeast(asked.at(-1) ?? 0, 1)
        fs.rmSync(join(target.received, "cut.bin"))
        mallory.end()
        yield* target.wellbeing
      })
  )

  it.effect("72 a list that is another on the second try is not mixed with the first", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const before = filesOf(target)
      const mallory = yield* attack(() => Mallory.meet(target.port))
      // The node asks for its pages once; whatever they were is what each block is measured by.
      const id = yield* attack(() =>
        mallory.offerPages([page([file("one.bin", good.length)])], (want, lane) => {
          if (want._tag !== "Want") return undefined
          if (mallory.lanes.length === 1) {
            lane.socket.end()
            return undefined
          }
          return block(Number(want["first"]), randomBytes(5))
        })
      )
      assert.strictEqual((yield* target.outcome(id)).state, "failed")
      assert.deepStrictEqual(filesOf(target), before)
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("72 a file of ours that changes while a stranger pulls it is named and not sent on", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const source = join(target.home, "source.bin")
      fs.writeFileSync(source, good)
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const [view] = yield* Effect.orDie(target.transfer.send([source], [yield* peerOf(mallory)]))
      const offer = yield* attack(() => mallory.control.next("Offer"))
      const lane = yield* pull(target.port, mallory, String(offer["transfer"]), 1)
      yield* attack(async () => {
        await lane.say({ _tag: "Want", first: 0, count: 1 })
        await lane.next("Block")
      })
      fs.writeFileSync(source, randomBytes(good.length))
      yield* attack(async () => {
        await lane.say({ _tag: "Want", first: 1, count: 2 })
        await lane.next("EntryFailed")
      })
      assert.strictEqual(lane.heard.filter(({ _tag }) => _tag === "Block").length, 1)
      if (view !== undefined) yield* Effect.ignore(target.transfer.cancel(view.id))
      fs.rmSync(source)
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("a receiver that lies: what was not picked cannot be named, wants have bounds, attempts go up", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const secret = join(target.home, "secret")
      const source = join(target.home, "picked")
      fs.writeFileSync(secret, "secret")
      fs.mkdirSync(source)
      fs.writeFileSync(join(source, "a"), "picked")
      fs.symlinkSync(secret, join(source, "link"))
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const stranger = yield* attack(() => Mallory.meet(target.port))
      const [view] = yield* Effect.orDie(target.transfer.send([source], [yield* peerOf(mallory)]))
      const offer = yield* attack(() => mallory.control.next("Offer"))
      const transfer = String(offer["transfer"])
      // Another peer who knows the transfer's id.
      const foreign = yield* attack(() => connect(target.port, { who: stranger.who, alpn: ["kith-data/1"] }))
      yield* attack(() => foreign.say({ _tag: "Attach", transfer, lane: 0, attempt: 9 }))
      assert.isFalse((yield* attack(() => foreign.next("AttachReply")))["accepted"])
      const bad: ReadonlyArray<Json> = [
        { _tag: "Want", first: 0, count: 4097 },
        { _tag: "Want", first: 1, count: 1 },
        { _tag: "Want", first: -1, count: 1 },
        { _tag: "Want", first: 2 ** 53 - 1, count: 4096 },
        { _tag: "Safe", ranges: [[0, 9]] },
        { _tag: "Page", page: 0, entries: [] }
      ]
      let attempt = 1
      for (const json of bad) {
        const lane = yield* pull(target.port, mallory, transfer, attempt++)
        yield* attack(() => lane.say(json))
        yield* attack(() => lane.farewell())
        assert.isFalse(
          lane.heard.some(({ _tag }) => _tag === "Block"),
          JSON.stringify(json)
        )
      }
      const lane = yield* pull(target.port, mallory, transfer, attempt)
      yield* attack(() => lane.say({ _tag: "WantPage", page: 0 }))
      const page = yield* attack(() => lane.next("Page"))
      // The link is told of as left out, and neither listed nor followed.
      const listed = JSON.stringify(page["entries"])
      assert.notInclude(listed, "link")
      assert.notInclude(JSON.stringify(page), "secret")
      // The directory becomes a link after it was walked: the way is not followed.
      fs.renameSync(source, `${source}-moved`)
      fs.symlinkSync(target.home, source)
      fs.writeFileSync(join(target.home, "a"), "outside")
      yield* attack(() => lane.say({ _tag: "Want", first: 0, count: 1 }))
      yield* attack(() => lane.next("EntryFailed"))
      const old = yield* attack(() => connect(target.port, { who: mallory.who, alpn: ["kith-data/1"] }))
      yield* attack(() => old.say({ _tag: "Attach", transfer, lane: 0, attempt: 1 }))
      assert.isFalse((yield* attack(() => old.next("AttachReply")))["accepted"])
      if (view !== undefined) yield* Effect.ignore(target.transfer.cancel(view.id))
      for (const name of ["secret", "picked", "picked-moved", "a"]) {
        fs.rmSync(join(target.home, name), { recursive: true, force: true })
      }
      mallory.end()
      stranger.end()
      yield* target.wellbeing
    })
  )

  it.effect("a receiver that asks for everything and reads nothing takes a bounded share of memory", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const source = join(target.home, "big.bin")
      fs.writeFileSync(source, "")
      fs.truncateSync(source, 400 * mebi)
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const [view] = yield* Effect.orDie(target.transfer.send([source], [yield* peerOf(mallory)]))
      const offer = yield* attack(() => mallory.control.next("Offer"))
      const before = process.memoryUsage().rss
      const lane = yield* pull(target.port, mallory, String(offer["transfer"]), 1)
      lane.socket.pause()
      for (let count = 0; count < 200; count++) {
        yield* attack(() => lane.say({ _tag: "Want", first: 0, count: 400 }))
      }
      yield* target.wellbeing
      assert.isBelow((process.memoryUsage().rss - before) / mebi, 128)
      if (view !== undefined) yield* Effect.ignore(target.transfer.cancel(view.id))
      fs.rmSync(source)
      mallory.end()
      yield* target.wellbeing
    })
  )
})

/** Opens a lane to pull from the node. */
const pull = (port: number, mallory: Mallory, transfer: string, attempt: number): Effect.Effect<Link> =>
  attack(async () => {
    const lane = await connect(port, { who: mallory.who, alpn: ["kith-data/1"] })
    await lane.say({ _tag: "Attach", transfer, lane: 0, attempt })
    const reply = await lane.next("AttachReply")
    assert.isTrue(reply["accepted"], JSON.stringify(reply))
    return lane
  })

const peerOf = Effect.fnUntraced(function* (mallory: Mallory) {
  const target = yield* Target
  return (yield* Effect.orDie(target.registry.find(mallory.who.id))).id
})

describe("bytes, with the clock in hand:", () => {
  each.effect("74 a byte now and then: stalled after 30 s, and given up after some tries", () =>
    Effect.gen(function* () {
      const target = yield* startNode({ accept: "everyone" })
      const before = filesOf(target)
      const mallory = yield* attack(() => Mallory.meet(target.port))
      let lane: Link | undefined
      const id = yield* attack(() =>
        mallory.offerPages([page([file("slow.bin", good.length)])], (want, own) => {
          if (want._tag !== "Want") return undefined
          lane = own
          return block(0, part(0)).subarray(0, 100)
        })
      )
      yield* until("the first Want", () => lane !== undefined)
      const started = mallory.lanes.length
      // One byte each second: the heartbeat of the session is answered meanwhile, the lane dies all the same.
      let seconds = 0
      for (; mallory.lanes.length === started && seconds < 60; seconds++) {
        if (lane?.isClosed === false)
          yield* attack(() => lane?.write(Buffer.of(part(0)[60 + seconds] ?? 0)) ?? Promise.resolve())
        yield* TestClock.adjust("1 second")
        yield* attack(() => mallory.control.settled())
      }
      assert.isAtLeast(seconds, 25)
      assert.isAtMost(seconds, 45)
      assert.deepStrictEqual(
        tree(target.received).filter((path) => !path.startsWith(".kith")),
        []
      )
      yield* attack(() => mallory.control.say({ _tag: "TransferControl", transfer: id, action: "cancel", reason: "" }))
      yield* until("the end", () =>
        target.events.some(
          (event) =>
            event._tag === "TransferChanged" && event.transfer.id === id && event.transfer.state === "cancelled"
        )
      )
      assert.deepStrictEqual(filesOf(target), before)
      mallory.end()
    })
  )

  each.effect("74 a list whose pages do not come: its data link is given up after 30 s, and nobody was asked", () =>
    Effect.gen(function* () {
      const target = yield* startNode()
      const before = filesOf(target)
      const mallory = yield* attack(() => Mallory.meet(target.port))
      let asked = 0
      mallory.answer = (want) => {
        if (want._tag === "WantPage") asked++
        return undefined
      }
      const id = yield* attack(() => mallory.offer())
      yield* until("a page is asked for", () => asked > 0)
      const isOpen = () => mallory.lanes[0]?.isClosed === false
      let seconds = 0
      for (; isOpen() && seconds < 60; seconds++) {
        yield* TestClock.adjust("1 second")
        yield* attack(() => mallory.control.settled())
      }
      assert.isAtLeast(seconds, 29)
      assert.isAtMost(seconds, 40)
      const views = target.events.flatMap((event) => (event._tag === "TransferChanged" ? [event.transfer] : []))
      assert.isFalse(views.some(({ id: of, listed }) => of === id && listed))
      assert.deepStrictEqual(filesOf(target), before)
      mallory.end()
      // What is said to a link that has just gone waits a moment, which does not pass by itself here.
      yield* TestClock.adjust("1 second")
    })
  )
})

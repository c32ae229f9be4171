/**
 * A sender and a receiver that do not play by the rules, written in raw records: each lie is refused with its reason,
 * nothing is published, and honest transfers go on meanwhile.
 */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Context from "effect/Context"
import * as Queue from "effect/Queue"
import { DataLane } from "../../src/actors/transfers/DataLane.ts"
import { limits } from "../../src/config.ts"
import { Frame } from "../../src/schema/Frame.ts"
import { GroupId, TransferId } from "../../src/schema/Id.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import { someId, someMessage } from "../Some.ts"
import { block, file, isFirstPage, mallory, page, raw, transfer } from "./Mallory.ts"
import { join, noise, pair, quietly, startOn, type TransferNode } from "./TransferNode.ts"

const alike = GroupId.make(base32(new Uint8Array(16).fill(8)))

/** What is in the receive folder, its own directory included. */
const left = (node: TransferNode): ReadonlyArray<string> =>
  fs.existsSync(node.received) ? fs.readdirSync(node.received, { recursive: true }).map(String) : []

const manifests: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
  ["a path upwards", page([file("../x", 1)]), /has the component "\.\."/],
  ["a path upwards within", page([file("a/../../x", 1)]), /has the component "\.\."/],
  ["an absolute path", page([file("/etc/passwd", 1)]), /is absolute/],
  ["a drive", page([file("C:/x", 1)]), /names a drive/],
  ["a backslash", page([file("\\\\server\\x", 1)]), /holds a backslash/],
  ["a NUL", page([file("a\u0000b", 1)]), /control character/],
  ["an escape sequence", page([file("a\u001b[2J", 1)]), /control character/],
  ["the receiver's own directory", page([file(".kith/x", 1)]), /begins with \.kith/],
  ["it in other letters", page([file(".KITH/x", 1)]), /begins with \.kith/],
  ["an empty path", page([file("", 1)]), /is empty/],
  ["a path too deep", page([file("d/".repeat(80) + "x", 1)]), /nested deeper/],
  ["a component too long", page([file("x".repeat(300), 1)]), /longer than/],
  ["a kind of entry that is not", page([["link", "l", 1, 0, 0]]), /Page/],
  ["a negative size", page([file("a", -1)], { bytes: 0, blocks: 0 }), /Page/],
  ["a size beyond counting", page([file("a", 2 ** 63)], { bytes: 0, blocks: 0 }), /Page/],
  ["a file that is a directory", page([file("a", 1), file("a/b", 1)]), /as a file and as a directory/],
  ["a file twice", page([file("a", 1), file("a", 1)]), /twice/],
  ["bytes that do not add up", page([file("a", 1)], { bytes: 2 }), /states 2 bytes, but lists 1/],
  ["files that do not add up", page([file("a", 1)], { files: 7 }), /states 7 files/],
  ["nothing", page([]), /lists nothing/],
  ["a page out of turn", page([file("a", 1)], {}, 3), /out of turn/],
  ["more than fits", page([file("a", 2 ** 47)], { blocks: 2 ** 47 / (4 * 1048576) }), /needs .* MiB, and .* free here/]
]

describe("a hostile manifest", () => {
  for (const [name, bytes, reason] of manifests) {
    quietly(`is refused as a whole: ${name}`, () =>
      Effect.gen(function* () {
        const { bob, network } = yield* pair()
        const peer = yield* mallory(network, (asked) => (isFirstPage(asked) ? bytes : undefined))
        yield* peer.offerTo(bob)
        const told = yield* peer.answered
        assert.strictEqual(told.state, "declined")
        assert.match(told.reason, reason)
        const here = yield* bob.over(transfer)
        assert.strictEqual(here.state, "declined")
        assert.match(here.error ?? "", reason)
        assert.deepStrictEqual(left(bob), [])
      })
    )
  }
})

const good = noise(1, 10)
const list = page([file("a", 10), file("b", 10)])
const blocks: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
  ["a block that was not asked for", block(1, good), /block 1 was not asked for, block 0 was/],
  ["a block beyond the end", block(2, good), /block 2 is beyond the end/],
  ["a block number beyond counting", block(2 ** 53 - 1, good), /beyond the end/],
  ["a block too short", block(0, good.subarray(1)), /block 0 has 9 bytes instead of 10/],
  ["a block too long", block(0, noise(1, 11)), /block 0 has 11 bytes instead of 10/],
  ["a wrong digest", block(0, good, Buffer.alloc(32)), /block 0 of a is not what its digest says/],
  ["one block twice", Buffer.concat([block(0, good), block(0, good)]), /block 0 was not asked for, block 1 was/],
  ["a record of another kind", Buffer.from([9, 0, 0, 0, 1, 0]), /unknown kind of record/],
  ["a record of 4 GiB", Buffer.from([2, 255, 255, 255, 255]), /a block of/],
  [
    "a failure out of turn",
    raw({ _tag: "EntryFailed", entry: 1, reason: "" }),
    /entry 1 failed, which was not its turn/
  ],
  ["a frame out of place", list, /a Page came instead of a block/],
  ["a bad frame", raw({ _tag: "EntryFailed", entry: "x" }), /a bad EntryFailed/]
]

describe("hostile blocks", () => {
  for (const [name, bytes, reason] of blocks) {
    quietly(`publish nothing: ${name}`, () =>
      Effect.gen(function* () {
        const { bob, network } = yield* pair()
        const peer = yield* mallory(network, (asked) =>
          isFirstPage(asked) ? list : asked._tag === "Want" ? bytes : undefined
        )
        yield* peer.offerTo(bob)
        const told = yield* peer.answered
        assert.strictEqual(told.state, "failed")
        assert.match(told.reason, reason)
        const here = yield* bob.over(transfer)
        assert.strictEqual(here.state, "failed")
        assert.match(here.error ?? "", reason)
        assert.deepStrictEqual(left(bob), [])
      })
    )
  }

  quietly("leave others alone", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* pair()
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(2, 8 * 1024 * 1024))
      const peer = yield* mallory(network, (asked) =>
        isFirstPage(asked) ? list : asked._tag === "Want" ? block(0, good, Buffer.alloc(32)) : undefined
      )
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* peer.offerTo(bob)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.strictEqual((yield* bob.over(transfer)).state, "failed")
      // A digest may be wrong by a fault of memory, so it is tried again, but not for ever.
      assert.strictEqual(peer.lanes(), 3)
      assert.deepStrictEqual(left(bob), ["f"])
    })
  )
})

describe("strangers without number", () => {
  quietly("may have so many offers wait together; those whose sender went make room, and friends always have it", () =>
    Effect.gen(function* () {
      const friend = someId(1)
      const known = new Map([[friend, { trust: "verified" as const }]])
      const { bob } = yield* pair({ known, settings: { accept: "ask" } })
      const id = (n: number) => TransferId.make(someMessage(n))
      const told: Array<Frame> = []
      const come = (n: number) => bob.control.up(someId(n), (frame) => Effect.sync(() => void told.push(frame)))
      const offer = (n: number) =>
        bob.control.deliver(
          someId(n),
          Frame.cases.Offer.make({ transfer: id(n), group: alike, name: "gift", files: 1, directories: 0, bytes: 10 })
        )
      const waiting = Effect.map(bob.transfer.list, (all) => all.filter(({ state }) => state === "offered").length)
      const strangers = Array.from({ length: limits.offersMax + 50 }, (_, n) => 100 + n)
      for (const n of strangers) {
        yield* come(n)
        yield* offer(n)
        yield* bob.control.down(someId(n))
      }
      for (const n of strangers.slice(0, 50)) {
        const over = yield* bob.over(id(n))
        assert.deepInclude(over, { state: "declined", error: "too many offers waited for an answer" })
      }
      assert.strictEqual(yield* waiting, limits.offersMax)
      // All of them are here now: nobody makes room.
      for (const n of strangers) yield* come(n)
      yield* come(99)
      yield* offer(99)
      while (!told.some((frame) => frame._tag === "OfferReply" && frame.transfer === id(99))) yield* Effect.yieldNow
      yield* come(1)
      yield* offer(1)
      yield* bob.until((view) => view.id === id(1))
      assert.strictEqual(yield* waiting, limits.offersMax + 1)
    })
  )
})

describe("a stranger who offers and takes back", () => {
  quietly("pushes nothing out that was sent or received here", () =>
    Effect.gen(function* () {
      const known = new Map([[someId(1), { trust: "unverified" as const }]])
      const { alice, bob } = yield* pair({ known, settings: { accept: "everyone" } })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "for bob")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      yield* bob.control.up(someId(1), () => Effect.void)
      for (let n = 0; n <= limits.transfersShownMax; n++) {
        const id = TransferId.make(someMessage(n))
        const counts = { files: 1, directories: 0, bytes: 10 }
        yield* bob.control.deliver(
          someId(1),
          Frame.cases.Offer.make({ transfer: id, group: alike, name: "gift", ...counts })
        )
        yield* bob.control.deliver(
          someId(1),
          Frame.cases.TransferControl.make({ transfer: id, action: "cancel", reason: "" })
        )
        yield* bob.over(id)
      }
      assert.include(
        (yield* bob.transfer.list).map(({ id }) => id),
        sent.id
      )
    })
  )
})

describe("a peer that reads nothing", () => {
  quietly("delays nobody else's transfers", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ known: new Map([[someId(9), { accept: "nobody" }]]) })
      // Neither what it is told first nor what it asks for is taken by it.
      yield* bob.control.up(someId(9), () => Effect.never)
      const gift = { group: alike, name: "gift", files: 1, directories: 0, bytes: 10 }
      for (let n = 0; n < 100; n++) yield* bob.control.deliver(someId(9), Frame.cases.Offer.make({ transfer, ...gift }))
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "for bob")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
    })
  )
})

/** Alice has offered bob a file, and eve is there. */
const offeredBeforeEve = Effect.gen(function* () {
  const { alice, bob, network } = yield* pair({ settings: { accept: "ask" } })
  const eve = yield* startOn(network, "eve")
  yield* join(alice, bob)
  fs.writeFileSync(path.join(alice.sources, "f"), "secret")
  const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
  assert(sent !== undefined)
  yield* bob.until((view) => view.totalBytes === 6)
  return { alice, bob, eve, sent }
})

describe("a data link", () => {
  quietly("is ended by the words of its peer only, whoever else knows its id", () =>
    Effect.gen(function* () {
      const { alice, bob, eve, sent } = yield* offeredBeforeEve
      const transfer = sent.id
      const words = [
        Frame.cases.TransferControl.make({ transfer, action: "cancel", reason: "" }),
        Frame.cases.OfferReply.make({ transfer, decision: "declined", reason: "" }),
        Frame.cases.TransferDone.make({ transfer, outcome: "failed", failed: [], error: "" })
      ]
      for (const node of [alice, bob]) for (const word of words) yield* node.control.deliver(eve.id, word)
      yield* bob.transfer.accept(transfer, {})
      assert.deepStrictEqual([(yield* alice.over(transfer)).state, (yield* bob.over(transfer)).state], ["done", "done"])
    })
  )

  quietly("is refused to who is not the peer of the transfer, and to who speaks nonsense", () =>
    Effect.gen(function* () {
      const { alice, bob, eve, sent } = yield* offeredBeforeEve
      const attempt = (first: Uint8Array) =>
        Effect.gen(function* () {
          const link = yield* eve.transport.dial(alice.address, { protocol: "kith-data/1", expect: alice.id })
          const lane = new DataLane(link)
          yield* Effect.ignore(lane.write([first]))
          const reply = yield* lane.read
          return reply._tag === "Frame" ? reply.frame : undefined
        }).pipe(Effect.scoped)
      const attach = { _tag: "Attach", transfer: sent.id, lane: 0, attempt: 99 }
      const refused = yield* attempt(raw(attach))
      assert.deepStrictEqual(refused, {
        _tag: "AttachReply",
        accepted: false,
        reason: "no transfer with this peer has that id"
      })
      assert.strictEqual((yield* Effect.flip(attempt(raw({ _tag: "WantPage", page: 0 })))).problem, "lost")
      assert.strictEqual((yield* Effect.flip(attempt(Buffer.from("GET / HTTP/1.1\r\n\r\n")))).problem, "lost")
      // And the transfer is none the worse for it.
      yield* bob.transfer.accept(sent.id, {})
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
    })
  )

  quietly("is taken over by a higher attempt, and ends when the receiver asks for what is not there", () =>
    Effect.gen(function* () {
      const { alice, network } = yield* pair()
      const host = network.host("mallory")
      const context = yield* Layer.build(host.layer)
      const { id } = Context.get(context, Identity)
      const transport = Context.get(context, Transport)
      const heard = yield* Queue.bounded<Frame>(100)
      yield* alice.control.up(id, (frame) => Effect.asVoid(Queue.offer(heard, frame)))
      fs.writeFileSync(path.join(alice.sources, "f"), "secret")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [id])
      assert(sent !== undefined)
      while ((yield* Queue.take(heard))._tag !== "Offer") continue
      const open = Effect.fnUntraced(function* (attempt: number) {
        const lane = new DataLane(yield* transport.dial(alice.address, { protocol: "kith-data/1" }))
        yield* lane.attach({ transfer: sent.id, lane: 0, attempt })
        return lane
      })
      const first = yield* open(1)
      const second = yield* open(5)
      assert.strictEqual((yield* Effect.flip(first.read)).problem, "lost")
      assert.match((yield* Effect.flip(open(5))).message, /newer attempt/)
      yield* second.send({ _tag: "WantPage", page: 0 })
      const answer = yield* second.read
      assert(answer._tag === "Frame" && answer.frame._tag === "Page")
      const wrongs = [
        { _tag: "Want", first: 0, count: 2 },
        { _tag: "Want", first: Number.MAX_SAFE_INTEGER, count: 1 },
        { _tag: "Want", first: -1, count: 1 },
        { _tag: "Want", first: 0, count: 1e9 },
        { _tag: "Safe", ranges: [[0, 2]] },
        { _tag: "Compare", number: 1, digest: "a".repeat(52) },
        { _tag: "Compare", number: 0, digest: "short" },
        { _tag: "Same", number: 0 },
        { _tag: "EntryFailed", entry: 0, reason: "" }
      ]
      for (const [i, wrong] of wrongs.entries()) {
        const lane = yield* open(10 + i)
        yield* Effect.ignore(lane.write([raw(wrong)]))
        assert.strictEqual((yield* Effect.flip(lane.read)).problem, "lost")
      }
      assert.strictEqual((yield* alice.transfer.find(sent.id)).bytes, 0)
    }).pipe(Effect.scoped)
  )
})

/** Several data links for one transfer: how they share its blocks, and what becomes of it when one is lost. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Intake } from "../../src/actors/transfers/receive/Intake.ts"
import { Asked, LaneShare } from "../../src/actors/transfers/receive/LaneShare.ts"
import { EntryList } from "../../src/schema/EntryList.ts"
import { Ranges } from "../../src/schema/Ranges.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import type { Link, Transport } from "../../src/services/Transport.ts"
import { startNode } from "../services/TlsNode.ts"
import { join, noise, pair, quietly, startTransferNode, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

const listOf = (sizes: ReadonlyArray<number>): EntryList => {
  const entries = new EntryList(1)
  for (const [at, size] of sizes.entries()) {
    entries.append({ path: RelativePath.make(`f${at}`), kind: "f", size, mtime: 0, executable: false })
  }
  return entries
}

describe("the share of a lane", () => {
  it.prop(
    "is nobody else's, whoever is lost, and all of them together are everything",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))).check(Schema.isMaxLength(300))],
    ([choices]) => {
      const intake = new Intake(listOf([40 * mebi, 10, 0, 3 * mebi, 100 * mebi, 5]), new Ranges())
      const share = new LaneShare(intake)
      const { blocks } = intake.entries.totals
      const lanes = [new Asked(share), new Asked(share), new Asked(share)]
      const owed = new Map<number, Asked>()
      const ask = (lane: Asked) => {
        while (lane.hasRoom) {
          const run = lane.claim()
          if (run === undefined) break
          const [first, count] = run
          lane.push(first, count)
          for (let block = first; block < first + count; block++) {
            assert.isFalse(owed.has(block), `block ${block} is asked for twice`)
            assert.isFalse(intake.settled.has(block))
            owed.set(block, lane)
          }
        }
      }
      const answer = (lane: Asked) => {
        const { next } = lane
        const place = next === undefined ? undefined : intake.entries.place(next)
        if (next === undefined || place === undefined) return
        lane.answered()
        intake.written(next, place)
        owed.delete(next)
      }
      const lose = (at: number) => {
        const lane = lanes[at]
        if (lane === undefined) return
        for (const [block, owner] of owed) if (owner === lane) owed.delete(block)
        share.leave(lane.claims)
        lanes[at] = new Asked(share)
      }
      for (const choice of choices) {
        const at = choice % 3
        const lane = lanes[at]
        if (lane === undefined) continue
        if (choice < 40) ask(lane)
        else if (choice < 95) answer(lane)
        else lose(at)
      }
      // The last one standing has it all.
      lose(1)
      lose(2)
      const [last] = lanes
      assert(last !== undefined)
      for (let i = 0; i < 2 * blocks && !intake.complete; i++) {
        ask(last)
        answer(last)
      }
      assert.isTrue(intake.complete)
    }
  )
})

/** A transport whose dialled data links are counted, and one of which is lost after so many bytes. */
const losing = (real: Transport["Service"], lose: { readonly dial: number; readonly after: number } | undefined) => {
  const links: Array<{ bytes: number; lost: boolean }> = []
  const dial: Transport["Service"]["dial"] = (address, options) =>
    Effect.map(real.dial(address, options), (link): Link => {
      const seen = { bytes: 0, lost: false }
      links.push(seen)
      const doomed = lose !== undefined && links.length === lose.dial
      return {
        ...link,
        readFully: (into) =>
          Effect.suspend(() => {
            seen.bytes += into.length
            if (!doomed || seen.bytes < lose.after) return link.readFully(into)
            seen.lost = true
            return Effect.andThen(link.close, link.readFully(into))
          })
      }
    })
  return { transport: { ...real, dial }, links }
}

const size = 66 * mebi + 17

/** No two of its blocks are the same, and it is made quickly. */
const large = (): Buffer => {
  const bytes = Buffer.alloc(size, noise(1, mebi))
  for (let at = 0; at < size; at += mebi) bytes.writeDoubleBE(at, at)
  return bytes
}

describe("two lanes", () => {
  const runs = Effect.fnUntraced(function* (
    alice: Effect.Success<ReturnType<typeof startTransferNode>>,
    bob: typeof alice
  ) {
    yield* join(alice, bob)
    fs.mkdirSync(path.join(alice.sources, "d"))
    fs.writeFileSync(path.join(alice.sources, "d/large"), large())
    for (let i = 0; i < 50; i++) fs.writeFileSync(path.join(alice.sources, `d/small ${i}`), noise(i, 1000 + i))
    const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
    assert(sent !== undefined)
    const here = yield* bob.over(sent.id)
    assert.deepStrictEqual([here.state, here.error, here.filesDone], ["done", null, 51])
    const there = yield* alice.over(sent.id)
    assert.deepStrictEqual([there.state, there.bytes, there.filesDone], ["done", there.totalBytes, 51])
    assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
  })

  quietly("carry one transfer together, each a part of it", () =>
    Effect.gen(function* () {
      const [alices, bobs] = yield* Effect.all([startNode(), startNode()])
      const { links, transport } = losing(bobs.transport, undefined)
      yield* runs(yield* startTransferNode(alices), yield* startTransferNode({ ...bobs, transport }))
      assert.strictEqual(links.length, 2)
      for (const { bytes } of links) assert.isAtLeast(bytes, 8 * mebi)
      const total = links.reduce((sum, { bytes }) => sum + bytes, 0)
      assert.isAtMost(total, size + mebi, "nothing is sent twice")
    })
  )

  quietly("are one where the receiver is set so", () =>
    Effect.gen(function* () {
      const [alices, bobs] = yield* Effect.all([startNode(), startNode()])
      const { links, transport } = losing(bobs.transport, undefined)
      const bob = yield* startTransferNode({ ...bobs, transport, settings: { lanes: 1 } })
      yield* runs(yield* startTransferNode(alices), bob)
      assert.strictEqual(links.length, 1)
    })
  )

  for (const [lost, dial] of [
    ["first", 1],
    ["second", 2]
  ] as const) {
    quietly(`go on over TLS where the ${lost} is lost: what it had asked for comes all the same`, () =>
      Effect.gen(function* () {
        const [alices, bobs] = yield* Effect.all([startNode(), startNode()])
        const alice = yield* startTransferNode(alices)
        const { links, transport } = losing(bobs.transport, { dial, after: 6 * mebi })
        const bob = yield* startTransferNode({ ...bobs, transport })
        yield* runs(alice, bob)
        assert.isTrue(links[dial - 1]?.lost)
        assert.isAtLeast(links.length, 2)
        const total = links.reduce((sum, { bytes }) => sum + bytes, 0)
        assert.isAtMost(total, size + 40 * mebi, "what came before is not asked for again")
      })
    )
  }
})

describe("what a lost data link leaves", () => {
  quietly("is written, and is safe with the next one's sync: the sender hears of it, and another run has it", () =>
    Effect.gen(function* () {
      const reads = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const go = yield* Deferred.make<void>()
      let count = 0
      const { alice, bob, network } = yield* pair(
        {},
        {
          store: (real) => ({
            ...real,
            open: (picked) =>
              Effect.map(real.open(picked), (source) => ({
                read: (parts, into) =>
                  Effect.suspend(() => {
                    const held = ++count === 9 ? reads[0] : count === 10 ? reads[1] : undefined
                    if (held === undefined) return source.read(parts, into)
                    return Deferred.succeed(held, undefined).pipe(
                      Effect.andThen(Deferred.await(go)),
                      Effect.andThen(source.read(parts, into))
                    )
                  })
              }))
          })
        }
      )
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(1, 16 * mebi))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined && reads[0] !== undefined && reads[1] !== undefined)
      yield* Deferred.await(reads[0])
      yield* bob.until((view) => view.bytes >= 6 * mebi)
      network.cut("alice", "bob")
      // The next link has brought nothing yet: all that is safe came by the first.
      yield* Deferred.await(reads[1])
      const { bytes } = yield* bob.transfer.find(sent.id)
      yield* alice.until((view) => view.id === sent.id && view.bytes >= bytes)
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )
})

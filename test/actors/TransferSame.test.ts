/**
 * What is in the receive folder already is compared block by block, and not sent again: a file that is the same stays
 * as it is, one that differs takes over the wire only what differs. Whatever changes meanwhile, nothing wrong is
 * published, and a sender gains nothing by lying.
 */
import { assert, describe, it } from "@effect/vitest"
import { hash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Counterparts } from "../../src/actors/transfers/receive/Counterparts.ts"
import { Intake } from "../../src/actors/transfers/receive/Intake.ts"
import type { NodeSettings } from "../../src/config.ts"
import { type DataFrame, encodeFrame } from "../../src/schema/Block.ts"
import { EntryList } from "../../src/schema/EntryList.ts"
import { Bytes32 } from "../../src/schema/Id.ts"
import type { ConflictPolicy } from "../../src/schema/Offer.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import { Ranges } from "../../src/schema/Ranges.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import type { FileStore, Staging } from "../../src/services/FileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { block, file, isFirstPage, mallory, page, raw, transfer } from "./Mallory.ts"
import {
  join,
  type NodeOptions,
  noise,
  pair,
  quietly,
  startOn,
  temporary,
  type TransferNode,
  treeOf
} from "./TransferNode.ts"

const mebi = 1024 * 1024

/** Bytes that went out from a host, on all links. */
const sentBy = (network: SimulatedNetwork.SimulatedNetwork, host: string): number =>
  network
    .history()
    .filter(({ from, kind }) => kind === "data" && from.startsWith(`${host}:`))
    .reduce((sum, { size }) => sum + size, 0)

const write = (root: string, files: Record<string, Uint8Array | string>) => {
  for (const [name, content] of Object.entries(files)) {
    const at = path.join(root, name)
    fs.mkdirSync(path.dirname(at), { recursive: true })
    fs.writeFileSync(at, content)
  }
}

/** The same but for one byte. */
const changedAt = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

const two = (conflict: ConflictPolicy, store?: NodeOptions["store"]) =>
  Effect.gen(function* () {
    const settings: Partial<NodeSettings> = { conflict }
    const nodes = yield* pair({ settings, ...(store === undefined ? {} : { store }) })
    yield* join(nodes.alice, nodes.bob)
    return nodes
  })

const sendAll = Effect.fnUntraced(function* (alice: TransferNode, bob: TransferNode) {
  const paths = fs.readdirSync(alice.sources).map((name) => path.join(alice.sources, name))
  const [sent] = yield* alice.transfer.send(paths, [bob.id])
  assert(sent !== undefined)
  const here = yield* bob.over(sent.id)
  const there = yield* alice.over(sent.id)
  return { here, there }
})

/** A store whose staging is seen through `around`. */
const staged =
  (around: (staging: Staging) => Staging) =>
  (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    stage: (id) => Effect.map(real.stage(id), around),
    reopen: (root, id) => Effect.map(real.reopen(root, id), around)
  })

describe("what is here already", () => {
  quietly("skip: a file that is the same stays as it is and is not sent; of one that differs, what differs is", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* two("skip")
      const large = noise(1, 8 * mebi + 77)
      const files: Record<string, Uint8Array> = { "d/large": large, "d/a/same": noise(2, 3 * mebi), lone: noise(3, 5) }
      for (let i = 0; i < 400; i++) files[`d/small/${i}`] = noise(i, 1 + i * 10)
      write(alice.sources, { ...files, "d/new": "new", "d/longer": "longer than it was", "d/empty": "" })
      write(bob.received, { ...files, "d/large": changedAt(large, 3 * mebi + 5), "d/longer": "long", "d/mine": "mine" })
      fs.writeFileSync(path.join(bob.received, "d/small/7"), noise(99, 71))
      const before = new Map(fs.readdirSync(bob.received, { recursive: true }).map((name) => [String(name), ""]))
      for (const name of before.keys()) before.set(name, fs.statSync(path.join(bob.received, name)).ino.toString())
      const { here, there } = yield* sendAll(alice, bob)
      assert.deepStrictEqual([here.state, there.state, here.skipped, there.skipped], ["done", "done", 401, 401])
      assert.deepStrictEqual([here.bytes, there.bytes], [here.totalBytes, here.totalBytes])
      assert.deepStrictEqual([here.filesDone, there.filesDone], [here.files, here.files])
      const got = (name: string) => fs.readFileSync(path.join(bob.received, name))
      assert.isTrue(got("d/large (1)").equals(large))
      assert.isTrue(got("d/small/7 (1)").equals(noise(7, 71)))
      assert.strictEqual(got("d/longer (1)").toString(), "longer than it was")
      assert.strictEqual(got("d/new").toString(), "new")
      for (const [name, ino] of before) {
        assert.strictEqual(fs.statSync(path.join(bob.received, name)).ino.toString(), ino, name)
      }
      assert.isTrue(got("d/large").equals(changedAt(large, 3 * mebi + 5)))
      assert.strictEqual(fs.readdirSync(path.join(bob.received, "d/small")).length, 401)
      // One block of the large one, and what is small: the rest is said to be the same.
      assert.isBelow(sentBy(network, "alice"), mebi + 100_000)
      assert.notInclude(fs.readdirSync(bob.received), ".kith")
    })
  )

  quietly("skip: the same once more sends next to nothing and changes nothing", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* two("skip")
      write(alice.sources, { "d/a": noise(1, 20 * mebi), "d/b": noise(2, 100), lone: noise(3, 2 * mebi) })
      yield* sendAll(alice, bob)
      const tree = treeOf(bob.received)
      const before = sentBy(network, "alice")
      const { here } = yield* sendAll(alice, bob)
      assert.deepStrictEqual([here.state, here.skipped, here.error], ["done", 3, null])
      assert.deepStrictEqual(here.published.toSorted(), [path.join(bob.received, "d"), path.join(bob.received, "lone")])
      assert.deepStrictEqual(here.renamed, [])
      assert.deepStrictEqual(treeOf(bob.received), tree)
      assert.isBelow(sentBy(network, "alice") - before, 10_000)
    })
  )

  quietly("overwrite: takes the place of what is there, and sends only what differs", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* two("overwrite")
      const large = noise(1, 12 * mebi)
      write(alice.sources, { "d/large": large, "d/same": noise(2, 4 * mebi) })
      write(bob.received, { "d/large": changedAt(large, 12 * mebi - 1), "d/same": noise(2, 4 * mebi) })
      const { here } = yield* sendAll(alice, bob)
      assert.deepStrictEqual([here.state, here.skipped], ["done", undefined])
      const files = (root: string) => [...treeOf(root)].filter(([, content]) => !content.startsWith("directory"))
      assert.deepStrictEqual(files(bob.received), files(alice.sources))
      assert.isBelow(sentBy(network, "alice"), mebi + 20_000)
    })
  )

  quietly("what was found the same is not read again after a restart, unless it was changed", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const gate = yield* Deferred.make<void>()
      let served = 0
      const alice = yield* startOn(network, "alice", {
        store: (real) => ({
          ...real,
          open: (picked) =>
            Effect.map(real.open(picked), (source) => ({
              read: (parts, into) =>
                Effect.andThen(++served > 24 ? Deferred.await(gate) : Effect.void, source.read(parts, into))
            }))
        })
      })
      const read = { f: 0, g: 0 }
      const store = staged((staging) => ({
        ...staging,
        readCounterparts: (parts, into) => {
          for (const { length, path: name } of parts) read[name === "f" ? "f" : "g"] += length
          return staging.readCounterparts(parts, into)
        }
      }))
      const root = yield* temporary
      const first = yield* Scope.fork(yield* Effect.scope)
      const settings: Partial<NodeSettings> = { conflict: "skip", lanes: 1 }
      const bob = yield* Scope.provide(startOn(network, "bob", { settings, root, store }), first)
      yield* join(alice, bob)
      write(alice.sources, { f: noise(1, 20 * mebi), g: noise(2, 20 * mebi) })
      write(bob.received, { f: noise(1, 20 * mebi), g: noise(2, 20 * mebi) })
      const paths = ["f", "g"].map((name) => path.join(alice.sources, name))
      const [sent] = yield* alice.transfer.send(paths, [bob.id])
      assert(sent !== undefined)
      yield* alice.until((view) => view.bytes >= 22 * mebi)
      yield* Scope.close(first, Exit.void)
      yield* alice.control.down(bob.id)
      const safe = (yield* alice.transfer.find(sent.id)).bytes - 20 * mebi
      fs.writeFileSync(path.join(bob.received, "f"), changedAt(noise(1, 20 * mebi), 0))
      Object.assign(read, { f: 0, g: 0 })
      yield* Deferred.succeed(gate, undefined)
      const again = yield* startOn(network, "bob", { settings, root, store })
      yield* join(alice, again)
      const here = yield* again.over(sent.id)
      assert.deepStrictEqual([here.state, here.skipped], ["done", 1])
      assert.isAtMost(read.g, 20 * mebi - safe)
      // Of the other all is compared again, and what is still the same is copied.
      assert.deepStrictEqual(read.f, 39 * mebi)
      assert.isTrue(fs.readFileSync(path.join(again.received, "f (1)")).equals(noise(1, 20 * mebi)))
      assert.isBelow(sentBy(network, "alice"), mebi + 50_000)
    })
  )

  quietly("rename compares nothing", () =>
    Effect.gen(function* () {
      let asked = 0
      const store = staged((staging) => ({
        ...staging,
        readCounterparts: (...args) => Effect.tap(staging.readCounterparts(...args), () => Effect.sync(() => asked++))
      }))
      const { alice, bob } = yield* two("rename", store)
      write(alice.sources, { f: noise(1, 100) })
      write(bob.received, { f: noise(1, 100) })
      yield* sendAll(alice, bob)
      assert.deepStrictEqual([fs.readdirSync(bob.received), asked], [["f", "f (1)"], 0])
    })
  )

  quietly("is not looked for behind a link", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* two("skip")
      const elsewhere = path.join(bob.root, "elsewhere")
      write(alice.sources, { "d/x": "secret", f: "secret" })
      write(elsewhere, { x: "secret" })
      fs.mkdirSync(bob.received)
      fs.symlinkSync(elsewhere, path.join(bob.received, "d"))
      fs.symlinkSync(path.join(elsewhere, "x"), path.join(bob.received, "f"))
      const { here } = yield* sendAll(alice, bob)
      assert.deepStrictEqual([here.state, here.skipped], ["done", undefined])
      assert.deepStrictEqual(fs.readdirSync(bob.received), ["d", "d (1)", "f", "f (1)"])
      assert.deepStrictEqual(fs.readdirSync(elsewhere), ["x"])
    })
  )
})

describe("what changes meanwhile", () => {
  quietly("a file that was the same comes after all, and the other one stays", () =>
    Effect.gen(function* () {
      const content = noise(1, 5 * mebi)
      let place = ""
      let looks = 0
      const store = staged((staging) => ({
        ...staging,
        // First to begin with, then before anything gets its name.
        counterparts: (files) =>
          Effect.suspend(() => {
            if (++looks === 2) fs.writeFileSync(place, changedAt(content, 9))
            return staging.counterparts(files)
          })
      }))
      const { alice, bob } = yield* two("skip", store)
      place = path.join(bob.received, "f")
      write(alice.sources, { f: content, g: noise(2, 10) })
      write(bob.received, { f: content, g: noise(2, 10) })
      const { here, there } = yield* sendAll(alice, bob)
      assert.deepStrictEqual([here.state, there.state, here.skipped], ["done", "done", 1])
      assert.isTrue(fs.readFileSync(place).equals(changedAt(content, 9)))
      assert.isTrue(fs.readFileSync(`${place} (1)`).equals(content))
      assert.deepStrictEqual(fs.readdirSync(bob.received), ["f", "f (1)", "g"])
    })
  )

  for (const policy of ["skip", "overwrite"] as const) {
    quietly(`${policy}: a file that is copied from is verified as it is read`, () =>
      Effect.gen(function* () {
        const content = noise(1, 6 * mebi)
        let place = ""
        let reads = 0
        const store = staged((staging) => ({
          ...staging,
          readCounterparts: (parts, into) =>
            Effect.suspend(() => {
              // The first read after all of it was compared.
              if (++reads === 7) fs.writeFileSync(place, changedAt(content, 9))
              return staging.readCounterparts(parts, into)
            })
        }))
        const { alice, bob } = yield* two(policy, store)
        place = path.join(bob.received, "f")
        write(alice.sources, { f: content })
        write(bob.received, { f: changedAt(content, 6 * mebi - 1) })
        const { here } = yield* sendAll(alice, bob)
        assert.strictEqual(here.state, "done")
        assert.isAtLeast(reads, 7)
        assert.isTrue(fs.readFileSync(policy === "skip" ? `${place} (1)` : place).equals(content))
      })
    )
  }

  quietly("bytes that are not what they were are not believed, whatever the file system says of them", () =>
    Effect.gen(function* () {
      const content = noise(1, 6 * mebi)
      let reads = 0
      const store = staged((staging) => ({
        ...staging,
        readCounterparts: (parts, into) =>
          Effect.tap(staging.readCounterparts(parts, into), () =>
            Effect.sync(() => {
              const [part] = parts
              if (++reads >= 7 && part !== undefined) into[part.at] = (into[part.at] ?? 0) ^ 1
            })
          )
      }))
      const { alice, bob } = yield* two("overwrite", store)
      write(alice.sources, { f: content })
      write(bob.received, { f: changedAt(content, 6 * mebi - 1) })
      const { here } = yield* sendAll(alice, bob)
      assert.strictEqual(here.state, "done")
      assert.isTrue(fs.readFileSync(path.join(bob.received, "f")).equals(content))
    })
  )
})

describe("a sender", () => {
  const here = noise(1, 10)
  const list = page([file("a", 10), file("b", 10)])

  const offered = Effect.fnUntraced(function* (answer: (asked: DataFrame) => Uint8Array | undefined) {
    const { bob, network } = yield* pair({ settings: { conflict: "skip" } })
    write(bob.received, { a: here })
    const peer = yield* mallory(network, (asked) => (isFirstPage(asked) ? list : answer(asked)))
    yield* peer.offerTo(bob)
    const told = yield* peer.answered
    return { bob, told }
  })
  const same = (number: number) => encodeFrame({ _tag: "Same", number })
  const answer = (b: Uint8Array, onCompare: (digest: string) => Uint8Array) => (asked: DataFrame) => {
    if (asked._tag === "Compare") return onCompare(asked.digest)
    return asked._tag === "Want" ? b : undefined
  }

  for (const [name, onCompare, onWant] of [
    ["a block that was not compared", same(0), same(1)],
    ["another block", same(1), block(1, here)]
  ] as const) {
    quietly(`that says Same of ${name} breaks the protocol`, () =>
      Effect.gen(function* () {
        const { bob, told } = yield* offered(answer(onWant, () => onCompare))
        assert.strictEqual(told.state, "failed")
        assert.match(told.reason, /block 1 is said to be the same, and was not compared/)
        yield* bob.over(transfer)
        assert.deepStrictEqual(fs.readdirSync(bob.received), ["a"])
        assert.isTrue(fs.readFileSync(path.join(bob.received, "a")).equals(here))
      })
    )
  }

  quietly("may answer with the block that it was asked to compare", () =>
    Effect.gen(function* () {
      const digests: Array<string> = []
      const { bob, told } = yield* offered(
        answer(block(1, noise(2, 10)), (digest) => {
          digests.push(digest)
          return block(0, here)
        })
      )
      assert.strictEqual(told.state, "done")
      assert.deepStrictEqual(digests, [base32(hash("sha256", here, "buffer"))])
      assert.deepStrictEqual(fs.readdirSync(bob.received), ["a", "b"])
      assert.strictEqual((yield* bob.over(transfer)).skipped, 1)
    })
  )

  quietly("may answer with other bytes, and these come beside what is here", () =>
    Effect.gen(function* () {
      const { bob, told } = yield* offered(answer(block(1, noise(2, 10)), () => block(0, noise(3, 10))))
      assert.strictEqual(told.state, "done")
      assert.deepStrictEqual(fs.readdirSync(bob.received), ["a", "a (1)", "b"])
      assert.isTrue(fs.readFileSync(path.join(bob.received, "a (1)")).equals(noise(3, 10)))
    })
  )

  it("answers each that is compared with what it is", () => {
    assert.deepStrictEqual(
      JSON.parse(Buffer.from(same(3).subarray(5)).toString()),
      JSON.parse(raw({ _tag: "Same", number: 3 }).subarray(5).toString())
    )
    assert.isTrue(Schema.is(Bytes32)(base32(hash("sha256", here, "buffer"))))
  })
})

describe("the account of what is the same", () => {
  const sizes = [3 * mebi, 10, 0, 2 * mebi + 1, 5]
  const fresh = (policy: ConflictPolicy) => {
    const entries = new EntryList(1)
    for (const [at, size] of sizes.entries()) {
      entries.append({ path: RelativePath.make(`f${at}`), kind: "f", size, mtime: 0, executable: false })
    }
    return new Intake(entries, new Ranges(), policy)
  }
  const digest = new Uint8Array(32)

  it.prop(
    "adds up, in whatever order things are found, written, failed and forgotten",
    [
      Schema.Literals(["skip", "overwrite"]),
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))).check(Schema.isMaxLength(200))
    ],
    ([policy, choices]) => {
      const intake = fresh(policy)
      const { counterparts, entries, settled } = intake
      const { blocks } = entries.totals
      const write = (number: number) => {
        const place = entries.place(number)
        if (place === undefined || !intake.begins(number)) return
        intake.finishes(place)
        intake.written(number, place)
        intake.digests.set(number, digest)
      }
      for (const choice of choices) {
        const number = choice % blocks
        const entry = entries.place(number)?.entry ?? 0
        const place = entries.place(number)
        if (place === undefined) continue
        const kind = Math.floor(choice / blocks) % 8
        if (kind < 3) {
          if (!counterparts.isLooked(entry)) intake.looked(entry, 7)
          intake.same(number, place, digest)
        } else if (kind < 5) write(number)
        else if (kind === 5) for (const copy of counterparts.takeCopies(mebi, 4)) write(copy)
        else if (kind === 6) intake.unsame(entry)
        else if (choice > 900) intake.fail(entry, "gone")
        let sum = 0
        for (let at = 0; at < blocks; at++) {
          const { entry: of, length } = entries.place(at) ?? { entry: 0, length: 0 }
          const isHere = (settled.has(at) && !intake.failed.has(of)) || counterparts.same.has(at)
          if (isHere) sum += length
          if (counterparts.copies.has(at)) assert.isTrue(counterparts.same.has(at) && !settled.has(at))
          if (counterparts.same.has(at) && settled.has(at)) assert.isTrue(counterparts.whole.has(of))
        }
        assert.strictEqual(intake.bytes, sum)
        assert.isTrue(policy === "skip" || counterparts.whole.size === 0)
      }
      // Whatever happened, it ends: what is missing is written, what is to be copied is copied.
      for (let run = intake.missing(0); run !== undefined; run = intake.missing(0)) {
        for (let at = run[0]; at < run[0] + run[1]; at++) write(at)
        for (const copy of counterparts.takeCopies(64 * mebi, 64)) write(copy)
      }
      for (let copies = [0]; copies.length > 0;) {
        copies = counterparts.takeCopies(64 * mebi, 64)
        for (const copy of copies) write(copy)
      }
      // What was only found the same here and never missed stays so until it is whole.
      for (let at = 0; at < blocks; at++) assert.isTrue(settled.has(at) || counterparts.same.has(at), String(at))
      assert.isTrue(intake.complete)
      assert.strictEqual(intake.filesDone + intake.failed.size, 4)
    }
  )

  it("is nothing where names are changed", () => {
    assert.isFalse(new Counterparts(fresh("rename").entries, "rename").isActive)
  })
})

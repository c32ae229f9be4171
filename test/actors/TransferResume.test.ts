/** Transfers that outlive the nodes: either side is stopped and started again at any stage, and they go on. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { FileStore } from "../../src/services/FileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, noise, part, quietly, restartable, startOn, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

/** Counts the bytes that are read from sources. */
class Reads {
  bytes = 0
  readonly store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    open: (picked) =>
      Effect.map(real.open(picked), (source) => ({
        read: (parts, into) =>
          Effect.suspend(() => {
            for (const { length } of parts) this.bytes += length
            return source.read(parts, into)
          })
      }))
  })
}

/** A store of which one write waits, once so many bytes were written, until its lane ends. */
const holdAfter = (bytes: number) => {
  const reached = Deferred.makeUnsafe<void>()
  let written = 0
  let isHeld = false
  const store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    stage: (id) =>
      Effect.map(real.stage(id), (staging) => ({
        ...staging,
        write: (parts) =>
          Effect.suspend(() => {
            if (written >= bytes && !isHeld) {
              isHeld = true
              return Effect.andThen(
                Effect.andThen(staging.sync, Deferred.succeed(reached, undefined)),
                Effect.interruptible(Effect.never)
              )
            }
            for (const part of parts) written += part.bytes.length
            return staging.write(parts)
          })
      }))
  })
  return { reached: Deferred.await(reached), store }
}

/** A store that reads so many bytes of its sources, and then no more. */
const readsOnly = (bytes: number) => {
  const reached = Deferred.makeUnsafe<void>()
  let read = 0
  const store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    open: (picked) =>
      Effect.map(real.open(picked), (source) => ({
        read: (parts, into) =>
          Effect.suspend(() => {
            if (read >= bytes) return Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
            for (const { length } of parts) read += length
            return source.read(parts, into)
          })
      }))
  })
  return { reached: Deferred.await(reached), store }
}

describe("a transfer goes on", () => {
  quietly("when the receiver was restarted, and nothing that is safe is asked for again", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const reads = new Reads()
      const alice = yield* startOn(network, "alice", { store: reads.store })
      const bobs = yield* restartable(network, "bob")
      const held = holdAfter(24 * mebi)
      const bob = yield* bobs.start({ store: held.store })
      yield* join(alice, bob)
      fs.mkdirSync(path.join(alice.sources, "d/empty"), { recursive: true })
      fs.writeFileSync(path.join(alice.sources, "d/large"), noise(1, 40 * mebi))
      for (let i = 0; i < 300; i++) fs.writeFileSync(path.join(alice.sources, `d/small ${i}`), noise(i, i))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
      assert(sent !== undefined)
      yield* alice.until((view) => view.bytes >= 16 * mebi)
      const { bytes: safe } = yield* alice.transfer.find(sent.id)
      yield* bobs.stop
      yield* alice.control.down(bob.id)
      assert.deepStrictEqual(fs.readdirSync(bob.received), [".kith"])
      reads.bytes = 0
      const again = yield* bobs.start()
      const [view] = yield* again.transfer.list
      assert.deepStrictEqual([view?.id, view?.state], [sent.id, "waiting"])
      yield* join(alice, again)
      assert.strictEqual((yield* again.over(sent.id)).state, "done")
      assert.strictEqual((yield* alice.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(again.received), treeOf(alice.sources))
      assert.isAtMost(reads.bytes, sent.totalBytes + 40 * mebi + 45_000 - safe)
      assert.deepStrictEqual(fs.readdirSync(path.join(bobs.root, "data/transfers")), [sent.id])
    })
  )

  quietly("when the sender was restarted, without walking again", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 2, latency: 0 })
      const alices = yield* restartable(network, "alice")
      const held = readsOnly(8 * mebi)
      const bob = yield* startOn(network, "bob")
      const alice = yield* alices.start({ store: held.store })
      yield* join(alice, bob)
      fs.mkdirSync(path.join(alice.sources, "d"))
      fs.writeFileSync(path.join(alice.sources, "d/a"), noise(1, 20 * mebi))
      fs.symlinkSync("/etc/passwd", path.join(alice.sources, "d/link"))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
      assert(sent !== undefined)
      yield* held.reached
      yield* alices.stop
      yield* bob.control.down(alice.id)
      // What came to be there since is not of this transfer.
      fs.writeFileSync(path.join(alice.sources, "d/later"), "later")
      const again = yield* alices.start({
        store: (real) => ({ ...real, scan: () => assert.fail("it was walked again") })
      })
      const [view] = yield* again.transfer.list
      assert.deepStrictEqual([view?.id, view?.state], [sent.id, "waiting"])
      yield* join(again, bob)
      const there = yield* again.over(sent.id)
      assert.deepStrictEqual(
        [there.state, there.problems],
        ["done", [{ kind: "leftOut", path: "d/link", reason: "it is a symbolic link" }]]
      )
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.deepStrictEqual(fs.readdirSync(path.join(bob.received, "d")), ["a"])
      assert.deepStrictEqual(fs.readdirSync(path.join(alices.root, "data/transfers")), [])
    })
  )

  quietly("when both were restarted", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 3, latency: 0 })
      const alices = yield* restartable(network, "alice")
      const bobs = yield* restartable(network, "bob")
      const held = holdAfter(8 * mebi)
      const [alice, bob] = [yield* alices.start(), yield* bobs.start({ store: held.store })]
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(1, 20 * mebi))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* held.reached
      yield* bobs.stop
      yield* alices.stop
      const [alice2, bob2] = [yield* alices.start(), yield* bobs.start()]
      yield* join(alice2, bob2)
      assert.strictEqual((yield* bob2.over(sent.id)).state, "done")
      assert.strictEqual((yield* alice2.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob2.received), treeOf(alice2.sources))
    })
  )

  quietly("and is told how it ended, when the receiver finished while the sender was away", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 4, latency: 0 })
      const alices = yield* restartable(network, "alice")
      const bobs = yield* restartable(network, "bob")
      const [alice, bob] = [yield* alices.start(), yield* bobs.start()]
      // The last word never arrives.
      yield* join(alice, bob, { filter: (frame) => frame._tag !== "TransferDone" })
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* bob.over(sent.id)
      yield* alices.stop
      yield* bobs.stop
      const [alice2, bob2] = [yield* alices.start(), yield* bobs.start()]
      yield* join(alice2, bob2)
      assert.strictEqual((yield* alice2.over(sent.id)).state, "done")
      assert.deepStrictEqual(fs.readdirSync(bob2.received), ["f"])
      // Now it is known on both sides, and nothing is kept of it.
      yield* part(alice2, bob2)
      yield* join(alice2, bob2)
      yield* bob2.transfer.list
    })
  )
})

describe("what cannot go on says so", () => {
  for (const [file, why] of [
    ["manifest", "its list is not whole"],
    ["journal", "its journal is not whole"]
  ] as const) {
    quietly(`a receiving of which the ${file} is damaged`, () =>
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make({ seed: 6, latency: 0 })
        const bobs = yield* restartable(network, "bob")
        const held = holdAfter(4 * mebi)
        const alice = yield* startOn(network, "alice")
        const bob = yield* bobs.start({ store: held.store })
        yield* join(alice, bob)
        fs.mkdirSync(path.join(alice.sources, "d"))
        fs.writeFileSync(path.join(alice.sources, "d/a"), noise(1, 9 * mebi))
        const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
        assert(sent !== undefined)
        yield* held.reached
        yield* bobs.stop
        yield* alice.control.down(bob.id)
        const [staging = ""] = fs.readdirSync(path.join(bob.received, ".kith"))
        const damaged = path.join(bob.received, ".kith", staging, file)
        const bytes = fs.readFileSync(damaged)
        bytes[12] = (bytes[12] ?? 0) ^ 1
        fs.writeFileSync(damaged, bytes)
        const again = yield* bobs.start()
        yield* join(alice, again)
        const here = yield* again.over(sent.id)
        assert.strictEqual(here.state, "failed")
        assert.include(here.error ?? "", why)
        assert.deepStrictEqual(fs.readdirSync(again.received), [])
        assert.deepInclude(yield* alice.over(sent.id), { state: "failed", error: here.error })
      })
    )
  }

  const cut = Effect.fnUntraced(function* (content: Buffer) {
    const network = yield* SimulatedNetwork.make({ seed: 5, latency: 0 })
    const alices = yield* restartable(network, "alice")
    const held = readsOnly(4 * mebi)
    const bob = yield* startOn(network, "bob")
    const alice = yield* alices.start({ store: held.store })
    yield* join(alice, bob)
    fs.mkdirSync(path.join(alice.sources, "d"))
    fs.writeFileSync(path.join(alice.sources, "d/a"), content)
    fs.writeFileSync(path.join(alice.sources, "d/z"), "unchanged")
    const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
    assert(sent !== undefined)
    yield* held.reached
    yield* alices.stop
    yield* bob.control.down(alice.id)
    return { alice, alices, bob, sent }
  })

  quietly("a source that was moved", () =>
    Effect.gen(function* () {
      const { alice, alices, bob, sent } = yield* cut(noise(1, 20 * mebi))
      fs.renameSync(path.join(alice.sources, "d"), path.join(alice.sources, "elsewhere"))
      const again = yield* alices.start()
      yield* join(again, bob)
      const there = yield* again.over(sent.id)
      assert.strictEqual(there.state, "failed")
      assert.match(there.error ?? "", /sources\/d is not there any more.*send it from where it is now/)
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.error], ["cancelled", there.error])
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )

  quietly("a source file that changed, by its name, and the others arrive", () =>
    Effect.gen(function* () {
      const { alice, alices, bob, sent } = yield* cut(noise(1, 20 * mebi))
      fs.appendFileSync(path.join(alice.sources, "d/a"), "more")
      const again = yield* alices.start()
      yield* join(again, bob)
      const here = yield* bob.over(sent.id)
      assert.strictEqual(here.state, "partial")
      assert.deepStrictEqual(here.problems, [{ kind: "failed", path: "d/a", reason: "it changed while it was sent" }])
      assert.deepStrictEqual((yield* again.over(sent.id)).problems, here.problems)
      assert.deepStrictEqual(fs.readdirSync(path.join(bob.received, "d")), ["z"])
    })
  )
})

/** One sending to several: what is read once, and what a slow, paused or dead receiver does to the others: nothing. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { isOver } from "../../src/schema/Offer.ts"
import type { FileStore } from "../../src/services/FileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { idle, join, noise, quietly, startOn, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

/** Bytes read for sending, and lists walked. */
const counted = () => {
  const seen = { bytes: 0, walks: 0 }
  const store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    scan: (...args) => {
      seen.walks++
      return real.scan(...args)
    },
    open: (picked) =>
      Effect.map(real.open(picked), (source) => ({
        read: (parts, into) => {
          for (const { length } of parts) seen.bytes += length
          return source.read(parts, into)
        }
      }))
  })
  return { seen, store }
}

/** Stores of receivers none of which writes much more than the slowest of them has written. */
const inStep = (names: ReadonlyArray<string>, ahead: number) => {
  const done = new Map(names.map((name) => [name, 0]))
  const waiting = new Set<() => void>()
  const wrote = (name: string, bytes: number) =>
    Effect.callback<void>((resume) => {
      done.set(name, (done.get(name) ?? 0) + bytes)
      const look = () => {
        if ((done.get(name) ?? 0) - Math.min(...done.values()) > ahead) return
        waiting.delete(look)
        resume(Effect.void)
      }
      waiting.add(look)
      for (const other of waiting) other()
    })
  const store = (name: string) => (real: FileStore["Service"]) => ({
    ...real,
    stage: (...args: Parameters<typeof real.stage>) =>
      Effect.map(real.stage(...args), (staging) => ({
        ...staging,
        write: (parts: Parameters<typeof staging.write>[0]) =>
          Effect.andThen(
            staging.write(parts),
            wrote(
              name,
              parts.reduce((sum, { bytes }) => sum + bytes.length, 0)
            )
          )
      }))
  })
  return Object.fromEntries(names.map((name) => [name, store(name)]))
}

/** Alice, and receivers who ask a person, so that they begin together. */
const groupOf = Effect.fnUntraced(function* (
  names: ReadonlyArray<string>,
  stores: Record<string, (real: FileStore["Service"]) => FileStore["Service"]> = {}
) {
  const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
  const { seen, store } = counted()
  const alice = yield* startOn(network, "alice", { store })
  const receivers = yield* Effect.forEach(names, (name) => {
    const own = stores[name]
    return startOn(network, name, { settings: { accept: "ask" }, ...(own === undefined ? {} : { store: own }) })
  })
  for (const node of receivers) yield* join(alice, node)
  fs.mkdirSync(path.join(alice.sources, "d"))
  fs.writeFileSync(path.join(alice.sources, "d/large"), noise(1, 24 * mebi + 5))
  for (let i = 0; i < 600; i++) fs.writeFileSync(path.join(alice.sources, `d/small ${i}`), noise(i, 3000 + i))
  const total = 24 * mebi + 5 + 600 * 3000 + (600 * 599) / 2
  const sent = yield* alice.transfer.send(
    [path.join(alice.sources, "d")],
    receivers.map(({ id }) => id)
  )
  const transfers = receivers.map((node) => {
    const view = sent.find(({ peer }) => peer === node.id)
    assert(view !== undefined)
    return { node, id: view.id }
  })
  for (const { id, node } of transfers) {
    yield* idle(node, id)
    yield* node.until((view) => view.listed === true)
  }
  return { network, alice, transfers, seen, total }
})

describe("a group", () => {
  quietly("is sent to all, or to nobody, whoever asked for it goes meanwhile", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const [asked, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let archives = 0
      const store = (real: FileStore["Service"]): FileStore["Service"] => ({
        ...real,
        // The first is of the group, the second of the first transfer.
        archive: (id) =>
          ++archives === 2
            ? Deferred.succeed(asked, undefined).pipe(
                Effect.andThen(Deferred.await(goesOn)),
                Effect.andThen(real.archive(id))
              )
            : real.archive(id)
      })
      const alice = yield* startOn(network, "alice", { store })
      const [bob, carol] = [yield* startOn(network, "bob"), yield* startOn(network, "carol")]
      for (const node of [bob, carol]) yield* join(alice, node)
      fs.writeFileSync(path.join(alice.sources, "f"), "for both")
      const sending = yield* Effect.forkChild(
        alice.transfer.send([path.join(alice.sources, "f")], [bob.id, carol.id]),
        { startImmediately: true }
      )
      yield* Deferred.await(asked)
      yield* Effect.forkChild(Fiber.interrupt(sending), { startImmediately: true })
      yield* Deferred.succeed(goesOn, undefined)
      yield* Fiber.await(sending)
      for (const node of [bob, carol]) yield* node.until(({ state }) => state === "done")
      const begun = yield* alice.transfer.list
      assert.lengthOf(begun, 2)
      for (const { id } of begun) assert.strictEqual((yield* alice.over(id)).state, "done")
    })
  )

  quietly("is walked once, and each block is read once while the receivers keep step", () =>
    Effect.gen(function* () {
      const names = ["bob", "carol", "dave"]
      const { alice, seen, total, transfers } = yield* groupOf(names, inStep(names, 2 * mebi))
      yield* Effect.forEach(transfers, ({ id, node }) => node.transfer.accept(id, {}), { concurrency: "unbounded" })
      for (const { id, node } of transfers) {
        assert.strictEqual((yield* node.over(id)).state, "done")
        assert.deepStrictEqual(treeOf(node.received), treeOf(alice.sources))
      }
      assert.strictEqual(seen.walks, 1)
      assert.isAtLeast(seen.bytes, total)
      assert.isAtMost(seen.bytes, 1.25 * total, "three receivers, read about once")
    })
  )

  quietly("goes on for the others where one is held up by its disk, one paused, and one gone", () =>
    Effect.gen(function* () {
      const stuck = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const { alice, network, transfers } = yield* groupOf(["bob", "slow", "paused", "gone"], {
        slow: (real) => ({
          ...real,
          stage: (...args) =>
            Effect.map(real.stage(...args), (staging) => ({
              ...staging,
              write: (parts) =>
                Deferred.succeed(stuck, undefined).pipe(
                  Effect.andThen(Deferred.await(gate)),
                  Effect.andThen(staging.write(parts))
                )
            }))
        })
      })
      yield* Effect.addFinalizer(() => Deferred.succeed(gate, undefined))
      const [bob, slow, paused, gone] = transfers
      assert(bob !== undefined && slow !== undefined && paused !== undefined && gone !== undefined)
      yield* slow.node.transfer.accept(slow.id, {})
      yield* Deferred.await(stuck)
      yield* alice.transfer.pause(paused.id)
      yield* paused.node.until((view) => view.pausedBy === "peer")
      yield* paused.node.transfer.accept(paused.id, {})
      gone.node.places.clear()
      alice.places.delete(gone.node.id)
      network.cut("alice", "gone")
      yield* gone.node.transfer.accept(gone.id, {})
      yield* bob.node.transfer.accept(bob.id, {})
      assert.strictEqual((yield* bob.node.over(bob.id)).state, "done")
      assert.strictEqual((yield* alice.over(bob.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.node.received), treeOf(alice.sources))
      const rest = (yield* alice.transfer.list).filter((view) => view.id !== bob.id)
      assert.isTrue(rest.every((view) => !isOver(view.state)))
      // A laggard reads again for itself.
      yield* alice.transfer.resume(paused.id)
      assert.strictEqual((yield* paused.node.over(paused.id)).state, "done")
      assert.deepStrictEqual(treeOf(paused.node.received), treeOf(alice.sources))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* slow.node.over(slow.id)).state, "done")
    })
  )

  quietly("goes on for the others where one reads very slowly", () =>
    Effect.gen(function* () {
      const { alice, transfers } = yield* groupOf(["bob", "carol", "slow"])
      const slow = transfers[2]
      assert(slow !== undefined)
      yield* slow.node.caps.set(null, { receive: 100_000 })
      yield* slow.node.transfer.accept(slow.id, {})
      yield* slow.node.until((view) => view.bytes > 0)
      const others = transfers.slice(0, 2)
      yield* Effect.forEach(others, ({ id, node }) => node.transfer.accept(id, {}), { concurrency: "unbounded" })
      for (const { id, node } of others) {
        assert.strictEqual((yield* node.over(id)).state, "done")
        assert.deepStrictEqual(treeOf(node.received), treeOf(alice.sources))
      }
      const view = yield* slow.node.transfer.find(slow.id)
      assert.strictEqual(view.state, "running")
      assert.isBelow(view.bytes, view.totalBytes / 2)
    })
  )

  quietly("says to each that a file cannot be sent, and sends the rest", () =>
    Effect.gen(function* () {
      const { alice, transfers } = yield* groupOf(["bob", "carol"])
      fs.rmSync(path.join(alice.sources, "d/small 7"))
      yield* Effect.forEach(transfers, ({ id, node }) => node.transfer.accept(id, {}), { concurrency: "unbounded" })
      for (const { id, node } of transfers) {
        const here = yield* node.over(id)
        const there = yield* alice.over(id)
        for (const view of [here, there]) {
          assert.deepStrictEqual([view.state, view.problemCount], ["partial", 1])
          assert.deepStrictEqual(view.problems, [{ kind: "failed", path: "d/small 7", reason: "it is gone" }])
        }
        assert.strictEqual(fs.readdirSync(path.join(node.received, "d")).length, 600)
      }
    })
  )
})

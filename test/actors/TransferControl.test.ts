/** What persons do to transfers under way: pause, resume, priorities and turns, as both sides show it. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Frame } from "../../src/schema/Frame.ts"
import type { TransferId } from "../../src/schema/Id.ts"
import type { TransferPriority } from "../../src/schema/Offer.ts"
import type { FileStore } from "../../src/services/FileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, noise, pair, part, quietly, restartable, startOn, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024
const size = 8 * mebi

/** A store whose reads are counted, and whose n-th (from 0) is held until the gate opens. */
const gated = (at: number) => {
  const reached = Deferred.makeUnsafe<void>()
  const gate = Deferred.makeUnsafe<void>()
  let reads = 0
  const store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    open: (picked) =>
      Effect.map(real.open(picked), (source) => ({
        read: (parts, into) =>
          Effect.suspend(() =>
            reads++ < at ? Effect.void : Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(gate))
          ).pipe(Effect.andThen(source.read(parts, into)))
      }))
  })
  return { store, reached: Deferred.await(reached), open: Deferred.succeed(gate, undefined) }
}

const write = (directory: string, name: string, seed: number, bytes: number): string => {
  const location = path.join(directory, name)
  fs.writeFileSync(location, noise(seed, bytes))
  return location
}

describe("pause and resume", () => {
  for (const [pauser, resumer] of [
    ["alice", "alice"],
    ["alice", "bob"],
    ["bob", "alice"],
    ["bob", "bob"]
  ] as const) {
    quietly(`${pauser} holds it, ${resumer} lets it go on, and both see it`, () =>
      Effect.gen(function* () {
        const gate = gated(3)
        const nodes = yield* pair({}, { store: gate.store })
        const { alice, bob } = nodes
        yield* join(alice, bob)
        const [sent] = yield* alice.transfer.send([write(alice.sources, "f", 4, size)], [bob.id])
        assert(sent !== undefined)
        yield* gate.reached
        const paused = yield* nodes[pauser].transfer.pause(sent.id)
        assert.deepStrictEqual([paused.state, paused.pausedBy, paused.bytesPerSecond], ["paused", "here", 0])
        const other = pauser === "alice" ? bob : alice
        const seen = yield* other.until((view) => view.id === sent.id && view.state === "paused")
        assert.strictEqual(seen.pausedBy, "peer")
        const again = yield* Effect.flip(nodes[pauser].transfer.pause(sent.id))
        assert.strictEqual(again._tag, "NotPossible")
        yield* gate.open
        const resumed = yield* nodes[resumer].transfer.resume(sent.id)
        assert.deepStrictEqual([resumed.state === "paused", resumed.pausedBy], [false, null])
        assert.strictEqual((yield* bob.over(sent.id)).state, "done")
        assert.strictEqual((yield* alice.over(sent.id)).state, "done")
        assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
        assert.strictEqual((yield* Effect.flip(alice.transfer.resume(sent.id)))._tag, "NotPossible")
      })
    )
  }

  quietly("what is paused has no data link, and a lost session does not let it go on", () =>
    Effect.gen(function* () {
      const gate = gated(3)
      const { alice, bob } = yield* pair({}, { store: gate.store })
      yield* join(alice, bob)
      const [sent] = yield* alice.transfer.send([write(alice.sources, "f", 4, size)], [bob.id])
      assert(sent !== undefined)
      yield* gate.reached
      yield* bob.transfer.pause(sent.id)
      yield* alice.until((view) => view.state === "paused")
      yield* gate.open
      yield* part(alice, bob)
      const sentNow = (yield* alice.transfer.list)[0]
      assert.strictEqual(sentNow?.state, "paused", "held, although the peer is away")
      yield* join(alice, bob)
      yield* alice.until((view) => view.pausedBy === "peer" && view.state === "paused")
      assert.strictEqual((yield* bob.transfer.list)[0]?.state, "paused")
      yield* alice.transfer.resume(sent.id)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
    })
  )

  quietly("is cancelled while it is paused", () =>
    Effect.gen(function* () {
      const gate = gated(2)
      const { alice, bob } = yield* pair({}, { store: gate.store })
      yield* join(alice, bob)
      const [sent] = yield* alice.transfer.send([write(alice.sources, "f", 4, size)], [bob.id])
      assert(sent !== undefined)
      yield* gate.reached
      yield* alice.transfer.pause(sent.id)
      yield* bob.until((view) => view.state === "paused")
      yield* bob.transfer.cancel(sent.id)
      assert.strictEqual((yield* alice.over(sent.id)).state, "cancelled")
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )
})

describe("turns", () => {
  const sendAll = Effect.fnUntraced(function* (
    nodes: Effect.Success<ReturnType<typeof pair>>,
    priorities: ReadonlyArray<TransferPriority>
  ) {
    const { alice, bob } = nodes
    const ids = []
    for (const [at, priority] of priorities.entries()) {
      const [sent] = yield* alice.transfer.send([write(alice.sources, `f${at}`, at, mebi)], [bob.id], { priority })
      assert(sent !== undefined)
      yield* bob.until((view) => view.id === sent.id && (view.state === "running" || view.state === "queued"))
      ids.push(sent.id)
    }
    return ids
  })

  quietly("four run at once, the rest are queued at both ends and run in their order", () =>
    Effect.gen(function* () {
      const gate = gated(0)
      const nodes = yield* pair({}, { store: gate.store })
      const { alice, bob } = nodes
      yield* join(alice, bob)
      const ids = yield* sendAll(nodes, ["normal", "normal", "normal", "normal", "low", "normal"])
      const states = (views: ReadonlyArray<{ readonly id: string; readonly state: string }>) =>
        ids.map((id) => views.find((view) => view.id === id)?.state)
      yield* Effect.forEach(ids.slice(4), (id) => bob.until((view) => view.id === id && view.state === "queued"))
      yield* Effect.forEach(ids.slice(4), (id) => alice.until((view) => view.id === id && view.state === "queued"))
      assert.deepStrictEqual(states(yield* bob.transfer.list), [
        ...Array.from({ length: 4 }, () => "running"),
        "queued",
        "queued"
      ])
      const [low, later] = ids.slice(4)
      assert(low !== undefined && later !== undefined)
      // More urgent than those that run: one of them waits instead.
      const urgent = yield* alice.transfer.prioritise(low, "high")
      assert.strictEqual(urgent.priority, "high")
      yield* bob.until((view) => view.id === low && view.state === "running")
      yield* bob.until((view) => view.id !== later && view.state === "queued" && view.priority === "normal")
      yield* gate.open
      for (const id of ids) assert.strictEqual((yield* bob.over(id)).state, "done")
      for (const id of ids) assert.strictEqual((yield* alice.over(id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("what is paused leaves its turn to the next", () =>
    Effect.gen(function* () {
      const gate = gated(0)
      const nodes = yield* pair({}, { store: gate.store })
      const { alice, bob } = nodes
      yield* join(alice, bob)
      const ids = yield* sendAll(nodes, ["normal", "normal", "normal", "normal", "normal"])
      const [first, , , , last] = ids
      assert(first !== undefined && last !== undefined)
      yield* bob.until((view) => view.id === last && view.state === "queued")
      yield* alice.transfer.pause(first)
      yield* bob.until((view) => view.id === last && view.state === "running")
      yield* alice.transfer.resume(first)
      yield* alice.until((view) => view.id === first && view.state === "queued")
      yield* gate.open
      for (const id of ids) assert.strictEqual((yield* bob.over(id)).state, "done")
    })
  )
})

describe("too many", () => {
  quietly("are queued at the sender until one of 16 has ended, in their order, and all of them arrive", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      yield* join(alice, bob)
      const ids: Array<TransferId> = []
      for (let at = 0; at < 20; at++) {
        const [sent] = yield* alice.transfer.send([write(alice.sources, `f${at}`, at, 10)], [bob.id])
        assert(sent !== undefined)
        ids.push(sent.id)
      }
      const [offered, queued] = [ids.slice(0, 16), ids.slice(16)]
      for (const id of offered) yield* bob.until((view) => view.id === id && view.listed === true)
      for (const id of queued) yield* alice.until((view) => view.id === id && view.state === "queued")
      assert.lengthOf(yield* bob.transfer.list, 16)
      // Whichever way one of them ends, the next has its place.
      const [first, second, third, fourth] = offered
      assert(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined)
      yield* bob.transfer.accept(first, {})
      yield* bob.until((view) => view.id === ids[16] && view.listed === true)
      yield* bob.transfer.decline(second)
      yield* bob.until((view) => view.id === ids[17] && view.listed === true)
      yield* alice.transfer.cancel(third)
      yield* bob.until((view) => view.id === ids[18] && view.listed === true)
      yield* bob.transfer.cancel(fourth)
      yield* bob.until((view) => view.id === ids[19] && view.listed === true)
      for (const id of [...offered.slice(4), ...queued]) {
        yield* bob.transfer.accept(id, {})
        assert.strictEqual((yield* alice.over(id)).state, "done")
      }
    })
  )

  quietly("have the same places after a restart of the sender", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const bob = yield* startOn(network, "bob", { settings: { accept: "ask" } })
      const alices = yield* restartable(network, "alice")
      const alice = yield* alices.start()
      yield* join(alice, bob)
      const ids: Array<TransferId> = []
      for (let at = 0; at < 18; at++) {
        const [sent] = yield* alice.transfer.send([write(alice.sources, `f${at}`, at, 10)], [bob.id])
        assert(sent !== undefined)
        ids.push(sent.id)
      }
      for (const id of ids.slice(0, 16)) yield* bob.until((view) => view.id === id && view.listed === true)
      yield* alices.stop
      yield* bob.control.down(alice.id)
      const again = yield* alices.start()
      yield* join(again, bob)
      for (const id of ids.slice(0, 16)) yield* again.until((view) => view.id === id && view.state === "offered")
      for (const id of ids.slice(16)) yield* again.until((view) => view.id === id && view.state === "queued")
      for (const id of ids) {
        yield* bob.until((view) => view.id === id && view.listed === true)
        yield* bob.transfer.accept(id, {})
        assert.strictEqual((yield* again.over(id)).state, "done")
      }
    })
  )
})

describe("the end", () => {
  quietly("is never shown as stalled while it is published", () =>
    Effect.gen(function* () {
      const publishing = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const frames: Array<Frame["_tag"]> = []
      const { alice, bob } = yield* pair({
        store: (real) => ({
          ...real,
          stage: (...args) =>
            Effect.map(real.stage(...args), (staging) => ({
              ...staging,
              publish: (...all) =>
                Deferred.succeed(publishing, undefined).pipe(
                  Effect.andThen(Deferred.await(gate)),
                  Effect.andThen(staging.publish(...all))
                )
            }))
        })
      })
      yield* join(alice, bob, { filter: (frame) => frames.push(frame._tag) > 0 })
      const [sent] = yield* alice.transfer.send([write(alice.sources, "f", 4, mebi)], [bob.id])
      assert(sent !== undefined)
      yield* Deferred.await(publishing)
      yield* alice.until((view) => view.id === sent.id && view.bytes === mebi && view.state === "running")
      const late = yield* Effect.flip(bob.transfer.cancel(sent.id))
      assert.strictEqual(late._tag, "NotPossible")
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* alice.over(sent.id)).state, "done")
      assert.notInclude(
        alice.shown.map((view) => view.state),
        "stalled"
      )
      assert.include(frames, "TransferStatus")
    })
  )
})

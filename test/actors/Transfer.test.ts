/** Files and directories from one node to another over the simulated network, with everything that may come between. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { isOver } from "../../src/schema/Offer.ts"
import type { FileStore } from "../../src/services/FileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { idle, join, noise, pair, part, quietly, startOn, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

/** A store whose n-th read (from 0) does this first. */
const onRead =
  (at: number, act: Effect.Effect<void>) =>
  (real: FileStore["Service"]): FileStore["Service"] => {
    let reads = 0
    return {
      ...real,
      open: (picked) =>
        Effect.map(real.open(picked), (source) => ({
          read: (parts, into) =>
            Effect.suspend(() => (reads++ === at ? act : Effect.void)).pipe(Effect.andThen(source.read(parts, into)))
        }))
    }
  }

describe("a transfer", () => {
  quietly("brings files of every awkward size", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      const sizes = [0, 1, mebi - 1, mebi, mebi + 1, 3 * mebi + 7]
      const paths = sizes.map((size, i) => {
        const location = path.join(alice.sources, `file ${size}`)
        fs.writeFileSync(location, noise(i, size), { mode: i % 2 === 0 ? 0o644 : 0o755 })
        fs.utimesSync(location, 1_600_000_000 + i, 1_600_000_000.123 + i)
        return location
      })
      const [sent] = yield* alice.transfer.send(paths, [bob.id])
      assert(sent !== undefined)
      assert.deepStrictEqual([sent.state, sent.name, sent.direction], ["offered", "6 items", "send"])
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.error, here.problemCount], ["done", null, 0])
      assert.deepStrictEqual(here.published.toSorted(), sizes.map((size) => `${bob.received}/file ${size}`).toSorted())
      const there = yield* alice.over(sent.id)
      assert.deepStrictEqual([there.state, there.bytes, here.bytes], ["done", there.totalBytes, there.totalBytes])
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("brings a deep tree of 2,000 files, empty directories and emoji names", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      let deep = path.join(alice.sources, "tree")
      for (let depth = 0; depth < 20; depth++) {
        deep = path.join(deep, depth % 3 === 0 ? `d\u{1f4c1}${depth}` : `level ${depth}`)
        fs.mkdirSync(path.join(deep, "empty \u{1f47b}"), { recursive: true })
        for (let i = 0; i < 100; i++)
          fs.writeFileSync(path.join(deep, `\u{1f600} ${i}.txt`), noise(depth * 100 + i, i * 13))
      }
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "tree")], [bob.id])
      assert(sent !== undefined)
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.error, here.files, here.directories], ["done", null, 2000, 41])
      assert.deepStrictEqual(here.published, [`${bob.received}/tree`])
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("gives names that exist a number, and keeps what is there", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "a.txt"), "new")
      fs.mkdirSync(path.join(alice.sources, "d"))
      fs.mkdirSync(path.join(bob.received, "d"), { recursive: true })
      fs.writeFileSync(path.join(bob.received, "a.txt"), "old")
      const paths = [path.join(alice.sources, "a.txt"), path.join(alice.sources, "d")]
      for (const expected of [1, 2]) {
        const [sent] = yield* alice.transfer.send(paths, [bob.id])
        assert(sent !== undefined)
        const here = yield* bob.over(sent.id)
        assert.deepStrictEqual(here.published, [
          `${bob.received}/a (${expected}).txt`,
          `${bob.received}/d (${expected})`
        ])
      }
      assert.strictEqual(fs.readFileSync(path.join(bob.received, "a.txt"), "utf8"), "old")
    })
  )

  quietly("sends to several, in both directions at once", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* pair()
      const carol = yield* startOn(network, "carol")
      yield* join(alice, bob)
      yield* join(alice, carol)
      for (const [seed, node] of [alice, bob].entries()) {
        fs.writeFileSync(path.join(node.sources, `from ${seed}`), noise(seed, 5 * mebi + seed))
      }
      const [toBob, toCarol] = yield* alice.transfer.send(
        [path.join(alice.sources, "from 0")],
        [bob.id, carol.id, bob.id]
      )
      const [back] = yield* bob.transfer.send([path.join(bob.sources, "from 1")], [alice.id])
      assert(toBob !== undefined && toCarol !== undefined && back !== undefined)
      assert.strictEqual(toBob.group, toCarol.group)
      const ends = yield* Effect.all([bob.over(toBob.id), carol.over(toCarol.id), alice.over(back.id)])
      assert.deepStrictEqual(
        ends.map((view) => view.state),
        ["done", "done", "done"]
      )
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
      assert.deepStrictEqual(treeOf(carol.received), treeOf(alice.sources))
      assert.deepStrictEqual(treeOf(alice.received), treeOf(bob.sources))
      assert.strictEqual((yield* alice.transfer.list).length, 3)
    })
  )

  quietly("is dialled by the sender where the receiver cannot dial", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob, { otherDials: false })
      fs.writeFileSync(path.join(alice.sources, "f"), noise(1, 2 * mebi))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.strictEqual((yield* alice.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("waits for a peer that is away", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      assert.strictEqual(sent.state, "waiting")
      yield* alice.until((view) => view.files === 1)
      yield* join(alice, bob)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
    })
  )

  quietly("names what cannot be picked, and sends nothing", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const missing = path.join(alice.sources, "missing")
      const refused = yield* Effect.flip(alice.transfer.send([path.join(alice.sources, "f"), missing], [bob.id]))
      assert.strictEqual(refused.path, missing)
      assert.include(refused.message, "ENOENT")
      assert.match((yield* Effect.flip(alice.transfer.send([], [bob.id]))).message, /no file/)
      assert.match((yield* Effect.flip(alice.transfer.send([missing], []))).message, /nobody/)
      assert.deepStrictEqual(yield* alice.transfer.list, [])
    })
  )

  quietly("leaves out what is no file, and says so at both ends' lists", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      fs.mkdirSync(path.join(alice.sources, "d"))
      fs.symlinkSync("/etc/passwd", path.join(alice.sources, "d/link"))
      fs.writeFileSync(path.join(alice.sources, "d/f"), "1")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
      assert(sent !== undefined)
      const there = yield* alice.over(sent.id)
      assert.deepStrictEqual(there.problems, [{ kind: "leftOut", path: "d/link", reason: "it is a symbolic link" }])
      assert.strictEqual(there.state, "done")
      assert.deepStrictEqual(fs.readdirSync(path.join(bob.received, "d")), ["f"])
    })
  )

  quietly("sends the rest where files changed or went meanwhile, and names them at both ends", () =>
    Effect.gen(function* () {
      const change = yield* Deferred.make<void>()
      const { alice, bob } = yield* pair({}, { store: onRead(0, Deferred.await(change)) })
      yield* join(alice, bob)
      fs.mkdirSync(path.join(alice.sources, "d"))
      for (const name of ["a", "changed", "gone", "z"]) {
        fs.writeFileSync(path.join(alice.sources, "d", name), noise(1, 3 * mebi + 5))
      }
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.state === "running")
      fs.appendFileSync(path.join(alice.sources, "d/changed"), "more")
      fs.rmSync(path.join(alice.sources, "d/gone"))
      yield* Deferred.succeed(change, undefined)
      for (const view of [yield* bob.over(sent.id), yield* alice.over(sent.id)]) {
        assert.strictEqual(view.state, "partial")
        assert.strictEqual(view.error, "2 files could not be sent")
        assert.deepStrictEqual(
          view.problems.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
          [
            { kind: "failed", path: "d/changed", reason: "it changed while it was sent" },
            { kind: "failed", path: "d/gone", reason: "it is gone" }
          ]
        )
        assert.deepStrictEqual([view.problemCount, view.failedCount], [2, 2])
      }
      assert.deepStrictEqual(fs.readdirSync(path.join(bob.received, "d")), ["a", "z"])
      assert.deepStrictEqual(fs.readdirSync(bob.received), ["d"])
    })
  )

  quietly("fails where nothing of it could be sent, and publishes nothing", () =>
    Effect.gen(function* () {
      const change = yield* Deferred.make<void>()
      const { alice, bob } = yield* pair({}, { store: onRead(0, Deferred.await(change)) })
      yield* join(alice, bob)
      const location = path.join(alice.sources, "f")
      fs.writeFileSync(location, noise(1, 2 * mebi))
      const [sent] = yield* alice.transfer.send([location], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.state === "running")
      fs.truncateSync(location, 5)
      yield* Deferred.succeed(change, undefined)
      for (const view of [yield* bob.over(sent.id), yield* alice.over(sent.id)]) {
        assert.deepStrictEqual([view.state, view.error], ["failed", "it changed while it was sent"])
      }
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )
})

describe("a transfer that is cut", () => {
  const size = 16 * mebi

  quietly("goes on by another data link, without asking again for what is here", () =>
    Effect.gen(function* () {
      const cut = yield* Deferred.make<void>()
      const held = yield* Deferred.make<void>()
      const act = Deferred.succeed(cut, undefined).pipe(Effect.andThen(Deferred.await(held)))
      const { alice, bob, network } = yield* pair({}, { store: onRead(12, act) })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(3, size))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* Deferred.await(cut)
      yield* bob.until((view) => view.bytes >= 4 * mebi)
      network.cut("alice", "bob")
      yield* Deferred.succeed(held, undefined)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.strictEqual((yield* alice.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("waits while the peer is away and goes on when it is back", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      // The lane goes with the session, and the read that waits with it.
      const hold = Deferred.succeed(reached, undefined).pipe(Effect.andThen(Effect.never))
      const { alice, bob } = yield* pair({}, { store: onRead(6, hold) })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(4, size))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* Deferred.await(reached)
      yield* part(alice, bob)
      yield* Effect.forEach([alice, bob], (node) => node.until((view) => view.state === "waiting"))
      assert.deepStrictEqual(fs.readdirSync(bob.received), [".kith"])
      yield* join(alice, bob)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.strictEqual((yield* alice.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("publishes nothing and says why where no data link holds", () =>
    Effect.gen(function* () {
      const { alice, bob, network } = yield* pair({}, { store: onRead(0, Effect.never) })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(5, size))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.state === "running")
      // From now on neither can reach the other, and what is open breaks.
      bob.places.clear()
      alice.places.clear()
      network.cut("alice", "bob")
      const here = yield* bob.until((view) => view.state === "stalled")
      assert.strictEqual(here.id, sent.id)
      yield* bob.transfer.cancel(sent.id)
      assert.strictEqual((yield* alice.over(sent.id)).error, "the receiver cancelled it")
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )

  quietly("is over where the sender was restarted and knows nothing of it", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({}, { store: onRead(0, Effect.never) })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(5, size))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.state === "running")
      yield* bob.control.down(alice.id)
      yield* bob.control.up(alice.id, () => Effect.void)
      yield* bob.control.deliver(alice.id, { _tag: "Transfers", unfinished: [] })
      const here = yield* bob.over(sent.id)
      assert.strictEqual(here.state, "cancelled")
      assert.match(here.error ?? "", /no longer has it/)
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )
})

describe("what a person decides", () => {
  quietly("is asked, and only then takes", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      const asked = yield* bob.until((view) => view.files === 1 && view.totalBytes === 5)
      assert.strictEqual(asked.state, "offered")
      assert.isFalse(fs.existsSync(path.join(bob.received, "f")))
      yield* idle(bob, sent.id)
      yield* bob.transfer.accept(sent.id, {})
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.strictEqual(fs.readFileSync(path.join(bob.received, "f"), "utf8"), "hello")
      const again = yield* Effect.flip(bob.transfer.accept(sent.id, {}))
      assert.include(again.message, "done")
    })
  )

  quietly("declines", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.id === sent.id)
      assert.strictEqual((yield* bob.transfer.decline(sent.id)).state, "declined")
      const there = yield* alice.over(sent.id)
      assert.deepStrictEqual([there.state, there.error], ["declined", "it was declined"])
      assert.isTrue(!fs.existsSync(bob.received) || fs.readdirSync(bob.received).length === 0)
    })
  )

  quietly("cancels at the sender while it runs", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const hold = Deferred.succeed(reached, undefined).pipe(Effect.andThen(Effect.never))
      const { alice, bob } = yield* pair({}, { store: onRead(3, hold) })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(5, 8 * mebi))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* Deferred.await(reached)
      assert.strictEqual((yield* alice.transfer.cancel(sent.id)).state, "cancelled")
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.error], ["cancelled", "the sender cancelled it"])
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
      const again = yield* Effect.flip(alice.transfer.cancel(sent.id))
      assert.include(again.message, "nothing to cancel")
    })
  )

  quietly("cancels at the receiver while it is asked", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.id === sent.id)
      yield* bob.transfer.cancel(sent.id.slice(0, 9) as typeof sent.id)
      const there = yield* alice.over(sent.id)
      assert.deepStrictEqual([there.state, there.error], ["cancelled", "the receiver cancelled it"])
    })
  )

  quietly("cancels before the peer is there: it never hears of it", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* alice.transfer.cancel(sent.id)
      yield* join(alice, bob)
      const [next] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(next !== undefined)
      yield* bob.over(next.id)
      assert.deepStrictEqual(
        (yield* bob.transfer.list).map((view) => view.id),
        [next.id]
      )
    })
  )

  quietly("follows the policy of the peer, then of the node", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 2, latency: 0 })
      const alice = yield* startOn(network, "alice")
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const decide = Effect.fnUntraced(function* (
        accept: "ask" | "verified" | "everyone" | "nobody",
        known: { readonly accept?: typeof accept; readonly trust?: "verified" | "unverified" }
      ) {
        const name = `${accept} ${JSON.stringify(known)}`
        const bob = yield* startOn(network, name, { settings: { accept }, known: new Map([[alice.id, known]]) })
        yield* join(alice, bob)
        const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
        assert(sent !== undefined)
        const asked = bob.until((view) => view.state === "offered" && view.totalBytes === 5)
        const over = Effect.map(alice.over(sent.id), (view) => view.state)
        return yield* Effect.raceFirst(
          over,
          accept === "ask" || accept === "verified"
            ? Effect.as(Effect.andThen(asked, idle(bob, sent.id)), "asked")
            : Effect.never
        )
      })
      assert.strictEqual(yield* decide("everyone", {}), "done")
      assert.strictEqual(yield* decide("nobody", {}), "declined")
      assert.strictEqual(yield* decide("nobody", { accept: "everyone" }), "done")
      assert.strictEqual(yield* decide("everyone", { accept: "nobody" }), "declined")
      assert.strictEqual(yield* decide("ask", { trust: "verified" }), "asked")
      assert.strictEqual(yield* decide("verified", { trust: "unverified" }), "asked")
      assert.strictEqual(yield* decide("everyone", { accept: "verified", trust: "verified" }), "done")
    })
  )

  quietly("knows a transfer by the beginning of its id, and says which it may be", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      assert.strictEqual((yield* alice.transfer.find(sent.id.slice(0, 6).toUpperCase())).id, sent.id)
      assert.match((yield* Effect.flip(alice.transfer.find("!"))).message, /no transfer has the id "!"/)
      assert.match((yield* Effect.flip(alice.transfer.find(""))).message, /no transfer/)
    })
  )

  quietly("sends more than 16 to a peer that is away: all of them arrive when it is back", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      fs.writeFileSync(path.join(alice.sources, "f"), "hello")
      for (let i = 0; i < 20; i++) yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      yield* join(alice, bob)
      for (const view of yield* alice.transfer.list) {
        assert.strictEqual((yield* alice.over(view.id)).state, "done")
        assert.strictEqual((yield* bob.over(view.id)).state, "done")
      }
      assert.strictEqual(fs.readdirSync(bob.received).length, 20)
      assert.isTrue((yield* bob.transfer.list).every((view) => isOver(view.state)))
    })
  )
})

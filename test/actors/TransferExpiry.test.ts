/**
 * A transfer whose sender never comes back ends after seven days, visibly, and takes along only what it staged; one whose
 * receiver never comes back, after thirty.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Connection } from "../../src/services/Connection.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { only } from "./SimulatedTransfer.ts"
import { join, noise, quietly, startOn, temporary } from "./TransferNode.ts"

const mebi = 1024 * 1024
const expired = "its sender did not come back within 7 days"

/** Two that met. Only the one who leaves dials, so that weeks alone are quiet. */
const strangers = Effect.fnUntraced(function* (leaves: "alice" | "bob") {
  const network = yield* SimulatedNetwork.make({ seed: 7, bandwidth: 1_000_000 })
  const alice = yield* SimulatedPeer.start(network, "alice", { discovery: false })
  const bob = yield* SimulatedPeer.start(network, "bob", { discovery: false, accept: "everyone" })
  const [from, to] = leaves === "alice" ? [alice, bob] : [bob, alice]
  const address = `${to.host.addresses()[0] ?? ""}:9090`
  yield* elapse(from.run(Connection.use((connection) => connection.add(address))))
  return { alice, bob }
})

/** Half of a tree is there. */
const half = Effect.fnUntraced(function* (leaves: "alice" | "bob") {
  const { alice, bob } = yield* strangers(leaves)
  alice.disk.write("/tree/large", noise(1, 3_000_000))
  alice.disk.write("/tree/small", "small")
  const [sent] = yield* alice.run(Transfer.use((transfer) => transfer.send(["/tree"], [bob.id])))
  assert(sent !== undefined)
  yield* TestClock.adjust("1700 millis")
  const view = yield* only(bob)
  assert.strictEqual(view.state, "running")
  assert.isAtLeast(view.bytes, 500_000)
  return { alice, bob, sent }
})

describe("while the node runs", () => {
  it.effect("a transfer ends once its sender was away for seven days, and the sender hears so", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* half("alice")
      yield* alice.kill
      yield* TestClock.adjust("167 hours")
      assert.deepInclude(yield* only(bob), { state: "waiting", error: null })
      assert.deepStrictEqual(bob.disk.list(bob.received), [".kith"])
      bob.disk.write(`${bob.received}/mine`, "untouched")
      yield* TestClock.adjust("2 hours")
      assert.deepInclude(yield* only(bob), { state: "failed", error: expired })
      assert.deepStrictEqual(bob.disk.list(bob.received), ["mine"])
      yield* alice.start
      yield* elapse(alice.meets(bob), { within: "2 minutes" })
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(yield* only(alice), { state: "failed", error: expired })
    })
  )

  it.effect("each time that the sender leaves, the days are counted anew", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* half("alice")
      yield* alice.kill
      yield* TestClock.adjust("6 days")
      yield* alice.start
      yield* bob.run(Transfer.use((transfer) => Effect.flatMap(only(bob), ({ id }) => transfer.pause(id))))
      yield* elapse(alice.meets(bob), { within: "2 minutes" })
      yield* alice.kill
      yield* TestClock.adjust("6 days")
      const { id, state } = yield* only(bob)
      assert.strictEqual(state, "paused")
      yield* alice.start
      yield* elapse(alice.meets(bob), { within: "2 minutes" })
      yield* bob.run(Transfer.use((transfer) => transfer.resume(id)))
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude(yield* only(bob), { state: "done", error: null })
      assert.deepStrictEqual(bob.disk.tree(`${bob.received}/tree`), alice.disk.tree("/tree"))
    })
  )
})

describe("a receiver that never comes back", () => {
  const unreceived = "its receiver did not come back within 30 days"

  it.effect("is waited for as long as a message waits for it, restarts of the sender included", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* strangers("bob")
      yield* bob.kill
      alice.disk.write("/late", "too late")
      yield* alice.run(Transfer.use((transfer) => transfer.send(["/late"], [bob.id])))
      yield* TestClock.adjust("20 days")
      assert.deepInclude(yield* only(alice), { state: "waiting", error: null })
      yield* alice.kill
      yield* alice.start
      yield* TestClock.adjust("9 days")
      assert.deepInclude(yield* only(alice), { state: "waiting", error: null })
      yield* TestClock.adjust("2 days")
      assert.deepInclude(yield* only(alice), { state: "failed", error: unreceived })
      yield* bob.start
      yield* elapse(bob.meets(alice), { within: "2 minutes" })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* bob.run(Transfer.use((transfer) => transfer.list)), [])
    })
  )

  it.effect("that had begun to take it has all of that time from when it left", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* half("bob")
      yield* bob.kill
      yield* TestClock.adjust("29 days")
      assert.deepInclude(yield* only(alice), { state: "waiting", error: null })
      yield* TestClock.adjust("2 days")
      assert.deepInclude(yield* only(alice), { state: "failed", error: unreceived })
    })
  )
})

describe("while it does not run", () => {
  quietly("it is removed at the next start and shown as failed, and what is no staging stays, whatever its name", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
      const reached = yield* Deferred.make<void>()
      const alice = yield* startOn(network, "alice", {
        store: (real) => ({
          ...real,
          open: () => Effect.succeed({ read: () => Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) })
        })
      })
      const parent = yield* Effect.scope
      const root = yield* temporary
      const scope = yield* Scope.fork(parent)
      const bob = yield* Scope.provide(startOn(network, "bob", { root }), scope)
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(1, 4 * mebi))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* Deferred.await(reached)
      yield* Scope.close(scope, Exit.void)
      const kith = path.join(bob.received, ".kith")
      const [staging] = fs.readdirSync(kith)
      assert(staging !== undefined)
      const victim = path.join(root, "victim")
      fs.mkdirSync(victim)
      fs.writeFileSync(path.join(victim, "journal"), "precious")
      fs.symlinkSync(victim, path.join(kith, "a".repeat(26)))
      fs.symlinkSync("../..", path.join(kith, "up"))
      const hostile = ["two\nlines", "..x", "-rf", "a b", "A".repeat(26), "\u202eexe"]
      for (const name of hostile) fs.mkdirSync(path.join(kith, name))
      fs.writeFileSync(path.join(kith, "b".repeat(26)), "a file")
      // What looks like ours, and leads out.
      fs.mkdirSync(path.join(kith, "c".repeat(26)))
      fs.symlinkSync(victim, path.join(kith, "c".repeat(26), "data"))
      fs.symlinkSync(path.join(victim, "journal"), path.join(kith, "c".repeat(26), "journal"))
      const longAgo = new Date(Date.now() - 8 * 24 * 3600 * 1000)
      const old = [path.join(victim, "journal"), ...fs.readdirSync(kith).map((name) => path.join(kith, name))]
      old.push(path.join(kith, staging, "journal"), path.join(kith, "c".repeat(26), "journal"))
      for (const location of old) fs.lutimesSync(location, longAgo, longAgo)
      const before = new Set(fs.readdirSync(kith))
      const again = yield* startOn(network, "bob", { root })
      const [view] = yield* again.transfer.list
      assert.deepInclude(view, { id: sent.id, state: "failed", error: expired })
      const left = fs.readdirSync(kith)
      assert.sameMembers(
        [...before].filter((name) => !left.includes(name)),
        [staging, "c".repeat(26)]
      )
      assert.deepStrictEqual(fs.readdirSync(victim), ["journal"])
      assert.strictEqual(fs.readFileSync(path.join(victim, "journal"), "utf8"), "precious")
      assert.deepStrictEqual(fs.readdirSync(path.join(root, "data/transfers")), [])
    })
  )
})

/**
 * One identity on two machines at once, as after copying a disk, and a friend of it: the newest wins, nothing flaps, and
 * the people at both machines are told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { layerOn } from "../../src/app.ts"
import { NodeConfig } from "../../src/config.ts"
import type { Event } from "../../src/schema/Event.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Database } from "../../src/services/Database.ts"
import { Events } from "../../src/services/Events.ts"
import { Identity } from "../../src/services/Identity.ts"
import { SimulatedDisk } from "../../src/testing/SimulatedDisk.ts"
import * as SimulatedFileStore from "../../src/testing/SimulatedFileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"

/** A whole node on the host, with the identity of this node or of another. */
const start = Effect.fnUntraced(function* (
  host: SimulatedNetwork.SimulatedHost,
  identity: SimulatedNetwork.SimulatedNode = host
) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => elapse(Scope.close(scope, Exit.void)))
  const own = Layer.mergeAll(host.transport, host.datagrams, host.random).pipe(Layer.provideMerge(identity.identity))
  const disk = SimulatedFileStore.layer(new SimulatedDisk(), "/received")
  const machine = Layer.mergeAll(own, disk, Layer.orDie(Database.layerMemory))
  const config = NodeConfig.layer({ name: identity.name, dataDir: "/nowhere" })
  const context = yield* Layer.build(Layer.fresh(layerOn(machine).pipe(Layer.provideMerge(config)))).pipe(
    Scope.provide(scope)
  )
  const events: Array<Event> = []
  yield* Context.get(context, Events).stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.forkIn(scope, { startImmediately: true })
  )
  return {
    id: Context.get(context, Identity).id,
    events,
    connection: Context.get(context, Connection),
    alarms: () => events.filter((event) => event._tag === "Alarm" && event.kind === "clonedIdentity").length,
    /** How often a session began. */
    sessions: () => {
      let count = 0
      let before = ""
      for (const event of events) {
        if (event._tag !== "PeerChanged") continue
        if (event.peer.state === "connected" && before !== "connected") count++
        before = event.peer.state
      }
      return count
    }
  }
})

describe("two live nodes with one identity", () => {
  for (const latecomer of ["first", "second"] as const) {
    it.effect(`and a friend that starts ${latecomer}: both are told, and the newest keeps the session`, () =>
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make({ seed: 11 })
        const host = network.host("alice")
        const copy = network.host("copy")
        const begin = latecomer === "first" ? yield* start(network.host("friend")) : undefined
        const alice = yield* start(host)
        yield* TestClock.adjust("20 seconds")
        const clone = yield* start(copy, host)
        assert.strictEqual(alice.id, clone.id)
        yield* TestClock.adjust("20 seconds")
        const friend = begin ?? (yield* start(network.host("friend")))
        yield* TestClock.adjust("10 minutes")
        assert.isAbove(alice.alarms(), 0, "alice is told")
        assert.isAbove(clone.alarms(), 0, "the clone is told")
        assert.deepStrictEqual(yield* friend.connection.connected, [alice.id])
        const sessions = [alice, clone].map((one) => one.sessions())
        assert.isAtMost(
          sessions.reduce((sum, count) => sum + count, 0),
          6,
          `sessions: ${sessions.join(", ")}`
        )
        // Settled: in the last minutes nothing changes hands.
        const before = network.history().filter((one) => one.kind === "linked").length
        yield* TestClock.adjust("5 minutes")
        const after = network.history().filter((one) => one.kind === "linked").length
        assert.isAtMost(after - before, 1, "no link changes hands any more")
        const held = yield* Effect.forEach([alice, clone], (one) => one.connection.connected)
        assert.deepStrictEqual(held.filter((peers) => peers.length > 0).length, 1)
      })
    )
  }
})

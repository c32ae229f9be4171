/** Transfers between two whole nodes: real sessions, real TLS on the loopback, real files. */
import { assert, describe } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as app from "../../src/app.ts"
import type { Event } from "../../src/schema/Event.ts"
import type { TransferId } from "../../src/schema/Id.ts"
import { isOver, type Transfer as View } from "../../src/schema/Offer.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Events } from "../../src/services/Events.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { Transport } from "../../src/services/Transport.ts"
import { noise, quietly, temporary, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

/** A whole node on the loopback, with a scope that ends it before the test does. */
const start = Effect.fnUntraced(function* (name: string) {
  const root = yield* temporary
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
  const received = path.join(root, "received")
  const sources = path.join(root, "sources")
  fs.mkdirSync(sources)
  const settings = { host: "127.0.0.1", port: 0, discovery: false, accept: "everyone" } as const
  const context = yield* Layer.buildWithScope(
    Layer.fresh(app.layer({ ...settings, name, received, dataDir: path.join(root, "data") })),
    scope
  )
  const transfer = Context.get(context, Transfer)
  const changes = Context.get(context, Events).stream
  const until = Effect.fnUntraced(function* (id: TransferId, test: (view: View) => boolean) {
    const wanted = (event: Event) =>
      event._tag === "TransferChanged" && event.transfer.id === id && test(event.transfer) ? [event.transfer] : []
    const coming = yield* Effect.forkChild(
      changes.pipe(
        Stream.flatMap((event) => Stream.fromIterable(wanted(event))),
        Stream.runHead
      ),
      { startImmediately: true }
    )
    // What happened before anyone watched is in the list.
    const now = yield* Effect.option(transfer.find(id))
    if (Option.isSome(now) && test(now.value)) return now.value
    return Option.getOrThrow(yield* Fiber.join(coming))
  })
  return {
    received,
    sources,
    transfer,
    connection: Context.get(context, Connection),
    address: `127.0.0.1:${Context.get(context, Transport).port}`,
    until,
    over: (id: TransferId) => until(id, (view) => isOver(view.state)),
    stop: Scope.close(scope, Exit.void)
  }
})

describe("a transfer over TLS", () => {
  quietly("brings 100 MiB and a tree, both ways at once", () =>
    Effect.gen(function* () {
      const alice = yield* start("alice")
      const bob = yield* start("bob")
      const bobId = yield* alice.connection.add(bob.address)
      fs.writeFileSync(path.join(alice.sources, "large"), noise(1, 100 * mebi))
      for (let i = 0; i < 500; i++) {
        fs.mkdirSync(path.join(bob.sources, `d${i % 10}`), { recursive: true })
        fs.writeFileSync(path.join(bob.sources, `d${i % 10}`, `f${i}`), noise(i, i * 50))
      }
      const [large] = yield* alice.transfer.send([path.join(alice.sources, "large")], [bobId])
      const [aliceId] = yield* bob.connection.connected
      assert(large !== undefined && aliceId !== undefined)
      const tops = fs.readdirSync(bob.sources).map((name) => path.join(bob.sources, name))
      const [tree] = yield* bob.transfer.send(tops, [aliceId])
      assert(tree !== undefined)
      const ends = yield* Effect.all(
        [bob.over(large.id), alice.over(large.id), alice.over(tree.id), bob.over(tree.id)],
        {
          concurrency: "unbounded"
        }
      )
      for (const view of ends) assert.deepStrictEqual([view.state, view.error], ["done", null])
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
      assert.deepStrictEqual(treeOf(alice.received), treeOf(bob.sources))
    })
  )

  quietly("publishes nothing and shows it where the sender goes away for good", () =>
    Effect.gen(function* () {
      const alice = yield* start("alice")
      const bob = yield* start("bob")
      const bobId = yield* alice.connection.add(bob.address)
      fs.writeFileSync(path.join(alice.sources, "large"), noise(1, 150 * mebi))
      const [large] = yield* alice.transfer.send([path.join(alice.sources, "large")], [bobId])
      assert(large !== undefined)
      yield* bob.until(large.id, (view) => view.bytes > 4 * mebi)
      yield* alice.stop
      const here = yield* bob.until(large.id, (view) => view.state !== "running" && view.state !== "stalled")
      assert.strictEqual(here.state, "waiting")
      assert.deepStrictEqual(fs.readdirSync(bob.received), [".kith"])
      yield* bob.transfer.cancel(large.id)
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )
})

/**
 * What takes the better part of a minute, all at the same time: nodes that stand still for 20 seconds, as a laptop's lid
 * does it, and a disk that is full until someone makes room. The transfer goes on by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import {
  arrives,
  connected,
  makeNode,
  mebi,
  type Node,
  plant,
  sendBack,
  sendTo,
  shows,
  until,
  visible
} from "./CrashNode.ts"
import { fill, mayMount, ownDisk, seenBy, sizeOfStaged } from "./Disks.ts"

if (!mayMount) console.log("namespaces are not allowed here: a disk that is full for a while is not tested")

const sessions = (node: Node) => node.logged().split("A session began.").length - 1

const stopping = { receiver: ["bob"], sender: ["alice"], both: ["alice", "bob"] } as const

describe("SIGSTOP for 20 seconds", { concurrent: true }, () => {
  for (const who of ["receiver", "sender", "both"] as const) {
    it.live(`of the ${who}: one new session, and the rest arrives`, () =>
      Effect.gen(function* () {
        const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
        const to = yield* bob.start()
        const from = yield* alice.start({ peer: bob.port })
        // More than waits in sockets on its way.
        const tree = plant(alice.root, 30 * mebi)
        yield* connected(alice)
        yield* bob.caps(mebi)
        yield* sendTo(alice, tree)
        yield* shows(bob, ({ bytes }) => bytes > mebi)
        const stopped = stopping[who].map((name) => (name === "bob" ? to : from).child)
        const before = [sessions(alice), sessions(bob)]
        for (const child of stopped) child.kill("SIGSTOP")
        // Whoever is awake misses it before the 20 seconds are over.
        const missed =
          who === "both"
            ? Effect.void
            : shows(
                who === "receiver" ? alice : bob,
                ({ state }) => state === "waiting",
                who === "receiver" ? "send" : "receive"
              )
        yield* Effect.all([missed, Effect.promise(() => delay(20_000))], { concurrency: 2 })
        for (const child of stopped) child.kill("SIGCONT")
        yield* bob.caps(null)
        yield* arrives(alice, bob, tree)
        assert.deepStrictEqual(
          [sessions(alice), sessions(bob)],
          before.map((count) => count + 1)
        )
      })
    )
  }
})

describe.skipIf(!mayMount)("a disk that fills up", { concurrent: true }, () => {
  it.live("holds the transfer up, and it goes on by itself once there is room", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* makeNode("alice"), yield* makeNode("bob")]
      fs.mkdirSync(bob.received)
      const to = yield* bob.start({ under: ownDisk(bob.received, 10) })
      yield* alice.start({ peer: bob.port })
      yield* connected(alice)
      const received = seenBy(to.child, bob.received)
      yield* bob.caps(mebi)
      const tree = plant(alice.root)
      yield* sendTo(alice, tree)
      yield* until(
        Effect.sync(() => sizeOfStaged(received)),
        (size) => size !== false && size > mebi
      )
      // Somebody else takes what is left.
      const ballast = join(received, "ballast")
      fill(ballast)
      const held = yield* shows(bob, ({ state }) => state === "paused")
      assert.match(held.error ?? "", /ENOSPC.*free some space/)
      yield* sendBack(alice, bob)
      assert.deepStrictEqual(visible(received), ["ballast"])
      fs.rmSync(ballast)
      yield* bob.caps(null)
      yield* shows(bob, ({ state }) => state !== "paused")
      yield* arrives(alice, bob, tree, received)
    })
  )
})

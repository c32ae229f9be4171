/**
 * One identity on two real nodes at once, as after a disk was copied, and a friend of it, all three found by real
 * announcements: both are told, and the friend has one session, with the newest. That nothing changes hands for minutes
 * afterwards is tested in simulated time (test/actors/Clones.test.ts).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { copyFileSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { freeUdpPort, type Node, startNode, temporaryDirectory, until } from "./Target.ts"

/** Asked of what is open, not of events: a node may hear its clone before it is up. */
const isTold = (node: Node) =>
  Effect.map(node.alarms.list, (open) =>
    open.some(({ kind, peer }) => kind === "clonedIdentity" && peer === node.id)
  ).pipe(Effect.repeat({ until: (told) => told, schedule: Schedule.spaced("10 millis") }), Effect.timeout("20 seconds"))

/** How often the friend had a new session. */
const sessions = (friend: Node) => friend.lines.filter((line) => line.includes("A session began")).length

describe("two live nodes with one identity", () => {
  it.live("are both told, and a friend of theirs has one session, that does not change hands again and again", () =>
    Effect.gen(function* () {
      const discovery = { discovery: true, discoveryPort: yield* freeUdpPort }
      const friend = yield* startNode({ ...discovery, name: "friend" })
      const alice = yield* startNode({ ...discovery, name: "alice" })
      yield* until("the friend and alice", () => sessions(friend) > 0)
      const dataDir = join(yield* temporaryDirectory, "data")
      mkdirSync(dataDir, { mode: 0o700 })
      copyFileSync(join(alice.dataDir, "identity.pem"), join(dataDir, "identity.pem"))
      const clone = yield* startNode({ ...discovery, name: "clone", dataDir })
      assert.strictEqual(clone.id, alice.id)
      assert.notStrictEqual(clone.instance, alice.instance)

      yield* isTold(alice)
      yield* isTold(clone)
      yield* until("the friend is with the clone", () =>
        friend.lines.some((line) => line.includes("A session began") && line.includes("name=clone"))
      )
      assert.deepStrictEqual(yield* friend.connection.connected, [alice.id])
      assert.isAtMost(sessions(friend), 6)
      // It can be talked to, whichever of the two it is.
      const { id } = yield* friend.chat.say("which one?", alice.id)
      assert.strictEqual((yield* friend.chat.settled(id, "5 seconds")).state, "delivered")
    }).pipe(Effect.scoped)
  )
})

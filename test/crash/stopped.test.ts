/** A node that stands still for 20 seconds, as a laptop's lid does it: it is found again once, and the transfer goes on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setTimeout as delay } from "node:timers/promises"
import { arrives, connected, makeNode, mebi, type Node, plant, sendTo, shows } from "./CrashNode.ts"

const sessions = (node: Node) => node.logged().split("A session began.").length - 1

describe("SIGSTOP for 20 seconds", () => {
  for (const who of ["receiver", "sender"] as const) {
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
        const [stopped, other] = who === "receiver" ? [to, alice] : [from, bob]
        stopped.child.kill("SIGSTOP")
        // It is missed before the 20 seconds are over.
        yield* Effect.all(
          [
            shows(other, ({ state }) => state === "waiting", who === "receiver" ? "send" : "receive"),
            Effect.promise(() => delay(20_000))
          ],
          { concurrency: 2 }
        )
        const before = [sessions(alice), sessions(bob)]
        stopped.child.kill("SIGCONT")
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

/**
 * Blocking a key while its bytes are on their way, between real nodes over real TLS: transfers in both directions end at
 * once on both sides, nothing more is written, and from then on its links of either kind are closed unheard.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { PeerId } from "../../src/schema/PeerId.ts"
import { connect, Mallory } from "./Attacker.ts"
import { persona, randomId } from "./Forge.ts"
import { attack, filesOf, type Node, startNode, until } from "./Target.ts"

/** Large enough to be under way for as long as the test takes: each side is told to go slowly. */
const bytes = 256 * 1024 * 1024
const slow = { sendCap: 8 * 1024 * 1024, receiveCap: 8 * 1024 * 1024, accept: "everyone" } as const

const newest = (node: Node, id: string) =>
  node.events
    .flatMap((event) => (event._tag === "TransferChanged" && event.transfer.id === id ? [event.transfer] : []))
    .at(-1)

const running = (node: Node, id: string) =>
  until("bytes on their way", () => newest(node, id)?.state === "running" && (newest(node, id)?.bytes ?? 0) > 0)

/** A file of the first on its way to the second; its id. */
const sending = Effect.fnUntraced(function* (from: Node, to: Node) {
  const file = join(from.home, `large of ${from.id.slice(0, 8)}`)
  writeFileSync(file, "")
  truncateSync(file, bytes)
  const [transfer] = yield* from.transfer.send([file], [to.id])
  const id = transfer?.id ?? assert.fail("nothing was sent")
  yield* running(to, id)
  yield* running(from, id)
  return id
})

describe("a key that is blocked", () => {
  it.live("ends what comes from it and what goes to it, at once and on both sides, and leaves nothing", () =>
    Effect.gen(function* () {
      const alice = yield* startNode({ ...slow, name: "alice" })
      const bob = yield* startNode({ ...slow, name: "bob" })
      yield* alice.connection.add(bob.address)
      const before = filesOf(alice)
      const incoming = yield* sending(bob, alice)
      const outgoing = yield* sending(alice, bob)
      // Who is no side of a transfer cannot attach to it, whatever it knows of it.
      for (const transfer of [incoming, outgoing]) {
        const third = yield* attack(() => connect(alice.port, { who: persona(), alpn: ["kith-data/1"] }))
        yield* attack(() => third.say({ _tag: "Attach", transfer, lane: 0, attempt: 1000 }))
        assert.isFalse((yield* attack(() => third.next("AttachReply")))["accepted"])
        third.end()
      }
      yield* alice.trust.block(bob.id)
      // No waiting: it was over when `block` returned.
      assert.deepStrictEqual(
        [incoming, outgoing].map((id) => newest(alice, id)?.state),
        ["cancelled", "cancelled"]
      )
      assert.deepStrictEqual(yield* alice.connection.connected, [])
      const received = filesOf(alice)
      assert.deepStrictEqual(
        received.filter((path) => path.startsWith("received/")),
        []
      )
      assert.strictEqual(received.length, before.length + 1, "her own source alone is new")
      for (const id of [incoming, outgoing]) {
        yield* until("his side of it is over too", () => newest(bob, id)?.state === "cancelled")
      }
      assert.deepStrictEqual(
        filesOf(bob).filter((path) => path.startsWith("received/")),
        []
      )
    }).pipe(Effect.scoped)
  )

  it.live("has its data links closed before they are heard, while another's may still speak", () =>
    Effect.gen(function* () {
      const node = yield* startNode({ accept: "everyone" })
      const mallory = yield* attack(() => Mallory.meet(node.port))
      const id = PeerId.make(mallory.who.id)
      yield* node.trust.block(id)
      assert.strictEqual(yield* attack(() => mallory.control.farewell()), "blocked")
      // The other is silent as well, and has 5 s for its first word: it outlives the blocked one, which came later.
      const other = yield* attack(() => connect(node.port, { who: persona(), alpn: ["kith-data/1"] }))
      const blocked = yield* attack(() => connect(node.port, { who: mallory.who, alpn: ["kith-data/1"] }))
      yield* attack(() => blocked.closed)
      assert.deepStrictEqual(blocked.heard, [])
      const transfer = randomId()
      yield* attack(() => other.say({ _tag: "Attach", transfer, lane: 0, attempt: 1 }))
      assert.isFalse((yield* attack(() => other.next("AttachReply")))["accepted"])
      const control = yield* attack(() => connect(node.port, { who: mallory.who }))
      assert.strictEqual(yield* attack(() => control.farewell()), "blocked")
      other.end()
      mallory.end()
    }).pipe(Effect.scoped)
  )
})

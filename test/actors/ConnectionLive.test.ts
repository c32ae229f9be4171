/** The same front door over real sockets and TLS, in real time: what a simulation could get wrong. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import { tcp, format } from "../../src/schema/Address.ts"
import { encode } from "../../src/schema/Frame.ts"
import { someId } from "../Some.ts"
import { startNode } from "../services/TlsNode.ts"
import { changes, hello, meet, puppet, startLive } from "./Nodes.ts"

describe("over TLS", () => {
  it.live("both at the same moment ends in one session on both sides", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 5; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const [alice, bob] = [yield* startLive("alice"), yield* startLive("bob")]
            const [ofAlice, ofBob] = [yield* changes(alice), yield* changes(bob)]
            yield* meet(alice, bob)
            const adding = yield* Effect.forkChild(bob.connection.add(format(alice.address)))
            assert.deepStrictEqual([yield* ofAlice, yield* ofBob], [`up ${bob.id}`, `up ${alice.id}`])
            assert.strictEqual(yield* Fiber.join(adding), alice.id)
            assert.deepStrictEqual(yield* alice.shown, ["bob connected"])
            // Stopping is told to the other side, within the time a node may take.
            const began = performance.now()
            yield* alice.stop
            assert.isBelow(performance.now() - began, 1500)
            assert.strictEqual(yield* ofBob, `down ${alice.id} shutdown`)
            assert.deepStrictEqual(yield* alice.held, { actors: 0, links: 0 })
          })
        )
      }
    })
  )

  it.live("thirty peers that dial at the same moment are listed once each", () =>
    Effect.gen(function* () {
      const hub = yield* startLive("hub")
      const peers = yield* Effect.forEach(Array.from({ length: 30 }), (_, n) => startLive(`peer${n}`))
      const change = yield* changes(hub)
      yield* Effect.forEach(peers, (peer) => peer.connection.suggest(hub.id, hub.address), { discard: true })
      const up = new Set<string>()
      for (const _ of peers) up.add(yield* change)
      assert.deepStrictEqual(up, new Set(peers.map((peer) => `up ${peer.id}`)))
      assert.strictEqual((yield* hub.registry.list).length, 30)
    })
  )

  it.live("a Goodbye is heard even by a node that is writing when the link ends", () =>
    Effect.gen(function* () {
      const alice = yield* startLive("alice")
      const mallory = yield* startNode()
      for (let round = 0; round < 5; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const change = yield* changes(alice)
            const link = yield* mallory.transport.dial(alice.address, { protocol: "kith/1" })
            const other = puppet(link)
            const instance = alice.instance
            yield* other.say(hello({ id: mallory.id, instance }))
            yield* other.next
            assert.strictEqual(yield* change, `up ${mallory.id}`)
            const chatter = yield* alice.connection
              .send(mallory.id, { _tag: "Profile", name: "alice" })
              .pipe(Effect.andThen(Effect.yieldNow), Effect.forever, Effect.flip, Effect.forkChild)
            yield* link.write(encode({ _tag: "Goodbye", reason: "holiday" }))
            yield* link.close
            assert.strictEqual(yield* change, `down ${mallory.id} holiday`)
            assert.deepInclude(yield* Fiber.join(chatter), { _tag: "NotConnected" })
          })
        )
      }
    })
  )

  it.live("a wrong Hello, and a link that says nothing of the kind, end alone", () =>
    Effect.gen(function* () {
      const alice = yield* startLive("alice")
      const mallory = yield* startNode()
      const dial = Effect.map(mallory.transport.dial(alice.address, { protocol: "kith/1" }), puppet)
      const wrong = yield* dial
      yield* wrong.say(hello({ id: someId(1), instance: alice.instance }))
      assert.deepInclude(yield* wrong.next, { _tag: "Goodbye", reason: "idMismatch" })
      const garbage = yield* dial
      yield* garbage.link.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"))
      assert.deepInclude(yield* garbage.next, { _tag: "Goodbye", reason: "protocol" })
      const bob = yield* startLive("bob")
      assert.strictEqual(yield* bob.connection.add(format(alice.address)), alice.id)
      assert.deepStrictEqual(yield* alice.shown, ["bob connected"])
    })
  )

  it.live("a data link reaches the peer, and errors of a dial by hand are told at once", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* startLive("alice"), yield* startLive("bob")]
      const links = yield* Queue.bounded<string>(1)
      yield* bob.transport.accept("kith-data/1", (link) => Queue.offer(links, link.peer))
      const refused = yield* Effect.flip(alice.connection.add(format(tcp("127.0.0.1", 1))))
      assert.deepInclude(refused, { _tag: "DialError", problem: "refused" })
      const self = yield* Effect.flip(alice.connection.add(format(alice.address)))
      assert.deepInclude(self, { _tag: "DialError", problem: "self" })
      yield* alice.connection.add(format(bob.address))
      const taken = Effect.scoped(Effect.andThen(alice.connection.openDataLink(bob.id), Queue.take(links)))
      assert.strictEqual(yield* taken, alice.id)
    })
  )
})

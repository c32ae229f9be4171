/** What a test can do to machines while whole nodes run on them: standing still, new addresses, one-way paths, restarts. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Chat } from "../../src/services/Chat.ts"
import { Connection } from "../../src/services/Connection.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import * as Simulation from "../../src/testing/Simulation.ts"

type Peer = SimulatedPeer.SimulatedPeer

/** In a world of its own: time passes by itself. */
const simulated = <E>(
  name: string,
  test: (network: SimulatedNetwork.SimulatedNetwork, alice: Peer, bob: Peer) => Effect.Effect<void, E>
) =>
  it(name, () => {
    const program = Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 11 })
      const alice = yield* SimulatedPeer.start(network, "alice")
      const bob = yield* SimulatedPeer.start(network, "bob")
      yield* alice.meets(bob)
      yield* bob.meets(alice)
      yield* test(network, alice, bob)
    })
    const exit = Simulation.runExit(Effect.scoped(program))
    if (Exit.isFailure(exit)) throw exit.cause.reasons[0]
  })

const connected = (peer: Peer) => Effect.map(peer.run(Connection.use((one) => one.connected)), (ids) => ids.length)

const heard = (peer: Peer) =>
  Effect.map(peer.run(Chat.use((chat) => chat.history({ limit: 10 }))), (all) => all.map(({ text }) => text))

describe("verbs", () => {
  simulated("a peer that is frozen for a moment misses nothing", (_, alice, bob) =>
    Effect.gen(function* () {
      bob.freeze()
      yield* alice.run(Chat.use((chat) => chat.say("are you there?", bob.id)))
      yield* Effect.sleep("8 seconds")
      assert.strictEqual(yield* connected(alice), 1)
      bob.thaw()
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(yield* heard(bob), ["are you there?"])
    })
  )

  simulated("one that is frozen for longer is given up, and found again", (_, alice, bob) =>
    Effect.gen(function* () {
      bob.freeze()
      yield* Effect.sleep("16 seconds")
      assert.strictEqual(yield* connected(alice), 0)
      bob.thaw()
      yield* alice.meets(bob)
    })
  )

  simulated("a peer with a new address is found there", (network, alice, bob) =>
    Effect.gen(function* () {
      const before = bob.host.addresses()
      network.renumber("bob", "lan")
      const after = bob.host.addresses()
      assert.strictEqual(after.filter((each) => before.includes(each)).length, 0)
      yield* Effect.sleep("16 seconds")
      yield* alice.meets(bob)
    })
  )

  simulated("a path that works one way only is no session, until it is healed", (network, alice, bob) =>
    Effect.gen(function* () {
      network.oneWay(["alice"], ["bob"])
      yield* Effect.sleep("40 seconds")
      assert.deepStrictEqual([yield* connected(alice), yield* connected(bob)], [0, 0])
      network.heal()
      yield* Effect.all([alice.meets(bob), bob.meets(alice)])
    })
  )

  simulated("a restart and an unplugged card leave nothing open", (network, alice, bob) =>
    Effect.gen(function* () {
      yield* Effect.orDie(bob.restart)
      yield* alice.meets(bob)
      network.unplug("bob", "lan")
      yield* Effect.sleep("30 seconds")
      assert.strictEqual(yield* connected(alice), 0)
      network.plug("bob", "lan")
      yield* alice.meets(bob)
      yield* Effect.all([alice.stop, bob.stop])
      assert.deepStrictEqual(network.open(), { links: 0, listeners: 0, sockets: 0 })
    })
  )
})

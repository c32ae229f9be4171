/** What is said to a node that has just been started, and takes its time. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Connection } from "../../src/services/Connection.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { Trust } from "../../src/services/Trust.ts"
import * as Simulation from "../../src/testing/Simulation.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"

describe("a node that reads a slow disk at its start", () => {
  it.effect("begins no session before everyone who hears frames of it is there", () =>
    Simulation.run(
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make({ seed: 1 })
        const alice = yield* SimulatedPeer.start(network, "alice", { accept: "everyone" })
        const bob = yield* SimulatedPeer.start(network, "bob", { accept: "everyone" })
        yield* alice.meets(bob)
        bob.disk.write("/src/large", new Uint8Array(5_000_000))
        network.conditions({ bandwidth: 500_000 })
        // What bob finds on his disk at his next start.
        for (let sent = 0; sent < 5; sent++) {
          yield* bob.run(Transfer.use((transfer) => transfer.send(["/src/large"], [alice.id])))
        }
        yield* Effect.sleep("1 second")
        yield* bob.stop
        bob.slowDisk(100)
        const starting = yield* Effect.forkChild(bob.start, { startImmediately: true })
        const dialling = alice.run(Connection.use((connection) => connection.add("bob:9090")))
        yield* Effect.retry(dialling, { times: 100 })
        assert.isDefined(starting.pollUnsafe(), "bob has a session and is not ready for it")
        yield* Fiber.join(starting)
        const begun = yield* alice
          .run(Trust.use((trust) => trust.verify(bob.id)))
          .pipe(Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.die("bob did not hear it") }))
        assert.lengthOf(begun.words, 4)
      }).pipe(Effect.scoped)
    )
  )
})

/** Two simulated nodes that met, of which the second takes everything: for tests of transfers in simulated time. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Connection } from "../../src/services/Connection.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"

export type Peer = SimulatedPeer.SimulatedPeer

export const start = Effect.gen(function* () {
  const network = yield* SimulatedNetwork.make({ seed: 11, bandwidth: 1_000_000 })
  const alice = yield* SimulatedPeer.start(network, "alice", { discovery: false })
  const bob = yield* SimulatedPeer.start(network, "bob", { discovery: false, accept: "everyone" })
  yield* elapse(alice.run(Connection.use(({ add }) => add("bob:9090"))))
  return { alice, bob, network }
})

/** The one transfer that a node knows of. */
export const only = (peer: Peer) =>
  Effect.map(peer.run(Transfer.use((transfer) => transfer.list)), ([view]) => view ?? assert.fail("there is none"))

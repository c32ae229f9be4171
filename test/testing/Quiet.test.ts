/**
 * What nodes cost that are connected and have nothing to say, here and on a real machine: counted, not timed, so that it
 * is the same wherever this runs. The speed of a simulation follows from these counts (`npm run simulate -- --speed`).
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import * as Simulation from "../../src/testing/Simulation.ts"

const nodes = 6
const pairs = (nodes * (nodes - 1)) / 2

/** What they do in a simulated minute, once they have met. */
const minute = Effect.gen(function* () {
  const network = yield* SimulatedNetwork.make({ seed: 1 })
  for (let node = 0; node < nodes; node++) yield* SimulatedPeer.start(network, `n${node}`)
  yield* Effect.sleep("30 seconds")
  const { toll } = yield* Simulation.Alive
  const before = toll()
  const since = network.timeline.now()
  yield* Effect.sleep("1 minute")
  const after = toll()
  const happened = network.history().filter(({ at }) => at > since)
  return {
    frames: happened.filter(({ kind }) => kind === "data").length,
    datagrams: happened.filter(({ kind }) => kind === "datagram").length,
    turns: after.turns - before.turns,
    fibers: after.fibers - before.fibers
  }
})

it("quiet nodes ask each other in turn, start no fiber, and are not woken by what they have heard before", () => {
  const quiet = Effect.provideService(Effect.scoped(minute), References.MinimumLogLevel, "None")
  const counts = Exit.getSuccess(Simulation.runExit(quiet))
  assert(counts._tag === "Some")
  const { datagrams, fibers, frames, turns } = counts.value
  // A Ping and a Pong in five seconds for each pair.
  assert.isAtMost(frames, pairs * 24)
  assert.strictEqual(fibers, 0)
  // An announcement comes by three ways to each node and its own, every 3.75 to 5 s.
  assert.isAbove(datagrams, nodes * 12 * 3 * nodes)
  // One for each frame that is written, and a few a second for each node's own rhythm: none for what is heard.
  assert.isAtMost(turns, frames + nodes * 60 * 4)
})

/**
 * What makes a node reach out by itself: peers that discovery hears are suggested to Connection, peers that the
 * settings name are dialled until they answer. Both fibers end with the layer, before what they stand on: the order
 * of starting and of stopping is the layers' (app.ts).
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { limits, NodeConfig } from "../config.ts"
import { type Address, format } from "../schema/Address.ts"
import { Connection } from "../services/Connection.ts"
import { Discovery } from "../services/Discovery.ts"

const patience = Schedule.min([Schedule.exponential(limits.redialFirst), Schedule.spaced(limits.redialMax)]).pipe(
  Schedule.jittered
)

/** Until it answers once; from then on its actor keeps it. */
const keepDialling = Effect.fn("Supervisor.keepDialling")(
  function* (address: Address) {
    const { add } = yield* Connection
    const id = yield* add(format(address)).pipe(
      Effect.tapError((error) => Effect.logInfo(`A peer of the settings is not there yet: ${error.message}.`)),
      Effect.retry(patience)
    )
    yield* Effect.logDebug("A peer of the settings is there.").pipe(Effect.annotateLogs({ peer: id }))
  },
  (effect, address) => Effect.annotateLogs(effect, { address: format(address) })
)

export const layer: Layer.Layer<never, never, Connection | Discovery | NodeConfig> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { suggest } = yield* Connection
    const { sightings } = yield* Discovery
    const { peers } = yield* NodeConfig
    yield* sightings.pipe(
      // A goodbye can be forged by anyone: the link says when a peer is gone.
      Stream.filter((sighting) => sighting.kind === "here"),
      Stream.runForEach((sighting) => suggest(sighting.id, sighting.address)),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* Effect.forEach(peers, (address) => Effect.forkScoped(keepDialling(address)), { discard: true })
  })
)

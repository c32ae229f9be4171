/**
 * What lets a node meet others, once all the rest of it is there: sessions may begin, and it reaches out by itself. Peers
 * that discovery hears are suggested to Connection, and so are those that are remembered, where they were last; peers
 * that the settings name are dialled until they answer. Its fibers end with the layer, before what they stand on: the
 * order of starting and of stopping is the layers' (app.ts).
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import { limits, NodeConfig } from "../config.ts"
import { type Address, format } from "../schema/Address.ts"
import { Connection } from "../services/Connection.ts"
import { Discovery, type Sighting } from "../services/Discovery.ts"
import * as Metrics from "../services/Metrics.ts"
import { OffenceLog } from "../services/peers/OffenceLog.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Hearsay } from "./peers/Hearsay.ts"

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

/** Peers of earlier runs, which need not announce themselves: those that were dialled then, and verified ones. */
const recall = Effect.fn("Supervisor.recall")(function* () {
  const { suggest } = yield* Connection
  const registry = yield* PeerRegistry
  for (const { id } of yield* registry.list) {
    const peer = Option.getOrUndefined(yield* registry.get(id))
    if (peer === undefined || !(peer.wanted || peer.trust === "verified")) continue
    // Its actor knows the other addresses from the registry.
    const [address] = peer.addresses
    if (address !== undefined) yield* suggest(id, address)
    // There may be thousands; the node has other things to do at its start.
    yield* Effect.yieldNow
  }
})

/** Suggests who was heard, unless too many new ones are; one line in a minute says so. */
const makeFollow = (clock: Clock.Clock, suggest: Connection["Service"]["suggest"]) => {
  const hearsay = new Hearsay()
  const offences = new OffenceLog({ every: Duration.minutes(1), addressesMax: 1 })
  const leaveOut = Effect.fnUntraced(function* (address: Address, now: bigint) {
    yield* Metrics.count(Metrics.newcomersLeftOut, {})
    const suppressed = offences.note("all", now)
    if (suppressed === undefined) return
    yield* Effect.logInfo("More new nodes announce themselves than are dialled").pipe(
      Effect.annotateLogs({ address: address.host, suppressed })
    )
  })
  return ({ address, id }: Sighting): Effect.Effect<void> => {
    const now = clock.monotonicTimeNanosUnsafe()
    return hearsay.isFollowed(id, address, Number(now / 1_000_000n)) ? suggest(id, address) : leaveOut(address, now)
  }
}

export const layer: Layer.Layer<never, never, Connection | Discovery | PeerRegistry | NodeConfig> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { open, suggest } = yield* Connection
    const { watch } = yield* Discovery
    const { peers } = yield* NodeConfig
    yield* open
    const follow = makeFollow(yield* Clock.Clock, suggest)
    const suggestions = yield* Effect.acquireRelease(
      Queue.sliding<Effect.Effect<void>>(limits.discoveredMax),
      Queue.shutdown
    )
    yield* Queue.take(suggestions).pipe(Effect.flatten, Effect.forever, Effect.forkScoped)
    yield* watch((sighting) => {
      // A goodbye can be forged by anyone: the link says when a peer is gone.
      if (sighting.kind === "goodbye") return
      const suggestion = follow(sighting)
      // Most are of peers that are connected, and so are done with.
      if (!Exit.isExit(suggestion)) Queue.offerUnsafe(suggestions, suggestion)
    })
    yield* Effect.forkScoped(recall())
    yield* Effect.forEach(peers, (address) => Effect.forkScoped(keepDialling(address)), { discard: true })
  })
)

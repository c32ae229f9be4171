/**
 * What the log says of inbound links that did not become sessions: one line for a network in a minute, with the number
 * of those left out. Whoever sends bad Hellos can make a new key for each.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { SessionError } from "../../services/Connection.ts"
import * as Metrics from "../../services/Metrics.ts"
import { networkOf } from "../../services/transport/NetworkOf.ts"
import { OffenceLog } from "../../services/peers/OffenceLog.ts"
import type { Link } from "../../services/Transport.ts"

export const makeInboundReport = () => {
  const offences = new OffenceLog({ every: Duration.minutes(1), addressesMax: 256 })
  return Effect.fnUntraced(function* (link: Link, error: SessionError) {
    yield* Metrics.count(Metrics.helloFailures, { reason: Metrics.goodbyeReason(error.reason) })
    // One that hangs up first has changed its mind: its own dial, or ours, was quicker.
    if (error.reason === "closed") return yield* Effect.logDebug("An inbound link ended before its Hello.")
    const suppressed = offences.note(networkOf(link.remote.host), yield* Clock.monotonicTimeNanos)
    if (suppressed === undefined) return
    yield* Effect.logWarning("An inbound link did not become a session.").pipe(
      Effect.annotateLogs({ reason: error.reason, detail: error.detail, suppressed })
    )
  })
}

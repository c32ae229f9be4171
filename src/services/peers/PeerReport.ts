/**
 * Log lines that others can cause as often as they like. Each is still written where its decision is made, but through
 * here: so many a minute for one offender, then one with the number of those left out; and beyond so many offenders,
 * which cost a stranger no more than a key each, nothing but the number.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { OffenceLog } from "./OffenceLog.ts"

/** Writes the line unless this offender has had its lines; `suppressed` says how many were left out before it. */
export type PeerReport = (offender: string, line: Effect.Effect<void>) => Effect.Effect<void>

/** Offenders that have lines in one minute. */
const offendersMax = 64

/** `atOnce`: lines for one offender before any is left out. What is no offence, but business as usual, has some. */
export const makePeerReport = (options: { readonly atOnce: number }): PeerReport => {
  const offences = new OffenceLog({ every: Duration.minutes(1), addressesMax: offendersMax, atOnce: options.atOnce })
  return Effect.fnUntraced(function* (offender, line) {
    const suppressed = offences.note(offender, yield* Clock.monotonicTimeNanos)
    if (suppressed === undefined) return
    yield* suppressed === 0 ? line : Effect.annotateLogs(line, { suppressed })
  })
}

/** Sessions that begin and end, offers that come and go: with more than these a minute nobody reads them one by one. */
export const businessAtOnce = 16

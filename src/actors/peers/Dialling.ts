/** Dialling one peer at several addresses. Owns nothing: the link belongs to the scope of whoever asks. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Address, format } from "../../schema/Address.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { DialError, type Protocol, type Transport } from "../../services/Transport.ts"

/**
 * Tries the addresses in turn, each for at most `each`; the last failure is the one that is told. `other` hears of each
 * address where another key answers.
 */
export const dialAny = Effect.fn("Dialling.dialAny")(function* (
  transport: Transport["Service"],
  addresses: ReadonlyArray<Address>,
  options: {
    readonly protocol: Protocol
    readonly expect: PeerId
    readonly each: Duration.Duration
    readonly other?: (address: Address, found: PeerId) => Effect.Effect<void>
  }
) {
  const { protocol, expect, each } = options
  let failure = new DialError({ problem: "unreachable", address: "the peer", detail: "no address of it is known" })
  for (const address of addresses) {
    const attempt = yield* transport.dial(address, { protocol, expect }).pipe(
      Effect.timeoutOrElse({
        duration: each,
        orElse: () =>
          Effect.fail(new DialError({ problem: "unreachable", address: format(address), detail: "no answer in time" }))
      }),
      Effect.result
    )
    if (attempt._tag === "Success") return { link: attempt.success, address }
    failure = attempt.failure
    if (failure.found !== undefined) yield* options.other?.(address, failure.found) ?? Effect.void
    yield* Effect.logDebug(`A dial failed: ${failure.problem}.`).pipe(
      Effect.annotateLogs({ address: format(address), detail: failure.detail })
    )
  }
  return yield* failure
})

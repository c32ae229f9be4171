/**
 * The addresses of this machine as they come and go. No system tells Node of that, so it is looked every second, by a
 * fiber that ends with the scope; one look takes some ten microseconds.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import * as os from "node:os"

const lookEvery = Duration.seconds(1)

/** Losses that nobody has read yet. */
const lostMax = 256

/** As the sockets name them: those that are of one link alone with its zone. */
const hostsOf = (interfaces: ReturnType<typeof os.networkInterfaces>): ReadonlySet<string> =>
  new Set(
    Object.entries(interfaces).flatMap(([name, addresses]) =>
      (addresses ?? []).map(({ address }) => (/^fe[89ab]/i.test(address) ? `${address}%${name}` : address))
    )
  )

/** Where the question is forbidden there is no answer, and nothing is known to be lost. */
const look = Effect.sync(() => {
  try {
    return hostsOf(os.networkInterfaces())
  } catch {
    return undefined
  }
})

/** Addresses that were there at one look and not at the next. */
export const watchLost = Effect.gen(function* () {
  const lost = yield* PubSub.sliding<string>(lostMax)
  let known = yield* look
  yield* Effect.gen(function* () {
    yield* Effect.sleep(lookEvery)
    const now = yield* look
    if (now === undefined) return
    for (const host of known ?? []) if (!now.has(host)) yield* PubSub.publish(lost, host)
    known = now
  }).pipe(Effect.forever, Effect.forkScoped)
  return Stream.fromPubSub(lost)
})

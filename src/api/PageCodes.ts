/**
 * One-time codes by which a page gets the token: issued to who holds the token already, redeemed once, within
 * `limits.pageCodeExpires`. It owns the codes that are out.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import { limits } from "../config.ts"
import { CodeRefused } from "../schema/ApiFailures.ts"

const codeBytes = 32

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

export class PageCodes extends Context.Service<
  PageCodes,
  {
    /** A new code; the oldest makes room where too many are out. */
    readonly issue: Effect.Effect<string>
    /** Takes a code out of use. */
    readonly redeem: (code: string) => Effect.Effect<void, CodeRefused>
  }
>()("kith/api/PageCodes") {
  static readonly layer: Layer.Layer<PageCodes, never, SecureRandom.SecureRandom> = Layer.effect(
    this,
    Effect.gen(function* () {
      const random = yield* SecureRandom.SecureRandom
      /** Until when, by code, the oldest first. */
      const out = new Map<string, number>()
      return PageCodes.of({
        issue: Effect.gen(function* () {
          const code = Base64Url.encode(yield* random.randomBytes(codeBytes))
          out.set(code, (yield* millis) + Duration.toMillis(limits.pageCodeExpires))
          const [oldest] = out.keys()
          if (out.size > limits.pageCodesMax && oldest !== undefined) out.delete(oldest)
          return code
        }),
        redeem: Effect.fn("PageCodes.redeem")(function* (code: string) {
          // Found by a hash table, so by time nothing is learnt of a code of 256 bits.
          const until = out.get(code)
          out.delete(code)
          if (until === undefined || until < (yield* millis)) return yield* new CodeRefused()
        })
      })
    })
  )
}

/** /healthz: says that the server is up, and with a nonce proves that it knows the token. Open to everyone. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Redacted from "effect/Redacted"
import { Api } from "../../schema/Api.ts"
import { Loopback } from "../Loopback.ts"
import { prove } from "../Proof.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "health",
  Effect.fn(function* (handlers) {
    const { token, url } = yield* Loopback
    return handlers.handle("health", ({ query: { nonce } }) =>
      Effect.succeed({
        status: "ok" as const,
        ...(nonce !== undefined && { proof: prove(Redacted.value(token), nonce, url) })
      })
    )
  })
)

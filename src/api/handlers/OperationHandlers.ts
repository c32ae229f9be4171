/** What runs a node: its measures, its check-up, and the links to the page. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Redacted from "effect/Redacted"
import { Api } from "../../schema/Api.ts"
import * as Checkup from "../Checkup.ts"
import { Loopback } from "../Loopback.ts"
import { Measures } from "../Measures.ts"
import { PageCodes } from "../PageCodes.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "operations",
  Effect.fn(function* (handlers) {
    const measures = yield* Measures
    const codes = yield* PageCodes
    const { findings } = yield* Checkup.ofNode
    const { token, url } = yield* Loopback
    return handlers
      .handle("metrics", () => measures.text)
      .handle("doctor", () => findings)
      .handle("code", () => Effect.map(codes.issue, (code) => ({ url: `${url}/#code=${code}` })))
      .handle("open", ({ payload }) => Effect.as(codes.redeem(payload.code), { token: Redacted.value(token) }))
  })
)

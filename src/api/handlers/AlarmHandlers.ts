/** Open alarms, over their service. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Api } from "../../schema/Api.ts"
import { Alarms } from "../../services/Alarms.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "alarms",
  Effect.fn(function* (handlers) {
    const alarms = yield* Alarms
    return handlers.handle("list", () => alarms.list).handle("dismiss", ({ params }) => alarms.dismiss(params.id))
  })
)

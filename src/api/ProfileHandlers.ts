/** The profile: what a person changes while the node runs. */
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Effect from "effect/Effect"
import { Api } from "../schema/Api.ts"
import { Profile } from "../services/Profile.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "profile",
  Effect.fn(function* (handlers) {
    const profile = yield* Profile
    return handlers.handle("get", () => profile.current).handle("change", ({ payload }) => profile.change(payload))
  })
)

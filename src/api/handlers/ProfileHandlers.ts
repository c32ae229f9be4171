/** The profile: what a person changes while the node runs, and how fast transfers may go. */
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Effect from "effect/Effect"
import { Api } from "../../schema/Api.ts"
import { Profile } from "../../services/Profile.ts"
import { SpeedCaps } from "../../services/SpeedCaps.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "profile",
  Effect.fn(function* (handlers) {
    const profile = yield* Profile
    const caps = yield* SpeedCaps
    return handlers
      .handle("get", () => profile.current)
      .handle("change", ({ payload }) => profile.change(payload))
      .handle("caps", () => caps.get(null))
      .handle("setCaps", ({ payload }) => caps.set(null, payload))
      .handle("peerCaps", ({ params }) => caps.get(params.id))
      .handle("setPeerCaps", ({ params, payload }) => caps.set(params.id, payload))
  })
)

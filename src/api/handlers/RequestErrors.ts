/** Turns what the API cannot decode into `InvalidRequest`, which names the part, what was given and what is allowed. */
import * as Effect from "effect/Effect"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import { RequestErrors } from "../../schema/Api.ts"
import { InvalidRequest } from "../../schema/ApiFailures.ts"

/** Longest explanation: it quotes what was given, which may be long. */
const problemMax = 500

export const layer = HttpApiMiddleware.layerSchemaErrorTransform(RequestErrors, (error) => {
  // A response of ours that its own schema refuses is a defect, not the client's doing.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.die(error.cause)
  const problem = error.cause.message.replaceAll(/\s+/g, " ")
  return Effect.fail(new InvalidRequest({ part: error.kind.toLowerCase(), problem: problem.slice(0, problemMax) }))
})

/** Uploads of the page; who is meant is looked up in the registry. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { Api } from "../../schema/Api.ts"
import { Receivers } from "./Receivers.ts"
import { Uploads } from "../uploads/Uploads.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "uploads",
  Effect.fn(function* (handlers) {
    const uploads = yield* Uploads
    const receivers = yield* Receivers
    return handlers
      .handle("list", () => uploads.list)
      .handle("begin", ({ payload }) => uploads.begin(payload.bytes ?? null))
      .handle("get", ({ params }) => uploads.get(params.id))
      .handle("file", ({ params, payload, query: { mtime, path, size } }) =>
        uploads.file(params.id, { path, size, mtime: mtime ?? null }, payload)
      )
      .handle("directories", ({ params, payload }) => uploads.directories(params.id, payload.paths))
      .handle(
        "send",
        Effect.fnUntraced(function* ({ params, payload }) {
          return yield* uploads.send(params.id, yield* receivers(payload.to))
        })
      )
      .handle("discard", ({ params }) => uploads.discard(params.id))
  })
)

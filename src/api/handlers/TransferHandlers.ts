/** Transfers over their front door; who is meant is looked up in the registry. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { isAbsolute } from "node:path"
import { Api } from "../../schema/Api.ts"
import { pageMax } from "../../schema/ApiRequest.ts"
import { entriesShownMax } from "../../schema/ListedEntry.ts"
import { SendRefused, UnknownTransfer } from "../../schema/Failure.ts"
import { Transfer } from "../../services/Transfer.ts"
import { cursorOfTransfer, newestFirst, pageOf } from "./Paging.ts"
import { Receivers } from "./Receivers.ts"
import { Uploads } from "../uploads/Uploads.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "transfers",
  Effect.fn(function* (handlers) {
    const transfer = yield* Transfer
    const uploads = yield* Uploads
    const receivers = yield* Receivers

    return handlers
      .handle("list", () => transfer.list)
      .handle("page", ({ query: { after, limit = pageMax } }) =>
        Effect.map(transfer.list, (all) =>
          pageOf(all, { limit, after, cursorOf: cursorOfTransfer, compare: newestFirst })
        )
      )
      .handle("find", ({ query }) => transfer.find(query.query))
      .handle(
        "get",
        Effect.fnUntraced(function* ({ params: { id } }) {
          const found = yield* transfer.find(id)
          return found.id === id ? found : yield* new UnknownTransfer({ query: id, candidates: [] })
        })
      )
      .handle(
        "entries",
        Effect.fnUntraced(function* ({ params: { id }, query: { after = -1, limit = entriesShownMax } }) {
          // One more than asked for tells whether there is a next page.
          const found = yield* transfer.entries(id, { from: after + 1, limit: limit + 1 })
          const items = found.slice(0, limit)
          return { items, next: found.length > limit ? (items.at(-1)?.index ?? null) : null }
        })
      )
      .handle(
        "send",
        Effect.fnUntraced(function* ({ payload: { paths, priority, to } }) {
          const relative = paths.find((path) => !isAbsolute(path))
          if (relative !== undefined) {
            // The node's working directory is not the asker's.
            return yield* new SendRefused({ path: relative, problem: "the path must be absolute" })
          }
          return yield* transfer.send(paths, yield* receivers(to), priority === undefined ? {} : { priority })
        })
      )
      .handle("again", ({ params }) => uploads.again(params.id))
      .handle("accept", ({ params, payload }) => transfer.accept(params.id, payload))
      .handle("decline", ({ params }) => transfer.decline(params.id))
      .handle("cancel", ({ params }) => transfer.cancel(params.id))
      .handle("pause", ({ params }) => transfer.pause(params.id))
      .handle("resume", ({ params }) => transfer.resume(params.id))
      .handle("prioritise", ({ params, payload }) => transfer.prioritise(params.id, payload.priority))
  })
)

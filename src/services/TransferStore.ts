/**
 * How transfers ended, so that a restart forgets none that is shown: of each its last view, the newest
 * `limits.transfersShownMax`. Transfers that are not over are not here: their archives and stagings are what they go
 * on with.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import { limits } from "../config.ts"
import { Transfer as View } from "../schema/Offer.ts"
import { Database, type DatabaseError } from "./Database.ts"

export class TransferStore extends Context.Service<
  TransferStore,
  {
    /** Keeps this view, in place of what was kept of the transfer before. */
    readonly save: (view: View) => Effect.Effect<void, DatabaseError>
    /** Everything that is kept, in the order in which it ended. What this program cannot read is left out. */
    readonly all: Effect.Effect<ReadonlyArray<View>, DatabaseError>
  }
>()("kith/services/TransferStore") {
  static readonly layer: Layer.Layer<TransferStore, never, Database | SqlClient> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const Json = Schema.fromJsonString(View)
const encode = Schema.encodeEffect(Json)
const decode = Schema.decodeEffect(Json)
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ id: Schema.String, view: Schema.String })))

const make = Effect.gen(function* () {
  const database = yield* Database
  const sql = yield* SqlClient

  /** Those that ended longest ago make room. */
  const trim = sql`
    DELETE FROM ended WHERE place IN (SELECT place FROM ended ORDER BY place DESC LIMIT -1 OFFSET ${limits.transfersShownMax})`

  const save = Effect.fn("TransferStore.save")((view: View) =>
    database.write(
      encode({ ...view, bytesPerSecond: 0 }).pipe(
        Effect.flatMap((json) => sql`INSERT OR REPLACE INTO ended (id, view) VALUES (${view.id}, ${json})`),
        Effect.andThen(Effect.asVoid(trim))
      )
    )
  )

  const all = database.read(Effect.flatMap(sql`SELECT id, view FROM ended ORDER BY place`, decodeRows)).pipe(
    Effect.flatMap((rows) =>
      Effect.forEach(rows, ({ id, view }) =>
        Effect.matchEffect(decode(view), {
          onFailure: () =>
            Effect.as(
              Effect.logWarning("How a transfer ended cannot be read").pipe(Effect.annotateLogs("transfer", id)),
              []
            ),
          onSuccess: (read) => Effect.succeed([read])
        })
      )
    ),
    Effect.map((views) => views.flat()),
    Effect.withSpan("TransferStore.all")
  )

  return TransferStore.of({ save, all })
})

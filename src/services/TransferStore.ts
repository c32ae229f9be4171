/**
 * How transfers ended, so that a restart forgets none that is shown: of each its last view, and of a send what was
 * picked for it, the newest `limits.transfersShownMax`. Transfers that are not over are not here: their archives and stagings are what they go
 * on with.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import { limits } from "../config.ts"
import type { TransferId } from "../schema/Id.ts"
import { Transfer as View } from "../schema/Offer.ts"
import { byteLength } from "../schema/Text.ts"
import { Database, type DatabaseError } from "./Database.ts"

export class TransferStore extends Context.Service<
  TransferStore,
  {
    /**
     * Keeps this view, in place of what was kept of the transfer before; and the absolute paths that were picked for
     * it, if they are no more than `limits.pickedKeptMaxBytes`.
     */
    readonly save: (view: View, picked?: ReadonlyArray<string>) => Effect.Effect<void, DatabaseError>
    /** The absolute paths that were picked for a send that is over; undefined where they are not known. */
    readonly picked: (id: TransferId) => Effect.Effect<ReadonlyArray<string> | undefined, DatabaseError>
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
const Paths = Schema.fromJsonString(Schema.Array(Schema.String))
const encodePaths = Schema.encodeSync(Paths)
const decodePicked = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ picked: Schema.NullOr(Paths) })))
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ id: Schema.String, view: Schema.String })))

const make = Effect.gen(function* () {
  const database = yield* Database
  const sql = yield* SqlClient

  /** Those that ended longest ago make room: those that nobody answered only for each other. */
  const trim = (unanswered: number) => sql`
    DELETE FROM ended WHERE place IN (
      SELECT place FROM ended WHERE unanswered = ${unanswered}
      ORDER BY place DESC LIMIT -1 OFFSET ${unanswered === 1 ? limits.unansweredShownMax : limits.transfersShownMax}
    )`

  const save = Effect.fn("TransferStore.save")((view: View, picked: ReadonlyArray<string> = []) => {
    const unanswered = view.unanswered === true ? 1 : 0
    return database.write(
      encode({ ...view, bytesPerSecond: 0 }).pipe(
        Effect.flatMap(
          (json) => sql`
            INSERT OR REPLACE INTO ended (id, view, picked, unanswered)
            VALUES (${view.id}, ${json}, ${kept(picked)}, ${unanswered})`
        ),
        Effect.andThen(Effect.asVoid(trim(unanswered)))
      )
    )
  })

  const picked = Effect.fn("TransferStore.picked")(function* (id: TransferId) {
    const [row] = yield* database.read(Effect.flatMap(sql`SELECT picked FROM ended WHERE id = ${id}`, decodePicked))
    return row?.picked ?? undefined
  })

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

  return TransferStore.of({ save, picked, all })
})

/** As it is kept, or null where it is not. */
const kept = (picked: ReadonlyArray<string>): string | null => {
  const json = encodePaths(picked)
  return picked.length === 0 || byteLength(json) > limits.pickedKeptMaxBytes ? null : json
}

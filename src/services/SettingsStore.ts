/** Settings that a person changes while the node runs, each under its key and with a schema of its own. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import { Database, DatabaseError } from "./Database.ts"

/** What a setting is called, and what it may be. It is kept as JSON. */
export interface Setting<A> {
  readonly key: string
  readonly schema: Schema.Codec<A, Schema.Json>
}

export class SettingsStore extends Context.Service<
  SettingsStore,
  {
    /** None where it was never set. A value that the schema refuses is an error that names the setting. */
    readonly get: <A>(setting: Setting<A>) => Effect.Effect<Option.Option<A>, DatabaseError>
    readonly set: <A>(setting: Setting<A>, value: A) => Effect.Effect<void, DatabaseError>
    /** Back to what it is where nobody set it. */
    readonly unset: (setting: Pick<Setting<unknown>, "key">) => Effect.Effect<void, DatabaseError>
  }
>()("kith/services/SettingsStore") {
  static readonly layer: Layer.Layer<SettingsStore, never, Database | SqlClient> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

/** A setting as the one service sees it that owns it: nothing about it keeps a node from starting. */
export interface Kept<A> {
  readonly load: Effect.Effect<A>
  /** Returns once it is safe, or the log says that it is not: what was set stands while the node runs. */
  readonly save: (value: A) => Effect.Effect<void>
}

/** In the database; `none` is what it is where it was never set, or cannot be read. */
export const kept = <A>(setting: Setting<A>, none: A): Effect.Effect<Kept<A>, never, SettingsStore> =>
  Effect.map(SettingsStore, (store) => {
    const warn = (error: DatabaseError) =>
      Effect.logWarning(`What was set is not kept (${setting.key}): ${error.message}.`)
    return {
      load: store.get(setting).pipe(
        Effect.map(Option.getOrElse(() => none)),
        Effect.catch((error) => Effect.as(warn(error), none))
      ),
      save: (value) => Effect.catch(store.set(setting, value), warn)
    }
  })

/** Nowhere: it lasts as long as the node. */
export const keptNowhere = <A>(none: A): Kept<A> => ({ load: Effect.succeed(none), save: () => Effect.void })

const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ value: Schema.String })))

const make = Effect.gen(function* () {
  const database = yield* Database
  const sql = yield* SqlClient

  const get = Effect.fn("SettingsStore.get")(function* <A>(setting: Setting<A>) {
    const [row] = yield* database.read(
      Effect.flatMap(sql`SELECT value FROM settings WHERE key = ${setting.key}`, decodeRows)
    )
    if (row === undefined) return Option.none<A>()
    const value = yield* Schema.decodeEffect(Schema.fromJsonString(setting.schema))(row.value).pipe(
      Effect.mapError((error) => unreadable(database.path, setting.key, error))
    )
    return Option.some(value)
  })

  const set = Effect.fn("SettingsStore.set")(function* <A>(setting: Setting<A>, value: A) {
    yield* database.write(
      Effect.flatMap(
        Schema.encodeEffect(Schema.fromJsonString(setting.schema))(value),
        (json) => sql`
          INSERT INTO settings (key, value) VALUES (${setting.key}, ${json})
          ON CONFLICT (key) DO UPDATE SET value = excluded.value`
      )
    )
  })

  const unset = Effect.fn("SettingsStore.unset")((setting: Pick<Setting<unknown>, "key">) =>
    database.write(Effect.asVoid(sql`DELETE FROM settings WHERE key = ${setting.key}`))
  )

  return SettingsStore.of({ get, set, unset })
})

const unreadable = (path: string, key: string, error: Schema.SchemaError): DatabaseError =>
  new DatabaseError({
    reason: "failed",
    path,
    problem: `the setting "${key}" holds what this version cannot read (${error.message.replace(/\s+/g, " ").slice(0, 200)})`,
    remedy: "Set it again",
    cause: error
  })

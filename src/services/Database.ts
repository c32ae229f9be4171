/**
 * What a node remembers across restarts: one SQLite file in the data directory, `kith.db`. This is its door for the
 * stores beside it, and they are the doors for everyone else.
 *
 * The layer refuses a damaged, newer or foreign file and leaves it as it is; otherwise it opens it, brings its layout
 * up to date, and closes it when it ends, after what was accepted is safe. `layerMemory` is the same without a disk:
 * nothing in it waits for anything, so a simulation stays deterministic.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { limits, NodeConfig } from "../config.ts"
import { DatabaseError, fromCause, fromRow, fromSql } from "./database/DatabaseError.ts"
import * as DatabaseFile from "./database/DatabaseFile.ts"
import { makeClient } from "./database/DatabaseSqlite.ts"
import { makeWriter } from "./database/DatabaseWriter.ts"
import { migrate, type Migration, migrations, versionOf } from "./database/Migrations.ts"

export { DatabaseError }

/** Statements, and the decoding of what they answer. */
export type Query<A> = Effect.Effect<A, SqlError | Schema.SchemaError>

export class Database extends Context.Service<
  Database,
  {
    /** The file, or ":memory:". */
    readonly path: string
    /** Runs statements that only read. They see what was written before, safe or not. */
    readonly read: <A>(query: Query<A>) => Effect.Effect<A, DatabaseError>
    /**
     * Runs statements in a transaction and returns once a power failure would not undo it. The work may share its
     * transaction with that of others, and may be run twice: it must do nothing but statements, and must not `write`
     * itself. A caller that is interrupted does not learn whether its work was kept.
     */
    readonly write: <A>(work: Query<A>) => Effect.Effect<A, DatabaseError>
    /**
     * The same for work that is quicker for many callers at once: it is given what all of them ask, at most `atOnce`,
     * and answers each in its place.
     */
    readonly together: <I, A>(
      atOnce: number,
      work: (asked: ReadonlyArray<I>) => Query<ReadonlyArray<A>>
    ) => (asked: I) => Effect.Effect<A, DatabaseError>
  }
>()("kith/services/Database") {
  static readonly layer: Layer.Layer<Database | SqlClient, DatabaseError, NodeConfig> = Layer.unwrap(
    NodeConfig.use((config) => Effect.succeed(layerFile(join(config.dataDir, "kith.db"))))
  )

  static readonly layerMemory: Layer.Layer<Database | SqlClient, DatabaseError> = Layer.unwrap(
    Effect.suspend(() => Effect.map(makeMemory, (memory) => memory.layer))
  )
}

/** The database in this file; `steps` is another list only in tests. */
export const layerFile = (path: string, steps: ReadonlyArray<Migration> = migrations) =>
  Layer.effectContext(makeFile(path, steps)).pipe(Layer.provide(Reactivity.layer))

const makeFile = Effect.fnUntraced(function* (path: string, steps: ReadonlyArray<Migration>) {
  const { database, file, version } = yield* DatabaseFile.open(path, versionOf(steps))
  const sql = yield* makeClient(database)
  yield* explained(path, migrate(sql, version, steps))
  const keeper = yield* explained(path, DatabaseFile.makeKeeper(path, sql, file))
  // What was migrated is safe before anything is built on it.
  yield* keeper.sync
  const { together, write } = yield* makeWriter({
    sql,
    sync: keeper.sync,
    checkpoint: Effect.withTracerEnabled(keeper.checkpoint, false),
    closed: closed(path),
    unsafe: (error) =>
      new DatabaseError({
        reason: "unsafe",
        path,
        problem: `the disk did not keep what was written (${error.problem})`,
        remedy: "Check the disk and start the node again. Nothing is accepted until then",
        cause: error
      }),
    jobsMax: limits.commitMax,
    waitingMax: limits.commitsWaitingMax
  })
  return contextOf(sql, {
    path,
    read: (query) => explained(path, query),
    write: (work) => explained(path, write(work)),
    together: (atOnce, work) => {
      const ask = together(atOnce, work)
      return (asked) => explained(path, ask(asked))
    }
  })
})

/** A database in memory that outlives the layers over it, as a disk outlives the processes that use it. */
export interface Memory {
  readonly layer: Layer.Layer<Database | SqlClient, DatabaseError>
  /** Nothing more is read or written by the layers that are there now, as when a process is killed. */
  readonly cut: () => void
}

/** The database ends with the scope. */
export const makeMemory: Effect.Effect<Memory, DatabaseError, Scope.Scope> = Effect.gen(function* () {
  const database = yield* Effect.acquireRelease(
    Effect.try({ try: () => new DatabaseSync(inMemory), catch: (cause) => fromCause(inMemory, cause) }),
    (database) => Effect.sync(() => database.close())
  )
  let cuts = 0
  const open = Effect.gen(function* () {
    const run = cuts
    const isCut = () => run !== cuts
    const sql = yield* makeClient(database)
    yield* explained(inMemory, migrate(sql, DatabaseFile.versionIn(database), migrations))
    const guard = <A>(query: Query<A>) =>
      explained(
        inMemory,
        Effect.suspend((): Effect.Effect<A, SqlError | Schema.SchemaError | DatabaseError> =>
          isCut() ? closed(inMemory) : query
        )
      )
    const write = <A>(work: Query<A>) =>
      guard(Effect.uninterruptible(Effect.withTracerEnabled(sql.withTransaction(work), false)))
    return contextOf(sql, {
      path: inMemory,
      read: guard,
      write,
      // Each alone: nothing here waits for anything that others could come in.
      together: (_atOnce, work) => (asked) =>
        write(Effect.flatMap(work([asked]), ([answer]) => (answer === undefined ? unanswered : Effect.succeed(answer))))
    })
  })
  return {
    layer: Layer.effectContext(open).pipe(Layer.provide(Reactivity.layer)),
    cut: () => {
      cuts++
    }
  }
})

const inMemory = ":memory:"

const closed = (path: string) =>
  new DatabaseError({ reason: "closed", path, problem: "the node is stopping", remedy: "Start it again to go on" })

const unanswered = Effect.die(new Error("work for many callers answers each of them"))

const contextOf = (sql: SqlClient, database: Database["Service"]) =>
  Context.make(Database, {
    ...database,
    read: (query) => database.read(Effect.withTracerEnabled(query, false))
  }).pipe(Context.add(SqlClient, sql))

/** Whatever went wrong, as a person is told. */
const explained = <A, R>(
  path: string,
  effect: Effect.Effect<A, SqlError | Schema.SchemaError | DatabaseError, R>
): Effect.Effect<A, DatabaseError, R> =>
  Effect.mapError(effect, (error) => {
    switch (error._tag) {
      case "DatabaseError":
        return error
      case "SchemaError":
        return fromRow(path, error)
      case "SqlError":
        return fromSql(path, error)
    }
  })

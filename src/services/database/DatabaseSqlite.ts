/**
 * `SqlClient` over node:sqlite. One connection, lent to one statement or one transaction at a time; every statement
 * runs to its end before anything else does, so a long one must be paged by whoever asks it.
 *
 * It owns the prepared statements, at most `statementsMax` of them; the connection is its caller's, to open and close.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite"

/** Prepared statements kept; the one used longest ago makes room. The stores have about a hundred. */
const statementsMax = 256

/** Rows that a stream reads at a time. */
const rowsAtOnce = 128

interface Prepared {
  readonly statement: StatementSync
  /** Whether it answers with rows; asking SQLite each time would cost as much as running it. */
  readonly hasRows: boolean
}

/** A client over this connection. */
export const makeClient = Effect.fnUntraced(function* (database: DatabaseSync) {
  const prepared = new Map<string, Prepared>()

  const prepare = (sql: string): Prepared => {
    const statement = database.prepare(sql)
    return { statement, hasRows: statement.columns().length > 0 }
  }

  const recall = (sql: string): Prepared => {
    const known = prepared.get(sql)
    if (known !== undefined) {
      // The newest is last: what stands first was used longest ago.
      prepared.delete(sql)
      prepared.set(sql, known)
      return known
    }
    const made = prepare(sql)
    prepared.set(sql, made)
    if (prepared.size > statementsMax) {
      const [oldest] = prepared.keys()
      if (oldest !== undefined) prepared.delete(oldest)
    }
    return made
  }

  /** Runs a statement of `from` to its end: rows as objects, or none. */
  const rows = (from: (sql: string) => Prepared, sql: string, params: ReadonlyArray<unknown>) =>
    attempt("execute", (isBig) => {
      const { statement, hasRows } = from(sql)
      // Without rows only the last row's number is answered, which may be large, and nobody reads it.
      statement.setReadBigInts(isBig || !hasRows)
      if (hasRows) return statement.all(...params.map(bind))
      statement.run(...params.map(bind))
      return []
    })

  /** The same, rows as arrays. */
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    attempt("executeValues", (isBig): ReadonlyArray<ReadonlyArray<unknown>> => {
      // Not from the cache, whose statements answer with objects.
      const { statement, hasRows } = prepare(sql)
      statement.setReadBigInts(isBig || !hasRows)
      if (hasRows) {
        statement.setReturnArrays(true)
        return statement.all(...params.map(bind)).map((row) => (Array.isArray(row) ? row : Object.values(row)))
      }
      statement.run(...params.map(bind))
      return []
    })

  const raw = (sql: string, params: ReadonlyArray<unknown>) =>
    attempt("executeRaw", (isBig): unknown => {
      const { statement, hasRows } = recall(sql)
      statement.setReadBigInts(isBig)
      return hasRows ? statement.all(...params.map(bind)) : statement.run(...params.map(bind))
    })

  /** Rows as they are asked for. The connection is lent until the stream ends, so nothing else runs meanwhile. */
  const stream = (sql: string, params: ReadonlyArray<unknown>): Stream.Stream<Row, SqlError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        // A statement of its own: another run of a shared one would start it again.
        const iterator = yield* Effect.acquireRelease(
          attempt("executeStream", () => prepare(sql).statement.iterate(...params.map(bind))),
          (iterator) => Effect.sync(() => iterator.return?.())
        )
        // Not asked again after its end: up to Node 22 it would start from the beginning.
        let isOver = false
        const take = (): ReadonlyArray<Row> => {
          const taken: Array<Row> = []
          while (!isOver && taken.length < rowsAtOnce) {
            const next = iterator.next()
            if (next.done === true) isOver = true
            else taken.push(next.value)
          }
          return taken
        }
        const pull = Effect.flatMap(attempt("executeStream", take), ([first, ...more]) =>
          first === undefined ? Cause.done() : Effect.succeed([first, ...more] as const)
        )
        return Stream.fromPull(Effect.succeed(pull))
      })
    )

  const connection: Connection = {
    execute: (sql, params, transform) => transformed(rows(recall, sql, params), transform),
    executeUnprepared: (sql, params, transform) => transformed(rows(prepare, sql, params), transform),
    executeRaw: raw,
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params, transform) =>
      transform === undefined
        ? stream(sql, params)
        : Stream.mapArray(stream(sql, params), ([first, ...more]) => {
            const [one, ...others] = transform([first, ...more])
            return one === undefined ? [first, ...more] : [one, ...others]
          })
  }

  return yield* SqlClient.make({
    driver: "node-sqlite",
    compiler: Statement.makeCompilerSqlite(),
    spanAttributes: [["db.system.name", "sqlite"]],
    prepareTransactionControls: true,
    // Every transaction here writes. One that begins by reading could find the database changed when it writes.
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connection),
      semaphore: Semaphore.makeUnsafe(1),
      isTransaction: () => database.isTransaction
    })
  })
})

type Row = Record<string, SQLOutputValue>

const transformed = <A extends object>(
  rows: Effect.Effect<ReadonlyArray<A>, SqlError>,
  transform: (<B extends object>(rows: ReadonlyArray<B>) => ReadonlyArray<B>) | undefined
) => (transform === undefined ? rows : Effect.map(rows, transform))

/** Does what may throw, and says what SQLite's complaint was. */
const attempt = <A>(operation: string, run: (isBig: boolean) => A): Effect.Effect<A, SqlError> =>
  Effect.withFiber((fiber) => {
    try {
      return Effect.succeed(run(fiber.getRef(SqlClient.SafeIntegers)))
    } catch (cause) {
      return Effect.fail(failure(operation, cause))
    }
  })

/** node:sqlite gives SQLite's code as `errcode`, effect/sql looks for it as `errno`. */
const failure = (operation: string, cause: unknown): SqlError => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const coded =
    cause instanceof Error && "errcode" in cause
      ? Object.assign(new Error(message, { cause }), { errno: cause.errcode })
      : cause
  return new SqlError({ reason: classifySqliteError(coded, { message, operation }) })
}

/** A parameter as SQLite takes it. */
const bind = (value: unknown): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
    default:
      if (value === null) return null
      if (value instanceof Uint8Array) return value
      if (value instanceof Date) return value.getTime()
      throw new TypeError(`a ${typeof value} cannot be a parameter of a statement`)
  }
}

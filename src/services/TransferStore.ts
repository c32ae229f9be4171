/**
 * The index of transfers: what is shown of each and where its data and journal are, so that they go on after a
 * restart. Which blocks are safe stands in the journals, not here.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { limits } from "../config.ts"
import { GroupId, TransferId } from "../schema/Id.ts"
import { ConflictPolicy, isOver, Transfer, TransferState } from "../schema/Offer.ts"
import { PeerId } from "../schema/PeerId.ts"
import { Database, type DatabaseError } from "./Database.ts"
import { TextFromBytes } from "./DatabaseText.ts"

export interface StoredTransfer {
  /** As it was shown last; its speed is 0 when it is read again. */
  readonly view: Transfer
  /** Milliseconds since 1970, or null while it is not over. */
  readonly endedAt: number | null
  /** Sending: the absolute paths that were picked. */
  readonly sources: ReadonlyArray<string>
  /** Receiving: what was chosen about names that exist, once it was accepted. */
  readonly conflict: ConflictPolicy | null
  /** Receiving: the staging directory's id, and the absolute path of the folder it lies in. */
  readonly staging: string | null
  readonly root: string | null
}

export interface TransferPage {
  /** The newest first. */
  readonly transfers: ReadonlyArray<StoredTransfer>
  /** Where the next page begins, or null if there is none. */
  readonly before: number | null
}

export class TransferStore extends Context.Service<
  TransferStore,
  {
    /**
     * Keeps these transfers as they are now. An id belongs to the peer and direction it was first kept with: another
     * peer's transfer by that id is not kept. Of those that are over, the newest `limits.transfersShownMax` stay.
     */
    readonly save: (transfers: ReadonlyArray<StoredTransfer>) => Effect.Effect<void, DatabaseError>
    readonly list: (options: {
      readonly limit: number
      readonly before?: number
    }) => Effect.Effect<TransferPage, DatabaseError>
    /** All that are not over, the oldest first: what a start has to take up again. */
    readonly unfinished: Effect.Effect<ReadonlyArray<StoredTransfer>, DatabaseError>
    readonly get: (id: TransferId) => Effect.Effect<Option.Option<StoredTransfer>, DatabaseError>
    readonly remove: (id: TransferId) => Effect.Effect<void, DatabaseError>
  }
>()("kith/services/TransferStore") {
  static readonly layer: Layer.Layer<TransferStore, never, Database | SqlClient> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const Paths = Schema.fromJsonString(Schema.Array(Schema.String))

const Row = Schema.Struct({
  place: Schema.Int,
  id: TransferId,
  direction: Transfer.fields.direction,
  state: TransferState,
  groupId: GroupId,
  peer: PeerId,
  name: TextFromBytes,
  files: Schema.Natural,
  directories: Schema.Natural,
  bytes: Schema.Natural,
  totalBytes: Schema.Natural,
  error: Schema.NullOr(TextFromBytes),
  problemCount: Schema.Natural,
  startedAt: Schema.Int,
  endedAt: Schema.NullOr(Schema.Int),
  sources: Paths,
  conflict: Schema.NullOr(ConflictPolicy),
  staging: Schema.NullOr(Schema.String),
  root: Schema.NullOr(Schema.String),
  published: Paths,
  problems: Schema.fromJsonString(Schema.Array(Schema.Tuple([Schema.String, Schema.String])))
})
type Row = typeof Row.Type
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))
const encodePaths = Schema.encodeEffect(Paths)
const encodeProblems = Schema.encodeEffect(Row.fields.problems)

const make = Effect.gen(function* () {
  const database = yield* Database
  const sql = yield* SqlClient

  const columns = sql.literal(`
    t.place, t.id, t.direction, t.state, t.group_id AS groupId, k.id AS peer, CAST(t.name AS BLOB) AS name, t.files, t.directories, t.bytes,
    t.total_bytes AS totalBytes, CAST(t.error AS BLOB) AS error, t.problem_count AS problemCount, t.started_at AS startedAt,
    t.ended_at AS endedAt, t.sources, t.conflict, t.staging, t.root, t.published,
    (SELECT json_group_array(json_array(p.path, p.reason) ORDER BY p.place)
      FROM transfer_problems p WHERE p.transfer = t.place) AS problems`)
  const from = sql.literal("FROM transfers t JOIN keys k ON k.n = t.peer")

  /** Keeps it, or returns it. */
  const keep = Effect.fnUntraced(function* (
    transfer: StoredTransfer
  ): Effect.fn.Return<ReadonlyArray<StoredTransfer>, SqlError | Schema.SchemaError> {
    const { view } = transfer
    yield* sql`INSERT INTO keys (id) VALUES (${view.peer}) ON CONFLICT DO NOTHING`
    const kept = yield* sql`
      INSERT INTO transfers (id, direction, state, over, group_id, peer, name, files, directories, bytes, total_bytes,
        error, problem_count, started_at, ended_at, sources, conflict, staging, root, published)
      VALUES (${view.id}, ${view.direction}, ${view.state}, ${isOver(view.state)}, ${view.group},
        (SELECT n FROM keys WHERE id = ${view.peer}), ${view.name}, ${view.files}, ${view.directories}, ${view.bytes},
        ${view.totalBytes}, ${view.error}, ${view.problemCount}, ${view.startedAt}, ${transfer.endedAt},
        ${yield* encodePaths(transfer.sources)}, ${transfer.conflict}, ${transfer.staging}, ${transfer.root},
        ${yield* encodePaths(view.published)})
      ON CONFLICT (id) DO UPDATE SET state = excluded.state, over = excluded.over, name = excluded.name,
        files = excluded.files, directories = excluded.directories, bytes = excluded.bytes,
        total_bytes = excluded.total_bytes, error = excluded.error, problem_count = excluded.problem_count,
        ended_at = excluded.ended_at, sources = excluded.sources, conflict = excluded.conflict,
        staging = excluded.staging, root = excluded.root, published = excluded.published
        WHERE transfers.peer = excluded.peer AND transfers.direction = excluded.direction
      RETURNING place`
    if (kept.length === 0) return [transfer]
    const place = sql`(SELECT place FROM transfers WHERE id = ${view.id})`
    const problems = view.problems.slice(0, limits.problemsShownMax).map(({ path, reason }) => [path, reason] as const)
    yield* sql`DELETE FROM transfer_problems WHERE transfer = ${place}`
    yield* sql`
      INSERT INTO transfer_problems (transfer, place, path, reason)
      SELECT ${place}, j.key, j.value ->> 0, j.value ->> 1 FROM json_each(${yield* encodeProblems(problems)}) j`
    return []
  })

  /** The oldest of those that are over make room. */
  const trim = sql`
    DELETE FROM transfers WHERE place IN (
      SELECT place FROM transfers WHERE over = 1 ORDER BY place DESC LIMIT -1 OFFSET ${limits.transfersShownMax}
    )`

  const save = Effect.fn("TransferStore.save")(function* (transfers: ReadonlyArray<StoredTransfer>) {
    const left = yield* database.write(Effect.tap(Effect.forEach(transfers, keep), trim))
    yield* Effect.forEach(left.flat(), ({ view }) =>
      Effect.logWarning("A peer used the id of another transfer, so its own is not kept").pipe(
        Effect.annotateLogs({ peer: view.peer, transfer: view.id })
      )
    )
  })

  const list = Effect.fn("TransferStore.list")(function* (options: {
    readonly limit: number
    readonly before?: number
  }) {
    const limit = Math.max(1, Math.min(options.limit, limits.transfersShownMax))
    const rows = yield* database.read(
      Effect.flatMap(
        sql`
          SELECT ${columns} ${from} WHERE t.place < ${options.before ?? Number.MAX_SAFE_INTEGER}
          ORDER BY t.place DESC LIMIT ${limit}`,
        decodeRows
      )
    )
    return {
      transfers: rows.map(transferOf),
      before: rows.length < limit ? null : (rows.at(-1)?.place ?? null)
    }
  })

  const unfinished = database
    .read(Effect.flatMap(sql`SELECT ${columns} ${from} WHERE t.over = 0 ORDER BY t.place`, decodeRows))
    .pipe(
      Effect.map((rows) => rows.map(transferOf)),
      Effect.withSpan("TransferStore.unfinished")
    )

  const get = Effect.fn("TransferStore.get")(function* (id: TransferId) {
    const [row] = yield* database.read(Effect.flatMap(sql`SELECT ${columns} ${from} WHERE t.id = ${id}`, decodeRows))
    return row === undefined ? Option.none() : Option.some(transferOf(row))
  })

  const remove = Effect.fn("TransferStore.remove")((id: TransferId) =>
    database.write(Effect.asVoid(sql`DELETE FROM transfers WHERE id = ${id}`))
  )

  return TransferStore.of({ save, list, unfinished, get, remove })
})

const transferOf = (row: Row): StoredTransfer => ({
  view: {
    id: row.id,
    direction: row.direction,
    state: row.state,
    group: row.groupId,
    peer: row.peer,
    name: row.name,
    files: row.files,
    directories: row.directories,
    bytes: row.bytes,
    totalBytes: row.totalBytes,
    bytesPerSecond: 0,
    error: row.error,
    published: row.published,
    problems: row.problems.map(([path, reason]) => ({ path, reason })),
    problemCount: row.problemCount,
    startedAt: row.startedAt
  },
  endedAt: row.endedAt,
  sources: row.sources,
  conflict: row.conflict,
  staging: row.staging,
  root: row.root
})

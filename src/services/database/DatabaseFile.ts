/**
 * The database's file: whether it may be used, opening it, and making sure that what was committed is on the disk.
 *
 * A file that may not be used is left as it is: it is looked at through a connection that cannot write. The
 * connection and the descriptor end with the scope; closing puts everything into the one file.
 */
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { corrupt, DatabaseError, fromCause } from "./DatabaseError.ts"
import { applicationId } from "./Migrations.ts"

/**
 * A program that holds the database (another node cannot: the directory has a lock) delays this whole process while
 * it is waited for.
 */
const busyMillis = 1000

/** Whole checks cost about 1 ms for each MiB: every time for a small file, after a crash for a larger one. */
const checkedBytes = 1024 * 1024
const checkedAfterCrashBytes = 16 * 1024 * 1024

/** What is on the disk before anything is opened. */
interface Found {
  /** How far its layout is; 0 for a file that is to be made. */
  readonly version: number
  readonly isNew: boolean
}

/** What could be read of the first page, where it can be trusted. */
const checkHeader = (path: string, size: number, hasLog: boolean): DatabaseError | undefined => {
  const head = Buffer.alloc(100)
  const file = fs.openSync(path, "r")
  try {
    fs.readSync(file, head, 0, head.length, 0)
  } finally {
    fs.closeSync(file)
  }
  if (head.toString("latin1", 0, 16) !== "SQLite format 3\0") return corrupt(path, "it does not begin as one")
  const pageSize = head.readUInt16BE(16) === 1 ? 65536 : head.readUInt16BE(16)
  const pages = head.readUInt32BE(28)
  // SQLite counts pages there only if it was the last to change the file; what is missing may stand in the log.
  const isCounted = head.readUInt32BE(24) === head.readUInt32BE(92)
  return isCounted && !hasLog && size < pages * pageSize
    ? corrupt(path, `it ends after ${size} of ${pages * pageSize} bytes`)
    : undefined
}

const number = (database: DatabaseSync, pragma: string): number => {
  const row = database.prepare(`PRAGMA ${pragma}`).get()
  const value = row === undefined ? undefined : Object.values(row)[0]
  return typeof value === "number" ? value : 0
}

/** How far the layout of an open database is. */
export const versionIn = (database: DatabaseSync): number => number(database, "user_version")

/** The name of a file that nobody is writing to, read without even the files SQLite puts beside it. */
const immutable = (path: string): URL => {
  const url = pathToFileURL(path)
  url.searchParams.set("immutable", "1")
  return url
}

/** Whether the file may be used, and how far its layout is. Throws what SQLite throws. */
const inspect = (path: string, size: number, versionMax: number): Found | DatabaseError => {
  const log = fs.statSync(`${path}-wal`, { throwIfNoEntry: false })
  const hasLog = log !== undefined && log.size > 0
  if (size === 0) return hasLog ? corrupt(path, "it is empty, and its log is not") : { version: 0, isNew: true }
  const problem = checkHeader(path, size, hasLog)
  if (problem !== undefined) return problem
  const database = new DatabaseSync(hasLog ? path : immutable(path), { readOnly: true, timeout: busyMillis })
  try {
    const application = number(database, "application_id")
    const version = versionIn(database)
    const row = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()
    const isEmpty = row?.count === 0 && version === 0
    if (application !== applicationId && !isEmpty) {
      return new DatabaseError({
        reason: "foreign",
        path,
        problem: "it is another program's database",
        remedy: "Move it away, or choose another directory with --data-dir"
      })
    }
    if (version > versionMax) {
      return new DatabaseError({
        reason: "newer",
        path,
        problem: `a later version of Kith made it (layout ${version}; this one knows up to ${versionMax})`,
        remedy: "Run that version, or choose another directory with --data-dir. Nothing was changed"
      })
    }
    if (size <= (hasLog ? checkedAfterCrashBytes : checkedBytes)) {
      const found = database.prepare("PRAGMA quick_check(1)").get()
      const verdict = found === undefined ? "no answer" : String(Object.values(found)[0])
      if (verdict !== "ok") return corrupt(path, verdict)
    }
    return { version, isNew: isEmpty }
  } finally {
    database.close()
  }
}

/** Makes the file if it is missing, for its owner alone; SQLite gives the files beside it the same rights. */
const prepare = (path: string): number => {
  fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
  // Messages are nobody else's business. Windows has no such rights, and ignores this.
  if ((fs.fstatSync(file).mode & 0o077) !== 0) fs.fchmodSync(file, 0o600)
  return file
}

/**
 * In WAL mode `synchronous = NORMAL` writes a commit without waiting for the disk; `sync` then waits, as FULL would
 * within the commit. The guarantee is the same, and the process does not stand still meanwhile: with a transfer
 * writing to the same disk, a commit under FULL blocks everything for 4 ms, one in a hundred for 34 ms, against 0.2
 * and 2.5 ms this way. The same holds of a checkpoint, so SQLite makes one itself only where `checkpoint` did not.
 */
const pragmas = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA wal_autocheckpoint = 16384;
  PRAGMA temp_store = MEMORY;
  PRAGMA cache_size = -8192;
  PRAGMA journal_size_limit = 8388608;
  PRAGMA trusted_schema = OFF`

/** Rows changed between two checkpoints: about 8 MiB of log. */
const checkpointRows = 4000

const attempt = <A>(path: string, run: () => A | DatabaseError): Effect.Effect<A, DatabaseError> =>
  Effect.suspend(() => {
    try {
      const result = run()
      return result instanceof DatabaseError ? Effect.fail(result) : Effect.succeed(result)
    } catch (cause) {
      return Effect.fail(unusable(path, cause))
    }
  })

/** Errors of the file system have no code of SQLite's. */
const unusable = (path: string, cause: unknown): DatabaseError =>
  cause instanceof Error && "syscall" in cause && "code" in cause
    ? new DatabaseError({
        reason: cause.code === "ENOSPC" || cause.code === "EDQUOT" ? "full" : "unusable",
        path,
        problem: `the database cannot be opened (${cause.message})`,
        remedy: "Check the rights and the room of its directory, or choose another with --data-dir",
        cause
      })
    : fromCause(path, cause)

/** Opens the database in this file, making it if it is missing. A layout beyond `versionMax` is refused. */
export const open = Effect.fn("DatabaseFile.open")(function* (path: string, versionMax: number) {
  const found = yield* attempt(path, (): Found | DatabaseError => {
    const stat = fs.statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && !stat.isFile()) {
      return new DatabaseError({
        reason: "unusable",
        path,
        problem: "it is not a file",
        remedy: "Move it away, or choose another directory with --data-dir"
      })
    }
    return inspect(path, stat?.size ?? 0, versionMax)
  })
  // It stays open longer than the connection: closing any descriptor of the file drops SQLite's own locks on it.
  const file = yield* Effect.acquireRelease(
    attempt(path, () => prepare(path)),
    (file) => Effect.sync(() => fs.closeSync(file))
  )
  const database = yield* Effect.acquireRelease(
    attempt(path, () => new DatabaseSync(path, { timeout: busyMillis, enableForeignKeyConstraints: true })),
    (database) => Effect.sync(() => database.close())
  )
  yield* attempt(path, () => database.exec(pragmas))
  if (found.isNew) yield* attempt(path, () => syncDirectory(dirname(path)))
  return { database, version: found.version, file }
})

/** A file that was just made is there after a power failure only once its directory is. */
const syncDirectory = (directory: string): void => {
  // Windows does not open directories, and does not need it.
  if (process.platform === "win32") return
  const opened = fs.openSync(directory, "r")
  try {
    fs.fsyncSync(opened)
  } finally {
    fs.closeSync(opened)
  }
}

/** Returns once everything written to this descriptor would survive a power failure. */
const fdatasync = (path: string, descriptor: number) =>
  Effect.callback<void, DatabaseError>((resume) => {
    fs.fdatasync(descriptor, (cause) => {
      resume(cause === null ? Effect.void : Effect.fail(unusable(path, cause)))
    })
  })

interface Keeper {
  /** Returns once everything committed so far would survive a power failure. */
  readonly sync: Effect.Effect<void, DatabaseError>
  /**
   * Moves what is in the log into the database now and then, so that the log begins anew. Call it after `sync`, and
   * let nothing be written meanwhile: until the disk has the database, the log must stay as it is.
   */
  readonly checkpoint: Effect.Effect<void, DatabaseError>
}

/** Keeps an opened database safe. Take it once the database was read, which makes the log. */
export const makeKeeper = Effect.fnUntraced(function* (path: string, sql: SqlClient, file: number) {
  const log = yield* Effect.acquireRelease(
    attempt(path, () => fs.openSync(`${path}-wal`, "r+")),
    (log) => Effect.sync(() => fs.closeSync(log))
  )
  const changes = Effect.map(sql`SELECT total_changes()`.values, ([row]) => Number(row?.[0]))
  let last = yield* changes

  const move = Effect.gen(function* () {
    const now = yield* changes
    if (now - last < checkpointRows) return false
    yield* sql`PRAGMA synchronous = OFF`
    yield* Effect.ensuring(sql`PRAGMA wal_checkpoint(PASSIVE)`, Effect.orDie(sql`PRAGMA synchronous = NORMAL`))
    last = now
    return true
  })
  const checkpoint = move.pipe(
    // Nothing is lost: it is all in the log, which grows until a later attempt succeeds.
    Effect.catch((error) =>
      Effect.as(
        Effect.logWarning("The log of the database could not be moved into it").pipe(
          Effect.annotateLogs({ path, problem: error.reason.message })
        ),
        false
      )
    ),
    Effect.flatMap((isMoved) => (isMoved ? fdatasync(path, file) : Effect.void))
  )

  const keeper: Keeper = { sync: fdatasync(path, log), checkpoint }
  return keeper
})

/** What can be wrong with the database, said to a person: what, to which file, and what to do. */
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"

/**
 * The database cannot be used, or did not do what was asked of it.
 * - corrupt: the file is damaged, or is no database
 * - newer: a later version of the program made it
 * - foreign: another program's database
 * - unusable: the file cannot be opened (rights, a directory in its place, no room to begin)
 * - full: the disk is full
 * - busy: another program holds it
 * - unsafe: the disk refused to keep what was written; nothing more is accepted until a restart
 * - closed: the node is stopping
 * - failed: anything else
 */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  reason: Schema.Literals(["corrupt", "newer", "foreign", "unusable", "full", "busy", "unsafe", "closed", "failed"]),
  path: Schema.String,
  problem: Schema.String,
  remedy: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `${this.path}: ${this.problem}. ${this.remedy}`
  }
}

const because = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** The code SQLite gave, without what extends it; 0 where it gave none. */
export const sqliteCode = (cause: unknown): number => {
  if (!(cause instanceof Error)) return 0
  if ("errcode" in cause && typeof cause.errcode === "number") return cause.errcode & 0xff
  return "errno" in cause && typeof cause.errno === "number" && cause.errno > 0 ? cause.errno & 0xff : 0
}

const moveAway =
  "Nothing was changed. Restore a copy of it, or move it away: then a new one is made, without its history"

/** What SQLite, or the machine below it, refused, as a person is told. */
export const fromCause = (path: string, cause: unknown): DatabaseError => {
  const say = (reason: DatabaseError["reason"], problem: string, remedy: string) =>
    new DatabaseError({ reason, path, problem, remedy, cause })
  switch (sqliteCode(cause)) {
    case 5:
    case 6:
      return say("busy", "another program holds the database", "Close what else has it open")
    case 8:
      return say("unusable", "the database may not be written to", "Check the rights of the file and its directory")
    case 10:
      return say("failed", `the disk reported an error (${because(cause)})`, "Check the disk")
    case 11:
    case 26:
      return say("corrupt", `the database is damaged (${because(cause)})`, moveAway)
    case 13:
      return say("full", "the disk is full", "Make room on it")
    case 14:
      return say("unusable", "the database cannot be opened", "Check the rights of the file and its directory")
    default:
      return say("failed", `the database failed (${because(cause)})`, "The log of the node says more")
  }
}

/** The same, for an error of effect/sql, whose cause is what SQLite said. */
export const fromSql = (path: string, error: SqlError): DatabaseError =>
  fromCause(path, error.reason.cause ?? error.reason)

/** A row that the program does not understand: someone else wrote it, or the file is damaged. */
export const fromRow = (path: string, error: Schema.SchemaError): DatabaseError =>
  new DatabaseError({
    reason: "corrupt",
    path,
    problem: `a row of the database is not what this program wrote (${error.message.replace(/\s+/g, " ").slice(0, 200)})`,
    remedy: "Restore a copy of the file, or move it away",
    cause: error
  })

export const corrupt = (path: string, detail: string): DatabaseError =>
  new DatabaseError({ reason: "corrupt", path, problem: `the database is damaged (${detail})`, remedy: moveAway })

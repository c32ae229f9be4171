/** One thing that a check-up of a node found, for a person who asks why something does not work. */
import * as Schema from "effect/Schema"

/** ok: as it should be. note: works, but worth knowing. problem: something does not work. */
export const Severity = Schema.Literals(["ok", "note", "problem"])
export type Severity = typeof Severity.Type

export const Finding = Schema.Struct({
  /** What was looked at: a word that stays the same, such as `discovery`, `disk` or `key`. */
  check: Schema.String,
  /** The interface, file, port or peer it is about, or "". */
  subject: Schema.String,
  severity: Severity,
  /** What was found, in one line. */
  text: Schema.String,
  /** What to do about it, in one line, or null where nothing is to be done. */
  remedy: Schema.NullOr(Schema.String)
})
export type Finding = typeof Finding.Type

export const finding = (
  severity: Severity,
  check: string,
  subject: string,
  text: string,
  remedy: string | null = null
): Finding => ({ check, subject, severity, text, remedy })

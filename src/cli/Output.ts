/**
 * What verbs print. Names and texts that peers chose are made inert on the way, so that none can steer a terminal. Who
 * prints goes on once it is written, no faster than it is taken.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { inert } from "../schema/Text.ts"

/** What was printed is lost: the disk it went to is full, or the terminal has gone. */
export class Unwritten extends Schema.TaggedError<Unwritten>()("Unwritten", { code: Schema.String }) {
  override get message(): string {
    return `the output could not be written (${this.code}). Is there room where it goes?`
  }
}

/** A reader that has read enough is none that something is lost to: `kith history | head` fails nowhere. */
const enough = "EPIPE"

const write = (text: string): Effect.Effect<void, Unwritten> =>
  Effect.callback((resume) => {
    process.stdout.write(text, (error) => {
      const code = error == null ? enough : codeOf(error)
      resume(code === enough ? Effect.void : Effect.fail(new Unwritten({ code })))
    })
  })

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : error.message)

/** Waits until whoever read stdout reads no more; that shows when something is written. */
export const unread: Effect.Effect<void> = Effect.callback((resume) => {
  const look = (error: Error) => codeOf(error) === enough && resume(Effect.void)
  process.stdout.on("error", look)
  return Effect.sync(() => void process.stdout.off("error", look))
})

/** One line on stdout. The text must be inert already. */
export const line = (text: string): Effect.Effect<void, Unwritten> => write(`${text}\n`)

/** One line for whoever looks at a node, if anyone still does: a node goes on without its terminal. */
export const tell = (text: string): Effect.Effect<void> => Effect.ignore(line(text))

/** One line on stderr: what is not the answer itself. Where nobody takes it there is nobody to say so to. */
export const note = (text: string): Effect.Effect<void> => Effect.sync(() => void process.stderr.write(`${text}\n`))

/** As JSON, which escapes what could steer a terminal, but for DEL, C1 and what turns text around: those follow here. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(unsafe, escape)

/** One JSON document on stdout. */
export const json = (value: unknown): Effect.Effect<void, Unwritten> => line(jsonText(value, 2))

/** One JSON document on a line of its own, for streams of them. */
export const jsonLine = (value: unknown): Effect.Effect<void, Unwritten> => line(jsonText(value))

/** One JSON document on stdout, an array, written element by element as they come. */
export const jsonArray = <A, E, R>(values: Stream.Stream<A, E, R>): Effect.Effect<void, E | Unwritten, R> =>
  Effect.gen(function* () {
    let before = "[\n"
    yield* Stream.runForEach(values, (value) => {
      const text = `${before}  ${jsonText(value)}`
      before = ",\n"
      return write(text)
    })
    yield* line(before === ",\n" ? "\n]" : "[]")
  })

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const unsafe = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g
const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Columns as wide as their widest cell; every cell is made inert. The last column is not padded. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const cells = rows.map((row) => row.map(inert))
  const widths = (cells[0] ?? []).map((_, at) => Math.max(...cells.map((row) => width(row[at] ?? ""))))
  return cells.map((row) =>
    row
      .map((cell, at) => (at === row.length - 1 ? cell : cell + " ".repeat((widths[at] ?? 0) - width(cell))))
      .join("  ")
      .trimEnd()
  )
}

const graphemes = new Intl.Segmenter()

/** Columns a text takes: wide letters and emoji take two. */
export const width = (text: string): number => {
  let columns = 0
  for (const { segment } of graphemes.segment(text)) columns += wide.test(segment) ? 2 : 1
  return columns
}

const wide =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u

const moments = new Map<"short" | "medium", Intl.DateTimeFormat>()

/** `11/22/26, 9:58 PM`, in the person's own way, with seconds where that is asked for. The first takes a while to make. */
export const moment = (millis: number, timeStyle: "short" | "medium" = "short"): string => {
  const format = moments.get(timeStyle) ?? new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle })
  moments.set(timeStyle, format)
  return format.format(millis)
}

/** `1.2 MiB`: three digits are enough to compare by. */
export const bytes = (count: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  let value = count
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `1 file`, `3 files`. */
export const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`

/** `45 s`, `12 min`, `3 h 5 min`. */
export const duration = (seconds: number): string => {
  const whole = Math.ceil(seconds)
  if (whole < 100) return `${whole} s`
  const minutes = Math.round(whole / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

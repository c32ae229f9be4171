/**
 * How a node's log looks. Pretty lines go to stderr, for a person; JSON goes to stdout, one object a line with the
 * fields at the top, for a program. Causes are told in a sentence; their stacks only at `debug` and below.
 */
import * as Cause from "effect/Cause"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as EffectLogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { inert, inertLines } from "../schema/Text.ts"
import { jsonText } from "./Output.ts"
import type { LogFormat, LogLevel } from "./Settings.ts"

const levels: Record<LogLevel, EffectLogLevel.LogLevel> = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  none: "None"
}

/** What went wrong, in one line, or with everything that is known of it. */
const causeOf = (cause: Cause.Cause<unknown>, details: boolean): string | undefined => {
  if (cause.reasons.length === 0) return undefined
  if (details) return Cause.pretty(cause)
  const error = Cause.squash(cause)
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]
}

/** Ids are whole in JSON, where programs compare them, and as a person knows them from lists in pretty lines. */
const shortOf = (value: unknown): unknown =>
  typeof value === "string" && /^(?:[a-z2-7]{26}|[a-z2-7]{52})$/.test(value) ? value.slice(0, shortLength) : value

/** As many characters as lists show of ids. */
const shortLength = 8

/** A field as it reads best in a line: bare where it is one word. */
const field = (given: unknown): string => {
  const value = shortOf(given)
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  return /^[\w.:[\]/%@+-]+$/.test(text) ? text : JSON.stringify(inert(text))
}

const pad = (number: number) => String(number).padStart(2, "0")
const clock = (date: Date) => `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`

/** The message of a log entry, without the cause. */
const messageOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part) => (typeof part === "string" ? part : (JSON.stringify(part) ?? String(part))))
    .join(" ")

const pretty = (details: boolean) =>
  Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const fields = Object.entries(fiber.getRef(References.CurrentLogAnnotations)).map(
      ([key, value]) => `${key}=${field(value)}`
    )
    const why = causeOf(cause, details)
    const head = [clock(date), logLevel.toUpperCase().padEnd(5), inert(messageOf(message)), ...fields].join(" ")
    process.stderr.write(why === undefined ? `${head}\n` : `${head} ${details ? `\n${inertLines(why)}` : inert(why)}\n`)
  })

const json = (details: boolean) =>
  Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const entry = {
      time: date.toISOString(),
      level: logLevel.toLowerCase(),
      message: messageOf(message),
      ...fiber.getRef(References.CurrentLogAnnotations),
      cause: causeOf(cause, details)
    }
    process.stdout.write(`${jsonText(entry)}\n`)
  })

/** Logs in this format from this level on. */
export const layer = (format: LogFormat, level: LogLevel): Layer.Layer<never> => {
  const details = level === "trace" || level === "debug"
  return Layer.merge(
    Logger.layer([format === "json" ? json(details) : pretty(details)]),
    Layer.succeed(References.MinimumLogLevel, levels[level])
  )
}

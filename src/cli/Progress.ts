/**
 * How sending is shown while it goes on: on a terminal a bar for each peer, redrawn in place; elsewhere a line where
 * there is news, so that a log stays readable. Pure, but for `show`.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isOver, type Transfer } from "../schema/Offer.ts"
import { inert } from "../schema/Text.ts"
import type { Names } from "./Names.ts"
import { bytes, count, duration, width } from "./Output.ts"

const barWidth = 24

/** What the state means to the person who sends. */
export const stateOf = (transfer: Transfer): string => {
  switch (transfer.state) {
    case "offered":
      return "waiting for an answer"
    case "queued":
      return "waiting for its turn"
    case "waiting":
      return "waiting for the peer to come back"
    case "stalled":
      return "no data for a while"
    default:
      return transfer.state
  }
}

/** The share that is safe at the receiver, from 0 to 1; an empty transfer is whole once it is done. */
const shareOf = ({ bytes, state, totalBytes }: Transfer): number =>
  totalBytes === 0 ? (state === "done" ? 1 : 0) : Math.min(1, bytes / totalBytes)

/** `1.5 MiB of 3.0 MiB, 2 of 3 files`. */
export const doneOf = ({ bytes: safe, files, filesDone, totalBytes }: Transfer): string => {
  const done = filesDone === undefined || files === 0 ? "" : `, ${filesDone} of ${count(files, "file")}`
  return `${bytes(safe)} of ${bytes(totalBytes)}${done}`
}

/** How fast it goes, and how long it takes; or its state where it does not go on. */
const paceOf = (transfer: Transfer): string => {
  const { bytesPerSecond, secondsLeft = null, state, totalBytes } = transfer
  if (state !== "running") return stateOf(transfer)
  if (bytesPerSecond === 0) return "running"
  const left = duration(secondsLeft ?? (totalBytes - transfer.bytes) / bytesPerSecond)
  return `${bytes(bytesPerSecond)}/s, ${left} left`
}

/** One line for each transfer, no wider than the terminal and no more than fit on it. */
export const bars = (
  transfers: ReadonlyArray<Transfer>,
  nameOf: Names,
  columns: number,
  rows = Number.POSITIVE_INFINITY
): ReadonlyArray<string> => {
  const names = transfers.map((transfer) => nameOf(transfer.peer))
  const widest = Math.max(0, ...names.map(width))
  const lines = transfers.map((transfer, at) => {
    const name = names[at] ?? ""
    const full = Math.floor(shareOf(transfer) * barWidth)
    const bar = "█".repeat(full) + "░".repeat(barWidth - full)
    const percent = `${Math.floor(shareOf(transfer) * 100)}%`.padStart(4)
    const pad = " ".repeat(widest - width(name))
    return cut(`${name}${pad}  ${bar} ${percent}  ${doneOf(transfer)}  ${paceOf(transfer)}`, columns)
  })
  if (lines.length <= rows) return lines
  // Of more than fit, those that still go on.
  const going = lines.filter((_, at) => !isOver(transfers[at]?.state ?? "done")).slice(0, Math.max(0, rows - 1))
  return [...going, cut(`and ${lines.length - going.length} more`, columns)]
}

/** A wrapped line could not be redrawn in place. */
const cut = (text: string, columns: number): string => {
  let shown = ""
  let used = 0
  for (const char of text) {
    used += width(char)
    if (used > columns) break
    shown += char
  }
  return shown
}

/** What was said of a transfer last, and when, in monotonic milliseconds. */
export interface Told {
  readonly state: Transfer["state"]
  /** The tenth that was safe then. */
  readonly tenth: number
  readonly at: number
}

/** Lines about one transfer are this far apart at least while it runs, and its next one comes after this at most. */
const linesEvery = 1000
const lineAfter = 30_000

/**
 * A line about a transfer where there is news: another state, another tenth, or a while without a word. The end of
 * the sending says what became of it. Pure.
 */
export const news = (
  told: Told | undefined,
  transfer: Transfer,
  nameOf: Names,
  now: number
): { readonly told: Told; readonly line: string } | null => {
  const { state } = transfer
  if (isOver(state)) return null
  const tenth = Math.floor(shareOf(transfer) * 10)
  const next = { state, tenth, at: now }
  const name = nameOf(transfer.peer)
  if (told?.state !== state) {
    return {
      told: next,
      line: `${name}: ${state === "running" ? `receiving ${inert(transfer.name)}` : stateOf(transfer)}`
    }
  }
  const since = now - told.at
  if (state !== "running" || !((tenth > told.tenth && since >= linesEvery) || since >= lineAfter)) return null
  const percent = Math.floor(shareOf(transfer) * 100)
  return { told: next, line: `${name}: ${percent}%, ${doneOf(transfer)}, ${paceOf(transfer)}` }
}

/** `photos (12 files, 3.2 MiB)` */
export const whatOf = (transfer: Transfer): string =>
  `${inert(transfer.name)} (${count(transfer.files, "file")}, ${bytes(transfer.totalBytes)})`

/** Shows a sending as it goes on. `update` is told of each change, `clear` before anything else is said. */
export interface Display {
  readonly update: (after: Transfer, all: ReadonlyArray<Transfer>) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
}

/** For `--json`: nothing but the document at the end. */
export const silent: Display = { update: () => Effect.void, clear: Effect.void }

/** Where it is shown. */
export interface Out {
  readonly isTTY: boolean
  readonly columns?: number
  readonly rows?: number
  readonly write: (text: string) => unknown
}

/** A terminal gets bars, anything else lines. */
export const show = (out: Out, nameOf: Names): Display => (out.isTTY ? drawn(out, nameOf) : written(out, nameOf))

const written = (out: Out, nameOf: Names): Display => {
  const known = new Map<Transfer["id"], Told>()
  return {
    update: Effect.fnUntraced(function* (after) {
      const now = Number(yield* Clock.monotonicTimeNanos) / 1e6
      const said = news(known.get(after.id), after, nameOf, now)
      if (said === null) return
      known.set(after.id, said.told)
      out.write(`${said.line}\n`)
    }),
    clear: Effect.void
  }
}

const drawn = (out: Out, nameOf: Names): Display => {
  let lines = 0
  // Up to the first bar, then erase to the end of the screen.
  const erase = () => (lines === 0 ? "" : `\u001b[${lines}F\u001b[J`)
  return {
    update: (_after, all) =>
      Effect.sync(() => {
        // A terminal that does not know its size says 0.
        const now = bars(all, nameOf, (out.columns || 80) - 1, (out.rows || 24) - 1)
        out.write(`${erase()}${now.join("\n")}\n`)
        lines = now.length
      }),
    clear: Effect.sync(() => {
      out.write(erase())
      lines = 0
    })
  }
}

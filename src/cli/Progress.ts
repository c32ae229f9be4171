/**
 * How sending is shown while it goes on: on a terminal a bar for each peer, redrawn in place; elsewhere a line for
 * each change of state, so that a log stays readable. Pure, but for `show`.
 */
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

const rest = (transfer: Transfer): string => {
  if (transfer.state !== "running") return stateOf(transfer)
  if (transfer.bytesPerSecond === 0) return "running"
  const left = duration((transfer.totalBytes - transfer.bytes) / transfer.bytesPerSecond)
  return `${bytes(transfer.bytesPerSecond)}/s, ${left} left`
}

/** One line for each transfer, no wider than the terminal. */
export const bars = (transfers: ReadonlyArray<Transfer>, nameOf: Names, columns: number): ReadonlyArray<string> => {
  const names = transfers.map((transfer) => nameOf(transfer.peer))
  const widest = Math.max(0, ...names.map(width))
  return transfers.map((transfer, at) => {
    const name = names[at] ?? ""
    const full = Math.floor(shareOf(transfer) * barWidth)
    const bar = "█".repeat(full) + "░".repeat(barWidth - full)
    const percent = `${Math.floor(shareOf(transfer) * 100)}%`.padStart(4)
    const done = `${bytes(transfer.bytes)} of ${bytes(transfer.totalBytes)}`
    return cut(`${name}${" ".repeat(widest - width(name))}  ${bar} ${percent}  ${done}  ${rest(transfer)}`, columns)
  })
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

/** What a line says when the state has changed, or null where the end of the sending says it. */
export const changeOf = (before: Transfer | undefined, after: Transfer, nameOf: Names): string | null =>
  before?.state === after.state || isOver(after.state)
    ? null
    : `${nameOf(after.peer)}: ${after.state === "running" ? `receiving ${inert(after.name)}` : stateOf(after)}`

/** `photos (12 files, 3.2 MiB)` */
export const whatOf = (transfer: Transfer): string =>
  `${inert(transfer.name)} (${count(transfer.files, "file")}, ${bytes(transfer.totalBytes)})`

/** Shows the state of a sending as it changes. `update` is told of each change, `clear` before anything else is said. */
export interface Display {
  readonly update: (before: Transfer | undefined, after: Transfer, all: ReadonlyArray<Transfer>) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
}

/** For `--json`: nothing but the document at the end. */
export const silent: Display = { update: () => Effect.void, clear: Effect.void }

/** A terminal gets bars, anything else lines. */
export const show = (
  out: { readonly isTTY: boolean; readonly columns?: number; readonly write: (text: string) => unknown },
  nameOf: Names
): Display => {
  if (!out.isTTY) {
    return {
      update: (before, after) =>
        Effect.sync(() => {
          const change = changeOf(before, after, nameOf)
          if (change !== null) out.write(`${change}\n`)
        }),
      clear: Effect.void
    }
  }
  let drawn = 0
  // Up to the first bar, then erase to the end of the screen.
  const erase = () => (drawn === 0 ? "" : `\u001b[${drawn}F\u001b[J`)
  return {
    update: (_before, _after, all) =>
      Effect.sync(() => {
        const lines = bars(all, nameOf, (out.columns ?? 80) - 1)
        out.write(`${erase()}${lines.join("\n")}\n`)
        drawn = lines.length
      }),
    clear: Effect.sync(() => {
      out.write(erase())
      drawn = 0
    })
  }
}

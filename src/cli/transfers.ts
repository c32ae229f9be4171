/** `kith transfers`: what is sent and received, and what was; the newest first; with `--watch` also what becomes of them. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Transfer } from "../schema/Offer.ts"
import { inert } from "../schema/Text.ts"
import { names, type Names } from "./Names.ts"
import * as Output from "./Output.ts"
import { json, watch, withNode } from "./Verb.ts"
import { watching } from "./Watch.ts"

/** Characters of a transfer's id that are shown: enough to tell those apart that are kept. */
export const shortLength = 8

const row = (transfer: Transfer, nameOf: Names): ReadonlyArray<string> => [
  transfer.id.slice(0, shortLength),
  transfer.state,
  `${transfer.direction === "send" ? "to" : "from"} ${nameOf(transfer.peer)}`,
  transfer.state === "running"
    ? `${Output.bytes(transfer.bytes)} of ${Output.bytes(transfer.totalBytes)}`
    : Output.bytes(transfer.totalBytes),
  transfer.name
]

/** What belongs below a transfer's row: where it is, what went wrong, what to do. Pure. */
export const remarks = (transfer: Transfer): ReadonlyArray<string> => [
  ...(transfer.state === "offered" && transfer.direction === "receive"
    ? [`kith accept ${transfer.id.slice(0, shortLength)}`]
    : []),
  ...transfer.published.map((path) => `in ${inert(path)}`),
  ...(transfer.error === null ? [] : [inert(transfer.error)]),
  ...transfer.problems.map((problem) => `${inert(problem.path)}: ${inert(problem.reason)}`),
  ...(transfer.problemCount > transfer.problems.length
    ? [`and ${transfer.problemCount - transfer.problems.length} more entries`]
    : [])
]

/** A transfer as one line, which is another one only when its state is, or another tenth is there. Pure. */
export const lineOf = (transfer: Transfer, nameOf: Names): string => {
  const way = transfer.direction === "send" ? "to" : "from"
  const tenths = transfer.totalBytes === 0 ? 0 : Math.floor((10 * transfer.bytes) / transfer.totalBytes)
  const state = transfer.state === "running" ? `running ${tenths * 10}%` : transfer.state
  const why = transfer.error === null ? "" : `: ${inert(transfer.error)}`
  return `${transfer.id.slice(0, shortLength)}  ${state}  ${way} ${nameOf(transfer.peer)}  ${inert(transfer.name)}${why}`
}

/** The transfers there are, the oldest first, and then what becomes of them. */
const follow = (json: boolean) =>
  watching({
    json,
    first: (client) =>
      Effect.map(client.transfers.list(), (all) =>
        all.toReversed().map((transfer) => ({ _tag: "TransferChanged" as const, transfer }))
      ),
    isWanted: (event) => event._tag === "TransferChanged",
    show: (client) =>
      Effect.map(
        names(client),
        (nameOf) => (event) => (event._tag === "TransferChanged" ? lineOf(event.transfer, nameOf) : "")
      )
  })

export const transfers = Command.make(
  "transfers",
  { json, watch },
  Effect.fn("cli.transfers")(function* ({ json, watch }) {
    if (watch) return yield* follow(json)
    const { nameOf, transfers } = yield* withNode(
      Effect.fnUntraced(function* (client) {
        const transfers = yield* client.transfers.list()
        return { transfers, nameOf: yield* names(client) }
      })
    )
    if (json) return yield* Output.json(transfers)
    if (transfers.length === 0) return yield* Output.line("no transfers yet; send with: kith send PATH --to PEER")
    const [head = "", ...rows] = Output.table([
      ["ID", "STATE", "PEER", "SIZE", "NAME"],
      ...transfers.map((transfer) => row(transfer, nameOf))
    ])
    yield* Output.line(head)
    for (const [at, transfer] of transfers.entries()) {
      yield* Output.line(rows[at] ?? "")
      for (const remark of remarks(transfer)) yield* Output.line(`${" ".repeat(shortLength)}  ${remark}`)
    }
  })
).pipe(
  Command.withDescription("List what is being sent and received, and what was"),
  Command.withExamples([{ command: "kith transfers" }, { command: "kith transfers --watch --json" }])
)

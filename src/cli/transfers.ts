/** `kith transfers`: what is sent and received, and what was; the newest first. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { Transfer } from "../schema/Offer.ts"
import { inert } from "../schema/Text.ts"
import { names, type Names } from "./Names.ts"
import * as Output from "./Output.ts"
import { json, withNode } from "./Verb.ts"

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

export const transfers = Command.make(
  "transfers",
  { json },
  Effect.fn("cli.transfers")(function* ({ json }) {
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
).pipe(Command.withDescription("List what is being sent and received, and what was"))

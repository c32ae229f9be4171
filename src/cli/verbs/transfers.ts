/** `kith transfers`: what is sent and received, and what was; with `--watch` what becomes of it; with ID one in full. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isOver, type Transfer } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"
import { account, remarks, shortId, shortLength, wayOf } from "../Account.ts"
import { Failed, Usage } from "../Ending.ts"
import * as EntryLines from "../EntryLines.ts"
import { names, type Names } from "../Names.ts"
import * as Output from "../Output.ts"
import { json, transfer, watch, withNode } from "../Verb.ts"
import { watching } from "../Watch.ts"

const see = "kith transfers --help"

const row = (transfer: Transfer, nameOf: Names): ReadonlyArray<string> => [
  shortId(transfer),
  transfer.state,
  wayOf(transfer, nameOf),
  transfer.state === "running"
    ? `${Output.bytes(transfer.bytes)} of ${Output.bytes(transfer.totalBytes)}`
    : Output.bytes(transfer.totalBytes),
  transfer.name
]

/** A transfer as one line, which is another one only when its state is, or another tenth is there. Pure. */
export const lineOf = (transfer: Transfer, nameOf: Names): string => {
  const tenths = transfer.totalBytes === 0 ? 0 : Math.floor((10 * transfer.bytes) / transfer.totalBytes)
  const state = transfer.state === "running" ? `running ${tenths * 10}%` : transfer.state
  const why = transfer.error === null ? "" : `: ${inert(transfer.error)}`
  return `${shortId(transfer)}  ${state}  ${wayOf(transfer, nameOf)}  ${inert(transfer.name)}${why}`
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

/** Lines of anything that may be long below a transfer's row. */
const remarksMax = 3

const listAll = Effect.fnUntraced(function* (asJson: boolean) {
  const { nameOf, transfers } = yield* withNode(
    Effect.fnUntraced(function* (client) {
      const transfers = yield* client.transfers.list()
      return { transfers, nameOf: yield* names(client) }
    })
  )
  if (asJson) return yield* Output.json(transfers)
  if (transfers.length === 0) return yield* Output.line("no transfers yet; send with: kith send PATH --to PEER")
  const [head = "", ...rows] = Output.table([
    ["ID", "STATE", "PEER", "SIZE", "NAME"],
    ...transfers.map((transfer) => row(transfer, nameOf))
  ])
  yield* Output.line(head)
  for (const [at, transfer] of transfers.entries()) {
    yield* Output.line(rows[at] ?? "")
    for (const remark of remarks(transfer, remarksMax)) yield* Output.line(`${" ".repeat(shortLength)}  ${remark}`)
  }
})

/** One transfer in full, and its list where that is wanted; as JSON the list alone, since it may be long. */
const showOne = (query: string, wanted: { readonly json: boolean; readonly list: boolean }) =>
  withNode(
    Effect.fnUntraced(function* (client) {
      const transfer = yield* client.transfers.find({ query: { query } })
      const listed = EntryLines.entries(client, transfer.id)
      if (wanted.json) return yield* wanted.list ? Output.jsonArray(listed) : Output.json(transfer)
      const nameOf = yield* names(client)
      for (const line of account(transfer, nameOf)) yield* Output.line(line)
      if (wanted.list && isOver(transfer.state)) {
        return yield* new Failed({
          problem: "it is over, so that its list is not held any more; what is kept of it is above"
        })
      }
      if (wanted.list && transfer.listed === false) {
        return yield* new Failed({ problem: "its list is still on its way; ask again in a moment" })
      }
      if (wanted.list) yield* Stream.runForEach(listed, (entry) => Output.line(EntryLines.lineOf(entry)))
    })
  )

export const transfers = Command.make(
  "transfers",
  {
    json,
    watch,
    list: CliFlag.Boolean("list").pipe(
      CliFlag.withoutNegation,
      CliFlag.withDescription("With ID: every entry, and what became of it, as long as the transfer is not over"),
      CliFlag.withDefault(false)
    ),
    id: transfer("One transfer in full, by its id or the beginning of it").pipe(Argument.optional)
  },
  Effect.fn("cli.transfers")(function* ({ id, json, list, watch }) {
    if (watch && (list || Option.isSome(id))) {
      return yield* new Usage({ problem: "--watch follows all transfers: it goes with neither ID nor --list", see })
    }
    if (list && Option.isNone(id)) return yield* new Usage({ problem: "say of which transfer: --list with ID", see })
    if (watch) return yield* follow(json)
    yield* Option.isSome(id) ? showOne(id.value, { json, list }) : listAll(json)
  })
).pipe(
  Command.withDescription("List what is being sent and received, and what was; or show one of them in full"),
  Command.withShortDescription("List transfers, or show one in full"),
  Command.withExamples([
    { command: "kith transfers" },
    { command: "kith transfers 4k2m" },
    { command: "kith transfers 4k2m --list" },
    { command: "kith transfers --watch --json" }
  ])
)

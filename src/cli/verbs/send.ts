/** `kith send PATH...`: offers files and directories to peers, and waits until each has them or will not. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { resolve } from "node:path"
import { isOver, type Transfer, TransferPriority } from "../../schema/Offer.ts"
import { inert } from "../../schema/Text.ts"
import type { Client } from "../Client.ts"
import { Declined, Failed, Usage } from "../Ending.ts"
import { names, type Names } from "../Names.ts"
import * as Output from "../Output.ts"
import * as Progress from "../Progress.ts"
import { remarks } from "../Account.ts"
import { json, peerFlag, withNode } from "../Verb.ts"

const see = "kith send --help"

/** Lines of anything that may be long, such as what was left out. `kith transfers ID` shows all that is kept. */
const remarksMax = 20

/** What became of one transfer, as a line and what belongs below it. Pure. */
export const outcome = (transfer: Transfer, nameOf: Names): ReadonlyArray<string> => {
  const name = nameOf(transfer.peer)
  const below = remarks({ ...transfer, error: null }, remarksMax).map((remark) => `  ${remark}`)
  const why = transfer.error === null ? "" : `: ${inert(transfer.error)}`
  switch (transfer.state) {
    case "done":
      return [`delivered to ${name}: ${Progress.whatOf(transfer)}`, ...below]
    case "partial":
      return [`delivered in part to ${name}: ${Progress.whatOf(transfer)}${why}`, ...below]
    case "declined":
      return [`declined by ${name}${why}`]
    default:
      return [`${transfer.state} to ${name}${why}`, ...below]
  }
}

/** How the verb ends: refused if nothing worse happened than that. Pure. */
export const verdict = (transfers: ReadonlyArray<Transfer>): Failed | Declined | null => {
  const not = transfers.filter((transfer) => transfer.state !== "done")
  if (not.length === 0) return null
  if (not.every((transfer) => transfer.state === "declined")) {
    return new Declined({ problem: not.length === transfers.length ? "the offer was declined" : "some declined" })
  }
  return new Failed({
    problem: not.length === transfers.length ? "nothing was delivered whole" : "not all was delivered"
  })
}

const stopped = new Failed({ problem: "the node has stopped; what was being sent may go on when it is back" })

/** Sends, and follows what was sent until all of it is over. */
const sendAndFollow = Effect.fnUntraced(function* <E>(
  client: Client,
  sending: Effect.Effect<ReadonlyArray<Transfer>, E>,
  displayFor: (nameOf: Names) => Progress.Display
) {
  // Watching begins before the offer is made, so that nothing of it is missed.
  const events = yield* client.node.events({ headers: {} })
  const nameOf = yield* names(client)
  const display = displayFor(nameOf)
  const sent = yield* sending
  const all = new Map(sent.map((transfer) => [transfer.id, transfer]))
  const current = () => [...all.values()]
  const take = Effect.fnUntraced(function* (after: Transfer) {
    const before = all.get(after.id)
    // What is over stays over: an older event may come after the answer that said so.
    if (before === undefined || isOver(before.state)) return
    all.set(after.id, after)
    yield* display.update(after, current())
  })
  for (const transfer of sent) yield* display.update(transfer, current())
  const over = () => current().every((transfer) => isOver(transfer.state))
  if (!over()) {
    yield* events.pipe(
      Stream.mapEffect(({ data }) => {
        if (data._tag === "TransferChanged") return take(data.transfer)
        if (data._tag !== "Missed") return Effect.void
        return Effect.flatMap(client.transfers.list(), (listed) => Effect.forEach(listed, take, { discard: true }))
      }),
      Stream.takeUntil(over),
      Stream.runDrain,
      // However the stream of events breaks, it means the same to the person who waits.
      Effect.mapError(() => stopped),
      Effect.ensuring(display.clear)
    )
  }
  if (!over()) return yield* stopped
  return { transfers: current(), nameOf }
})

export const send = Command.make(
  "send",
  {
    json,
    to: peerFlag("to", "A name, a short id or an id; may be given several times").pipe(CliFlag.atLeast(0)),
    all: CliFlag.Boolean("all").pipe(
      CliFlag.withoutNegation,
      CliFlag.withDescription("To everyone who is connected"),
      CliFlag.withDefault(false)
    ),
    priority: CliFlag.Literals("priority", TransferPriority.literals).pipe(
      CliFlag.withDescription("Which of several has its turn first; the default is normal"),
      CliFlag.optional
    ),
    again: CliFlag.String("again").pipe(
      CliFlag.withMetavar("ID"),
      CliFlag.withDescription("What that transfer sent, to the same peer once more; see: kith transfers"),
      CliFlag.optional
    ),
    paths: Argument.String("PATH").pipe(Argument.withDescription("Files and directories"), Argument.variadic())
  },
  Effect.fn("cli.send")(function* ({ again, all, json, paths, priority, to }) {
    const isAgain = Option.isSome(again)
    if (isAgain && (all || to.length > 0 || paths.length > 0 || Option.isSome(priority))) {
      return yield* new Usage({ problem: "--again says what and to whom: nothing else goes with it", see })
    }
    if (!isAgain && paths.length === 0)
      return yield* new Usage({ problem: "say what to send: PATH, or --again ID", see })
    if (all && to.length > 0) return yield* new Usage({ problem: "--all and --to exclude each other", see })
    if (!isAgain && !all && to.length === 0)
      return yield* new Usage({ problem: "say to whom: --to PEER or --all", see })
    if (paths.includes("")) return yield* new Usage({ problem: "a path is empty", see })
    const payload = {
      paths: paths.map((path) => resolve(path)),
      to: all ? null : to,
      ...(Option.isSome(priority) ? { priority: priority.value } : {})
    }
    const sending = Effect.fnUntraced(function* (client: Client) {
      if (!isAgain) return yield* client.transfers.send({ payload })
      const { id } = yield* client.transfers.find({ query: { query: again.value } })
      return yield* client.transfers.again({ params: { id } })
    })
    const { nameOf, transfers } = yield* withNode((client) =>
      sendAndFollow(client, sending(client), (nameOf) =>
        json ? Progress.silent : Progress.show(process.stdout, nameOf)
      )
    ).pipe(Effect.onInterrupt(() => Output.note("the node goes on sending; see: kith transfers")))
    if (json) yield* Output.json(transfers)
    else for (const line of transfers.flatMap((transfer) => outcome(transfer, nameOf))) yield* Output.line(line)
    const problem = verdict(transfers)
    if (problem !== null) return yield* problem
  })
).pipe(
  Command.withDescription("Send files and directories to peers, and wait until they have them"),
  Command.withExamples([
    { command: "kith send ./photos report.pdf --to bob" },
    { command: "kith send ./photos --to bob --to carol" },
    { command: "kith send ./photos --all" },
    { command: "kith send --again 4k2m" }
  ])
)

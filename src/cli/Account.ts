/**
 * What is told of a transfer beside its row: where things are, what was renamed, not taken, left out or failed, and
 * what to do. Pure; every text is inert.
 */
import { isOver, type ProblemKind, problemsOf, type Transfer } from "../schema/Offer.ts"
import { inert } from "../schema/Text.ts"
import type { Names } from "./Names.ts"
import { bytes, count, duration, moment, table } from "./Output.ts"
import * as Progress from "./Progress.ts"

/** Characters of an id, of a transfer or an alarm, that are shown: enough to tell those apart that are kept. */
export const shortLength = 8

export const shortId = (transfer: Pick<Transfer, "id">): string => transfer.id.slice(0, shortLength)

/** `to bob`, `from alice`. */
export const wayOf = (transfer: Transfer, nameOf: Names): string =>
  `${transfer.direction === "send" ? "to" : "from"} ${nameOf(transfer.peer)}`

/** Some of many, and how many more there are. */
const some = (lines: ReadonlyArray<string>, total: number, max: number, rest: string): ReadonlyArray<string> => {
  const shown = lines.slice(0, max)
  return total > shown.length ? [...shown, `and ${total - shown.length} more ${rest}`] : shown
}

/** Where things are. At the sender these are names below what the peer receives into. */
const places = ({ direction, published, renamed = [] }: Transfer, max: number): ReadonlyArray<string> => [
  ...some(
    published.map((path) => (direction === "receive" ? `in ${inert(path)}` : `stored there as ${inert(path)}`)),
    published.length,
    max,
    "places"
  ),
  ...some(
    renamed.map(({ name, path }) => `renamed: ${inert(path)} is ${inert(name)}, since the name was taken`),
    renamed.length,
    max,
    "renamed"
  )
]

/** What was not sent, since the receiver had it: who sends and who receives is told the same. */
const already = ({ direction, skipped = 0 }: Transfer): ReadonlyArray<string> =>
  skipped === 0
    ? []
    : [
        `${count(skipped, "file")} ${skipped === 1 ? "was" : "were"} ${direction === "receive" ? "here" : "there"} already`
      ]

/** What is not there, and why. */
const gaps = (transfer: Transfer, max: number): ReadonlyArray<string> => [
  ...problems(transfer, "failed", "failed", max),
  ...problems(transfer, "leftOut", "left out", max),
  ...notTakenOf(transfer, max)
]

const problems = (transfer: Transfer, kind: ProblemKind, word: string, max: number): ReadonlyArray<string> => {
  const { count, named } = problemsOf(transfer, kind)
  const lines = named.map(({ path, reason }) => `${word}: ${inert(path)}: ${inert(reason)}`)
  return some(lines, count, max, word)
}

const notTakenOf = ({ notTaken }: Transfer, max: number): ReadonlyArray<string> => [
  ...(notTaken === undefined || notTaken.count === 0
    ? []
    : some(
        notTaken.paths.map((path) => `not taken: ${inert(path)}`),
        notTaken.count,
        max,
        "not taken"
      ))
]

/** What is to be done about it, if anything. */
const todo = (transfer: Transfer): ReadonlyArray<string> =>
  transfer.state === "offered" && transfer.direction === "receive"
    ? [`see it: kith transfers ${shortId(transfer)} --list`, `take it: kith accept ${shortId(transfer)}`]
    : []

/** What belongs below a transfer's line; of anything that may be long, `max` lines. */
export const remarks = (transfer: Transfer, max: number): ReadonlyArray<string> => [
  ...todo(transfer),
  ...(transfer.error === null ? [] : [inert(transfer.error)]),
  ...places(transfer, max),
  ...already(transfer),
  ...gaps(transfer, max)
]

const stateOf = (transfer: Transfer): string => {
  const by = transfer.pausedBy ?? null
  return transfer.state === "paused" && by !== null
    ? `paused, by ${by === "here" ? "this node" : by === "peer" ? "the peer" : "both sides"}`
    : Progress.stateOf(transfer)
}

/** Everything about one transfer. */
export const account = (transfer: Transfer, nameOf: Names): ReadonlyArray<string> => {
  const { bytesPerSecond, directories, files, totalBytes } = transfer
  const contents =
    (transfer.listing === true ? "so far " : "") +
    [count(files, "file"), count(directories, "directory", "directories"), bytes(totalBytes)].join(", ")
  const left = transfer.secondsLeft ?? null
  const speed = bytesPerSecond === 0 ? "" : `, ${bytes(bytesPerSecond)}/s`
  const rows = [
    ["transfer", transfer.id],
    ["what", `${transfer.name} (${contents})`],
    [transfer.direction === "send" ? "to" : "from", nameOf(transfer.peer)],
    ["state", stateOf(transfer)],
    ["progress", `${Progress.doneOf(transfer)}${speed}${left === null ? "" : `, ${duration(left)} left`}`],
    ...(transfer.priority === undefined || isOver(transfer.state) ? [] : [["priority", transfer.priority]]),
    ...(transfer.freeBytes === undefined ? [] : [["free space", bytes(transfer.freeBytes)]]),
    ...(transfer.digest === undefined ? [] : [["digest", transfer.digest]]),
    ["began", moment(transfer.startedAt, "medium")],
    ["group", transfer.group]
  ]
  return [...table(rows), ...remarks(transfer, Number.POSITIVE_INFINITY)]
}

/** What is said to a peer about one transfer, from what is shown of it here. Pure. */
import { Frame, type FrameOf } from "../../schema/Frame.ts"
import { publishedMax } from "../../schema/Offer.ts"
import { nameMaxBytes, short } from "../../schema/Text.ts"
import type { TransferRecord } from "./TransferBook.ts"
import type { Outcome } from "./TransferState.ts"

export const offerOf = (record: TransferRecord): FrameOf<"Offer"> => {
  const { directories, files, group, listing, name, priority, totalBytes } = record.view
  const offered = { transfer: record.id, group, files, directories, bytes: totalBytes }
  return Frame.cases.Offer.make({
    ...offered,
    name: short(name, nameMaxBytes),
    ...(listing === true && { listing }),
    ...(priority === undefined ? {} : { priority })
  })
}

export const controlOf = (record: TransferRecord, action: "pause" | "resume" | "cancel", reason: string) =>
  Frame.cases.TransferControl.make({ transfer: record.id, action, reason: short(reason) })

/** What a sender is told that asks again about a transfer that an earlier run ended. */
export const lastWordOf = (record: TransferRecord): Frame => {
  const { error, state } = record.view
  const transfer = record.id
  if (state === "declined") {
    return Frame.cases.OfferReply.make({ transfer, decision: "declined", reason: short(error ?? "it was declined") })
  }
  if (state === "cancelled") return controlOf(record, "cancel", error ?? "the receiver cancelled it")
  return doneOf(record, { state: state === "done" || state === "partial" ? state : "failed", error })
}

/** What a sender is told that offers again what is over here; nothing where there was no last word. */
export const finalWords = ({ id, lastWord }: TransferRecord): ReadonlyArray<Frame> => {
  if (lastWord === null) return []
  // The yes may have been lost as well.
  const yes = Frame.cases.OfferReply.make({ transfer: id, decision: "accepted", reason: "" })
  return lastWord._tag === "TransferDone" ? [yes, lastWord] : [lastWord]
}

export const doneOf = (record: TransferRecord, outcome: Outcome): Frame =>
  Frame.cases.TransferDone.make({
    transfer: record.id,
    outcome: outcome.state === "done" || outcome.state === "partial" ? outcome.state : "failed",
    failed: record.view.problems
      .slice(0, 100)
      .map(({ kind, path, reason }) => ({ path, reason: short(reason), ...(kind === "leftOut" && { leftOut: true }) })),
    error: short(outcome.error ?? ""),
    ...(record.names.length === 0 ? {} : { published: record.names.slice(0, publishedMax) }),
    ...(record.digest === undefined || outcome.state !== "done" ? {} : { digest: record.digest }),
    ...(record.view.skipped === undefined ? {} : { same: record.view.skipped })
  })

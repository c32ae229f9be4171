/** What reaches the sender of a transfer, as its machine understands it; what the receiver says is shown on the way. */
import * as Option from "effect/Option"
import type { FrameOf } from "../../../schema/Frame.ts"
import { renamedOf } from "../../../schema/Offer.ts"
import { type Sending, SendMessage } from "./SendState.ts"
import type { Tools } from "../TransferActor.ts"
import type { Letter, PersonAction, TransferRecord } from "../TransferBook.ts"
import { isHeld, type Outcome } from "../TransferState.ts"

export const readSending = (
  letter: Letter,
  state: Sending,
  tools: Tools,
  record: TransferRecord
): Option.Option<SendMessage> => {
  switch (letter._tag) {
    case "Session":
      return Option.some(letter.up ? SendMessage.PeerUp() : SendMessage.PeerDown())
    case "Lane":
      return Option.some(SendMessage.Attached({ lane: letter.number, attempt: letter.attempt }))
    case "Person":
      return readPerson(letter.action, state, record)
    case "Forgotten":
    case "Crowded":
      return Option.none()
    case "Frame":
      return readFrame(letter.frame, state, tools, record)
  }
}

const readPerson = (action: PersonAction, state: Sending, record: TransferRecord): Option.Option<SendMessage> => {
  switch (action._tag) {
    case "cancel":
      return Option.some(SendMessage.Cancelled({ by: "here", reason: "the sender cancelled it" }))
    case "pause":
      return state.pause.here || state.status === "publishing"
        ? Option.none()
        : Option.some(SendMessage.Paused({ by: "here" }))
    case "resume":
      return isHeld(state.pause) ? Option.some(SendMessage.Resumed({ by: "here" })) : Option.none()
    case "prioritise":
      record.view = { ...record.view, priority: action.priority }
      return Option.some(SendMessage.Changed())
    case "accept":
    case "decline":
      return Option.none()
  }
}

const readControl = (frame: FrameOf<"TransferControl">): SendMessage => {
  switch (frame.action) {
    case "pause":
      return SendMessage.Paused({ by: "peer" })
    case "resume":
      return SendMessage.Resumed({ by: "peer" })
    case "cancel":
      return SendMessage.Cancelled({ by: "peer", reason: frame.reason })
  }
}

const readFrame = (
  frame: Extract<Letter, { readonly _tag: "Frame" }>["frame"],
  state: Sending,
  tools: Tools,
  record: TransferRecord
): Option.Option<SendMessage> => {
  switch (frame._tag) {
    case "OfferReply":
      if (frame.decision === "declined") return Option.some(SendMessage.Declined({ reason: frame.reason }))
      if (frame.taken !== undefined) {
        const { bytes, directories, files } = frame.taken
        record.view = { ...record.view, files, directories, totalBytes: bytes }
      }
      return Option.some(SendMessage.Accepted())
    case "TransferControl":
      return Option.some(readControl(frame))
    case "TransferStatus":
      return frame.status === "queued" || frame.status === "publishing"
        ? Option.some(SendMessage.Status({ status: frame.status }))
        : Option.none()
    case "DialMe":
      return Option.some(SendMessage.DialWanted({ lane: frame.lane, attempt: frame.attempt }))
    case "TransferDone":
      return Option.some(SendMessage.Over({ outcome: outcomeOf(frame, state, tools, record) }))
    case "Offer":
      return Option.none()
  }
}

/** What the receiver says of the end, with the entries that it names. */
const outcomeOf = (frame: FrameOf<"TransferDone">, state: Sending, tools: Tools, record: TransferRecord): Outcome => {
  const known = new Set(record.view.problems.map((problem) => problem.path))
  for (const { leftOut = false, path, reason } of frame.failed) {
    if (!known.has(path)) tools.book.problem(record, leftOut ? "leftOut" : "failed", path, reason)
  }
  // All that could be safe is: what is missing is named.
  if (frame.outcome === "done" && state.accepted) {
    record.bytes = record.view.totalBytes
    record.filesDone = record.view.files
  }
  record.digest = frame.digest
  const names = frame.published ?? []
  record.view = {
    ...record.view,
    published: names.map(({ name }) => name),
    renamed: renamedOf(names),
    ...(frame.same !== undefined && { skipped: frame.same })
  }
  return { state: frame.outcome, error: frame.error === "" ? null : frame.error }
}

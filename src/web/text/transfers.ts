/** A transfer's state in words, and what became of an offer that does not wait any more. */
import type { Transfer } from "../../schema/Offer.ts"
import { count } from "./format.ts"

export const stateWord = ({ direction, pausedBy, state }: Transfer): string => {
  switch (state) {
    case "offered":
      return "Waiting for an answer"
    case "queued":
      return "Queued"
    case "waiting":
      return "Waiting until the peer is back"
    case "running":
      return direction === "send" ? "Sending" : "Receiving"
    case "stalled":
      return "Stalled: nothing moves at the moment"
    case "paused":
      return pausedBy === "peer" ? "Paused by the other side" : "Paused"
    case "done":
      return direction === "send" ? "Sent" : "Received"
    case "partial":
      return direction === "send" ? "Sent, but not all" : "Received, but not all"
    case "failed":
      return "Failed"
    case "cancelled":
      return "Cancelled"
    case "declined":
      return "Declined"
  }
}

/** Of files that were not sent, since the receiver had them. */
export const alreadyWord = (direction: Transfer["direction"], files: number): string =>
  `${count(files)} ${files === 1 ? "file was" : "files were"} ${direction === "receive" ? "here" : "there"} already`

/** Of an offer that was open while it ended. */
export const overWord = ({ state }: Transfer): { readonly title: string; readonly text: string } => {
  switch (state) {
    case "cancelled":
      return {
        title: "This offer was taken back",
        text: "The sender does not offer it any more. Nothing was received."
      }
    case "declined":
      return {
        title: "This offer was declined",
        text: "Here, in another window, or because nobody answered it in time."
      }
    case "failed":
      return { title: "This offer failed", text: "Nothing was received. Ask the sender to offer it again." }
    default:
      return { title: "This offer was answered already", text: "It is among the transfers now." }
  }
}

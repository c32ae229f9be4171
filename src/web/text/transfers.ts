/** A transfer's state in words. */
import type { Transfer } from "../../schema/Offer.ts"

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

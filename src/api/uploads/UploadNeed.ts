/**
 * What an upload that was sent is still needed for. Where a transfer failed it can be sent again without being handed
 * over again, until another one brought it there; whoever declined or cancelled it ended it. Pure.
 */
import { isOver, type Transfer as View } from "../../schema/Offer.ts"

export type Need = "running" | "again" | "nothing"

/** For the transfers that send it, as far as they are known. */
export const needOf = (transfers: ReadonlyArray<View>): Need => {
  if (transfers.some(({ state }) => !isOver(state))) return "running"
  const arrived = new Set(transfers.flatMap(({ peer, state }) => (state === "done" ? [peer] : [])))
  const failed = transfers.filter(({ state }) => state === "failed" || state === "partial")
  return failed.some(({ peer }) => !arrived.has(peer)) ? "again" : "nothing"
}

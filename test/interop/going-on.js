// The rest of sections 7 and 8 for node.js as a receiver, which by itself takes what comes on the first data link: one
// that is lost is opened again, an offer that comes again goes on where it was, and a sender may pause and cancel.
import { attach, frames, sessions, tell, transfers } from "./node.js"

const goOn = (t) => {
  if (t.role !== "receive" || t.data || t.over || t.held || !sessions.has(t.peer)) return
  attach(t)
  untilLost(t)
}
const untilLost = (t) => t.data.on("close", () => setTimeout(goOn, 200, t, (t.data = undefined)))

const begin = frames.Offer
/** What is done with these frames by a node that goes on. */
export const goingOn = {
  Transfers: ({ peer }, { unfinished }) => {
    const isSent = (t) => unfinished.some(({ transfer, role }) => transfer === t.id && role === "send")
    const gone = [...transfers.values()].filter((t) => t.peer === peer && t.role === "receive" && !isSent(t))
    for (const t of gone) transfers.delete(t.id, (t.over = "gone"), t.data?.destroy())
    for (const t of transfers.values()) if (t.peer === peer && t.offer && !t.over) sessions.get(peer).send(t.offer)
  },
  Offer: (link, offer) => {
    const t = transfers.get(offer.transfer)
    if (t === undefined) return untilLost(begin(link, offer))
    if (t.peer !== link.peer) return
    if (t.over ?? t.accepted) link.send(t.over ?? t.accepted)
    goOn(t)
  },
  TransferControl: ({ peer }, { transfer, action, reason }) => {
    const t = transfers.get(transfer)
    if (t?.peer !== peer || t.over) return
    tell("control", { transfer, action, reason })
    t.held = action === "pause"
    if (action === "cancel") t.over = { _tag: "TransferControl", transfer, action, reason }
    if (action === "resume") goOn(t)
    else t.data?.destroy()
  }
}

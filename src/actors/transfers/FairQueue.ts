/**
 * Who waits for something that several want: in turn by peer, then by transfer of that peer, then in the order of
 * asking. Pure, but changed in place: one owner.
 */
import type { TransferId } from "../../schema/Id.ts"
import type { PeerId } from "../../schema/PeerId.ts"

/** For whom something is wanted. */
export interface Claimant {
  readonly peer: PeerId
  readonly transfer: TransferId
}

export class FairQueue<A> {
  /** The peer and the transfer whose turn is next come first. */
  private readonly peers = new Map<PeerId, Map<TransferId, Array<A>>>()
  private count = 0

  get size(): number {
    return this.count
  }

  push({ peer, transfer }: Claimant, item: A): void {
    const transfers = this.peers.get(peer) ?? new Map<TransferId, Array<A>>()
    this.peers.set(peer, transfers)
    const items = transfers.get(transfer)
    if (items === undefined) transfers.set(transfer, [item])
    else items.push(item)
    this.count++
  }

  /** The first in turn that this is true of; it gives its turn to the next. */
  take(fits: (item: A) => boolean): A | undefined {
    for (const [peer, transfers] of this.peers) {
      for (const [transfer, items] of transfers) {
        const [item] = items
        if (item === undefined || !fits(item)) continue
        items.shift()
        this.count--
        // To the end of the line, or out of it.
        transfers.delete(transfer)
        if (items.length > 0) transfers.set(transfer, items)
        this.peers.delete(peer)
        if (transfers.size > 0) this.peers.set(peer, transfers)
        return item
      }
    }
    return undefined
  }

  remove({ peer, transfer }: Claimant, item: A): void {
    const transfers = this.peers.get(peer)
    const items = transfers?.get(transfer)
    const at = items?.indexOf(item) ?? -1
    if (transfers === undefined || items === undefined || at < 0) return
    items.splice(at, 1)
    this.count--
    if (items.length === 0) transfers.delete(transfer)
    if (transfers.size === 0) this.peers.delete(peer)
  }
}

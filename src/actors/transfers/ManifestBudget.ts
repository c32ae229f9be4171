/**
 * Memory, and once they are spooled disk, for the lists of offers that nobody has answered yet: so much for one peer, so much for all. Whoever offers
 * decides how long a list is, and may have as many keys as it likes. Pure: it counts, others act.
 */
import type { MemoryRoom } from "../../schema/ManifestCheck.ts"
import type { TransferId } from "../../schema/Id.ts"
import type { PeerId } from "../../schema/PeerId.ts"

/** Of one peer that a person trusts, or whose offers are taken unasked; and of any other. */
export const manifestMax = 256 * 1024 * 1024
export const manifestUnverifiedMax = 16 * 1024 * 1024

/** Of all peers together. */
const manifestsMax = 256 * 1024 * 1024

interface Held {
  readonly peer: PeerId
  bytes: number
}

export class ManifestBudget {
  readonly #held = new Map<TransferId, Held>()
  readonly #isOpen: (transfer: TransferId) => boolean
  readonly #max: number

  /** `isOpen`: whether an offer waits for its answer; what was answered is no longer counted. */
  constructor(isOpen: (transfer: TransferId) => boolean, max: number = manifestsMax) {
    this.#isOpen = isOpen
    this.#max = max
  }

  /** Room for the list of one transfer, of a peer whose open offers may take `peerMax` together. */
  room(transfer: TransferId, peer: PeerId, peerMax: number): MemoryRoom {
    const own: Held = { peer, bytes: 0 }
    this.#held.set(transfer, own)
    return {
      allows: (bytes) => {
        own.bytes = bytes
        let ofPeer = bytes
        let all = bytes
        for (const [id, held] of this.#held) {
          if (id === transfer || !this.#isOpen(id)) continue
          all += held.bytes
          if (held.peer === peer) ofPeer += held.bytes
        }
        return ofPeer <= peerMax && all <= this.#max
      },
      spooled: (bytes) => void (own.bytes = bytes)
    }
  }

  /** The transfer is over. */
  forget(transfer: TransferId): void {
    this.#held.delete(transfer)
  }
}

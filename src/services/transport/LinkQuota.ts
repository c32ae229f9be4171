/**
 * How many inbound links may be open: in all, from one network, and of one key. A handshake is cheap for whoever makes
 * it, and each link costs a descriptor and memory here until its first word is late. Pure: it counts, others act.
 */
import { networkOf } from "./NetworkOf.ts"

export class LinkQuota {
  readonly #limits: LinkLimits
  readonly #byNetwork = new Map<string, number>()
  readonly #byPeer = new Map<string, number>()
  #open = 0

  constructor(limits: LinkLimits) {
    this.#limits = limits
  }

  get open(): number {
    return this.#open
  }

  /** Counts one more link; or says why it may not be, and counts nothing. */
  enter(peer: string, address: string): string | undefined {
    const network = networkOf(address)
    const [ofPeer, ofNetwork] = [this.#byPeer.get(peer) ?? 0, this.#byNetwork.get(network) ?? 0]
    if (ofPeer >= this.#limits.perPeerMax) return `${ofPeer} links of this peer are open`
    if (ofNetwork >= this.#limits.perNetworkMax) return `${ofNetwork} links from its network are open`
    if (this.#open >= this.#limits.max) return `${this.#open} links are open`
    this.#byPeer.set(peer, ofPeer + 1)
    this.#byNetwork.set(network, ofNetwork + 1)
    this.#open++
    return undefined
  }

  /** Once for each that entered. */
  leave(peer: string, address: string): void {
    decrease(this.#byPeer, peer)
    decrease(this.#byNetwork, networkOf(address))
    this.#open--
  }
}

interface LinkLimits {
  readonly max: number
  readonly perNetworkMax: number
  readonly perPeerMax: number
}

const decrease = (counts: Map<string, number>, key: string): void => {
  const count = (counts.get(key) ?? 0) - 1
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}

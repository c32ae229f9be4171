/**
 * Which announcements are followed by a dial. Anyone can invent a new node for each datagram, and each would cost an
 * actor, a place in the registry and a connection: so what was not heard lately is followed only so many times a second,
 * from one network and in all. What is left out is heard again 5 s later, if it is true. Pure: it counts, others act.
 */
import { limits } from "../../config.ts"
import { type Address, format } from "../../schema/Address.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { ArrivalBudget } from "../../services/discovery/ArrivalBudget.ts"

export class Hearsay {
  readonly #budget = new ArrivalBudget({
    all: { burst: limits.newcomersBurst, perSecond: limits.newcomersPerSecond },
    perNetwork: { burst: limits.newcomersPerNetworkBurst, perSecond: limits.newcomersPerNetworkPerSecond },
    networksMax: limits.discoveredMax
  })
  /** Who was followed where, the one heard longest ago first. */
  readonly #followed = new Set<string>()

  /** Whether this peer, heard to be there at this time in milliseconds of a monotonic clock, is worth a dial. */
  isFollowed(id: PeerId, address: Address, now: number): boolean {
    const key = `${id} ${format(address)}`
    if (!this.#followed.delete(key) && !this.#budget.take(address.host, now)) return false
    this.#followed.add(key)
    const [oldest] = this.#followed
    if (this.#followed.size > limits.peersMax && oldest !== undefined) this.#followed.delete(oldest)
    return true
  }
}

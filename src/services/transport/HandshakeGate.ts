/**
 * Who may begin a handshake, and who waits. So many at once in all, from one network and from one address; the rest
 * wait in turn, network by network and in each address by address, so that one that opens a thousand connections
 * delays its own and hardly anyone else's. When too many wait, the newest of the address that has most of them waiting,
 * in the network that has most, is turned away. Pure: it decides, others act.
 *
 * An IPv4 address is a network of its own; of IPv6 addresses those with the same first 64 bits are one network, since
 * one machine can have as many of them as it likes.
 */
import { networkOf } from "./NetworkOf.ts"

/** A place in the gate; `decided` is told once whether it may begin. */
export interface Ticket {
  readonly address: string
  readonly decided: (admitted: boolean) => void
  state: "waiting" | "working" | "gone"
}

interface Line {
  working: number
  readonly waiting: Array<Ticket>
}

interface Network {
  working: number
  waiting: number
  /** By address, in the order in which they have their turns. */
  readonly lines: Map<string, Line>
}

export class HandshakeGate {
  readonly #max: number
  readonly #perNetworkMax: number
  readonly #perAddressMax: number
  readonly #waitingMax: number
  /** In the order in which networks have their turns. */
  readonly #networks = new Map<string, Network>()
  #working = 0
  #waiting = 0

  constructor(options: {
    /** Handshakes at once, in all. */
    readonly max: number
    /** Handshakes at once from one network; as many as in all unless told. */
    readonly perNetworkMax?: number
    /** Handshakes at once from one address. */
    readonly perAddressMax: number
    /** Connections that wait. */
    readonly waitingMax: number
  }) {
    this.#max = options.max
    this.#perNetworkMax = options.perNetworkMax ?? options.max
    this.#perAddressMax = options.perAddressMax
    this.#waitingMax = options.waitingMax
  }

  get working(): number {
    return this.#working
  }

  get waiting(): number {
    return this.#waiting
  }

  /** A connection arrived: it begins now, waits, or is turned away, as `decided` hears at once or later. */
  enter(address: string, decided: (admitted: boolean) => void): Ticket {
    const ticket: Ticket = { address, decided, state: "waiting" }
    const key = networkOf(address)
    const network = this.#networks.get(key) ?? { working: 0, waiting: 0, lines: new Map<string, Line>() }
    this.#networks.set(key, network)
    const line = network.lines.get(address) ?? { working: 0, waiting: [] }
    network.lines.set(address, line)
    line.waiting.push(ticket)
    network.waiting++
    this.#waiting++
    this.#admit()
    if (this.#waiting > this.#waitingMax) this.#turnAway()
    return ticket
  }

  /** The handshake ended, well or not, or who waited does not any more. Once is enough, twice does no harm. */
  leave(ticket: Ticket): void {
    const { state } = ticket
    const network = this.#networks.get(networkOf(ticket.address))
    const line = network?.lines.get(ticket.address)
    if (state === "gone" || network === undefined || line === undefined) return
    ticket.state = "gone"
    if (state === "working") {
      line.working--
      network.working--
      this.#working--
    } else {
      line.waiting.splice(line.waiting.indexOf(ticket), 1)
      network.waiting--
      this.#waiting--
    }
    this.#forgetIdle(ticket.address, network)
    this.#admit()
  }

  #admit(): void {
    while (this.#working < this.#max && this.#waiting > 0) {
      const ticket = this.#takeNext()
      if (ticket === undefined) return
      ticket.state = "working"
      ticket.decided(true)
    }
  }

  #takeNext(): Ticket | undefined {
    for (const [key, network] of this.#networks) {
      if (network.waiting === 0 || network.working >= this.#perNetworkMax) continue
      for (const [address, line] of network.lines) {
        if (line.working >= this.#perAddressMax) continue
        const ticket = line.waiting.shift()
        if (ticket === undefined) continue
        this.#waiting--
        network.waiting--
        this.#working++
        network.working++
        line.working++
        // To the end of the round: the others have their turns first.
        network.lines.delete(address)
        network.lines.set(address, line)
        this.#networks.delete(key)
        this.#networks.set(key, network)
        return ticket
      }
    }
    return undefined
  }

  #turnAway(): void {
    const network = fullest(this.#networks.values(), (each) => each.waiting)
    const line = network === undefined ? undefined : fullest(network.lines.values(), (each) => each.waiting.length)
    const ticket = line?.waiting.pop()
    if (network === undefined || ticket === undefined) return
    this.#waiting--
    network.waiting--
    ticket.state = "gone"
    this.#forgetIdle(ticket.address, network)
    ticket.decided(false)
  }

  #forgetIdle(address: string, network: Network): void {
    const line = network.lines.get(address)
    if (line !== undefined && line.working === 0 && line.waiting.length === 0) network.lines.delete(address)
    if (network.lines.size === 0) this.#networks.delete(networkOf(address))
  }
}

/** The last of those with the most. */
const fullest = <A>(of: Iterable<A>, size: (each: A) => number): A | undefined => {
  let found: A | undefined
  for (const each of of) if (found === undefined || size(each) >= size(found)) found = each
  return found
}

/**
 * Who may begin a handshake, and who waits. So many at once in all and from one address; the rest wait in turn,
 * address by address, so that one that opens a thousand connections delays its own and hardly anyone else's. When
 * too many wait, the newest of the address that has most of them waiting is turned away. Pure: it decides, others act.
 */

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

export class HandshakeGate {
  readonly #max: number
  readonly #perAddressMax: number
  readonly #waitingMax: number
  /** In the order in which addresses have their turns. */
  readonly #lines = new Map<string, Line>()
  #working = 0
  #waiting = 0

  constructor(options: {
    /** Handshakes at once, in all. */
    readonly max: number
    /** Handshakes at once from one address. */
    readonly perAddressMax: number
    /** Connections that wait. */
    readonly waitingMax: number
  }) {
    this.#max = options.max
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
    const line = this.#lines.get(address) ?? { working: 0, waiting: [] }
    this.#lines.set(address, line)
    line.waiting.push(ticket)
    this.#waiting++
    this.#admit()
    if (this.#waiting > this.#waitingMax) this.#turnAway()
    return ticket
  }

  /** The handshake ended, well or not, or who waited does not any more. Once is enough, twice does no harm. */
  leave(ticket: Ticket): void {
    const { state } = ticket
    const line = this.#lines.get(ticket.address)
    if (state === "gone" || line === undefined) return
    ticket.state = "gone"
    if (state === "working") {
      line.working--
      this.#working--
    } else {
      line.waiting.splice(line.waiting.indexOf(ticket), 1)
      this.#waiting--
    }
    this.#forgetIdle(ticket.address, line)
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
    for (const [address, line] of this.#lines) {
      if (line.working >= this.#perAddressMax) continue
      const ticket = line.waiting.shift()
      if (ticket === undefined) continue
      this.#waiting--
      this.#working++
      line.working++
      // To the end of the round: the other addresses have their turns first.
      this.#lines.delete(address)
      this.#lines.set(address, line)
      return ticket
    }
    return undefined
  }

  #turnAway(): void {
    let longest: Line | undefined
    for (const line of this.#lines.values()) {
      if (longest === undefined || line.waiting.length >= longest.waiting.length) longest = line
    }
    const ticket = longest?.waiting.pop()
    if (longest === undefined || ticket === undefined) return
    this.#waiting--
    ticket.state = "gone"
    this.#forgetIdle(ticket.address, longest)
    ticket.decided(false)
  }

  #forgetIdle(address: string, line: Line): void {
    if (line.working === 0 && line.waiting.length === 0) this.#lines.delete(address)
  }
}

/**
 * Keeps hostile or broken neighbours from filling the log: one line for an address in a while, which says how many
 * were left out since the last, and a bound on addresses, beyond which new ones are only counted. Pure.
 */
import * as Duration from "effect/Duration"

interface Record {
  /** When a line was written, in nanoseconds of the monotonic clock. */
  readonly at: bigint
  suppressed: number
}

export class OffenceLog {
  readonly #every: bigint
  readonly #addressesMax: number
  /** In the order of `at`. */
  readonly #records = new Map<string, Record>()
  #unnamed = 0

  constructor(options: {
    /** At most one line for an address in this time. */
    readonly every: Duration.Duration
    /** At most this many addresses, and so lines, in that time. */
    readonly addressesMax: number
  }) {
    this.#every = Duration.toNanosUnsafe(options.every)
    this.#addressesMax = options.addressesMax
  }

  /**
   * An offence from `address`. Undefined: write nothing. Else a line is due, and the number says how many offences of
   * that address, and of addresses there was no room for, have gone without one.
   */
  note(address: string, now: bigint): number | undefined {
    const known = this.#records.get(address)
    if (known !== undefined && now - known.at < this.#every) {
      known.suppressed++
      return undefined
    }
    if (known === undefined && this.#records.size >= this.#addressesMax && !this.#makeRoom(now)) {
      this.#unnamed++
      return undefined
    }
    const suppressed = (known?.suppressed ?? 0) + this.#unnamed
    this.#unnamed = 0
    this.#records.delete(address)
    this.#records.set(address, { at: now, suppressed: 0 })
    return suppressed
  }

  /** Forgets the oldest record if it is out of date. */
  #makeRoom(now: bigint): boolean {
    const [oldest] = this.#records
    if (oldest === undefined || now - oldest[1].at < this.#every) return false
    this.#unnamed += oldest[1].suppressed
    return this.#records.delete(oldest[0])
  }
}

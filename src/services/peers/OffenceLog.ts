/**
 * Keeps hostile or broken neighbours from filling the log: one line, or a few, for an address in a while, of which the
 * first says how many were left out before, and a bound on addresses, beyond which new ones are only counted. Pure.
 */
import * as Duration from "effect/Duration"

interface Record {
  /** When its first line was written, in nanoseconds of the monotonic clock. */
  readonly at: bigint
  lines: number
  suppressed: number
}

export class OffenceLog {
  readonly #every: bigint
  readonly #addressesMax: number
  readonly #atOnce: number
  /** In the order of `at`. */
  readonly #records = new Map<string, Record>()
  #unnamed = 0

  constructor(options: {
    /** At most so many lines for an address in this time. */
    readonly every: Duration.Duration
    /** At most this many addresses, and so lines, in that time. */
    readonly addressesMax: number
    /** Lines for an address in that time before any is left out; one unless told. */
    readonly atOnce?: number
  }) {
    this.#every = Duration.toNanosUnsafe(options.every)
    this.#addressesMax = options.addressesMax
    this.#atOnce = options.atOnce ?? 1
  }

  /**
   * An offence from `address`. Undefined: write nothing. Else a line is due, and the number says how many offences of
   * that address, and of addresses there was no room for, have gone without one.
   */
  note(address: string, now: bigint): number | undefined {
    const known = this.#records.get(address)
    if (known !== undefined && now - known.at < this.#every) {
      if (known.lines < this.#atOnce) {
        known.lines++
        return 0
      }
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
    this.#records.set(address, { at: now, lines: 1, suppressed: 0 })
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

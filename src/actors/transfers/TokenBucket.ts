/**
 * So many bytes a second: each portion is given a moment from which on it may pass, one after the other, so that many
 * who share a bucket keep its rate together and each has its turn in the order of asking. What was not used is kept
 * for `burst` seconds at most. Pure, but changed in place: one owner.
 */

const burst = 0.1

const portionMin = 1024
const portionMax = 256 * 1024

export class TokenBucket {
  /** Bytes a second; null: as many as there are. */
  rate: number | null = null
  private readonly seconds: number
  /** When all that was let pass is paid for, in nanoseconds. */
  private paid = 0n

  /** Portions are this many seconds of the rate: short ones let those who share it take turns often. */
  constructor(seconds: number) {
    this.seconds = seconds
  }

  /** How long a portion of so many bytes has to wait from now on, in nanoseconds. */
  take(bytes: number, now: bigint): bigint {
    const { rate } = this
    if (rate === null) return 0n
    const earliest = now - BigInt(Math.round(burst * 1e9))
    const from = this.paid > earliest ? this.paid : earliest
    this.paid = from + BigInt(Math.ceil((bytes / rate) * 1e9))
    return from > now ? from - now : 0n
  }

  /** From now on. What was promised before is not held against it. */
  setRate(rate: number | null): void {
    this.rate = rate
    this.paid = 0n
  }

  /** The most that should be taken at once. */
  get portion(): number {
    return this.rate === null
      ? Number.POSITIVE_INFINITY
      : Math.min(portionMax, Math.max(portionMin, Math.floor(this.rate * this.seconds)))
  }
}

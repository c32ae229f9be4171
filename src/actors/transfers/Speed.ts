/**
 * How fast it goes, smoothed exponentially by time, so that it does not matter how often it is looked at: what is
 * `smoothing` seconds old counts for a third of what is new. Pure, but changed in place: one owner.
 */

/** Seconds. */
const smoothing = 2

export class Speed {
  private sum = 0
  /** How much of the past is in `sum`: less than 1 at first, or the beginning would look slow. */
  private weight = 0

  /** So many bytes came in so many seconds. */
  add(bytes: number, seconds: number): void {
    if (seconds <= 0) return
    const kept = Math.exp(-seconds / smoothing)
    this.sum = this.sum * kept + (Math.max(0, bytes) / seconds) * (1 - kept)
    this.weight = this.weight * kept + (1 - kept)
  }

  /** It stands still: what comes next is a new beginning. */
  reset(): void {
    this.sum = 0
    this.weight = 0
  }

  get bytesPerSecond(): number {
    return this.weight === 0 ? 0 : Math.round(this.sum / this.weight)
  }

  /** Until so many bytes have come, in whole seconds, or null where nothing comes. */
  secondsFor(bytes: number): number | null {
    const speed = this.bytesPerSecond
    return speed === 0 ? null : Math.ceil(bytes / speed)
  }
}

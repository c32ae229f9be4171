/**
 * How many datagrams are looked at: so many a second from one network and in all, with some to spare for a burst. What
 * is more is dropped before a byte of it is read, so that a flood costs little. Pure: it counts, others act.
 */
import { networkOf } from "../transport/NetworkOf.ts"

/** What a bucket holds, and what flows in each second. */
interface Flow {
  readonly burst: number
  readonly perSecond: number
}

interface Bucket {
  level: number
  /** Milliseconds. */
  at: number
}

export class ArrivalBudget {
  readonly #total: Bucket
  readonly #networks = new Map<string, Bucket>()
  readonly #all: Flow
  readonly #each: Flow
  readonly #networksMax: number

  constructor(options: {
    readonly all: Flow
    readonly perNetwork: Flow
    /** Networks remembered; the one that was new longest ago makes room. */
    readonly networksMax: number
  }) {
    this.#all = options.all
    this.#each = options.perNetwork
    this.#networksMax = options.networksMax
    this.#total = { level: options.all.burst, at: 0 }
  }

  /** Whether one more from this host is looked at, at this time in milliseconds of a monotonic clock. */
  take(host: string, now: number): boolean {
    const key = networkOf(host)
    const known = this.#networks.get(key)
    const bucket = known ?? { level: this.#each.burst, at: now }
    if (known === undefined) this.#add(key, bucket)
    refill(bucket, this.#each, now)
    refill(this.#total, this.#all, now)
    // One that is over its own share takes nothing of the share of all.
    if (bucket.level < 1 || this.#total.level < 1) return false
    bucket.level--
    this.#total.level--
    return true
  }

  #add(key: string, bucket: Bucket): void {
    const [oldest] = this.#networks.keys()
    if (this.#networks.size >= this.#networksMax && oldest !== undefined) this.#networks.delete(oldest)
    this.#networks.set(key, bucket)
  }
}

const refill = (bucket: Bucket, flow: Flow, now: number): void => {
  bucket.level = Math.min(flow.burst, bucket.level + ((now - bucket.at) * flow.perSecond) / 1000)
  bucket.at = now
}

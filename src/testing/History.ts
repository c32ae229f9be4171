/**
 * What happened on a simulated network, in order: the same seed gives the same history, byte for byte. It is only
 * added to. The newest lines are kept, up to a bound; the fingerprint covers every one there ever was.
 */
import { crc32 } from "node:zlib"

/**
 * - dial, linked, refused: the opening of links
 * - data, close, reset: bytes, the orderly end and the abrupt end of a link, as they arrive
 * - datagram, doubled: as they arrive; lost: dropped by the medium
 * - vanished: sent into a half-open link or to a machine that is gone
 * - host, verb: what the test did
 */
export type Kind =
  | "dial"
  | "linked"
  | "refused"
  | "data"
  | "close"
  | "reset"
  | "datagram"
  | "doubled"
  | "lost"
  | "vanished"
  | "host"
  | "verb"

export interface Happening {
  /** Microseconds since the network was made. */
  readonly at: number
  readonly kind: Kind
  readonly from: string
  readonly to: string
  /** Bytes. */
  readonly size: number
  /** CRC-32 of the bytes, or 0. */
  readonly sum: number
  readonly detail: string
}

/** One line: time in milliseconds, who, to whom, what, how much. */
export const format = (happening: Happening): string => {
  const { at, kind, from, to, size, sum, detail } = happening
  const bytes = size === 0 ? "" : ` ${size} bytes ${sum.toString(16).padStart(8, "0")}`
  const target = to === "" ? "" : ` -> ${to}`
  return `${(at / 1000).toFixed(3)} ${kind} ${from}${target}${bytes}${detail === "" ? "" : ` (${detail})`}`
}

/** Sums of datagrams, which travel to many, again and again. */
const sums = new WeakMap<Uint8Array, number>()

const sumOf = (bytes: Uint8Array): number => {
  const known = sums.get(bytes)
  if (known !== undefined) return known
  const sum = crc32(bytes)
  sums.set(bytes, sum)
  return sum
}

export class History {
  readonly #max: number
  readonly #now: () => number
  #kept: Array<Happening> = []
  #dropped = 0
  #fingerprint = 0
  readonly #numbers = new Map<string, number>()

  constructor(options: { readonly max: number; readonly now: () => number }) {
    this.#max = options.max
    this.#now = options.now
  }

  add(kind: Kind, from: string, to: string, bytes?: Uint8Array | undefined, detail = ""): void {
    const happening: Happening = {
      at: this.#now(),
      kind,
      from,
      to,
      size: bytes?.length ?? 0,
      sum: bytes === undefined ? 0 : kind === "data" ? crc32(bytes) : sumOf(bytes),
      detail
    }
    this.#mix(happening)
    this.#kept.push(happening)
    // Dropping one by one would copy the rest each time.
    if (this.#kept.length >= 2 * this.#max) {
      this.#dropped += this.#kept.length - this.#max
      this.#kept = this.#kept.slice(-this.#max)
    }
  }

  /** Strings by the order in which they first came: mixing a number is cheaper than mixing a string each time. */
  #numberOf(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#numbers.set(text, this.#numbers.size)
    this.#fingerprint = crc32(text, this.#fingerprint >>> 0)
    return this.#numbers.size - 1
  }

  #mix({ at, detail, from, kind, size, sum, to }: Happening): void {
    const names = [this.#numberOf(kind), this.#numberOf(from), this.#numberOf(to), this.#numberOf(detail)]
    let mixed = this.#fingerprint
    for (const each of [at, at / 2 ** 32, ...names, size, sum])
      mixed = Math.imul(mixed ^ each, 0x5bd1e995) ^ (mixed >>> 15)
    this.#fingerprint = mixed
  }

  /** The newest happenings, oldest first. */
  get happenings(): ReadonlyArray<Happening> {
    return this.#kept.slice(-this.#max)
  }

  /** How many there were, and a sum over all of them. */
  get fingerprint(): string {
    return `${this.#dropped + this.#kept.length}-${(this.#fingerprint >>> 0).toString(16).padStart(8, "0")}`
  }

  /** The newest happenings as text, one a line. */
  get text(): string {
    return this.happenings.map(format).join("\n")
  }
}

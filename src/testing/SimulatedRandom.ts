/**
 * Chance that is none: every number of a simulation comes from its seed. A stream is forked by a label, and what one
 * consumer draws never shifts what another gets, so that adding a host leaves the others' histories alone.
 *
 * Not secure, by design. It owns nothing but its state.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { createHash } from "node:crypto"

/** A stream of numbers that its seed and its label decide (sfc32, seeded through SHA-256). */
export class SimulatedRandom {
  readonly #path: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  private constructor(path: string) {
    const digest = createHash("sha256").update(path).digest()
    this.#path = path
    this.#a = digest.readUInt32LE(0) | 0
    this.#b = digest.readUInt32LE(4) | 0
    this.#c = digest.readUInt32LE(8) | 0
  }

  static make(seed: number | string): SimulatedRandom {
    return new SimulatedRandom(JSON.stringify([seed]))
  }

  /** A stream of its own: the same label of the same stream is always the same, whatever was drawn meanwhile. */
  fork(label: string): SimulatedRandom {
    return new SimulatedRandom(`${this.#path}/${JSON.stringify(label)}`)
  }

  /** 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** 0 up to, but not including, 1, with 53 bits. */
  next(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53
  }

  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1))
  }

  /** True this often, from 0 (never) to 1 (always). It draws either way, so that a changed chance shifts nothing. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  bytes(size: number): Uint8Array {
    const filled = new Uint8Array(size)
    const view = new DataView(filled.buffer)
    let at = 0
    for (; at + 4 <= size; at += 4) view.setUint32(at, this.uint32())
    for (; at < size; at++) filled[at] = this.uint32()
    return filled
  }
}

/** The secure random service and effect's `Random`, both from this stream. */
export const layer = (random: SimulatedRandom): Layer.Layer<SecureRandom.SecureRandom> => {
  const jitter = random.fork("jitter")
  const secure = random.fork("secure")
  return Layer.merge(
    Layer.succeed(
      SecureRandom.SecureRandom,
      SecureRandom.make((size) => secure.bytes(size))
    ),
    Layer.succeed(Random.Random, {
      nextDoubleUnsafe: () => jitter.next(),
      nextIntUnsafe: () => jitter.between(Number.MIN_SAFE_INTEGER / 2, Number.MAX_SAFE_INTEGER / 2)
    })
  )
}

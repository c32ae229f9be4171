/**
 * What has come on a lane and was not taken: whole blocks are taken from it without waiting, and a small one that came in
 * pieces is put together. It owns one buffer, made when first needed, and knows nothing of links.
 */
import { blockHeadBytes, headerBytes, kinds } from "../../schema/Block.ts"
import { copyInto } from "../../services/transport/LinkBuffer.ts"

/** A block whose head has come. */
export interface Arriving {
  readonly _tag: "Block"
  readonly number: number
  readonly digest: Uint8Array
  readonly length: number
}

const nothing = new Uint8Array(0)

export const recordHead = headerBytes + blockHeadBytes

/** Up to this size blocks are put together from pieces before anyone looks at them; larger ones go where they belong. */
const joinedMax = 64 * 1024

const uint32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] ?? 0) * 2 ** 24 + (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))

export class LaneInput {
  /** What the last read brought, taken up to `at`: valid until the link is read again. */
  private rest: Uint8Array = nothing
  private at = 0
  /** Where a small block that came in two pieces is put together. */
  private joined: Uint8Array = nothing

  /** Bytes that are here. */
  get left(): number {
    return this.rest.length - this.at
  }

  /** Bytes of the block's record that comes next, as far as its head says; 0 where that is no block, or not known. */
  private get blockAhead(): number {
    const { at, rest } = this
    return this.left >= headerBytes && rest[at] === kinds.block ? headerBytes + uint32(rest, at + 1) : 0
  }

  /** True while it is certain that more of a small block comes: `more` gets it. */
  get isPartial(): boolean {
    const { left } = this
    if (left < headerBytes) return left === 0 || this.rest[this.at] === kinds.block
    const bytes = this.blockAhead
    return bytes > left && bytes <= joinedMax
  }

  /** The link is about to be read: what is here is kept. */
  keep(): void {
    const kept = this.left
    if (kept > this.joined.length) this.joined = new Uint8Array(2 * joinedMax)
    this.joined.set(this.rest.subarray(this.at))
    this.rest = this.joined.subarray(0, kept)
    this.at = 0
  }

  /** The link was read: this comes behind what was kept. */
  put(chunk: Uint8Array): void {
    const kept = this.left
    this.rest = kept === 0 ? chunk : this.join(kept, chunk)
  }

  private join(kept: number, chunk: Uint8Array): Uint8Array {
    const length = kept + chunk.length
    const into = length <= this.joined.length ? this.joined : new Uint8Array(length)
    if (into !== this.joined) copyInto(into, 0, this.joined, 0, kept)
    copyInto(into, kept, chunk)
    return into.subarray(0, length)
  }

  /** The next record, if it is a block that is here as a whole: `bodyNow` then has its bytes. */
  get here(): Arriving | undefined {
    const { at, rest } = this
    const bytes = this.blockAhead
    // What is wrong with a record is said by `read`.
    if (bytes <= recordHead || bytes > this.left || uint32(rest, at + headerBytes) >= 2 ** 21) return undefined
    const number = uint32(rest, at + headerBytes) * 2 ** 32 + uint32(rest, at + headerBytes + 4)
    const digest = new Uint8Array(blockHeadBytes - 8)
    for (let i = 0; i < digest.length; i++) digest[i] = rest[at + headerBytes + 8 + i] ?? 0
    this.at += recordHead
    return { _tag: "Block", number, digest, length: bytes - recordHead }
  }

  /** Fills it as far as that goes; how many bytes. */
  give(into: Uint8Array): number {
    const end = Math.min(this.rest.length, this.at + into.length)
    const given = end - this.at
    copyInto(into, 0, this.rest, this.at, end)
    this.at = end
    return given
  }
}

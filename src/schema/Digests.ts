/**
 * The digests of blocks, by their number: 32 bytes for each that is known, set aside a thousand at a time. A file's
 * digest is taken of those of its blocks. Pure, but changed in place: one owner.
 */
import { createHash } from "node:crypto"
import type { EntryList } from "./EntryList.ts"

const digestBytes = 32
const chunkBlocks = 1024

interface Chunk {
  readonly bytes: Uint8Array
  readonly known: Uint8Array
}

export class Digests {
  private readonly chunks = new Map<number, Chunk>()

  set(number: number, digest: Uint8Array): void {
    const at = number % chunkBlocks
    const key = (number - at) / chunkBlocks
    let chunk = this.chunks.get(key)
    if (chunk === undefined) {
      chunk = { bytes: new Uint8Array(chunkBlocks * digestBytes), known: new Uint8Array(chunkBlocks) }
      this.chunks.set(key, chunk)
    }
    chunk.bytes.set(digest, at * digestBytes)
    chunk.known[at] = 1
  }

  get(number: number): Uint8Array | undefined {
    const at = number % chunkBlocks
    const chunk = this.chunks.get((number - at) / chunkBlocks)
    return chunk?.known[at] === 1 ? chunk.bytes.subarray(at * digestBytes, (at + 1) * digestBytes) : undefined
  }

  /** All that another has. */
  merge(other: Digests): void {
    for (const [key, { bytes, known }] of other.chunks) {
      for (const [at, isKnown] of known.entries()) {
        if (isKnown === 1) this.set(key * chunkBlocks + at, bytes.subarray(at * digestBytes, (at + 1) * digestBytes))
      }
    }
  }

  /** SHA-256 over the digests of these blocks in their order, hex; undefined where one is not known. */
  over(first: number, count: number): string | undefined {
    const hash = createHash("sha256")
    for (let number = first; number < first + count; number++) {
      const digest = this.get(number)
      if (digest === undefined) return undefined
      hash.update(digest)
    }
    return hash.digest("hex")
  }
}

/**
 * The digest of what a transfer has brought: SHA-256 over the digests of its files that are not empty (32 bytes each) in
 * the order of the list. It is taken some files at a time, since there may be a million.
 */
export class WholeDigest {
  private readonly hash = createHash("sha256")
  private readonly entries: EntryList
  private readonly digests: Digests
  private isKnown = true

  constructor(entries: EntryList, digests: Digests) {
    this.entries = entries
    this.digests = digests
  }

  /** The file of this entry. What has no blocks adds nothing. */
  add(at: number): void {
    const count = this.entries.blockCount(at)
    if (!this.isKnown || count === 0) return
    const digest = this.digests.over(this.entries.firstBlock(at), count)
    if (digest === undefined) this.isKnown = false
    else this.hash.update(digest, "hex")
  }

  /** Once, at the end; undefined where the digest of some block is not known. */
  get bytes(): Uint8Array | undefined {
    return this.isKnown ? this.hash.digest() : undefined
  }
}

/**
 * The digests of blocks, by their number: 32 bytes for each that is known, set aside a thousand at a time. A file's
 * digest is taken of those of its blocks. Pure, but changed in place: one owner.
 */
import { createHash } from "node:crypto"

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

/**
 * Finds an item of a long list by its text, at 4 to 8 bytes an item: an open-addressing table of indexes. The list
 * itself says whether an item is the wanted one. The seed keeps a peer from choosing texts that all collide.
 * Pure, but changed in place: one owner.
 */

/** A 32-bit hash of the UTF-16 units of a text, seeded. */
const hashText = (text: string, seed: number): number => {
  let h = seed | 0
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x5bd1_e995)
    h ^= h >>> 15
  }
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return (h ^ (h >>> 16)) >>> 0
}

export class HashIndex {
  private table: Uint32Array
  private hashes: Uint32Array
  private used = 0
  private readonly seed: number

  constructor(seed: number) {
    this.seed = seed
    this.table = new Uint32Array(1024)
    this.hashes = new Uint32Array(1024)
  }

  /** The index under which this text was added, or -1. `is` compares the text with that of an index. */
  find(text: string, is: (index: number) => boolean): number {
    const mask = this.table.length - 1
    const hash = hashText(text, this.seed)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const item = this.table[slot] ?? 0
      if (item === 0) return -1
      if (this.hashes[slot] === hash && is(item - 1)) return item - 1
    }
  }

  /** Adds an index under a text that is not there yet. */
  add(text: string, index: number): void {
    if ((this.used + 1) * 2 > this.table.length) this.grow()
    this.put(hashText(text, this.seed), index + 1)
    this.used++
  }

  private put(hash: number, item: number): void {
    const mask = this.table.length - 1
    let slot = hash & mask
    while (this.table[slot] !== 0) slot = (slot + 1) & mask
    this.table[slot] = item
    this.hashes[slot] = hash
  }

  private grow(): void {
    const { hashes, table } = this
    this.table = new Uint32Array(table.length * 2)
    this.hashes = new Uint32Array(table.length * 2)
    for (let slot = 0; slot < table.length; slot++) {
      const item = table[slot] ?? 0
      if (item !== 0) this.put(hashes[slot] ?? 0, item)
    }
  }
}

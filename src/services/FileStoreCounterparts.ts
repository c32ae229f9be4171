/**
 * Files of the receive folder that may be what is about to come: looked at and read where they are, below the held
 * folder and never through a link. Nothing is changed, and nothing is held open.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import type { RelativePath } from "../schema/RelativePath.ts"
import type { CounterpartPart } from "./FileStore.ts"
import type { HeldTree } from "./FileStoreHeld.ts"
import * as System from "./FileStoreSystem.ts"

/** System calls at once. */
const width = 8

/** What a file was, in 48 bits: another file, and one that was written to, have another mark. */
const markOf = ({ ctimeNs, dev, ino, mtimeNs, size }: fs.BigIntStats): number =>
  createHash("sha256").update(`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`).digest().readUIntBE(0, 6) + 1

const withFile = <A>(root: HeldTree, below: string, work: (fd: number) => Promise<A>): Promise<A> => {
  const cut = below.lastIndexOf("/")
  return root.within(below.slice(0, Math.max(0, cut)), undefined, async (directory) => {
    const fd = await System.open(directory.at(below.slice(cut + 1)), System.flags.read)
    try {
      return await work(fd)
    } finally {
      await System.close(fd)
    }
  })
}

/** The mark of each that is a file of its size; 0 for what is not, or cannot be read. */
export const marksOf = async (
  root: HeldTree,
  files: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>
): Promise<Array<number>> => {
  const marks = files.map(() => 0)
  await System.each(files, width, async ({ path: below, size }, at) => {
    // Whatever it is that cannot be read is not what comes: that will say why it cannot be stored.
    marks[at] = await withFile(root, below, (fd) => {
      const stats = fs.fstatSync(fd, { bigint: true })
      return Promise.resolve(stats.isFile() && stats.size === BigInt(size) ? markOf(stats) : 0)
    }).catch(() => 0)
  })
  return marks
}

/** Fills the parts into the buffer; false for those of files that are not what they were, or cannot be read. */
export const readMarked = async (
  root: HeldTree,
  parts: ReadonlyArray<CounterpartPart>,
  into: Uint8Array
): Promise<Array<boolean>> => {
  const read = parts.map(() => false)
  await System.each(parts, width, async ({ at, length, mark, offset, path: below }, i) => {
    read[i] = await withFile(root, below, async (fd) => {
      if (markOf(fs.fstatSync(fd, { bigint: true })) !== mark) return false
      const count = await System.readAt(fd, into, at, length, offset)
      return count === length && markOf(fs.fstatSync(fd, { bigint: true })) === mark
    }).catch(() => false)
  })
  return read
}

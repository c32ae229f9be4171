/**
 * Files of the receive folder that may be what is about to come: looked at and read where they are, below the held
 * folder and never through a link. Nothing is changed, and nothing is held open. In the file store's thread.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import type { CounterpartPart } from "../FileStore.ts"
import type { HeldTree } from "./FileStoreHeld.ts"
import * as Calls from "./FileStoreCalls.ts"

/** What a file was, in 48 bits: another file, and one that was written to, have another mark. */
const markOf = ({ ctimeNs, dev, ino, mtimeNs, size }: fs.BigIntStats): number =>
  createHash("sha256").update(`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`).digest().readUIntBE(0, 6) + 1

const withFile = <A>(root: HeldTree, below: string, work: (fd: number) => A, otherwise: A): A => {
  const cut = below.lastIndexOf("/")
  try {
    return root.within(below.slice(0, Math.max(0, cut)), undefined, (directory) => {
      const fd = Calls.open(directory.at(below.slice(cut + 1)), Calls.flags.read)
      try {
        return work(fd)
      } finally {
        Calls.close(fd)
      }
    })
  } catch {
    // Whatever it is that cannot be read is not what comes: that will say why it cannot be stored.
    return otherwise
  }
}

/** The mark of a file of this size; 0 for what is not, or cannot be read. */
export const markAt = (root: HeldTree, below: string, size: number): number =>
  withFile(
    root,
    below,
    (fd) => {
      const stats = fs.fstatSync(fd, { bigint: true })
      return stats.isFile() && stats.size === BigInt(size) ? markOf(stats) : 0
    },
    0
  )

/** Fills a part into the buffer; false for that of a file that is not what it was, or cannot be read. */
export const readMarked = (root: HeldTree, part: CounterpartPart, into: Uint8Array): boolean =>
  withFile(
    root,
    part.path,
    (fd) => {
      const isSame = () => markOf(fs.fstatSync(fd, { bigint: true })) === part.mark
      return isSame() && Calls.readAt(fd, into, part.at, part.length, part.offset) === part.length && isSame()
    },
    false
  )

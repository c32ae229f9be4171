/**
 * Reading what is to be sent, component by component from what the person picked, so that a link put in place of a
 * directory leads nowhere. A file is sent only while it is what the walk saw. In the file store's thread.
 *
 * It owns the picked trees, held, and at most `openMax` files that are being read in several parts; `close` gives them
 * back.
 */
import { hash } from "node:crypto"
import * as path from "node:path"
import type * as fs from "node:fs"
import type { Picked, SourcePart } from "../FileStore.ts"
import * as Calls from "./FileStoreCalls.ts"
import { HeldTree } from "./FileStoreHeld.ts"

/** Files kept open between two of their blocks. */
const openMax = 16

const changed = "it changed while it was sent"

const asWalked = (stats: fs.Stats, part: SourcePart): boolean =>
  stats.isFile() &&
  stats.size === part.size &&
  (stats.mtimeMs === part.mtime || Math.floor(stats.mtimeMs) === part.mtime)

const inWords = (cause: unknown): string => {
  const code = Calls.codeOf(cause)
  switch (code) {
    case "ENOENT":
      return "it is gone"
    case "EACCES":
    case "EPERM":
      return "this user may not read it any more"
    case "ELOOP":
    case "ENOTDIR":
      return "a symbolic link stands in its way now"
    case "EMFILE":
    case "ENFILE":
      return "too many files are open here: raise the limit with ulimit -n"
    case "EIO":
      return "its disk reports a fault"
    default:
      return `it cannot be read (${code})`
  }
}

export class SourceFiles {
  private readonly picked: ReadonlyMap<string, Picked>
  private readonly trees = new Map<string, HeldTree>()
  /** The longest unused first. */
  private readonly open = new Map<string, number>()

  constructor(picked: ReadonlyMap<string, Picked>) {
    this.picked = picked
  }

  /** Reads one part to where it goes; its SHA-256, or why it cannot be sent. */
  read(part: SourcePart, into: Uint8Array): Uint8Array | string {
    try {
      return this.readPart(part, into)
        ? hash("sha256", into.subarray(part.at, part.at + part.length), "buffer")
        : changed
    } catch (cause) {
      return inWords(cause)
    }
  }

  close(): void {
    for (const fd of this.open.values()) Calls.close(fd)
    this.open.clear()
    for (const tree of this.trees.values()) tree.close()
    this.trees.clear()
  }

  private readPart(part: SourcePart, into: Uint8Array): boolean {
    const fd = this.open.get(part.path) ?? this.openFile(part.path)
    this.open.delete(part.path)
    let goesOn = false
    try {
      if (!asWalked(Calls.fstat(fd), part)) return false
      const count = Calls.readAt(fd, into, part.at, part.length, part.offset)
      const isGood = count === part.length && asWalked(Calls.fstat(fd), part)
      goesOn = isGood && part.offset + part.length < part.size
      return isGood
    } finally {
      if (goesOn) this.keep(part.path, fd)
      else Calls.close(fd)
    }
  }

  private keep(below: string, fd: number): void {
    this.open.set(below, fd)
    for (const [oldest, unused] of this.open) {
      if (this.open.size <= openMax) return
      this.open.delete(oldest)
      Calls.close(unused)
    }
  }

  private openFile(below: string): number {
    const cut = below.indexOf("/")
    const top = cut < 0 ? below : below.slice(0, cut)
    const picked = this.picked.get(top)
    if (picked === undefined) throw Calls.refusal("ENOENT", "not picked")
    const tree = this.tree(top, picked)
    const rest = cut < 0 ? picked.name : below.slice(cut + 1)
    const slash = rest.lastIndexOf("/")
    return tree.within(rest.slice(0, Math.max(0, slash)), undefined, (directory) =>
      Calls.open(directory.at(rest.slice(slash + 1)), Calls.flags.read)
    )
  }

  /** A picked directory, or the directory that a picked file is in. */
  private tree(top: string, picked: Picked): HeldTree {
    const known = this.trees.get(top)
    if (known !== undefined) return known
    const tree =
      picked.kind === "d" ? HeldTree.hold(picked.path, false) : HeldTree.hold(path.dirname(picked.path), true)
    this.trees.set(top, tree)
    return tree
  }
}

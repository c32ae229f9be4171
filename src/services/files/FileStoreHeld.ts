/**
 * A directory tree held by its root: everything below is opened component by component and never through a symbolic
 * link, so that nobody who swaps a directory for a link while we work can lead us out of the tree.
 *
 * Node has no openat(2). On Linux a held descriptor stands in for it: `/proc/self/fd/N/name` is looked up in the very
 * directory that N holds, wherever that is by now. Elsewhere each component is looked at (lstat) before use, which
 * keeps out links that are there but not one that is swapped in between.
 *
 * It owns the descriptors of at most `heldMax` directories not in use now, and its root where it opened that itself;
 * `close` closes them. Used in the file store's thread alone.
 */
import * as Calls from "./FileStoreCalls.ts"
import { type Directory, directoryAt, isHeld, isLink, keepsDescriptors } from "./FileStoreDirectory.ts"

/** Directories kept open for the next file in them. */
const heldMax = 64

/** A directory while it is used. */
interface Entered {
  readonly directory: Directory
  readonly below: string
  uses: number
}

const openDirectory = (location: string, flags: number): Directory => {
  if (!isHeld && flags === Calls.flags.directory && Calls.lstat(location).isSymbolicLink()) throw isLink()
  return directoryAt(location, keepsDescriptors ? Calls.open(location, flags) : -1)
}

export class HeldTree {
  private readonly root: Entered
  private readonly isOwner: boolean
  private readonly open = new Map<string, Entered>()
  private last: Entered
  private closed = false

  private constructor(root: Directory, isOwner: boolean) {
    this.root = { directory: root, below: "", uses: 0 }
    this.last = this.root
    this.isOwner = isOwner
  }

  /** Holds a directory that exists. `follow`: whether it may itself be a link, as a folder that a person named may. */
  static hold(location: string, follow: boolean): HeldTree {
    return new HeldTree(openDirectory(location, follow ? Calls.flags.root : Calls.flags.directory), true)
  }

  /** What is below a directory that someone else holds. */
  static below(directory: Directory): HeldTree {
    return new HeldTree(directory, false)
  }

  /** The root itself. */
  get top(): Directory {
    return this.root.directory
  }

  /**
   * Works in the directory with this path below the root (`""` is the root). `make`: the mode in which directories that
   * are missing are made, or undefined to fail there.
   */
  within<A>(below: string, make: number | undefined, work: (directory: Directory) => A): A {
    const entered = this.enter(below, make)
    try {
      return work(entered.directory)
    } finally {
      this.leave(entered)
    }
  }

  /** The same for work that is not done at once: to be left when it is. */
  enter(below: string, make: number | undefined): Entered {
    // Its number may be another file's by now.
    if (this.closed) throw Calls.refusal("EBADF", "closed")
    const entered = this.last.below === below ? this.last : this.find(below, make)
    entered.uses++
    return entered
  }

  leave(entered: Entered): void {
    entered.uses--
    if (this.open.size > heldMax) this.trim()
  }

  close(): void {
    this.closed = true
    for (const { directory } of this.open.values()) if (directory.fd >= 0) Calls.close(directory.fd)
    this.open.clear()
    if (this.isOwner && this.top.fd >= 0) Calls.close(this.top.fd)
  }

  private find(below: string, make: number | undefined): Entered {
    if (below === "") return this.root
    const known = this.open.get(below)
    const entered = known ?? { directory: this.descend(below, make), below, uses: 0 }
    // The longest unused is first in the map.
    if (known !== undefined) this.open.delete(below)
    this.open.set(below, entered)
    this.last = entered
    return entered
  }

  private descend(below: string, make: number | undefined): Directory {
    const cut = below.lastIndexOf("/")
    return this.within(cut < 0 ? "" : below.slice(0, cut), make, (parent) => {
      const location = parent.at(below.slice(cut + 1))
      if (make !== undefined) {
        try {
          Calls.mkdir(location, make)
        } catch (cause) {
          if (Calls.codeOf(cause) !== "EEXIST") throw cause
        }
      }
      return openDirectory(location, Calls.flags.directory)
    })
  }

  /** Closes the longest unused directories beyond those worth keeping; one in use is never closed. */
  private trim(): void {
    for (const [below, entered] of this.open) {
      if (this.open.size <= heldMax) return
      if (entered.uses > 0) continue
      this.open.delete(below)
      if (this.last === entered) this.last = this.root
      if (entered.directory.fd >= 0) Calls.close(entered.directory.fd)
    }
  }
}

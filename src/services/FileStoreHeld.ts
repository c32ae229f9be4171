/**
 * A directory tree held by its root: everything below is opened component by component and never through a symbolic
 * link, so that nobody who swaps a directory for a link while we work can lead us out of the tree.
 *
 * Node has no openat(2). On Linux a held descriptor stands in for it: `/proc/self/fd/N/name` is looked up in the very
 * directory that N holds, wherever that is by now. Elsewhere each component is looked at (lstat) before use, which
 * keeps out links that are there but not one that is swapped in between.
 *
 * It owns the descriptors of at most `heldMax` directories not in use now, and closes them with `close`.
 */
import * as path from "node:path"
import * as System from "./FileStoreSystem.ts"

/** Directories kept open for the next file in them. */
const heldMax = 64

const held = process.platform === "linux"

interface Entry {
  uses: number
  readonly directory: Promise<Directory>
}

/** One open directory. */
export interface Directory {
  /** Where a name in it can be reached now. */
  readonly at: (name: string) => string
  /** Itself. */
  readonly self: string
  readonly fd: number
}

const directoryOf = async (location: string, flags: number): Promise<Directory> => {
  if (!held && flags === System.flags.directory) await refuseLink(location)
  if (process.platform === "win32") return { at: (name) => path.join(location, name), self: location, fd: -1 }
  const fd = await System.open(location, flags)
  return held
    ? { at: (name) => `/proc/self/fd/${fd}/${name}`, self: `/proc/self/fd/${fd}`, fd }
    : { at: (name) => path.join(location, name), self: location, fd }
}

const refuseLink = async (location: string): Promise<void> => {
  const stats = await System.lstat(location)
  if (stats.isSymbolicLink()) throw Object.assign(new Error("a symbolic link"), { code: "ELOOP" })
}

export class HeldTree {
  private readonly root: Directory
  private readonly open = new Map<string, Entry>()
  private closed = false

  private constructor(root: Directory) {
    this.root = root
  }

  /** Holds a directory that exists. `follow`: whether it may itself be a link, as a folder that a person named may. */
  static async hold(location: string, follow: boolean): Promise<HeldTree> {
    return new HeldTree(await directoryOf(location, follow ? System.flags.root : System.flags.directory))
  }

  /** The root itself. */
  get top(): Directory {
    return this.root
  }

  /**
   * Works in the directory with this path below the root (`""` is the root). `make`: the mode in which directories that
   * are missing are made, or undefined to fail there.
   */
  async within<A>(below: string, make: number | undefined, work: (directory: Directory) => Promise<A>): Promise<A> {
    // Its number may be another file's by now.
    if (this.closed) throw Object.assign(new Error("closed"), { code: "EBADF" })
    if (below === "") return work(this.root)
    const entry = this.enter(below, make)
    try {
      return await work(await entry.directory)
    } finally {
      entry.uses--
      this.trim()
    }
  }

  async close(): Promise<void> {
    this.closed = true
    const open = [...this.open.values()]
    this.open.clear()
    for (const entry of open) {
      // One that failed to open has nothing to close.
      const directory = await entry.directory.catch(() => undefined)
      if (directory !== undefined && directory.fd >= 0) await System.close(directory.fd)
    }
    if (this.root.fd >= 0) await System.close(this.root.fd)
  }

  private enter(below: string, make: number | undefined): Entry {
    const known = this.open.get(below)
    if (known !== undefined) {
      known.uses++
      // The longest unused is first in the map.
      this.open.delete(below)
      this.open.set(below, known)
      return known
    }
    const entry: Entry = { uses: 1, directory: this.descend(below, make) }
    this.open.set(below, entry)
    entry.directory.catch(() => {
      if (this.open.get(below) === entry) this.open.delete(below)
    })
    return entry
  }

  private descend(below: string, make: number | undefined): Promise<Directory> {
    const cut = below.lastIndexOf("/")
    return this.within(cut < 0 ? "" : below.slice(0, cut), make, async (parent) => {
      const location = parent.at(below.slice(cut + 1))
      if (make !== undefined) {
        await System.mkdir(location, make).catch((cause: unknown) => {
          if (System.codeOf(cause) !== "EEXIST") throw cause
        })
      }
      return directoryOf(location, System.flags.directory)
    })
  }

  /** Closes the longest unused directories beyond those worth keeping; one in use is never closed. */
  private trim(): void {
    if (this.open.size <= heldMax) return
    for (const [below, entry] of this.open) {
      if (this.open.size <= heldMax) return
      if (entry.uses > 0) continue
      this.open.delete(below)
      // A descriptor that does not close is gone all the same.
      entry.directory.then((directory) => (directory.fd >= 0 ? System.close(directory.fd) : undefined)).catch(() => {})
    }
  }
}

/**
 * Walking what is to be sent, and reading it. Both go component by component from what the person picked, so that a
 * link put in place of a directory leads nowhere. A file is sent only while it is what the walk saw.
 *
 * `walk` owns the directory it is in. `SourceFiles` owns the picked trees, held, and at most `openMax` files that are
 * being read in several parts; `close` gives them back.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { problem, RelativePath } from "../schema/RelativePath.ts"
import type { Picked, Scanned, SourcePart } from "./FileStore.ts"
import { type Directory, HeldTree } from "./FileStoreHeld.ts"
import * as System from "./FileStoreSystem.ts"

/** Entries looked at together, and system calls at once. */
const batchSize = 512
const width = 8

/** Files kept open between two of their blocks. */
const openMax = 16

const kindOf = (stats: fs.Stats): string =>
  stats.isSymbolicLink()
    ? "it is a symbolic link"
    : stats.isSocket()
      ? "it is a socket"
      : stats.isFIFO()
        ? "it is a pipe"
        : "it is a device"

const user = process.geteuid?.()

/** Its mode alone says that this user may read it, which saves asking the system for most files. */
const isOwn = (stats: fs.Stats): boolean => stats.uid === user && (stats.mode & 0o400) !== 0

const look = async (directory: Directory, name: string, as: string): Promise<Scanned> => {
  const leftOut = (reason: string): Scanned => ({ _tag: "LeftOut", path: as, reason })
  try {
    const stats = await System.lstat(directory.at(name))
    if (!stats.isFile() && !stats.isDirectory()) return leftOut(kindOf(stats))
    const bad = problem(as)
    if (bad !== undefined) return leftOut(`its path ${bad}`)
    if (!isOwn(stats)) await System.readable(directory.at(name))
    return {
      _tag: "Found",
      path: RelativePath.make(as),
      kind: stats.isFile() ? "f" : "d",
      size: stats.isFile() ? stats.size : 0,
      mtime: stats.mtimeMs,
      executable: stats.isFile() && (stats.mode & 0o111) !== 0
    }
  } catch (cause) {
    const code = System.codeOf(cause)
    // Node shows a name that is not UTF-8 with the replacement character, by which it cannot be reached.
    return leftOut(
      code === "ENOENT"
        ? name.includes("\ufffd")
          ? "its name is not Unicode"
          : "it is gone"
        : `it cannot be read (${code})`
    )
  }
}

const read = (directory: fs.Dir): Promise<fs.Dirent | null> => directory.read()

/** Everything below what was picked, in batches, the picked itself first. `skip`: an absolute path not to enter. */
export async function* walk(picked: Picked, as: string, skip: string): AsyncGenerator<Array<Scanned>> {
  const parent = await HeldTree.hold(path.dirname(picked.path), true)
  try {
    const top = await look(parent.top, path.basename(picked.path), as)
    yield [top]
    if (top._tag === "LeftOut" || top.kind === "f") return
  } finally {
    await parent.close()
  }
  const tree = await HeldTree.hold(picked.path, false)
  try {
    const pending: Array<string> = [""]
    for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
      const prefix = below === "" ? "" : `${below}/`
      for await (const names of listing(tree, below)) {
        const found: Array<Scanned> = Array.from({ length: names.length })
        await tree.within(below, undefined, (directory) =>
          System.each(names, width, async (name, at) => {
            found[at] = await look(directory, name, `${as}/${prefix}${name}`)
          })
        )
        const kept = found.filter((_, i) => path.join(picked.path, prefix, names[i] ?? "") !== skip)
        // The last is entered first: reversed, they are walked in the order in which they are listed.
        for (const entry of kept.toReversed()) {
          if (entry._tag === "Found" && entry.kind === "d") pending.push(entry.path.slice(as.length + 1))
        }
        yield kept
      }
    }
  } finally {
    await tree.close()
  }
}

/** The names in a directory, some at a time; one that cannot be opened any more has none. */
async function* listing(tree: HeldTree, below: string): AsyncGenerator<Array<string>> {
  const opened = await tree
    .within(below, undefined, (directory) => fs.promises.opendir(directory.self, { bufferSize: batchSize }))
    .catch((cause: unknown) => System.codeOf(cause))
  if (typeof opened === "string") return
  try {
    let names: Array<string> = []
    for (let entry = await read(opened); entry !== null; entry = await read(opened)) {
      names.push(entry.name)
      if (names.length < batchSize) continue
      yield names
      names = []
    }
    if (names.length > 0) yield names
  } finally {
    await opened.close()
  }
}

const changed = "it changed while it was sent"

const asWalked = (stats: fs.Stats, part: SourcePart): boolean =>
  stats.isFile() &&
  stats.size === part.size &&
  (stats.mtimeMs === part.mtime || Math.floor(stats.mtimeMs) === part.mtime)

const inWords = (cause: unknown): string => {
  const code = System.codeOf(cause)
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

/** A file between two of its parts. */
interface Open {
  readonly fd: Promise<number>
  uses: number
}

export class SourceFiles {
  private readonly picked: ReadonlyMap<string, Picked>
  private readonly trees = new Map<string, Promise<HeldTree>>()
  private readonly open = new Map<string, Open>()

  constructor(picked: ReadonlyMap<string, Picked>) {
    this.picked = picked
  }

  async read(parts: ReadonlyArray<SourcePart>, into: Uint8Array): Promise<Array<string | null>> {
    const problems: Array<string | null> = Array.from({ length: parts.length }, () => null)
    await System.each(parts, width, async (part, at) => {
      try {
        problems[at] = await this.readPart(part, into)
      } catch (cause) {
        problems[at] = inWords(cause)
      }
    })
    return problems
  }

  async close(): Promise<void> {
    for (const file of this.open.values()) await this.shut(file)
    this.open.clear()
    for (const tree of this.trees.values()) {
      // A tree that could not be held has nothing to close.
      const held = await tree.catch(() => undefined)
      await held?.close()
    }
    this.trees.clear()
  }

  private async readPart(part: SourcePart, into: Uint8Array): Promise<string | null> {
    const whole = part.length === part.size
    const file = this.open.get(part.path) ?? { fd: this.openFile(part.path), uses: 0 }
    file.uses++
    if (!whole) {
      this.open.delete(part.path)
      this.open.set(part.path, file)
    }
    try {
      const fd = await file.fd
      if (!asWalked(System.fstat(fd), part)) return changed
      const count = await System.readAt(fd, into, part.at, part.length, part.offset)
      return count === part.length && asWalked(System.fstat(fd), part) ? null : changed
    } finally {
      file.uses--
      const isLast = whole || part.offset + part.length >= part.size
      if (isLast && this.open.get(part.path) === file) this.open.delete(part.path)
      // Parts may end in another order than they begin: whoever is the last to use it closes it.
      if (file.uses === 0 && this.open.get(part.path) !== file) await this.shut(file)
      else await this.trim()
    }
  }

  private async openFile(below: RelativePath): Promise<number> {
    const cut = below.indexOf("/")
    const top = cut < 0 ? below : below.slice(0, cut)
    const picked = this.picked.get(top)
    if (picked === undefined) throw Object.assign(new Error("not picked"), { code: "ENOENT" })
    const tree = await this.tree(top, picked)
    const rest = cut < 0 ? picked.name : below.slice(cut + 1)
    const slash = rest.lastIndexOf("/")
    return tree.within(rest.slice(0, Math.max(0, slash)), undefined, (directory) =>
      System.open(directory.at(rest.slice(slash + 1)), System.flags.read)
    )
  }

  /** A picked directory, or the directory that a picked file is in. */
  private tree(top: string, picked: Picked): Promise<HeldTree> {
    const known = this.trees.get(top)
    if (known !== undefined) return known
    const tree =
      picked.kind === "d" ? HeldTree.hold(picked.path, false) : HeldTree.hold(path.dirname(picked.path), true)
    this.trees.set(top, tree)
    return tree
  }

  private async trim(): Promise<void> {
    for (const [below, file] of this.open) {
      if (this.open.size <= openMax) return
      if (file.uses > 0) continue
      this.open.delete(below)
      await this.shut(file)
    }
  }

  private async shut(file: Open): Promise<void> {
    // One that failed to open has nothing to close.
    const fd = await file.fd.catch(() => undefined)
    if (fd !== undefined) await System.close(fd)
  }
}

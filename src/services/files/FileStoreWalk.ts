/**
 * Walking what is to be sent, component by component from what the person picked, so that a link put in place of a
 * directory leads nowhere. It owns the directory it is in, until its end or `return`. In the file store's thread.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { isRelativePath, problem } from "../../schema/PathRules.ts"
import type { Picked, Scanned } from "../FileStore.ts"
import * as Calls from "./FileStoreCalls.ts"
import type { Directory } from "./FileStoreDirectory.ts"
import { HeldTree } from "./FileStoreHeld.ts"

/** Names read from a directory at once. */
const namesAtOnce = 512

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

const look = (directory: Directory, name: string, as: string): Scanned => {
  const leftOut = (reason: string): Scanned => ({ _tag: "LeftOut", path: as, reason })
  try {
    const stats = Calls.lstat(directory.at(name))
    const isFile = stats.isFile()
    if (!isFile && !stats.isDirectory()) return leftOut(kindOf(stats))
    if (!isRelativePath(as)) return leftOut(`its path ${problem(as)}`)
    if (!isOwn(stats)) Calls.readable(directory.at(name))
    return {
      _tag: "Found",
      path: as,
      kind: isFile ? "f" : "d",
      size: isFile ? stats.size : 0,
      mtime: stats.mtimeMs,
      executable: isFile && (stats.mode & 0o111) !== 0
    }
  } catch (cause) {
    const code = Calls.codeOf(cause)
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

/** Everything below what was picked, in batches, the picked itself first. `skip`: an absolute path not to enter. */
export function* walk(picked: Picked, as: string, skip: string): Generator<Array<Scanned>, void> {
  const parent = HeldTree.hold(path.dirname(picked.path), true)
  let top: Scanned
  try {
    top = look(parent.top, path.basename(picked.path), as)
  } finally {
    parent.close()
  }
  yield [top]
  if (top._tag === "LeftOut" || top.kind === "f") return
  const tree = HeldTree.hold(picked.path, false)
  try {
    const pending: Array<string> = [""]
    for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
      const prefix = below === "" ? "" : `${below}/`
      const isSkipped = path.dirname(skip) === path.join(picked.path, below) ? path.basename(skip) : undefined
      for (const names of listing(tree, below)) {
        const found = tree.within(below, undefined, (directory) =>
          names.filter((name) => name !== isSkipped).map((name) => look(directory, name, `${as}/${prefix}${name}`))
        )
        // The last is entered first: reversed, they are walked in the order in which they are listed.
        for (const entry of found.toReversed()) {
          if (entry._tag === "Found" && entry.kind === "d") pending.push(entry.path.slice(as.length + 1))
        }
        yield found
      }
    }
  } finally {
    tree.close()
  }
}

/** The names in a directory, some at a time; one that cannot be opened any more has none. */
function* listing(tree: HeldTree, below: string): Generator<Array<string>, void> {
  const opened = openListing(tree, below)
  if (opened === undefined) return
  try {
    let names: Array<string> = []
    for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) {
      names.push(entry.name)
      if (names.length < namesAtOnce) continue
      yield names
      names = []
    }
    if (names.length > 0) yield names
  } finally {
    opened.closeSync()
  }
}

const openListing = (tree: HeldTree, below: string): fs.Dir | undefined => {
  try {
    return tree.within(below, undefined, ({ self }) => fs.opendirSync(self, { bufferSize: namesAtOnce }))
  } catch {
    return undefined
  }
}

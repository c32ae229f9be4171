/**
 * Gives what was staged its name in the receive folder, in one step and never over anything that is there.
 *
 * A file is linked under its new name (which fails if that exists), then unlinked from the staging; where there are
 * no hard links an exclusive placeholder is made and renamed over. A directory is claimed by making an empty one, and
 * renamed over the claim: a bare rename would silently replace an empty directory. A crash at any point leaves the
 * name absent, whole, or an empty claim; `settle` tells which, and what remains to be done. Where a policy merges, the
 * same is done file by file. Nothing is owned here. In the file store's thread.
 */
import type { ConflictPolicy } from "../../schema/Offer.ts"
import * as fs from "node:fs"
import { componentMaxBytes } from "../../schema/PathRules.ts"
import type { Directory } from "./FileStoreDirectory.ts"
import type { HeldTree } from "./FileStoreHeld.ts"
import * as Calls from "./FileStoreCalls.ts"

/** Copies of one name before giving up: nobody wants the ten-thousandth. */
const copiesMax = 9999

/** Shortened at a character's end until the whole fits a component. */
const fitted = (stem: string, rest: string): string => {
  let characters = [...stem]
  while (
    characters.length > 1 &&
    Buffer.byteLength(characters.join("")) + Buffer.byteLength(rest) > componentMaxBytes
  ) {
    characters = characters.slice(0, -1)
  }
  return characters.join("") + rest
}

/** `report.pdf`, `report (1).pdf`, `report (2).pdf`; a directory has no extension, and a leading dot begins none. */
export const copyName = (name: string, kind: "f" | "d", copy: number): string => {
  if (copy === 0) return name
  const suffix = kind === "d" ? "" : (/.((?:\.tar)?\.[^.]{1,16})$/s.exec(name)?.[1] ?? "")
  return fitted(name.slice(0, name.length - suffix.length), ` (${copy})${suffix}`)
}

/** True if the error says that something stands there already. */
const taken = (cause: unknown): boolean => {
  const code = Calls.codeOf(cause)
  return code === "EEXIST" || code === "ENOTEMPTY" || (code === "EPERM" && process.platform === "win32")
}

/** Codes by which a file system says that it has no hard links (or no more for this file). */
const linkless = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EINVAL"])

const publishFile = (from: string, to: string): void => {
  try {
    Calls.link(from, to)
  } catch (cause) {
    if (!linkless.has(Calls.codeOf(cause))) throw cause
    Calls.close(Calls.open(to, Calls.flags.create))
    try {
      Calls.rename(from, to)
    } catch (failed) {
      Calls.unlink(to)
      throw failed
    }
    return
  }
  Calls.unlink(from)
}

const publishDirectory = (from: string, to: string): void => {
  Calls.mkdir(to, 0o777)
  if (process.platform === "win32") Calls.rmdir(to)
  try {
    Calls.rename(from, to)
  } catch (cause) {
    // Someone put something into the claim, which makes it theirs.
    if (!taken(cause)) Calls.rmdir(to)
    throw cause
  }
}

type Kind = "f" | "d"
const kindOf = (stats: fs.Stats): Kind | undefined => (stats.isDirectory() ? "d" : stats.isFile() ? "f" : undefined)

interface Found {
  readonly location: string
  readonly stats: fs.Stats
}

/** Whether what is there and what comes are put together under one name; to skip a file, it has to be the same. */
const merges = (policy: ConflictPolicy, coming: Found, there: Found): boolean | Promise<boolean> => {
  if (policy === "rename" || kindOf(there.stats) !== kindOf(coming.stats)) return false
  return coming.stats.isDirectory() || policy === "overwrite" || same(coming, there)
}

/** The thread does what others want meanwhile. */
const othersTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Names merged between two turns of others. */
const mergeWidth = 64

/** Read and compared at once: between two such pieces the thread does what others want. */
const pieceBytes = 1024 * 1024

const same = async (one: Found, other: Found): Promise<boolean> => {
  if (one.stats.size !== other.stats.size) return false
  const fds: Array<number> = []
  try {
    for (const { location } of [one, other]) fds.push(Calls.open(location, Calls.flags.read))
    const [a = -1, b = -1] = fds
    const pieces = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)] as const
    for (let at = 0; at < one.stats.size; at += pieceBytes) {
      const length = Math.min(pieceBytes, one.stats.size - at)
      const counts = [Calls.readAt(a, pieces[0], 0, length, at), Calls.readAt(b, pieces[1], 0, length, at)]
      if (counts.some((count) => count !== length)) return false
      if (pieces[0].compare(pieces[1], 0, length, 0, length) !== 0) return false
      await othersTurn()
    }
    return true
  } finally {
    for (const fd of fds) Calls.close(fd)
  }
}

/** The name that a staged entry is to get; undefined where it is not staged. */
export const nameFor = async (
  from: Directory,
  to: Directory,
  name: string,
  policy: ConflictPolicy
): Promise<string | undefined> => {
  const staged = Calls.look(from.at(name))
  if (staged === undefined) return undefined
  const kind = staged.isDirectory() ? "d" : "f"
  for (let copy = 0; ; copy++) {
    const wanted = copyName(name, kind, copy)
    const there = Calls.look(to.at(wanted))
    if (there === undefined || copy >= copiesMax) return wanted
    const coming: Found = { location: from.at(name), stats: staged }
    if (copy === 0 && (await merges(policy, coming, { location: to.at(wanted), stats: there }))) return wanted
  }
}

/** Where an entry is, in which of the two trees. */
interface Place {
  readonly tree: HeldTree
  readonly below: string
  readonly name: string
}

const inside = (place: Place): string => (place.below === "" ? place.name : `${place.below}/${place.name}`)

const withBoth = async <A>(
  from: Place,
  to: Place,
  work: (from: Directory, to: Directory) => Promise<A>
): Promise<A> => {
  const source = from.tree.enter(from.below, undefined)
  try {
    const target = to.tree.enter(to.below, undefined)
    try {
      return await work(source.directory, target.directory)
    } finally {
      to.tree.leave(target)
    }
  } finally {
    from.tree.leave(source)
  }
}

/** Gives a staged entry this name, or fails with EEXIST where that is taken and the policy does not merge. */
export const publish = (from: Place, to: Place, policy: ConflictPolicy): Promise<void> =>
  withBoth(from, to, async (source, target) => {
    const staged = Calls.lstat(source.at(from.name))
    const kind = staged.isDirectory() ? "d" : "f"
    try {
      ;(kind === "d" ? publishDirectory : publishFile)(source.at(from.name), target.at(to.name))
    } catch (cause) {
      if (!taken(cause)) throw cause
      const there = Calls.look(target.at(to.name))
      const coming: Found = { location: source.at(from.name), stats: staged }
      const isOne =
        there !== undefined && (await merges(policy, coming, { location: target.at(to.name), stats: there }))
      if (!isOne) {
        throw Calls.refusal("EEXIST", "taken")
      }
      if (kind === "f" && policy === "skip") Calls.unlink(source.at(from.name))
      else if (kind === "f") Calls.rename(source.at(from.name), target.at(to.name))
      else await merge(from, to, policy)
    }
  })

/** Each entry of a staged directory into one that exists; what cannot have its name there gets another. */
const merge = async (from: Place, to: Place, policy: ConflictPolicy): Promise<void> => {
  const [source, target] = [inside(from), inside(to)]
  const names = from.tree.within(source, undefined, (directory) => fs.readdirSync(directory.self))
  for (const [at, name] of names.entries()) {
    if (at % mergeWidth === mergeWidth - 1) await othersTurn()
    const staged: Place = { tree: from.tree, below: source, name }
    for (let tries = 0; ; tries++) {
      const wanted = await withBoth(staged, { tree: to.tree, below: target, name }, async (here, there) => {
        if (finished(here.at(name), there, name)) return undefined
        return nameFor(here, there, name, policy)
      })
      if (wanted === undefined) break
      try {
        await publish(staged, { tree: to.tree, below: target, name: wanted }, policy)
        break
      } catch (cause) {
        if (Calls.codeOf(cause) !== "EEXIST" || tries === 99) throw cause
      }
    }
  }
  const merged = to.tree.enter(target, undefined)
  try {
    if (merged.directory.fd >= 0) await Calls.fsync(merged.directory.fd)
  } finally {
    to.tree.leave(merged)
  }
  from.tree.within(from.below, undefined, (directory) => Calls.rmdir(directory.at(from.name)))
}

/** A file that was linked before a crash has two names: what remains is to take away the staged one. */
const finished = (staged: string, target: Directory, name: string): boolean => {
  const stats = Calls.look(staged)
  if (stats === undefined || !stats.isFile() || stats.nlink < 2) return false
  for (let copy = 0; copy <= copiesMax; copy++) {
    const there = Calls.look(target.at(copyName(name, "f", copy)))
    if (there === undefined) return false
    if (there.ino !== stats.ino || there.dev !== stats.dev) continue
    Calls.unlink(staged)
    return true
  }
  return false
}

/**
 * After a crash: whether the entry already has the name that was chosen for it. What the crash left half done is done
 * or taken back, so that `false` means: choose again.
 */
export const settle = (from: Directory, to: Directory, top: string, name: string): boolean => {
  const staged = Calls.look(from.at(top))
  const there = Calls.look(to.at(name))
  if (staged === undefined) return there !== undefined
  if (there === undefined) return false
  if (staged.isDirectory()) {
    // An empty claim is ours; with something in it, it is not.
    if (there.isDirectory()) {
      try {
        Calls.rmdir(to.at(name))
      } catch (cause) {
        if (!taken(cause)) throw cause
      }
    }
    return false
  }
  if (staged.ino !== there.ino || staged.dev !== there.dev) return false
  Calls.unlink(from.at(top))
  return true
}

/**
 * Staging on a simulated disk: the same names, steps and refusals as on a real one. What it holds open are names only.
 */
import { createHash, hash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as path from "node:path/posix"
import type { ConflictPolicy } from "../schema/Offer.ts"
import { reservedTop } from "../schema/RelativePath.ts"
import type { FileStoreError, Move, StagedEntry, StagedPart, Staging } from "../services/FileStore.ts"
import { copyName } from "../services/files/FileStorePublish.ts"
import { storeError } from "../services/files/FileStoreSystem.ts"
import { type DiskEntry, type DiskFile, DiskRefusal, type SimulatedDisk, sorted } from "./SimulatedDisk.ts"
import { appendFile, type Work } from "./SimulatedWork.ts"

/** Copies of one name before giving up. */
const copiesMax = 9999

/** What a file is, its bytes included. */
const markOf = (file: DiskFile): number =>
  createHash("sha256").update(file.bytes.subarray(0, file.size)).update(String(file.mtime)).digest().readUIntBE(0, 6) +
  1

/** Both as entries of a disk, under one name: whether they are put together. */
const merges = (policy: ConflictPolicy, coming: DiskEntry, there: DiskEntry): boolean =>
  policy !== "rename" &&
  ((coming.kind === "d" && there.kind === "d") ||
    (coming.kind === "f" && there.kind === "f" && (policy === "overwrite" || same(coming, there))))

const same = (one: DiskFile, other: DiskFile): boolean =>
  Buffer.compare(one.bytes.subarray(0, one.size), other.bytes.subarray(0, other.size)) === 0

/** The path in this directory that a staged entry is to get. */
const targetFor = (disk: SimulatedDisk, staged: DiskEntry, directory: string, name: string, policy: ConflictPolicy) => {
  for (let copy = 0; copy <= copiesMax; copy++) {
    const target = path.join(directory, copyName(name, staged.kind, copy))
    const there = disk.find(target)
    if (there === undefined || (copy === 0 && merges(policy, staged, there))) return target
  }
  throw new DiskRefusal("EEXIST")
}

const put = (disk: SimulatedDisk, from: string, to: string, policy: ConflictPolicy): void => {
  const staged = disk.find(from)
  const there = disk.find(to)
  if (staged === undefined) throw new DiskRefusal("ENOENT")
  if (there === undefined) return disk.move(from, to)
  if (!merges(policy, staged, there)) throw new DiskRefusal("EEXIST")
  if (staged.kind === "f") {
    if (policy === "skip") return void disk.remove(from)
    disk.remove(to)
    return disk.move(from, to)
  }
  for (const [name, child] of sorted(staged)) {
    put(disk, path.join(from, name), targetFor(disk, child, to, name, policy), policy)
  }
  disk.remove(from)
}

export const makeStaging = (
  disk: SimulatedDisk,
  work: Work,
  { id, isNew, root }: { readonly root: string; readonly id: string; readonly isNew: boolean }
): Staging => {
  const own = path.join(root, reservedTop, id)
  const where = (below: string) => path.join(own, "data", below)
  /** Files that wait for their last part. */
  const growing = new Set<string>()
  const unsynced = new Set<string>()
  /** What an earlier run left behind is gone on with. */
  const create = (at: string, executable: boolean) => {
    const left = isNew ? undefined : disk.find(at)
    if (left?.kind !== "f") return disk.create(at, executable)
    left.executable = executable
    return left
  }

  const makeEntry = (entry: StagedEntry) => {
    if (entry.kind === "d") return void disk.directory(where(entry.path))
    create(where(entry.path), entry.executable).mtime = entry.mtime
  }
  const writePart = (part: StagedPart) => {
    const at = where(part.path)
    const file = growing.has(at) ? disk.find(at) : create(at, part.executable)
    if (file?.kind !== "f") throw new DiskRefusal("ENOENT")
    growing.add(at)
    unsynced.add(at)
    disk.writeAt(file, part.bytes, part.offset)
    if (!part.finish) return
    file.mtime = part.mtime
    growing.delete(at)
  }
  const choose = (top: string, policy: ConflictPolicy): Array<Move> => {
    const staged = disk.find(where(top))
    return staged === undefined ? [] : [{ top, name: path.basename(targetFor(disk, staged, root, top, policy)) }]
  }
  /** Names for those that are staged; what an earlier run has published already is only noted. */
  const name = (
    top: string,
    policy: ConflictPolicy,
    known: string | undefined,
    published: Map<string, Result.Result<string, FileStoreError>>
  ): Array<Move> => {
    if (known === undefined || disk.find(where(top)) !== undefined) return choose(top, policy)
    const at = path.join(root, known)
    if (disk.find(at) !== undefined) published.set(top, Result.succeed(at))
    return []
  }
  const publish: Staging["publish"] = Effect.fnUntraced(function* (tops, policy, { known, note } = {}) {
    const published = new Map<string, Result.Result<string, FileStoreError>>()
    let waiting = tops
    while (waiting.length > 0) {
      const wanted = waiting
      const moves = yield* work(where(""), "published", () =>
        wanted.flatMap((top) => name(top, policy, known?.get(top), published))
      )
      if (note !== undefined && moves.length > 0) yield* note(moves)
      waiting = []
      for (const move of moves) {
        const to = path.join(root, move.name)
        const moved = yield* Effect.result(work(to, "published", () => put(disk, where(move.top), to, policy)))
        // Something came there meanwhile: another name is chosen.
        if (Result.isFailure(moved) && moved.failure.code === "EEXIST") waiting = [...waiting, move.top]
        else {
          published.set(
            move.top,
            Result.map(moved, () => to)
          )
        }
      }
    }
    return tops.flatMap((top) => published.get(top) ?? [])
  })
  const each = <A extends { readonly path: string }>(items: ReadonlyArray<A>, action: string, run: (item: A) => void) =>
    work(where(items[0]?.path ?? ""), action, () => {
      for (const item of items) {
        try {
          run(item)
        } catch (cause) {
          throw storeError(where(item.path), action, cause)
        }
      }
    })

  return {
    id,
    root,
    make: (entries) => each(entries, "created", makeEntry),
    write: (parts) => each(parts, "written", writePart),
    digests: (all) => Effect.sync(() => all.map((bytes) => hash("sha256", bytes, "buffer"))),
    sync: work(where(""), "synced", () => {
      for (const at of unsynced) {
        const file = disk.find(at)
        if (file?.kind === "f") file.unsynced = []
      }
      unsynced.clear()
    }),
    remove: (below) =>
      work(where(below), "removed", () => {
        growing.delete(where(below))
        disk.remove(where(below))
      }),
    seal: (directories) =>
      each(directories, "synced", (entry) => {
        disk.directory(where(entry.path)).mtime = entry.mtime
      }),
    journal: appendFile(disk, work, path.join(own, "journal")),
    manifest: appendFile(disk, work, path.join(own, "manifest")),
    holds: (files) =>
      work(where(""), "read", () =>
        files.map(({ path: below, size }) => {
          const file = disk.find(where(below))
          return file?.kind === "f" && file.size >= size
        })
      ),
    counterparts: (files) =>
      work(root, "read", () =>
        files.map(({ path: below, size }) => {
          const file = disk.find(path.join(root, below))
          return file?.kind === "f" && file.size === size ? markOf(file) : 0
        })
      ),
    readCounterparts: (parts, into) =>
      work(root, "read", () =>
        parts.map(({ at, length, mark, offset, path: below }) => {
          const file = disk.find(path.join(root, below))
          if (file?.kind !== "f" || markOf(file) !== mark) return false
          into.set(file.bytes.subarray(offset, offset + length), at)
          return true
        })
      ).pipe(Effect.orElseSucceed(() => parts.map(() => false))),
    publish,
    discard: work(own, "removed", () => {
      disk.remove(own)
      const reserved = path.join(root, reservedTop)
      if (disk.list(reserved).length === 0) disk.remove(reserved)
    })
  }
}

/**
 * The FileStore contract on a disk in memory: the same names, refusals and steps as on a real one, without a thread
 * or a promise, so that one seed stays one history. What it holds open are names only: scopes have nothing to close.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as path from "node:path/posix"
import { componentMaxBytes, pathMaxBytes, problem, RelativePath, reservedTop } from "../schema/RelativePath.ts"
import {
  type AppendFile,
  type Archive,
  FileStore,
  FileStoreError,
  type Move,
  type Picked,
  type Scanned,
  type Source,
  type SourcePart,
  type StagedEntry,
  type StagedPart,
  type Staging,
  type Target
} from "../services/FileStore.ts"
import type { ConflictPolicy } from "../schema/Offer.ts"
import { isId } from "../services/FileStoreArchive.ts"
import { copyName } from "../services/FileStorePublish.ts"
import { storeError } from "../services/FileStoreSystem.ts"
import { type DiskEntry, type DiskFile, DiskRefusal, type SimulatedDisk, sorted } from "./SimulatedDisk.ts"

/** Copies of one name before giving up. */
const copiesMax = 9999

const scanned = (entry: DiskEntry, as: string): Scanned => {
  const bad = problem(as)
  if (bad !== undefined) return { _tag: "LeftOut", path: as, reason: `its path ${bad}` }
  return {
    _tag: "Found",
    path: RelativePath.make(as),
    kind: entry.kind,
    size: entry.kind === "f" ? entry.size : 0,
    mtime: entry.mtime,
    executable: entry.kind === "f" && entry.executable
  }
}

/** Everything from an entry on, a directory before what is in it. `skip`: a path not to enter. */
function* walk(entry: DiskEntry, as: string, at: string, skip: string): Generator<Scanned> {
  if (at === skip) return
  const found = scanned(entry, as)
  yield found
  if (entry.kind === "f" || found._tag === "LeftOut") return
  for (const [name, child] of sorted(entry)) yield* walk(child, `${as}/${name}`, path.join(at, name), skip)
}

/** Work on one disk, until it crashes. */
const access = (disk: SimulatedDisk) => {
  const generation = disk.generation
  const check = () => {
    if (disk.generation !== generation) throw new DiskRefusal("EIO")
  }
  /** One piece of work, which takes as long as the disk is slow, and happens at its end. */
  const work = <A>(at: string, action: string, run: () => A): Effect.Effect<A, FileStoreError> =>
    Effect.suspend(() => (disk.latency === 0 ? Effect.void : Effect.sleep(disk.latency))).pipe(
      Effect.andThen(
        Effect.try({
          try: () => {
            disk.onWork?.(action)
            check()
            return run()
          },
          catch: (cause) => storeError(at, action, cause)
        })
      )
    )
  return work
}

type Work = ReturnType<typeof access>

const readPart = (disk: SimulatedDisk, picked: ReadonlyMap<string, Picked>, part: SourcePart, into: Uint8Array) => {
  const [top = "", ...rest] = part.path.split("/")
  const from = picked.get(top)
  const entry = from === undefined ? undefined : disk.find(path.join(from.path, ...rest))
  if (entry === undefined) return "it is gone"
  if (entry.kind !== "f" || entry.size !== part.size || Math.floor(entry.mtime) !== Math.floor(part.mtime)) {
    return "it changed while it was sent"
  }
  into.set(entry.bytes.subarray(part.offset, part.offset + part.length), part.at)
  return null
}

/** A file that only grows; like others it forgets at a crash what was not synced. */
const appendFile = (disk: SimulatedDisk, work: Work, at: string): AppendFile => {
  const there = () => {
    const file = disk.find(at)
    return file?.kind === "f" ? file : undefined
  }
  return {
    read: (offset, length) =>
      work(at, "read", () => {
        const file = there()
        return file === undefined
          ? new Uint8Array(0)
          : file.bytes.slice(offset, Math.max(offset, Math.min(file.size, offset + length)))
      }),
    append: (bytes) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        work(at, "written", () => {
          const file = there() ?? disk.create(at, false)
          disk.writeAt(file, bytes, file.size)
          file.mtime = now
        })
      ),
    sync: work(at, "synced", () => {
      const file = there() ?? disk.create(at, false)
      file.unsynced = []
    }),
    cut: (length) =>
      work(at, "written", () => {
        const file = there()
        if (file !== undefined) disk.cut(file, length)
      })
  }
}

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

const makeStaging = (
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
  const publish: Staging["publish"] = Effect.fnUntraced(function* (tops, policy, { known, note } = {}) {
    const published = new Map<string, Result.Result<string, FileStoreError>>()
    const moves = yield* work(where(""), "published", () =>
      tops.flatMap((top) => {
        const chosen = known?.get(top)
        if (chosen === undefined || disk.find(where(top)) !== undefined) return choose(top, policy)
        if (disk.find(path.join(root, chosen)) !== undefined) {
          published.set(top, Result.succeed(path.join(root, chosen)))
        }
        return []
      })
    )
    if (note !== undefined && moves.length > 0) yield* note(moves)
    for (const { name, top } of moves) {
      const to = path.join(root, name)
      const moved = yield* Effect.result(work(to, "published", () => put(disk, where(top), to, policy)))
      published.set(
        top,
        Result.map(moved, () => to)
      )
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
    publish,
    discard: work(own, "removed", () => {
      disk.remove(own)
      const reserved = path.join(root, reservedTop)
      if (disk.list(reserved).length === 0) disk.remove(reserved)
    })
  }
}

/** A FileStore over this disk that receives into `received` (absolute), until the disk crashes. */
export const make = (disk: SimulatedDisk, received: string, dataDir = "/home/node/.kith"): FileStore["Service"] => {
  const work = access(disk)

  const pick = (given: string) =>
    work(given, "sent", (): Picked => {
      const location = path.resolve("/", given)
      const entry = disk.find(location)
      if (entry === undefined) throw new DiskRefusal("ENOENT")
      if (location === "/") {
        const remedy = "It is a whole file system: send directories of it"
        throw new FileStoreError({ path: given, action: "sent", code: "EINVAL", remedy })
      }
      return { path: location, name: path.basename(location), kind: entry.kind }
    })

  const scan = (picked: Picked, as: string) =>
    Stream.unwrap(
      work(picked.path, "read", () => {
        const entry = disk.find(picked.path)
        if (entry === undefined) throw new DiskRefusal("ENOENT")
        return Stream.fromIterable(walk(entry, as, picked.path, path.join(received, reservedTop)))
      })
    )

  const open = (picked: ReadonlyMap<string, Picked>) =>
    Effect.succeed<Source>({
      read: (parts, into) =>
        work("", "read", () => parts.map((part) => readPart(disk, picked, part, into))).pipe(
          // The disk is gone, and with it every one of them.
          Effect.catch((error) => Effect.succeed(parts.map(() => `it cannot be read (${error.code})`)))
        )
    })

  const target = work(received, "written to", (): Target => {
    disk.directory(received)
    return {
      naming: {
        caseSensitive: true,
        normalizationSensitive: true,
        componentMaxBytes,
        pathMaxBytes,
        windows: false
      },
      freeBytes: disk.free,
      freeFiles: Number.POSITIVE_INFINITY
    }
  })

  const refuseId = (id: string) => {
    if (!isId(id)) throw new DiskRefusal("EINVAL")
  }

  const stage = (id: string) =>
    work(received, "written to", () => {
      refuseId(id)
      const own = path.join(received, reservedTop, id)
      if (disk.find(own) !== undefined) throw new DiskRefusal("EEXIST")
      disk.directory(path.join(own, "data"))
      return makeStaging(disk, work, { root: received, id, isNew: true })
    })

  const reopen = (root: string, id: string) =>
    work(path.join(root, reservedTop, id), "opened", () => {
      refuseId(id)
      if (disk.find(path.join(root, reservedTop, id, "data"))?.kind !== "d") throw new DiskRefusal("ENOENT")
      return makeStaging(disk, work, { root, id, isNew: false })
    })

  const writtenAt = (directory: string): number =>
    disk.find(path.join(directory, "journal"))?.mtime ?? disk.find(directory)?.mtime ?? 0

  const clean = (before: number, but: ReadonlySet<string>) =>
    work(path.join(received, reservedTop), "cleaned", () => {
      const reserved = path.join(received, reservedTop)
      const old = disk
        .list(reserved)
        .filter((id) => isId(id) && !but.has(id) && disk.find(path.join(reserved, id))?.kind === "d")
        .filter((id) => writtenAt(path.join(reserved, id)) < before)
      for (const id of old) disk.remove(path.join(reserved, id))
      if (disk.find(reserved) !== undefined && disk.list(reserved).length === 0) disk.remove(reserved)
      return old
    })

  const kept = path.join(dataDir, "transfers")
  const archive = (id: string) =>
    work(path.join(kept, id), "opened", (): Archive => {
      refuseId(id)
      const own = path.join(kept, id)
      disk.directory(own)
      return {
        id,
        journal: appendFile(disk, work, path.join(own, "journal")),
        manifest: appendFile(disk, work, path.join(own, "manifest")),
        discard: work(own, "removed", () => void disk.remove(own))
      }
    })
  const archives = work(kept, "read", () =>
    disk
      .list(kept)
      .map((id) => ({ id, writtenAt: writtenAt(path.join(kept, id)) }))
      .toSorted((a, b) => a.writtenAt - b.writtenAt)
  )

  return FileStore.of({ pick, scan, open, target, stage, reopen, clean, archive, archives })
}

/** The same as a layer; each build of it is another process on the disk. */
export const layer = (disk: SimulatedDisk, received: string, dataDir?: string): Layer.Layer<FileStore> =>
  Layer.sync(FileStore, () => make(disk, received, dataDir))

/**
 * The FileStore contract on a disk in memory: the same names, refusals and steps as on a real one, without a thread
 * or a promise, so that one seed stays one history. What it holds open are names only: scopes have nothing to close.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as path from "node:path/posix"
import { componentMaxBytes, pathMaxBytes, problem, RelativePath, reservedTop } from "../schema/RelativePath.ts"
import {
  FileStore,
  FileStoreError,
  type Picked,
  type Scanned,
  type Source,
  type SourcePart,
  type StagedEntry,
  type StagedPart,
  type Staging,
  type Target
} from "../services/FileStore.ts"
import { copyName } from "../services/FileStorePublish.ts"
import { storeError } from "../services/FileStoreSystem.ts"
import { type DiskEntry, DiskRefusal, type SimulatedDisk, sorted } from "./SimulatedDisk.ts"

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

const makeStaging = (disk: SimulatedDisk, work: Work, root: string, id: string): Staging => {
  const own = path.join(root, reservedTop, id)
  const where = (below: string) => path.join(own, "data", below)
  /** Files that wait for their last part. */
  const growing = new Set<string>()
  const unsynced = new Set<string>()

  const makeEntry = (entry: StagedEntry) => {
    if (entry.kind === "d") return void disk.directory(where(entry.path))
    disk.create(where(entry.path), entry.executable).mtime = entry.mtime
  }
  const writePart = (part: StagedPart) => {
    const at = where(part.path)
    const file = growing.has(at) ? disk.find(at) : disk.create(at, part.executable)
    if (file?.kind !== "f") throw new DiskRefusal("ENOENT")
    growing.add(at)
    unsynced.add(at)
    disk.writeAt(file, part.bytes, part.offset)
    if (!part.finish) return
    file.mtime = part.mtime
    growing.delete(at)
  }
  const publishOne = (top: string): Result.Result<string, FileStoreError> | undefined => {
    const entry = disk.find(where(top))
    if (entry === undefined) return undefined
    for (let copy = 0; copy <= copiesMax; copy++) {
      const target = path.join(root, copyName(top, entry.kind, copy))
      if (disk.find(target) !== undefined) continue
      disk.move(where(top), target)
      return Result.succeed(target)
    }
    return Result.fail(storeError(path.join(root, top), "published", new DiskRefusal("EEXIST")))
  }
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
    publish: (tops) =>
      work(where(""), "published", () => tops.map(publishOne).filter((result) => result !== undefined)),
    discard: work(own, "removed", () => {
      disk.remove(own)
      const reserved = path.join(root, reservedTop)
      if (disk.list(reserved).length === 0) disk.remove(reserved)
    })
  }
}

/** A FileStore over this disk that receives into `received` (absolute), until the disk crashes. */
export const make = (disk: SimulatedDisk, received: string): FileStore["Service"] => {
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

  const stage = (id: string) =>
    work(received, "written to", () => {
      const own = path.join(received, reservedTop, id)
      if (disk.find(own) !== undefined) throw new DiskRefusal("EEXIST")
      disk.directory(path.join(own, "data"))
      return makeStaging(disk, work, received, id)
    })

  return FileStore.of({ pick, scan, open, target, stage })
}

/** The same as a layer; each build of it is another process on the disk. */
export const layer = (disk: SimulatedDisk, received: string): Layer.Layer<FileStore> =>
  Layer.sync(FileStore, () => make(disk, received))

/**
 * The FileStore contract on a disk in memory: the same names, refusals and steps as on a real one, without a thread
 * or a promise, so that one seed stays one history. What it holds open are names only: scopes have nothing to close.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { hash } from "node:crypto"
import * as path from "node:path/posix"
import { componentMaxBytes, pathMaxBytes, problem, RelativePath, reservedTop } from "../schema/RelativePath.ts"
import {
  type Archive,
  FileStore,
  FileStoreError,
  type Picked,
  type Scanned,
  type Source,
  type SourcePart,
  type Target
} from "../services/FileStore.ts"
import { isId } from "../services/files/FileStoreArchive.ts"
import { type DiskEntry, DiskRefusal, type SimulatedDisk, sorted } from "./SimulatedDisk.ts"
import { makeStaging } from "./SimulatedStaging.ts"
import { access, appendFile } from "./SimulatedWork.ts"

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

const readPart = (disk: SimulatedDisk, picked: ReadonlyMap<string, Picked>, part: SourcePart, into: Uint8Array) => {
  const [top = "", ...rest] = part.path.split("/")
  const from = picked.get(top)
  const entry = from === undefined ? undefined : disk.find(path.join(from.path, ...rest))
  if (entry === undefined) return "it is gone"
  if (entry.kind !== "f" || entry.size !== part.size || Math.floor(entry.mtime) !== Math.floor(part.mtime)) {
    return "it changed while it was sent"
  }
  const bytes = entry.bytes.subarray(part.offset, part.offset + part.length)
  into.set(bytes, part.at)
  return hash("sha256", bytes, "buffer")
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

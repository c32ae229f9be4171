/**
 * The file store over node:fs. Its parts stand beside it: FileStoreHeld (staying inside a directory), FileStoreSource
 * (walking and reading), FileStoreStaging and FileStorePublish (receiving), FileStoreArchive and FileStoreAppend (what
 * outlives a run), FileStoreSystem (the calls and errors).
 *
 * What it opens belongs to the scopes of `open`, `stage`, `reopen` and `archive`; the layer itself owns nothing.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { NodeConfig } from "../config.ts"
import type { Naming } from "../schema/Naming.ts"
import { componentMaxBytes, pathMaxBytes, reservedTop } from "../schema/RelativePath.ts"
import { FileStore, FileStoreError, type Picked, type Source, type Target } from "./FileStore.ts"
import { SourceFiles, walk } from "./FileStoreSource.ts"
import { cleanStagings, listArchives, openArchive, refuseId } from "./FileStoreArchive.ts"
import { StagingDirectory } from "./FileStoreStaging.ts"
import * as System from "./FileStoreSystem.ts"

const pickPath = async (given: string): Promise<Picked> => {
  const location = path.resolve(given)
  const refuse = (action: string, remedy: string) => new FileStoreError({ path: given, action, code: "EINVAL", remedy })
  const stats = await System.lstat(location)
  if (stats.isSymbolicLink()) {
    throw refuse("sent", `It is a symbolic link: send what it points to, ${fs.readlinkSync(location)}`)
  }
  if (!stats.isFile() && !stats.isDirectory()) throw refuse("sent", "Only files and directories can be")
  if (path.basename(location) === "") throw refuse("sent", "It is a whole file system: send directories of it")
  await System.readable(location)
  return { path: location, name: path.basename(location), kind: stats.isFile() ? "f" : "d" }
}

/** Whether a file made under one name is there under the other. */
const sameFile = async (directory: string, made: string, other: string): Promise<boolean> => {
  const location = path.join(directory, made)
  await System.close(await System.open(location, System.flags.create, 0o600))
  try {
    await System.lstat(path.join(directory, other))
    return true
  } catch {
    return false
  } finally {
    await System.unlink(location)
  }
}

/** Tries out what the file system tells apart. */
const probeNaming = async (directory: string): Promise<Naming> => ({
  caseSensitive: !(await sameFile(directory, "probe-a", "PROBE-A")),
  normalizationSensitive: !(await sameFile(directory, "probe-e\u0301", "probe-\u00e9")),
  componentMaxBytes,
  pathMaxBytes,
  windows: process.platform === "win32"
})

/** `.kith` goes with the last staging in it, perhaps at the moment when it is to be used: then it is made again. */
const whileOthersLeave = async <A>(work: () => Promise<A>): Promise<A> => {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (cause) {
      if (System.codeOf(cause) !== "ENOENT" || tries === 5) throw cause
    }
  }
}

const probeTarget = async (received: string): Promise<Target> => {
  const reserved = path.join(received, reservedTop)
  await fs.promises.mkdir(received, { recursive: true })
  await fs.promises.mkdir(reserved, { mode: 0o700 }).catch((cause: unknown) => {
    if (System.codeOf(cause) !== "EEXIST") throw cause
  })
  const probes = await fs.promises.mkdtemp(path.join(reserved, "probe-"))
  try {
    const stats = await System.statfs(received)
    return {
      naming: await probeNaming(probes),
      freeBytes: stats.bavail * stats.bsize,
      // Some file systems make room for files as they come, and say 0.
      freeFiles: stats.files === 0 ? Infinity : stats.ffree
    }
  } finally {
    await System.rmdir(probes)
    // Others may be staging there.
    await System.rmdir(reserved).catch(() => {})
  }
}

const pick = (given: string) => System.attempt(given, "sent", () => pickPath(given))

const open = Effect.fn("FileStore.open")(function* (picked: ReadonlyMap<string, Picked>) {
  const files = yield* Effect.acquireRelease(
    Effect.sync(() => new SourceFiles(picked)),
    (files) => Effect.promise(() => files.close())
  )
  return {
    read: (parts, into) => Effect.uninterruptible(Effect.promise(() => files.read(parts, into)))
  } satisfies Source
})

const make = Effect.gen(function* () {
  const config = yield* NodeConfig
  const received = path.resolve(config.received)

  const scan = (picked: Picked, as: string) =>
    Stream.fromAsyncIterable(walk(picked, as, path.join(received, reservedTop)), (cause) =>
      System.storeError(picked.path, "read", cause)
    ).pipe(Stream.flattenIterable)

  const held = (made: Effect.Effect<StagingDirectory, FileStoreError>) =>
    Effect.map(
      Effect.acquireRelease(made, (directory) => Effect.promise(() => directory.close())),
      (directory) => directory.staging
    )

  const stage = (id: string) =>
    held(
      System.attempt(received, "written to", async () => {
        refuseId(id)
        await fs.promises.mkdir(received, { recursive: true })
        return whileOthersLeave(() => StagingDirectory.make(received, id))
      })
    )

  const reopen = (root: string, id: string) =>
    held(
      System.attempt(path.join(root, reservedTop, id), "opened", () => {
        refuseId(id)
        return StagingDirectory.reopen(root, id)
      })
    )

  const clean = (before: number, but: ReadonlySet<string>) =>
    System.attempt(path.join(received, reservedTop), "cleaned", () => cleanStagings(received, before, but))

  const kept = path.join(path.resolve(config.dataDir), "transfers")
  const archive = (id: string) => openArchive(kept, id)
  const archives = System.attempt(kept, "read", () => listArchives(kept))

  const target = System.attempt(received, "written to", () => whileOthersLeave(() => probeTarget(received)))

  return FileStore.of({ pick, scan, open, stage, reopen, clean, archive, archives, target })
})

export const layer: Layer.Layer<FileStore, never, NodeConfig> = Layer.effect(FileStore, make)

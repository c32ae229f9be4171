/**
 * The file store over node:fs, in two threads: the main one waits for no disk, and what is sent and received is worked on
 * in one of its own, by synchronous calls, a batch at a time. That is several times faster for small files than Node's
 * pool of threads, where each call is a trip of its own.
 *
 * On the main thread: FileStoreSending and FileStoreStaging (what is sent, what is received), FileStoreArchive and
 * FileStoreAppend (what outlives a run), FileStoreSystem (its calls, and what errors mean), FileStoreThread (the other
 * one's owner). There: FileStoreWorker and FileStoreHandlers (requests), FileStoreWalk, FileStoreSource, FileStoreStagedFiles,
 * FileStorePublish and FileStoreCounterparts (work), FileStoreHeld (staying inside a directory), FileStoreCalls.
 *
 * What it opens belongs to the scopes of `scan`, `open`, `stage`, `reopen` and `archive`. The layer owns the thread, which
 * is there while any of them needs it, and a little longer.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcRef from "effect/RcRef"
import { NodeConfig } from "../../config.ts"
import type { Naming } from "../../schema/Naming.ts"
import { componentMaxBytes, pathMaxBytes, reservedTop } from "../../schema/RelativePath.ts"
import { FileStore, FileStoreError, type Picked, type Target } from "../FileStore.ts"
import { cleanStagings, listArchives, openArchive, refuseId } from "./FileStoreArchive.ts"
import { codeOf, flags } from "./FileStoreCalls.ts"
import { openSource, scan } from "./FileStoreSending.ts"
import { StagingDirectory } from "./FileStoreStaging.ts"
import * as System from "./FileStoreSystem.ts"
import * as FileStoreThread from "./FileStoreThread.ts"

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
  await System.close(await System.open(location, flags.create, 0o600))
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
      if (codeOf(cause) !== "ENOENT" || tries === 5) throw cause
    }
  }
}

const probeTarget = async (received: string): Promise<Target> => {
  const reserved = path.join(received, reservedTop)
  await fs.promises.mkdir(received, { recursive: true })
  await fs.promises.mkdir(reserved, { mode: 0o700 }).catch((cause: unknown) => {
    if (codeOf(cause) !== "EEXIST") throw cause
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

/** How long the thread stays when nobody needs it: another transfer may follow. */
const threadKept = "10 seconds"

const make = Effect.gen(function* () {
  const config = yield* NodeConfig
  const received = path.resolve(config.received)

  const threads = yield* RcRef.make({ acquire: FileStoreThread.make, idleTimeToLive: threadKept })
  const thread = RcRef.get(threads)

  /** Opens a staging, and lets go of it with the scope. */
  const staged = (
    location: string,
    action: string,
    work: (on: FileStoreThread.FileStoreThread) => Promise<StagingDirectory>
  ) =>
    Effect.flatMap(thread, (on) =>
      Effect.acquireRelease(
        System.attempt(location, action, () => work(on)),
        (directory) => Effect.promise(() => directory.close())
      )
    ).pipe(Effect.map((directory) => directory.staging))

  const stage = (id: string) =>
    staged(received, "written to", async (on) => {
      refuseId(id)
      await fs.promises.mkdir(received, { recursive: true })
      return whileOthersLeave(() => StagingDirectory.open(on, received, id, true))
    })

  const reopen = (root: string, id: string) =>
    staged(path.join(root, reservedTop, id), "opened", async (on) => {
      refuseId(id)
      return StagingDirectory.open(on, root, id, false)
    })

  const clean = (before: number, but: ReadonlySet<string>) =>
    System.attempt(path.join(received, reservedTop), "cleaned", () => cleanStagings(received, before, but))

  const kept = path.join(path.resolve(config.dataDir), "transfers")
  const archive = (id: string) => openArchive(kept, id)
  const archives = System.attempt(kept, "read", () => listArchives(kept))

  const target = System.attempt(received, "written to", () => whileOthersLeave(() => probeTarget(received)))

  return FileStore.of({
    pick,
    scan: (picked, as) => scan(thread, picked, as, path.join(received, reservedTop)),
    open: (picked) => openSource(thread, picked),
    stage,
    reopen,
    clean,
    archive,
    archives,
    target
  })
})

export const layer: Layer.Layer<FileStore, never, NodeConfig> = Layer.effect(FileStore, make)

/**
 * What outlives a run: the archives in the data directory, `<data directory>/transfers/<id>`, and the staging
 * directories that nobody came back for. An archive owns its two files, which its scope closes; nothing else is owned.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { reservedTop } from "../../schema/RelativePath.ts"
import type { Archive, FileStoreError } from "../FileStore.ts"
import { AppendFileNode } from "./FileStoreAppend.ts"
import { codeOf, refusal } from "./FileStoreCalls.ts"
import type { Directory } from "./FileStoreDirectory.ts"
import * as System from "./FileStoreSystem.ts"

/** Ids are ours, but some come back from files: none of them may lead anywhere else. */
export const isId = (id: string): boolean => /^[a-z0-9]{1,64}$/.test(id)

export const refuseId = (id: string): void => {
  if (!isId(id)) throw refusal("EINVAL", "not an id")
}

/** What a look at the disk was cut short by. */
const probe = /^probe-[A-Za-z0-9]{6}$/

class ArchiveDirectory {
  readonly archive: Archive
  private readonly directory: Directory
  private readonly files: ReadonlyArray<AppendFileNode>

  constructor(directory: Directory, parent: string, id: string) {
    const location = path.join(parent, id)
    const journal = new AppendFileNode(directory, "journal", location)
    const manifest = new AppendFileNode(directory, "manifest", location)
    this.directory = directory
    this.files = [journal, manifest]
    this.archive = {
      id,
      journal: journal.file,
      manifest: manifest.file,
      discard: System.attempt(location, "removed", () => fs.rm(location, { recursive: true, force: true }))
    }
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.close()
    await System.letGo(this.directory)
  }
}

/** Opens an archive below this directory, made if missing. */
export const openArchive = (parent: string, id: string): Effect.Effect<Archive, FileStoreError, Scope.Scope> =>
  Effect.acquireRelease(
    System.attempt(path.join(parent, id), "opened", async () => {
      refuseId(id)
      await fs.mkdir(parent, { recursive: true, mode: 0o700 })
      const held = await System.hold(parent, true)
      try {
        await System.ensureDirectory(held.at(id), 0o700)
        await System.syncNames(held)
        return new ArchiveDirectory(await System.hold(held.at(id), false), parent, id)
      } finally {
        await System.letGo(held)
      }
    }),
    (directory) => Effect.promise(() => directory.close())
  ).pipe(Effect.map((directory) => directory.archive))

const namesIn = async (directory: string): Promise<Array<string>> => {
  try {
    return await fs.readdir(directory)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return []
    throw cause
  }
}

export const listArchives = async (parent: string) => {
  const found: Array<{ readonly id: string; readonly writtenAt: number }> = []
  for (const id of await namesIn(parent)) {
    if (isId(id)) found.push({ id, writtenAt: await writtenAt((name) => path.join(parent, id, name)) })
  }
  return found.toSorted((a, b) => a.writtenAt - b.writtenAt)
}

/** When it was last written to, by the journal or, where there is none, by the directory. */
const writtenAt = async (at: (name: string) => string): Promise<number> =>
  (await System.look(at("journal")))?.mtimeMs ?? (await System.look(at(".")))?.mtimeMs ?? 0

/**
 * Removes stagings below `<received>/.kith` that nothing was written to since `before`. What is no directory, or has
 * no name of ours, is left alone.
 */
export const cleanStagings = async (
  received: string,
  before: number,
  but: ReadonlySet<string>
): Promise<Array<string>> => {
  const removed: Array<string> = []
  const root = await System.hold(received, true).catch((cause: unknown) => {
    if (codeOf(cause) !== "ENOENT") throw cause
  })
  if (root === undefined) return removed
  try {
    const reserved = await System.look(root.at(reservedTop))
    if (reserved === undefined || !reserved.isDirectory()) return removed
    const directory = await System.hold(root.at(reservedTop), false)
    try {
      for (const name of await namesIn(directory.self)) {
        if ((isId(name) || probe.test(name)) && !but.has(name) && (await isOld(directory, name, before))) {
          await fs.rm(directory.at(name), { recursive: true, force: true })
          removed.push(name)
        }
      }
    } finally {
      await System.letGo(directory)
    }
    // With other stagings in it, it stays.
    await System.rmdir(root.at(reservedTop)).catch(() => {})
  } finally {
    await System.letGo(root)
  }
  return removed
}

const isOld = async (directory: Directory, name: string, before: number): Promise<boolean> => {
  const stats = await System.look(directory.at(name))
  if (stats === undefined || !stats.isDirectory()) return false
  return (await writtenAt((inside) => `${directory.at(name)}/${inside}`)) < before
}

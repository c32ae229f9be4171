/**
 * The staging directory of one transfer, `<received>/.kith/<id>`: what is received grows in its `data` (a journal is
 * to stand beside that), on the receive folder's own file system, readable by this user alone.
 *
 * It owns three held directory trees and the descriptors of the files being written, at most `openMax` beyond those in
 * use; `close` gives them back and removes nothing.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { reservedTop, type RelativePath } from "../schema/RelativePath.ts"
import { type FileStoreError, type StagedEntry, type StagedPart, type Staging } from "./FileStore.ts"
import { HeldTree } from "./FileStoreHeld.ts"
import { publish } from "./FileStorePublish.ts"
import * as System from "./FileStoreSystem.ts"

/** System calls at once for one batch: enough to keep Node's threads busy. */
const width = 8

/** Syncs at once: a journalling file system commits those that wait together in one go. */
const syncWidth = 16

/** From so many files on, syncing the whole file system is cheaper than one by one. */
const syncAllFrom = 64

/** Unfinished files kept open. */
const openMax = 64

const modeOf = (entry: { readonly executable: boolean }): number => (entry.executable ? 0o777 : 0o666)

const parentOf = (below: string): string => below.slice(0, Math.max(0, below.lastIndexOf("/")))
const nameOf = (below: string): string => below.slice(below.lastIndexOf("/") + 1)

/** An unfinished file. */
interface Growing {
  fd: Promise<number> | undefined
  uses: number
  /** Set once its last part is being written: whoever is done last finishes the file. */
  last: StagedPart | undefined
}

export class StagingDirectory {
  private readonly id: string
  private readonly root: HeldTree
  private readonly rootPath: string
  private readonly own: HeldTree
  private readonly data: HeldTree
  private readonly growing = new Map<string, Growing>()
  /** Finished files, and sealed directories, that were not synced since. */
  private unsynced: Array<RelativePath> = []

  private constructor(id: string, rootPath: string, root: HeldTree, own: HeldTree, data: HeldTree) {
    this.id = id
    this.rootPath = rootPath
    this.root = root
    this.own = own
    this.data = data
  }

  /** Makes `<received>/.kith/<id>` below a folder that exists. */
  static async make(rootPath: string, id: string): Promise<StagingDirectory> {
    const root = await HeldTree.hold(rootPath, true)
    try {
      const own = await root.within(reservedTop, 0o700, async (reserved) => {
        await System.mkdir(reserved.at(id), 0o700)
        return HeldTree.hold(reserved.at(id), false)
      })
      await System.mkdir(own.top.at("data"), 0o700)
      return new StagingDirectory(id, rootPath, root, own, await HeldTree.hold(own.top.at("data"), false))
    } catch (cause) {
      await root.close()
      throw cause
    }
  }

  async close(): Promise<void> {
    for (const file of this.growing.values()) await this.shut(file)
    this.growing.clear()
    await this.data.close()
    await this.own.close()
    await this.root.close()
  }

  /** As the contract has it. */
  get staging(): Staging {
    const where = (below: string) => path.join(this.rootPath, reservedTop, this.id, "data", below)
    const work = <A>(below: string, action: string, run: () => Promise<A>): Effect.Effect<A, FileStoreError> =>
      System.attempt(where(below), action, run)
    return {
      id: this.id,
      root: this.rootPath,
      make: (entries) =>
        work(entries[0]?.path ?? "", "created", () =>
          System.each(entries, width, (entry) => this.named(where(entry.path), "created", () => this.makeEntry(entry)))
        ),
      write: (parts) =>
        work(parts[0]?.path ?? "", "written", () =>
          System.each(parts, width, (part) => this.named(where(part.path), "written", () => this.writePart(part)))
        ),
      sync: work("", "synced", () => this.sync(where)),
      remove: (below) => work(below, "removed", () => this.remove(below)),
      seal: (directories) =>
        work(directories[0]?.path ?? "", "sealed", () =>
          System.each(directories, width, (entry) =>
            this.named(where(entry.path), "sealed", () => this.sealDirectory(entry))
          )
        ),
      publish: (tops) => work("", "published", () => this.publishAll(tops)),
      discard: work("", "removed", () => this.discard())
    }
  }

  /** The error of this one among a batch. */
  private async named(location: string, action: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      throw System.storeError(location, action, cause)
    }
  }

  private makeEntry(entry: StagedEntry): Promise<void> {
    if (entry.kind === "d") return this.data.within(entry.path, 0o777, () => Promise.resolve())
    return this.data.within(parentOf(entry.path), 0o777, async (directory) => {
      const fd = await System.open(directory.at(nameOf(entry.path)), System.flags.create, modeOf(entry))
      await this.finish(fd, entry.path, entry.mtime)
    })
  }

  private async finish(fd: number, below: RelativePath, mtime: number): Promise<void> {
    try {
      System.setMtime(fd, mtime)
      this.unsynced.push(below)
    } finally {
      await System.close(fd)
    }
  }

  private async writePart(part: StagedPart): Promise<void> {
    const known = this.growing.get(part.path)
    if (known === undefined && part.finish) return this.writeWhole(part)
    const file = known ?? { fd: this.openFile(part, System.flags.create), uses: 0, last: undefined }
    if (known === undefined) this.growing.set(part.path, file)
    if (part.finish) file.last = part
    file.uses++
    try {
      file.fd ??= this.openFile(part, System.flags.write)
      await System.writeAt(await file.fd, part.bytes, part.offset)
    } finally {
      file.uses--
    }
    if (file.last !== undefined && file.uses === 0 && file.fd !== undefined) {
      this.growing.delete(part.path)
      await this.finish(await file.fd, part.path, file.last.mtime)
    } else await this.trim()
  }

  /** The usual small file: made, written and closed in one go. */
  private writeWhole(part: StagedPart): Promise<void> {
    return this.data.within(parentOf(part.path), 0o777, async (directory) => {
      const fd = await System.open(directory.at(nameOf(part.path)), System.flags.create, modeOf(part))
      try {
        await System.writeAt(fd, part.bytes, part.offset)
      } catch (cause) {
        await System.close(fd)
        throw cause
      }
      await this.finish(fd, part.path, part.mtime)
    })
  }

  private openFile(part: StagedPart, flags: number): Promise<number> {
    return this.data.within(parentOf(part.path), 0o777, (directory) =>
      System.open(directory.at(nameOf(part.path)), flags, modeOf(part))
    )
  }

  /** Closes unfinished files beyond those worth keeping open, synced so that nothing is forgotten. */
  private async trim(): Promise<void> {
    let open = 0
    for (const file of this.growing.values()) if (file.fd !== undefined) open++
    for (const file of this.growing.values()) {
      if (open <= openMax) return
      if (file.uses > 0 || file.fd === undefined) continue
      const fd = file.fd
      file.fd = undefined
      open--
      await System.fsync(await fd)
      await System.close(await fd)
    }
  }

  private async shut(file: Growing): Promise<void> {
    // One that failed to open has nothing to close.
    const fd = await file.fd?.catch(() => undefined)
    file.fd = undefined
    if (fd !== undefined) await System.close(fd)
  }

  private async sync(where: (below: string) => string): Promise<void> {
    const finished = this.unsynced
    this.unsynced = []
    await System.each([...this.growing], syncWidth, ([below, file]) =>
      this.named(where(below), "synced", async () => {
        if (file.fd === undefined) return
        file.uses++
        try {
          await System.fsync(await file.fd)
        } finally {
          file.uses--
        }
      })
    )
    if (finished.length >= syncAllFrom && (await System.syncAll(this.rootPath))) return
    await System.each(finished, syncWidth, (below) => this.named(where(below), "synced", () => this.syncOne(below)))
  }

  private syncOne(below: RelativePath): Promise<void> {
    return this.data.within(parentOf(below), undefined, async (directory) => {
      const fd = await System.open(directory.at(nameOf(below)), System.flags.read)
      try {
        await System.fsync(fd)
      } finally {
        await System.close(fd)
      }
    })
  }

  private async remove(below: RelativePath): Promise<void> {
    const file = this.growing.get(below)
    this.growing.delete(below)
    if (file !== undefined) await this.shut(file)
    this.unsynced = this.unsynced.filter((other) => other !== below)
    await this.data
      .within(parentOf(below), undefined, (directory) => System.unlink(directory.at(nameOf(below))))
      .catch((cause: unknown) => {
        if (System.codeOf(cause) !== "ENOENT") throw cause
      })
  }

  private sealDirectory(entry: StagedEntry): Promise<void> {
    return this.data.within(entry.path, 0o777, (directory) => {
      if (directory.fd >= 0) {
        System.setMtime(directory.fd, entry.mtime)
        this.unsynced.push(entry.path)
      }
      return Promise.resolve()
    })
  }

  private async publishAll(tops: ReadonlyArray<string>): Promise<Array<Result.Result<string, FileStoreError>>> {
    const published: Array<Result.Result<string, FileStoreError>> = []
    for (const top of tops) {
      const target = path.join(this.rootPath, top)
      try {
        const name = await publish(this.data.top, this.root.top, top)
        published.push(Result.succeed(path.join(this.rootPath, name)))
      } catch (cause) {
        if (System.codeOf(cause) === "ENOENT") continue
        published.push(Result.fail(System.storeError(target, "published", cause)))
      }
    }
    if (this.root.top.fd >= 0) await System.fsync(this.root.top.fd)
    return published
  }

  private async discard(): Promise<void> {
    for (const file of this.growing.values()) await this.shut(file)
    this.growing.clear()
    this.unsynced = []
    await this.root.within(reservedTop, undefined, (reserved) =>
      fs.rm(reserved.at(this.id), { recursive: true, force: true })
    )
    // Whoever stages next makes it again; with other stagings in it, it stays.
    await System.rmdir(this.root.top.at(reservedTop)).catch(() => {})
  }
}

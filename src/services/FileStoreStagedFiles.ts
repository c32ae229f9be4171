/**
 * The files of one staging while they grow: made, written in parts, given their times, synced. What has a name is on disk
 * once `sync` returns, and so are the directories above it.
 *
 * It owns the descriptors of the files being written, at most `openMax` beyond those in use; `close` gives them back.
 */
import type { RelativePath } from "../schema/RelativePath.ts"
import type { StagedEntry, StagedPart } from "./FileStore.ts"
import type { HeldTree } from "./FileStoreHeld.ts"
import { look } from "./FileStorePublish.ts"
import * as System from "./FileStoreSystem.ts"

/** System calls at once for one batch: enough to keep Node's threads busy. */
const width = 8

/** Syncs at once: a journalling file system commits those that wait together in one go. */
const syncWidth = 16

/** From so many files on, syncing the whole file system is cheaper than one by one. */
const syncAllFrom = 64

/** Directories remembered to have been synced; forgetting them costs only syncs. */
const knownMax = 10_000

/** Unfinished files kept open. */
const openMax = 64

const modeOf = (entry: { readonly executable: boolean }): number => (entry.executable ? 0o777 : 0o666)

const parentOf = (below: string): string => below.slice(0, Math.max(0, below.lastIndexOf("/")))
const nameOf = (below: string): string => below.slice(below.lastIndexOf("/") + 1)

/** An unfinished file. */
interface Growing {
  fd: Promise<number> | undefined
  uses: number
  /** Where all that was ever written to it ends: what comes after is a hole. */
  end: number
  /** Set once its last part is being written: whoever is done last finishes the file. */
  last: StagedPart | undefined
  finished: boolean
}

export class StagedFiles {
  private readonly data: HeldTree
  /** Where a path is, for whoever is told that something failed there. */
  private readonly where: (below: string) => string
  /** How files are made: over what an earlier run left behind, or where nothing is. */
  private readonly making: number
  private readonly growing = new Map<RelativePath, Growing>()
  /** Finished files, and sealed directories, that were not synced since. */
  private unsynced: Array<RelativePath> = []
  /** Directories of `data` that have new names in them, and those that were made known to the ones above. */
  private grown = new Set<string>()
  private known = new Set<string>()
  private synced: Promise<void> = Promise.resolve()

  constructor(data: HeldTree, where: (below: string) => string, making: number) {
    this.data = data
    this.where = where
    this.making = making
  }

  make(entries: ReadonlyArray<StagedEntry>): Promise<void> {
    return System.each(entries, width, (entry) => this.named(entry.path, "created", () => this.makeEntry(entry)))
  }

  write(parts: ReadonlyArray<StagedPart>): Promise<void> {
    return System.each(parts, width, (part) => this.named(part.path, "written", () => this.writePart(part)))
  }

  seal(directories: ReadonlyArray<StagedEntry>): Promise<void> {
    return System.each(directories, width, (entry) => this.named(entry.path, "sealed", () => this.sealDirectory(entry)))
  }

  /** Forgets what is being written. */
  async close(): Promise<void> {
    for (const file of this.growing.values()) await this.shut(file)
    this.growing.clear()
    this.unsynced = []
  }

  /** The error of this one among a batch. */
  private async named(below: string, action: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      throw System.storeError(this.where(below), action, cause)
    }
  }

  private makeEntry(entry: StagedEntry): Promise<void> {
    if (entry.kind === "d") {
      return this.data.within(entry.path, 0o777, () => Promise.resolve(this.grows(entry.path)))
    }
    return this.data.within(parentOf(entry.path), 0o777, async (directory) => {
      const fd = await System.open(directory.at(nameOf(entry.path)), this.making, modeOf(entry))
      this.grows(parentOf(entry.path))
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
    const file = known ?? { fd: undefined, uses: 0, end: 0, last: undefined, finished: false }
    if (known === undefined) {
      this.growing.set(part.path, file)
      file.fd = this.openGrowing(file, part)
    }
    if (part.finish) file.last = part
    file.uses++
    try {
      file.fd ??= this.openFile(part, System.flags.write)
      await this.grow(file, await file.fd, part)
    } catch (cause) {
      file.uses--
      file.last = undefined
      throw cause
    }
    await this.release(part.path, file)
    await this.trim()
  }

  private async openGrowing(file: Growing, part: StagedPart): Promise<number> {
    const fd = await this.openFile(part, this.making)
    file.end = System.fstat(fd).size
    return fd
  }

  /** Zeros behind all that was written are left a hole, but for the last byte: disks of virtual machines stay small. */
  private grow(file: Growing, fd: number, { bytes, offset }: StagedPart): Promise<void> {
    const end = offset + bytes.length
    const isHole = offset >= file.end && System.isZeros(bytes)
    file.end = Math.max(file.end, end)
    return isHole ? System.writeAt(fd, bytes.subarray(-1), end - 1) : System.writeAt(fd, bytes, offset)
  }

  /** Done with a file for now. Whoever is last to be done with one whose last part is there, be it a sync, ends it. */
  private async release(below: RelativePath, file: Growing): Promise<void> {
    file.uses--
    const { fd, last } = file
    if (last === undefined || fd === undefined || file.uses > 0) return
    file.fd = undefined
    file.finished = true
    this.growing.delete(below)
    await this.finish(await fd, below, last.mtime)
  }

  /** The usual small file: made, written and closed in one go. */
  private writeWhole(part: StagedPart): Promise<void> {
    return this.data.within(parentOf(part.path), 0o777, async (directory) => {
      const fd = await System.open(directory.at(nameOf(part.path)), this.making, modeOf(part))
      this.grows(parentOf(part.path))
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
    this.grows(parentOf(part.path))
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

  /**
   * One sync at a time: whoever asks while another runs may have written what that one syncs. After one that failed
   * nobody knows what is on disk, and asking again would be answered with yes.
   */
  sync(): Promise<void> {
    this.synced = this.synced.then(() => this.syncNow())
    // Each who asks is told.
    this.synced.catch(() => {})
    return this.synced
  }

  private async syncNow(): Promise<void> {
    const finished = this.unsynced
    const grown = [...this.grown]
    this.unsynced = []
    this.grown.clear()
    await System.each([...this.growing], syncWidth, ([below, file]) =>
      this.named(below, "synced", async () => {
        // It was ended after this sync began, or put aside, which syncs it.
        if (file.fd === undefined) return file.finished ? this.syncOne(below) : undefined
        file.uses++
        try {
          await System.fsync(await file.fd)
        } finally {
          await this.release(below, file)
        }
      })
    )
    if (finished.length + grown.length >= syncAllFrom && (await System.syncAll(this.where("")))) return
    await System.each(finished, syncWidth, (below) => this.named(below, "synced", () => this.syncOne(below)))
    await System.each(grown, syncWidth, (below) =>
      this.named(below, "synced", () =>
        this.data.within(below, undefined, async (directory) => {
          if (directory.fd >= 0) await System.fsync(directory.fd)
        })
      )
    )
  }

  /** A name came to be in this directory: without that on disk the file would be lost with all its bytes. */
  private grows(below: string): void {
    this.grown.add(below)
    if (this.known.size > knownMax) this.known.clear()
    for (let at = below; !this.known.has(at); at = parentOf(at)) {
      this.known.add(at)
      if (at === "") return
      this.grown.add(parentOf(at))
    }
  }

  /** For each whether it is there with at least so many bytes. */
  async holds(files: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>) {
    const held: Array<boolean> = []
    for (const { path: below, size } of files) {
      const stats = await this.data
        .within(parentOf(below), undefined, (directory) => look(directory.at(nameOf(below))))
        .catch((cause: unknown) => {
          const code = System.codeOf(cause)
          if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "ELOOP") throw cause
          return undefined
        })
      held.push(stats !== undefined && stats.isFile() && stats.size >= size)
    }
    return held
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

  async remove(below: RelativePath): Promise<void> {
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
}

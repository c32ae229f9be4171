/**
 * The files of one staging while they grow: made, written in parts, given their times, synced. What has a name is on disk
 * once `sync` returns, and so are the directories above it. In the file store's thread, where only `sync` takes turns
 * with everything else.
 *
 * It owns the descriptors of the files being written, at most `openMax` beyond those in use; `close` gives them back.
 */
import type { RelativePath } from "../../schema/RelativePath.ts"
import type { StagedEntry, StagedPart } from "../FileStore.ts"
import * as Calls from "./FileStoreCalls.ts"
import type { HeldTree } from "./FileStoreHeld.ts"
import { eachAtOnce, syncAll } from "./FileStoreSync.ts"

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
  /** Undefined while it is put aside. */
  fd: number | undefined
  /** Syncs that are under way. */
  syncs: number
  /** Its time, set once its last part is written: whoever is done last finishes the file. */
  mtime: number | undefined
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
  private lastGrown: string | undefined
  private synced: Promise<void> = Promise.resolve()

  constructor(data: HeldTree, where: (below: string) => string, making: number) {
    this.data = data
    this.where = where
    this.making = making
  }

  make(entry: StagedEntry): void {
    this.named(entry.path, "created", () => {
      if (entry.kind === "d") return this.data.within(entry.path, 0o777, () => this.grows(entry.path))
      this.finish(this.openFile(entry, this.making), entry.path, entry.mtime)
    })
  }

  write(part: StagedPart): void {
    this.named(part.path, "written", () => {
      const known = this.growing.get(part.path)
      if (known === undefined && part.finish) this.writeWhole(part)
      else this.writePart(part, known ?? this.begin(part))
    })
  }

  seal(entry: StagedEntry): void {
    this.named(entry.path, "sealed", () =>
      this.data.within(entry.path, 0o777, (directory) => {
        if (directory.fd < 0) return
        Calls.setMtime(directory.fd, entry.mtime)
        this.unsynced.push(entry.path)
      })
    )
  }

  /** Forgets what is being written. */
  close(): void {
    for (const file of this.growing.values()) this.shut(file)
    this.growing.clear()
    this.unsynced = []
  }

  /** The error of this one among a batch. */
  private named<A>(below: string, action: string, work: () => A): A {
    return Calls.named(() => this.where(below), action, work)
  }

  private finish(fd: number, below: RelativePath, mtime: number): void {
    try {
      Calls.setMtime(fd, mtime)
      this.unsynced.push(below)
    } finally {
      Calls.close(fd)
    }
  }

  private begin(part: StagedPart): Growing {
    const fd = this.openFile(part, this.making)
    const file: Growing = { fd, syncs: 0, mtime: undefined, finished: false }
    this.growing.set(part.path, file)
    return file
  }

  private writePart(part: StagedPart, file: Growing): void {
    file.fd ??= this.openFile(part, Calls.flags.write)
    Calls.writeSparsely(file.fd, part.bytes, part.offset)
    if (part.finish) file.mtime = part.mtime
    this.release(part.path, file)
    this.trim()
  }

  /** Done with a file for now. Whoever is last to be done with one whose last part is there, be it a sync, ends it. */
  private release(below: RelativePath, file: Growing): void {
    const { fd, mtime, syncs } = file
    if (mtime === undefined || fd === undefined || syncs > 0) return
    file.fd = undefined
    file.finished = true
    this.growing.delete(below)
    this.finish(fd, below, mtime)
  }

  /** The usual small file: made, written and closed in one go. */
  private writeWhole(part: StagedPart): void {
    const fd = this.openFile(part, this.making)
    try {
      Calls.writeAt(fd, part.bytes, part.offset)
    } catch (cause) {
      Calls.close(fd)
      throw cause
    }
    this.finish(fd, part.path, part.mtime)
  }

  private openFile(entry: Pick<StagedPart, "path" | "executable">, flags: number): number {
    const parent = parentOf(entry.path)
    return this.data.within(parent, 0o777, (directory) => {
      const fd = Calls.open(directory.at(nameOf(entry.path)), flags, modeOf(entry))
      this.grows(parent)
      return fd
    })
  }

  /** Closes unfinished files beyond those worth keeping open; what was written to them is synced by their names. */
  private trim(): void {
    if (this.growing.size <= openMax) return
    let open = 0
    for (const file of this.growing.values()) if (file.fd !== undefined) open++
    for (const [below, file] of this.growing) {
      if (open <= openMax) return
      if (file.syncs > 0 || file.fd === undefined) continue
      this.shut(file)
      this.unsynced.push(below)
      open--
    }
  }

  private shut(file: Growing): void {
    const { fd } = file
    file.fd = undefined
    if (fd !== undefined) Calls.close(fd)
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
    this.lastGrown = undefined
    await eachAtOnce([...this.growing], ([below, file]) => this.syncGrowing(below, file))
    if (finished.length + grown.length >= syncAllFrom && (await syncAll(this.where("")))) return
    await eachAtOnce(finished, (below) => this.syncOne(below))
    await eachAtOnce(grown, (below) => this.syncDirectory(below))
  }

  private async syncGrowing(below: RelativePath, file: Growing): Promise<void> {
    // It was ended after this sync began, or put aside before.
    if (file.fd === undefined) return file.finished ? this.syncOne(below) : undefined
    file.syncs++
    try {
      await this.syncing(below, file.fd)
    } finally {
      file.syncs--
      this.named(below, "synced", () => this.release(below, file))
    }
  }

  private async syncing(below: string, fd: number): Promise<void> {
    try {
      await Calls.fsync(fd)
    } catch (cause) {
      throw new Calls.Fault(this.where(below), "synced", Calls.codeOf(cause))
    }
  }

  private async syncOne(below: RelativePath): Promise<void> {
    const fd = this.named(below, "synced", () =>
      this.data.within(parentOf(below), undefined, (directory) =>
        Calls.open(directory.at(nameOf(below)), Calls.flags.read)
      )
    )
    try {
      await this.syncing(below, fd)
    } finally {
      Calls.close(fd)
    }
  }

  private async syncDirectory(below: string): Promise<void> {
    const entered = this.named(below, "synced", () => this.data.enter(below, undefined))
    try {
      if (entered.directory.fd >= 0) await this.syncing(below, entered.directory.fd)
    } finally {
      this.data.leave(entered)
    }
  }

  /** A name came to be in this directory: without that on disk the file would be lost with all its bytes. */
  private grows(below: string): void {
    if (below === this.lastGrown) return
    this.lastGrown = below
    this.grown.add(below)
    if (this.known.size > knownMax) this.known.clear()
    for (let at = below; !this.known.has(at); at = parentOf(at)) {
      this.known.add(at)
      if (at === "") return
      this.grown.add(parentOf(at))
    }
  }

  /** Whether it is there with at least so many bytes. */
  holds(below: RelativePath, size: number): boolean {
    try {
      const stats = this.data.within(parentOf(below), undefined, (directory) => Calls.look(directory.at(nameOf(below))))
      return stats !== undefined && stats.isFile() && stats.size >= size
    } catch (cause) {
      const code = Calls.codeOf(cause)
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return false
      throw cause
    }
  }

  remove(below: RelativePath): void {
    const file = this.growing.get(below)
    this.growing.delete(below)
    if (file !== undefined) this.shut(file)
    this.unsynced = this.unsynced.filter((other) => other !== below)
    this.named(below, "removed", () => {
      try {
        this.data.within(parentOf(below), undefined, (directory) => Calls.unlink(directory.at(nameOf(below))))
      } catch (cause) {
        if (Calls.codeOf(cause) !== "ENOENT") throw cause
      }
    })
  }
}

/**
 * The staging directory of one transfer, `<received>/.kith/<id>`: what is received grows in its `data`, with the
 * `journal` and the `manifest` beside it, on the receive folder's own file system, readable by this user alone.
 *
 * It owns three held directory trees and the descriptors of the files being written, at most `openMax` beyond those in
 * use; `close` gives them back and removes nothing.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { reservedTop, type RelativePath } from "../schema/RelativePath.ts"
import type { ConflictPolicy } from "../schema/Offer.ts"
import type { FileStoreError, Move, PublishOptions, StagedEntry, StagedPart, Staging } from "./FileStore.ts"
import { AppendFileNode } from "./FileStoreAppend.ts"
import { marksOf, readMarked } from "./FileStoreCounterparts.ts"
import { type Directory, HeldTree } from "./FileStoreHeld.ts"
import { look, nameFor, publish, settle } from "./FileStorePublish.ts"
import * as System from "./FileStoreSystem.ts"

/** System calls at once for one batch: enough to keep Node's threads busy. */
const width = 8

/** Syncs at once: a journalling file system commits those that wait together in one go. */
const syncWidth = 16

/** From so many files on, syncing the whole file system is cheaper than one by one. */
const syncAllFrom = 64

/** Entries given their names in one go, between two records of what is about to be done. */
const publishWidth = 256

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
  /** Set once its last part is being written: whoever is done last finishes the file. */
  last: StagedPart | undefined
  finished: boolean
}

export class StagingDirectory {
  private readonly id: string
  private readonly root: HeldTree
  private readonly rootPath: string
  private readonly own: HeldTree
  private readonly data: HeldTree
  private readonly journal: AppendFileNode
  private readonly manifest: AppendFileNode
  /** How files are made: over what an earlier run left behind, or where nothing is. */
  private readonly making: number
  private readonly growing = new Map<RelativePath, Growing>()
  /** Finished files, and sealed directories, that were not synced since. */
  private unsynced: Array<RelativePath> = []
  /** Directories of `data` that have new names in them, and those that were made known to the ones above. */
  private grown = new Set<string>()
  private known = new Set<string>()
  private synced: Promise<void> = Promise.resolve()

  private constructor(id: string, rootPath: string, trees: Record<"root" | "own" | "data", HeldTree>, making: number) {
    this.id = id
    this.rootPath = rootPath
    this.root = trees.root
    this.own = trees.own
    this.data = trees.data
    this.making = making
    const shown = path.join(rootPath, reservedTop, id)
    this.journal = new AppendFileNode(trees.own.top, "journal", shown)
    this.manifest = new AppendFileNode(trees.own.top, "manifest", shown)
  }

  /** Makes `<received>/.kith/<id>` below a folder that exists. */
  static make(rootPath: string, id: string): Promise<StagingDirectory> {
    return StagingDirectory.hold(rootPath, id, 0o700, System.flags.create, async (reserved) => {
      await System.mkdir(reserved.at(id), 0o700)
      const own = await HeldTree.hold(reserved.at(id), false)
      try {
        await System.mkdir(own.top.at("data"), 0o700)
        // The names themselves are to outlive a power failure.
        if (own.top.fd >= 0) await System.fsync(own.top.fd)
        if (reserved.fd >= 0) await System.fsync(reserved.fd)
      } finally {
        await own.close()
      }
    })
  }

  /** Opens one of an earlier run. */
  static reopen(rootPath: string, id: string): Promise<StagingDirectory> {
    return StagingDirectory.hold(rootPath, id, undefined, System.flags.grow, () => Promise.resolve())
  }

  private static async hold(
    rootPath: string,
    id: string,
    mode: number | undefined,
    making: number,
    before: (reserved: Directory) => Promise<void>
  ): Promise<StagingDirectory> {
    const root = await HeldTree.hold(rootPath, true)
    const held = [root]
    try {
      const own = await root.within(reservedTop, mode, async (reserved) => {
        await before(reserved)
        return HeldTree.hold(reserved.at(id), false)
      })
      held.push(own)
      const data = await HeldTree.hold(own.top.at("data"), false)
      return new StagingDirectory(id, rootPath, { root, own, data }, making)
    } catch (cause) {
      for (const tree of held) await tree.close()
      throw cause
    }
  }

  async close(): Promise<void> {
    for (const file of this.growing.values()) await this.shut(file)
    this.growing.clear()
    await this.journal.close()
    await this.manifest.close()
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
      sync: work("", "synced", () => this.syncInTurn(where)),
      remove: (below) => work(below, "removed", () => this.remove(below)),
      seal: (directories) =>
        work(directories[0]?.path ?? "", "sealed", () =>
          System.each(directories, width, (entry) =>
            this.named(where(entry.path), "sealed", () => this.sealDirectory(entry))
          )
        ),
      journal: this.journal.file,
      manifest: this.manifest.file,
      holds: (files) => work(files[0]?.path ?? "", "read", () => this.holds(files)),
      counterparts: (files) => System.attempt(this.rootPath, "read", () => marksOf(this.root, files)),
      readCounterparts: (parts, into) =>
        Effect.uninterruptible(Effect.promise(() => readMarked(this.root, parts, into))),
      publish: (tops, policy, options = {}) => this.publish(tops, policy, options),
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
    const file = known ?? { fd: this.openFile(part, this.making), uses: 0, last: undefined, finished: false }
    if (known === undefined) this.growing.set(part.path, file)
    if (part.finish) file.last = part
    file.uses++
    try {
      file.fd ??= this.openFile(part, System.flags.write)
      await System.writeAt(await file.fd, part.bytes, part.offset)
    } catch (cause) {
      file.uses--
      file.last = undefined
      throw cause
    }
    await this.release(part.path, file)
    await this.trim()
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
  private syncInTurn(where: (below: string) => string): Promise<void> {
    this.synced = this.synced.then(() => this.sync(where))
    // Each who asks is told.
    this.synced.catch(() => {})
    return this.synced
  }

  private async sync(where: (below: string) => string): Promise<void> {
    const finished = this.unsynced
    const grown = [...this.grown]
    this.unsynced = []
    this.grown.clear()
    await System.each([...this.growing], syncWidth, ([below, file]) =>
      this.named(where(below), "synced", async () => {
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
    if (finished.length + grown.length >= syncAllFrom && (await System.syncAll(this.rootPath))) return
    await System.each(finished, syncWidth, (below) => this.named(where(below), "synced", () => this.syncOne(below)))
    await System.each(grown, syncWidth, (below) =>
      this.named(where(below), "synced", () =>
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

  private async holds(files: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>) {
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

  private publish(tops: ReadonlyArray<string>, policy: ConflictPolicy, { known, note }: PublishOptions) {
    const target = (name: string) => path.join(this.rootPath, name)
    const work = <A>(name: string, run: () => Promise<A>) => System.attempt(target(name), "published", run)
    return Effect.gen({ self: this }, function* () {
      const published = new Map<string, Result.Result<string, FileStoreError>>()
      for (let at = 0; at < tops.length; at += publishWidth) {
        let waiting = tops.slice(at, at + publishWidth)
        while (waiting.length > 0) {
          const moves = yield* work("", () => this.choose(waiting, policy, known ?? new Map(), published))
          if (note !== undefined && moves.length > 0) yield* note(moves)
          waiting = []
          for (const { name, top } of moves) {
            const moved = yield* Effect.result(work(name, () => this.move(top, name, policy)))
            // Something came there meanwhile: another name is chosen.
            if (Result.isFailure(moved) && moved.failure.code === "EEXIST") waiting.push(top)
            else
              published.set(
                top,
                Result.map(moved, () => target(name))
              )
          }
        }
        yield* work("", async () => {
          if (this.root.top.fd >= 0) await System.fsync(this.root.top.fd)
        })
      }
      return tops.flatMap((top) => published.get(top) ?? [])
    })
  }

  /** Names for those that are staged; what an earlier run has published already is only noted. */
  private async choose(
    tops: ReadonlyArray<string>,
    policy: ConflictPolicy,
    known: ReadonlyMap<string, string>,
    published: Map<string, Result.Result<string, FileStoreError>>
  ): Promise<Array<Move>> {
    const moves: Array<Move> = []
    for (const top of tops) {
      const chosen = known.get(top)
      if (chosen !== undefined && (await settle(this.data.top, this.root.top, top, chosen))) {
        published.set(top, Result.succeed(path.join(this.rootPath, chosen)))
        continue
      }
      const name = await nameFor(this.data.top, this.root.top, top, policy)
      if (name === undefined) continue
      moves.push({ top, name })
    }
    return moves
  }

  private move(top: string, name: string, policy: ConflictPolicy): Promise<void> {
    return publish({ tree: this.data, below: "", name: top }, { tree: this.root, below: "", name }, policy)
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

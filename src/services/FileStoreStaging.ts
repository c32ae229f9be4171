/**
 * The staging directory of one transfer, `<received>/.kith/<id>`: what is received grows in its `data`, with the
 * `journal` and the `manifest` beside it, on the receive folder's own file system, readable by this user alone.
 *
 * It owns three held directory trees and the files that grow in one of them; `close` gives them back and removes
 * nothing.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { reservedTop } from "../schema/RelativePath.ts"
import type { ConflictPolicy } from "../schema/Offer.ts"
import type { FileStoreError, Move, PublishOptions, Staging } from "./FileStore.ts"
import { AppendFileNode } from "./FileStoreAppend.ts"
import { marksOf, readMarked } from "./FileStoreCounterparts.ts"
import { type Directory, HeldTree } from "./FileStoreHeld.ts"
import { nameFor, publish, settle } from "./FileStorePublish.ts"
import { StagedFiles } from "./FileStoreStagedFiles.ts"
import * as System from "./FileStoreSystem.ts"

/** Entries given their names in one go, between two records of what is about to be done. */
const publishWidth = 256

export class StagingDirectory {
  private readonly id: string
  private readonly root: HeldTree
  private readonly rootPath: string
  private readonly own: HeldTree
  private readonly data: HeldTree
  private readonly files: StagedFiles
  private readonly journal: AppendFileNode
  private readonly manifest: AppendFileNode
  private constructor(id: string, rootPath: string, trees: Record<"root" | "own" | "data", HeldTree>, making: number) {
    this.id = id
    this.rootPath = rootPath
    this.root = trees.root
    this.own = trees.own
    this.data = trees.data
    const shown = path.join(rootPath, reservedTop, id)
    this.files = new StagedFiles(trees.data, (below) => path.join(shown, "data", below), making)
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
    await this.files.close()
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
      make: (entries) => work(entries[0]?.path ?? "", "created", () => this.files.make(entries)),
      write: (parts) => work(parts[0]?.path ?? "", "written", () => this.files.write(parts)),
      sync: work("", "synced", () => this.files.sync()),
      remove: (below) => work(below, "removed", () => this.files.remove(below)),
      seal: (directories) => work(directories[0]?.path ?? "", "sealed", () => this.files.seal(directories)),
      journal: this.journal.file,
      manifest: this.manifest.file,
      holds: (files) => work(files[0]?.path ?? "", "read", () => this.files.holds(files)),
      counterparts: (files) => System.attempt(this.rootPath, "read", () => marksOf(this.root, files)),
      readCounterparts: (parts, into) =>
        Effect.uninterruptible(Effect.promise(() => readMarked(this.root, parts, into))),
      publish: (tops, policy, options = {}) => this.publish(tops, policy, options),
      discard: work("", "removed", () => this.discard())
    }
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
    await this.files.close()
    await this.root.within(reservedTop, undefined, (reserved) =>
      fs.rm(reserved.at(this.id), { recursive: true, force: true })
    )
    // Whoever stages next makes it again; with other stagings in it, it stays.
    await System.rmdir(this.root.top.at(reservedTop)).catch(() => {})
  }
}

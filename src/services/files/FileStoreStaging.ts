/**
 * The staging directory of one transfer, `<received>/.kith/<id>`: what is received grows in its `data`, with the
 * `journal` and the `manifest` beside it, on the receive folder's own file system, readable by this user alone.
 *
 * It owns three directories, held open, and the two files beside the data; what is below the directories is worked on by
 * the file store's thread. `close` gives all of it back and removes nothing.
 */
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { reservedTop } from "../../schema/RelativePath.ts"
import type { ConflictPolicy } from "../../schema/Offer.ts"
import type { CounterpartPart, FileStoreError, Move, PublishOptions, StagedPart, Staging } from "../FileStore.ts"
import { AppendFileNode } from "./FileStoreAppend.ts"
import { flags, refusal } from "./FileStoreCalls.ts"
import { eachDigest, packStaged } from "./FileStoreColumns.ts"
import type { Directory } from "./FileStoreDirectory.ts"
import { filling, located } from "./FileStoreShared.ts"
import * as System from "./FileStoreSystem.ts"
import type { FileStoreThread } from "./FileStoreThread.ts"

/** Entries given their names in one go, between two records of what is about to be done. */
const publishWidth = 256

type Held = Record<"root" | "own" | "data", Directory>

const placeOf = ({ fd, location }: Directory) => ({ fd, location })

/** Makes `<received>/.kith/<id>` below a folder that exists. */
const makeOwn = async (reserved: Directory, id: string): Promise<void> => {
  await System.mkdir(reserved.at(id), 0o700)
  const own = await System.hold(reserved.at(id), false)
  try {
    await System.mkdir(own.at("data"), 0o700)
    // The names themselves are to outlive a power failure.
    await System.syncNames(own)
    await System.syncNames(reserved)
  } finally {
    await System.letGo(own)
  }
}

export class StagingDirectory {
  private readonly thread: FileStoreThread
  /** What the thread knows it by. */
  private readonly number: number
  private readonly id: string
  private readonly rootPath: string
  private readonly held: Held
  private readonly journal: AppendFileNode
  private readonly manifest: AppendFileNode

  private constructor(thread: FileStoreThread, rootPath: string, id: string, held: Held) {
    this.thread = thread
    this.number = thread.fresh()
    this.id = id
    this.rootPath = rootPath
    this.held = held
    const shown = path.join(rootPath, reservedTop, id)
    this.journal = new AppendFileNode(held.own, "journal", shown)
    this.manifest = new AppendFileNode(held.own, "manifest", shown)
  }

  /** A fresh one (`isNew`), or one of an earlier run. */
  static async open(thread: FileStoreThread, rootPath: string, id: string, isNew: boolean): Promise<StagingDirectory> {
    const all: Array<Directory> = []
    const hold = async (location: string, follow: boolean): Promise<Directory> => {
      const held = await System.hold(location, follow)
      all.push(held)
      return held
    }
    try {
      const root = await hold(rootPath, true)
      if (isNew) await System.ensureDirectory(root.at(reservedTop), 0o700)
      const reserved = await hold(root.at(reservedTop), false)
      if (isNew) await makeOwn(reserved, id)
      const own = await hold(reserved.at(id), false)
      const data = await hold(own.at("data"), false)
      const staging = new StagingDirectory(thread, rootPath, id, { root, own, data })
      await thread.request("openStaging", staging.number, {
        shown: staging.where(""),
        root: placeOf(root),
        data: placeOf(data),
        making: isNew ? flags.create : flags.grow
      })
      await System.letGo(reserved)
      return staging
    } catch (cause) {
      for (const directory of all) await System.letGo(directory)
      throw cause
    }
  }

  async close(): Promise<void> {
    // First, since it works below what is let go of here.
    await this.thread.release("closeStaging", this.number)
    await this.journal.close()
    await this.manifest.close()
    for (const directory of [this.held.data, this.held.own, this.held.root]) await System.letGo(directory)
  }

  private where(below: string): string {
    return path.join(this.rootPath, reservedTop, this.id, "data", below)
  }

  /** As the contract has it. */
  get staging(): Staging {
    const { number, thread } = this
    const work = <A>(below: string, action: string, run: () => Promise<A>): Effect.Effect<A, FileStoreError> =>
      System.attempt(this.where(below), action, run)
    const first = (some: ReadonlyArray<{ readonly path: string }>): string => some[0]?.path ?? ""
    return {
      id: this.id,
      root: this.rootPath,
      make: (entries) => work(first(entries), "created", () => thread.request("make", number, entries)),
      write: (parts) => work(first(parts), "written", () => this.write(parts)),
      digests: (all) => work("", "read", () => this.digests(all)),
      sync: work("", "synced", () => thread.request("sync", number)),
      remove: (below) => work(below, "removed", () => thread.request("remove", number, below)),
      seal: (directories) => work(first(directories), "sealed", () => thread.request("seal", number, directories)),
      journal: this.journal.file,
      manifest: this.manifest.file,
      holds: (files) => work(first(files), "read", () => thread.request("holds", number, files)),
      counterparts: (files) => System.attempt(this.rootPath, "read", () => thread.request("marks", number, files)),
      readCounterparts: (parts, into) => Effect.uninterruptible(Effect.promise(() => this.readMarked(parts, into))),
      publish: (tops, policy, options = {}) => this.publish(tops, policy, options),
      discard: work("", "removed", () => this.discard())
    }
  }

  private write(parts: ReadonlyArray<StagedPart>): Promise<void> {
    const { places, shared } = located(parts.map(({ bytes }) => bytes))
    return this.thread.request("write", this.number, packStaged(parts, places), shared)
  }

  private async digests(all: ReadonlyArray<Uint8Array>): Promise<ReadonlyArray<Uint8Array>> {
    const { places, shared } = located(all)
    return eachDigest(await this.thread.request("digests", places, shared))
  }

  private readMarked(parts: ReadonlyArray<CounterpartPart>, into: Uint8Array): Promise<ReadonlyArray<boolean>> {
    return filling(into, parts, (shared) => this.thread.request("readMarked", this.number, parts, shared)).catch(() =>
      // What cannot be read is not what it was.
      parts.map(() => false)
    )
  }

  private publish(tops: ReadonlyArray<string>, policy: ConflictPolicy, { known, note }: PublishOptions) {
    const target = (name: string) => path.join(this.rootPath, name)
    const work = <A>(run: () => Promise<A>) => System.attempt(this.rootPath, "published", run)
    const { number, thread } = this
    return Effect.gen({ self: this }, function* () {
      const published = new Map<string, Result.Result<string, FileStoreError>>()
      for (let at = 0; at < tops.length; at += publishWidth) {
        let waiting = tops.slice(at, at + publishWidth)
        while (waiting.length > 0) {
          const choices = yield* work(() => thread.request("choose", number, waiting, policy, known ?? new Map()))
          const moves: Array<Move> = []
          for (const choice of choices) {
            if ("name" in choice) moves.push(choice)
            else published.set(choice.top, Result.succeed(target(choice.published)))
          }
          if (note !== undefined && moves.length > 0) yield* note(moves)
          const outcomes = yield* work(() => thread.request("move", number, moves, policy))
          waiting = []
          for (const [i, { name, top }] of moves.entries()) {
            const failed = outcomes[i]?.failed
            // Something came there meanwhile: another name is chosen.
            if (failed?.code === "EEXIST") waiting.push(top)
            else if (failed === undefined) published.set(top, Result.succeed(target(name)))
            else {
              const error = System.storeError(target(name), "published", refusal(failed.code, failed.code))
              published.set(top, Result.fail(error))
            }
          }
        }
        yield* work(() => System.syncNames(this.held.root))
      }
      return tops.flatMap((top) => published.get(top) ?? [])
    })
  }

  private async discard(): Promise<void> {
    await this.thread.release("forget", this.number)
    const { root } = this.held
    const reserved = await System.hold(root.at(reservedTop), false)
    try {
      await fs.rm(reserved.at(this.id), { recursive: true, force: true })
    } finally {
      await System.letGo(reserved)
    }
    // Whoever stages next makes it again; with other stagings in it, it stays.
    await System.rmdir(root.at(reservedTop)).catch(() => {})
  }
}

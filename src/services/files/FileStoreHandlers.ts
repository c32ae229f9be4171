/**
 * What the file store's thread does for the main one: walks, sources and stagings, each known by a number that the main
 * thread gives it, worked on in batches by synchronous calls. It owns what they hold open, until they are closed or
 * the thread ends.
 *
 * Memory is shared: bytes are read to where they are sent from, and written from where they were received.
 */
import { hash } from "node:crypto"
import type { ConflictPolicy } from "../../schema/Offer.ts"
import type { RelativePath } from "../../schema/RelativePath.ts"
import type { CounterpartPart, Move, Picked, Scanned, StagedEntry } from "../FileStore.ts"
import * as Calls from "./FileStoreCalls.ts"
import { type Columns, digestBytes, type Located, packFound, unpackSource, unpackStaged } from "./FileStoreColumns.ts"
import { markAt, readMarked } from "./FileStoreCounterparts.ts"
import { directoryAt, type DirectoryPlace } from "./FileStoreDirectory.ts"
import { HeldTree } from "./FileStoreHeld.ts"
import { nameFor, publish, settle } from "./FileStorePublish.ts"
import { SourceFiles } from "./FileStoreSource.ts"
import { StagedFiles } from "./FileStoreStagedFiles.ts"
import { walk } from "./FileStoreWalk.ts"

/** A batch of a walk ends after so many entries, or milliseconds. */
const walkedAtOnce = 1024
const walkedWithin = 50

/** What was read of a batch: the digest of each part, in one piece, and which could not be read and why. */
export interface BatchRead {
  readonly digests: Uint8Array
  readonly problems: ReadonlyArray<readonly [at: number, reason: string]>
}

/** What a walk came upon: what can be sent, and what was left out. */
interface BatchWalked {
  readonly found: Columns
  readonly leftOut: ReadonlyArray<Extract<Scanned, { readonly _tag: "LeftOut" }>>
}

/** What a staging is made of: directories that the main thread holds open as long as it is here. */
interface StagingPlace {
  /** Where it is, as a person knows it. */
  readonly shown: string
  readonly root: DirectoryPlace
  readonly data: DirectoryPlace
  /** How files are made. */
  readonly making: number
}

/** A name was chosen for it, it has its name already, or it is not there. */
export type Choice = Move | { readonly top: string; readonly published: string }

/** What became of one of several. */
export type Outcome = { readonly failed?: { readonly code: string } }

interface Staged {
  readonly root: HeldTree
  readonly data: HeldTree
  readonly files: StagedFiles
}

/** It was begun in a thread that has ended. */
const gone = () => Calls.refusal("ETHREAD", "the thread that had it has ended")

const place = ({ fd, location }: DirectoryPlace): HeldTree => HeldTree.below(directoryAt(location, fd))

export class FileStoreHandlers {
  private readonly walks = new Map<number, Generator<Array<Scanned>, void>>()
  private readonly sources = new Map<number, SourceFiles>()
  private readonly stagings = new Map<number, Staged>()

  walk(id: number, picked: Picked, as: string, skip: string): void {
    this.walks.set(id, walk(picked, as, skip))
  }

  /** What comes next, at least one; undefined at its end. */
  walked(id: number): BatchWalked | undefined {
    const walk = this.walks.get(id)
    if (walk === undefined) throw gone()
    const until = performance.now() + walkedWithin
    const all: Array<Scanned> = []
    while (all.length < walkedAtOnce && (all.length === 0 || performance.now() < until)) {
      const { done, value } = walk.next()
      if (done === true) break
      for (const entry of value) all.push(entry)
    }
    if (all.length === 0) return undefined
    const found = all.filter((entry) => entry._tag === "Found")
    return { found: packFound(found), leftOut: all.filter((entry) => entry._tag === "LeftOut") }
  }

  endWalk(id: number): void {
    this.walks.get(id)?.return()
    this.walks.delete(id)
  }

  openSource(id: number, picked: ReadonlyMap<string, Picked>): void {
    this.sources.set(id, new SourceFiles(picked))
  }

  read(id: number, columns: Columns, into: Uint8Array): BatchRead {
    const source = this.sources.get(id)
    if (source === undefined) throw gone()
    const parts = unpackSource(columns)
    const digests = new Uint8Array(digestBytes * parts.length)
    const problems: Array<readonly [at: number, reason: string]> = []
    for (const [at, part] of parts.entries()) {
      const read = source.read(part, into)
      if (typeof read === "string") problems.push([at, read])
      else digests.set(read, at * digestBytes)
    }
    return { digests, problems }
  }

  closeSource(id: number): void {
    this.sources.get(id)?.close()
    this.sources.delete(id)
  }

  openStaging(id: number, { data, making, root, shown }: StagingPlace): void {
    const tree = place(data)
    const files = new StagedFiles(tree, (below) => (below === "" ? shown : `${shown}/${below}`), making)
    this.stagings.set(id, { root: place(root), data: tree, files })
  }

  make(id: number, entries: ReadonlyArray<StagedEntry>): void {
    const { files } = this.staging(id)
    for (const entry of entries) files.make(entry)
  }

  write(id: number, columns: Columns, shared: SharedArrayBuffer): void {
    const { files } = this.staging(id)
    for (const part of unpackStaged(columns, shared)) files.write(part)
  }

  /** The SHA-256 of each, in one piece. */
  digests(places: ReadonlyArray<Located>, shared: SharedArrayBuffer): Uint8Array {
    const digests = new Uint8Array(digestBytes * places.length)
    for (const [i, { at, length }] of places.entries()) {
      digests.set(hash("sha256", new Uint8Array(shared, at, length), "buffer"), i * digestBytes)
    }
    return digests
  }

  sync(id: number): Promise<void> {
    return this.staging(id).files.sync()
  }

  remove(id: number, below: RelativePath): void {
    this.staging(id).files.remove(below)
  }

  seal(id: number, directories: ReadonlyArray<StagedEntry>): void {
    const { files } = this.staging(id)
    for (const entry of directories) files.seal(entry)
  }

  holds(id: number, looked: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>): Array<boolean> {
    const { files } = this.staging(id)
    return looked.map(({ path, size }) => files.holds(path, size))
  }

  marks(id: number, looked: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>): Array<number> {
    const { root } = this.staging(id)
    return looked.map(({ path, size }) => markAt(root, path, size))
  }

  readMarked(id: number, parts: ReadonlyArray<CounterpartPart>, into: Uint8Array): Array<boolean> {
    const { root } = this.staging(id)
    return parts.map((part) => readMarked(root, part, into))
  }

  /** Names for those that are staged; what an earlier run has published already keeps its own. */
  async choose(
    id: number,
    tops: ReadonlyArray<string>,
    policy: ConflictPolicy,
    known: ReadonlyMap<string, string>
  ): Promise<Array<Choice>> {
    const { data, root } = this.staging(id)
    const choices: Array<Choice> = []
    for (const top of tops) {
      const chosen = known.get(top)
      if (chosen !== undefined && settle(data.top, root.top, top, chosen)) {
        choices.push({ top, published: chosen })
        continue
      }
      const name = await nameFor(data.top, root.top, top, policy)
      if (name !== undefined) choices.push({ top, name })
    }
    return choices
  }

  /** Gives each its name; one that fails does not stop the others. */
  async move(id: number, moves: ReadonlyArray<Move>, policy: ConflictPolicy): Promise<Array<Outcome>> {
    const { data, root } = this.staging(id)
    const outcomes: Array<Outcome> = []
    for (const { name, top } of moves) {
      try {
        await publish({ tree: data, below: "", name: top }, { tree: root, below: "", name }, policy)
        outcomes.push({})
      } catch (cause) {
        outcomes.push({ failed: { code: Calls.codeOf(cause) } })
      }
    }
    return outcomes
  }

  /** Forgets what is being written. */
  forget(id: number): void {
    this.stagings.get(id)?.files.close()
  }

  closeStaging(id: number): void {
    const staging = this.stagings.get(id)
    if (staging === undefined) return
    this.stagings.delete(id)
    staging.files.close()
    staging.data.close()
    staging.root.close()
  }

  private staging(id: number): Staged {
    const staging = this.stagings.get(id)
    if (staging === undefined) throw gone()
    return staging
  }
}

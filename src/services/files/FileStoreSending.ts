/**
 * What is sent, seen from the main thread: walks and sources, which the file store's thread works on. Each belongs to
 * its scope, or to the stream that it is.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { FileStoreError, Picked, Scanned, Source, SourcePart } from "../FileStore.ts"
import { codeOf } from "./FileStoreCalls.ts"
import { eachDigest, packSource, unpackFound } from "./FileStoreColumns.ts"
import type { BatchRead } from "./FileStoreHandlers.ts"
import { filling } from "./FileStoreShared.ts"
import * as System from "./FileStoreSystem.ts"
import type { FileStoreThread } from "./FileStoreThread.ts"

type Threads = Effect.Effect<FileStoreThread, never, Scope.Scope>

/** Walks it, some at a time. `skip`: an absolute path not to enter. */
export const scan = (
  threads: Threads,
  picked: Picked,
  as: string,
  skip: string
): Stream.Stream<Scanned, FileStoreError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const thread = yield* threads
      const id = thread.fresh()
      const work = <A>(run: () => Promise<A>) => System.attempt(picked.path, "read", run)
      yield* Effect.acquireRelease(
        work(() => thread.request("walk", id, picked, as, skip)),
        () => Effect.promise(() => thread.release("endWalk", id))
      )
      return Stream.paginate(undefined, () =>
        Effect.map(
          work(() => thread.request("walked", id)),
          (batch) =>
            batch === undefined
              ? ([[], Option.none<undefined>()] as const)
              : ([[...unpackFound(batch.found), ...batch.leftOut], Option.some(undefined)] as const)
        )
      )
    })
  )

/** Reads what was walked, by the names given to the walk. */
export const openSource = Effect.fnUntraced(function* (threads: Threads, picked: ReadonlyMap<string, Picked>) {
  const thread = yield* threads
  const files = yield* Effect.acquireRelease(
    Effect.sync(() => new SourceReader(thread, picked)),
    (files) => Effect.promise(() => files.close())
  )
  return {
    read: (parts, into) => Effect.uninterruptible(Effect.promise(() => files.read(parts, into)))
  } satisfies Source
})

class SourceReader {
  private readonly thread: FileStoreThread
  private readonly picked: ReadonlyMap<string, Picked>
  private id: number | undefined

  constructor(thread: FileStoreThread, picked: ReadonlyMap<string, Picked>) {
    this.thread = thread
    this.picked = picked
  }

  async read(parts: ReadonlyArray<SourcePart>, into: Uint8Array): Promise<ReadonlyArray<Uint8Array | string>> {
    try {
      const { digests, problems } = await filling(into, parts, (shared) => this.readShared(parts, shared))
      const read: Array<Uint8Array | string> = eachDigest(digests)
      for (const [at, reason] of problems) read[at] = reason
      return read
    } catch (cause) {
      return parts.map(() => `it cannot be read (${codeOf(cause)})`)
    }
  }

  async close(): Promise<void> {
    if (this.id !== undefined) await this.thread.release("closeSource", this.id)
  }

  /** A thread that ended by itself has forgotten what it was to read from: another is told once more. */
  private async readShared(parts: ReadonlyArray<SourcePart>, into: Uint8Array): Promise<BatchRead> {
    const columns = packSource(parts)
    try {
      return await this.thread.request("read", await this.opened(), columns, into)
    } catch (cause) {
      if (codeOf(cause) !== "ETHREAD") throw cause
      this.id = undefined
      return this.thread.request("read", await this.opened(), columns, into)
    }
  }

  private async opened(): Promise<number> {
    if (this.id !== undefined) return this.id
    const id = this.thread.fresh()
    this.id = id
    await this.thread.request("openSource", id, this.picked)
    return id
  }
}

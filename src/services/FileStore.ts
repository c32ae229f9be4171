/**
 * The contract of files as transfers see them: walking and reading what is sent, staging and publishing what is
 * received. FileStoreNode is the real one; every implementation passes test/services/FileStoreContract.ts.
 *
 * Work is handed over in batches, since small files come by the thousand. Nothing is ever followed through a
 * symbolic link, and nothing received is visible under its name before it is whole.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Naming } from "../schema/Naming.ts"
import type { ConflictPolicy } from "../schema/Offer.ts"
import type { RelativePath } from "../schema/RelativePath.ts"

/** The file system said no. */
export class FileStoreError extends Schema.TaggedError<FileStoreError>()("FileStoreError", {
  path: Schema.String,
  /** What was attempted, as in "could not be written". */
  action: Schema.String,
  /** The system's code, such as ENOSPC. */
  code: Schema.String,
  /** What a person can do about it. */
  remedy: Schema.String
}) {
  override get message(): string {
    return `${this.path} could not be ${this.action} (${this.code}). ${this.remedy}`
  }
}

/** A file or directory that a person chose to send. */
export interface Picked {
  /** Absolute. */
  readonly path: string
  /** Its own name, the last component. */
  readonly name: string
  readonly kind: "f" | "d"
}

/** What a walk comes upon. */
export type Scanned =
  | {
      readonly _tag: "Found"
      readonly path: RelativePath
      readonly kind: "f" | "d"
      /** Bytes; 0 for a directory. */
      readonly size: number
      /** Milliseconds since 1970, with whatever fraction the file system keeps. */
      readonly mtime: number
      readonly executable: boolean
    }
  | { readonly _tag: "LeftOut"; readonly path: string; readonly reason: string }

/** A part of a file to be sent, and what the walk said of that file. */
export interface SourcePart {
  readonly path: RelativePath
  readonly size: number
  readonly mtime: number
  readonly offset: number
  readonly length: number
  /** Where in the buffer its bytes go. */
  readonly at: number
}

/** Opened for reading what was walked. Holds a bounded number of files open; its scope closes them. */
export interface Source {
  /**
   * Fills the parts into the buffer. For each part null, or why it cannot be sent, in words: the file is gone, cannot
   * be read, or is no longer what the walk saw (size or time differ before or after reading).
   */
  readonly read: (parts: ReadonlyArray<SourcePart>, into: Uint8Array) => Effect.Effect<ReadonlyArray<string | null>>
}

/** What an entry needs besides its bytes. */
export interface StagedEntry {
  readonly path: RelativePath
  readonly kind: "f" | "d"
  readonly mtime: number
  readonly executable: boolean
}

/** Bytes of a file being received. */
export interface StagedPart {
  readonly path: RelativePath
  readonly mtime: number
  readonly executable: boolean
  readonly offset: number
  readonly bytes: Uint8Array
  /** True for the last part to be written of this file: it is given its time and closed. */
  readonly finish: boolean
}

/** A place on the receive folder's own file system where one transfer grows, unseen. Its scope closes what is open. */
export interface Staging {
  readonly id: string
  /** The receive folder, absolute. */
  readonly root: string
  /** Makes directories (and those above them) and empty files. */
  readonly make: (entries: ReadonlyArray<StagedEntry>) => Effect.Effect<void, FileStoreError>
  /** Writes parts; a file comes to be with its first. On success all bytes were accepted, not yet durable. */
  readonly write: (parts: ReadonlyArray<StagedPart>) => Effect.Effect<void, FileStoreError>
  /** Makes durable what was written before. A failed sync is never retried: the same pages may be lost silently. */
  readonly sync: Effect.Effect<void, FileStoreError>
  /** Takes back a file that failed. */
  readonly remove: (path: RelativePath) => Effect.Effect<void, FileStoreError>
  /** Gives directories their times; nothing is made or removed in them after. Durable with the next `sync`. */
  readonly seal: (directories: ReadonlyArray<StagedEntry>) => Effect.Effect<void, FileStoreError>
  /**
   * Moves top entries into the receive folder, each in one step and never over anything: where the name exists,
   * "name (1).txt" is next. For each the absolute path it got, or why not. What is not there is not listed. For now
   * `skip` and `overwrite` do as `rename`.
   */
  readonly publish: (
    tops: ReadonlyArray<string>,
    conflict: ConflictPolicy
  ) => Effect.Effect<ReadonlyArray<Result.Result<string, FileStoreError>>, FileStoreError>
  /** Removes the staging directory and what is left in it, and nothing else. */
  readonly discard: Effect.Effect<void, FileStoreError>
}

/** What the receive folder can take. */
export interface Target {
  readonly naming: Naming
  /** Bytes and files that still fit; `Infinity` where the system does not say. */
  readonly freeBytes: number
  readonly freeFiles: number
}

export class FileStore extends Context.Service<
  FileStore,
  {
    /** Looks at a path that a person gave. A symbolic link, a device or an unreadable path is refused. */
    readonly pick: (path: string) => Effect.Effect<Picked, FileStoreError>
    /** Walks it; paths begin with `as`, and a directory comes before what is in it. */
    readonly scan: (picked: Picked, as: string) => Stream.Stream<Scanned, FileStoreError>
    /** For reading what `scan` found, by the names given to `scan`. */
    readonly open: (picked: ReadonlyMap<string, Picked>) => Effect.Effect<Source, never, Scope.Scope>
    /** Probes the receive folder, making it if needed. */
    readonly target: Effect.Effect<Target, FileStoreError>
    /** Makes a staging directory with this id, which must be a fresh one. */
    readonly stage: (id: string) => Effect.Effect<Staging, FileStoreError, Scope.Scope>
  }
>()("kith/services/FileStore") {}

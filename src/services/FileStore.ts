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

/** What no waiting helps with. */
const lasting: ReadonlySet<string> = new Set(["EINVAL", "ENAMETOOLONG", "EFBIG", "ELOOP", "ENOTDIR", "EEXIST"])

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
  /** Whether it may go better later, once someone has done something about it. */
  get mayPass(): boolean {
    return !lasting.has(this.code)
  }

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
   * Fills the parts into the buffer. For each part its SHA-256, or why it cannot be sent, in words: the file is gone,
   * cannot be read, or is no longer what the walk saw (size or time differ before or after reading).
   */
  readonly read: (
    parts: ReadonlyArray<SourcePart>,
    into: Uint8Array
  ) => Effect.Effect<ReadonlyArray<Uint8Array | string>>
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

/** A part of a file that is in the receive folder already. */
export interface CounterpartPart {
  readonly path: RelativePath
  readonly mark: number
  readonly offset: number
  readonly length: number
  /** Where in the buffer its bytes go. */
  readonly at: number
}

/** A file that only grows, beside what it speaks of. After a failure it is to be opened anew before more is appended. */
export interface AppendFile {
  /** Its bytes from `offset` on, at most `length`; fewer only at its end, none where it was never written. */
  readonly read: (offset: number, length: number) => Effect.Effect<Uint8Array, FileStoreError>
  readonly append: (bytes: Uint8Array) => Effect.Effect<void, FileStoreError>
  /** Makes durable what was appended, and the file itself. A failed sync is never retried. */
  readonly sync: Effect.Effect<void, FileStoreError>
  /** Cuts off what is beyond this length: a torn tail. */
  readonly cut: (length: number) => Effect.Effect<void, FileStoreError>
}

/** What this node keeps of one transfer in its data directory. Its scope closes what is open. */
export interface Archive {
  readonly id: string
  readonly journal: AppendFile
  readonly manifest: AppendFile
  readonly discard: Effect.Effect<void, FileStoreError>
}

/** A top entry and the name it is to get in the receive folder. */
export interface Move {
  readonly top: string
  readonly name: string
}

export interface PublishOptions {
  /** Names that an earlier run chose for what it may have published: it is looked there first. */
  readonly known?: ReadonlyMap<string, string>
  /** Hears the names that were chosen, before anything gets one: to be durable when it returns. */
  readonly note?: (moves: ReadonlyArray<Move>) => Effect.Effect<void, FileStoreError>
}

/** A place on the receive folder's own file system where one transfer grows, unseen. Its scope closes what is open. */
export interface Staging {
  readonly id: string
  /** What is safe in it, and the list that it is of. */
  readonly journal: AppendFile
  readonly manifest: AppendFile
  /** The receive folder, absolute. */
  readonly root: string
  /** Makes directories (and those above them) and empty files. */
  readonly make: (entries: ReadonlyArray<StagedEntry>) => Effect.Effect<void, FileStoreError>
  /** Writes parts; a file comes to be with its first. On success all bytes were accepted, not yet durable. */
  readonly write: (parts: ReadonlyArray<StagedPart>) => Effect.Effect<void, FileStoreError>
  /** The SHA-256 of each of these, taken where nothing else waits for it. */
  readonly digests: (all: ReadonlyArray<Uint8Array>) => Effect.Effect<ReadonlyArray<Uint8Array>, FileStoreError>
  /** Makes durable what was written before. A failed sync is never retried: the same pages may be lost silently. */
  readonly sync: Effect.Effect<void, FileStoreError>
  /** Takes back a file that failed. */
  readonly remove: (path: RelativePath) => Effect.Effect<void, FileStoreError>
  /** Gives directories their times; nothing is made or removed in them after. Durable with the next `sync`. */
  readonly seal: (directories: ReadonlyArray<StagedEntry>) => Effect.Effect<void, FileStoreError>
  /** For each file whether it is there with at least so many bytes. */
  readonly holds: (
    files: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>
  ) => Effect.Effect<ReadonlyArray<boolean>, FileStoreError>
  /**
   * For each of these files what is there under its path in the receive folder: a mark above 0, which is another one
   * once that file is another or was changed; 0 where no file of this size is there, or a link is in the way.
   */
  readonly counterparts: (
    files: ReadonlyArray<{ readonly path: RelativePath; readonly size: number }>
  ) => Effect.Effect<ReadonlyArray<number>, FileStoreError>
  /** Fills parts of such files into the buffer. For each whether that file had this mark, before and after. */
  readonly readCounterparts: (
    parts: ReadonlyArray<CounterpartPart>,
    into: Uint8Array
  ) => Effect.Effect<ReadonlyArray<boolean>>
  /**
   * Moves top entries into the receive folder, each in one step and never over anything: where the name exists,
   * "name (1).txt" is next. With `skip` and `overwrite` a directory is merged into one that exists, file by file;
   * `overwrite` puts a file in the place of a file, `skip` leaves one that has the same bytes as it is. A file never takes the place of a directory, nor the reverse. For
   * each the absolute path it got, or why not. What is not there is not listed. Durable when it returns.
   */
  readonly publish: (
    tops: ReadonlyArray<string>,
    policy: ConflictPolicy,
    options?: PublishOptions
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
    /** Opens a staging directory of an earlier run; `root` is the receive folder it is in. ENOENT where it is gone. */
    readonly reopen: (root: string, id: string) => Effect.Effect<Staging, FileStoreError, Scope.Scope>
    /** Removes staging directories that nothing was written to since `before` (milliseconds since 1970), but these. */
    readonly clean: (before: number, but: ReadonlySet<string>) => Effect.Effect<ReadonlyArray<string>, FileStoreError>
    /** What this node keeps of the transfer with this id, made if it is not there. */
    readonly archive: (id: string) => Effect.Effect<Archive, FileStoreError, Scope.Scope>
    /** The ids of all that are kept, and when they were written to last (milliseconds since 1970), the oldest first. */
    readonly archives: Effect.Effect<ReadonlyArray<{ readonly id: string; readonly writtenAt: number }>, FileStoreError>
  }
>()("kith/services/FileStore") {}

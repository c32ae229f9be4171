/**
 * What an offer consists of: entries in order, and the numbering of their blocks. Pure.
 *
 * Entries travel as tuples, `[path, kind, size, mtime, executable]`, in pages. The blocks of all files are
 * numbered in one line from 0, in entry order, so that a resume, a partial accept or a swarm are only ranges.
 */
import * as Schema from "effect/Schema"
import { Reason, bounded } from "./Text.ts"
import { pathMaxBytes, RelativePath } from "./RelativePath.ts"

/** Most entries in one offer. */
export const entriesMax = 1_000_000

/** Largest manifest page on the wire, in bytes of JSON. */
export const pageMaxBytes = 256 * 1024

/** Of a page, bytes kept for what was left out of the manifest; of those, names of at most so many entries. */
export const leftOutMaxBytes = 32 * 1024
const leftOutNamedMax = 256

/** Bytes in a file. Above 2^53 a JSON number is no longer exact. */
export const Size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** Milliseconds since 1970, which may be before it. Sub-millisecond parts of a file time are not kept. */
export const Mtime = Schema.Int.check(
  Schema.isBetween({ minimum: -8_640_000_000_000_000, maximum: 8_640_000_000_000_000 })
)

/** `[path, "f" file or "d" directory, size (0 for a directory), mtime, 1 if executable else 0]` */
export const Entry = Schema.Tuple([
  RelativePath,
  Schema.Literals(["f", "d"]),
  Size,
  Mtime,
  Schema.Literals([0, 1])
]).check(
  Schema.makeFilter(([, kind, size]) => kind === "f" || size === 0 || "a directory has no size", {
    toJsonSchema: () => [{}, true]
  })
)
export type Entry = typeof Entry.Type

const mebi = 1024 * 1024

/**
 * Bytes in each block of a file of this size but its last: the smallest of 1, 2 and 4 MiB that makes at most
 * 2,048 blocks, else 4 MiB. Small blocks resume finely, large ones cost less per byte.
 */
export const blockSize = (size: number): number =>
  size <= 2048 * mebi ? mebi : size <= 4096 * mebi ? 2 * mebi : 4 * mebi

/** Largest block, in bytes. */
export const blockMaxBytes = 4 * mebi

/** How many blocks a file of this size has; an empty file has none. */
export const blockCount = (size: number): number => Math.ceil(size / blockSize(size))

/** Totals of a whole manifest, which a sender states and a receiver checks. */
export const Totals = Schema.Struct({
  files: Schema.Natural,
  directories: Schema.Natural,
  bytes: Size,
  blocks: Schema.Natural
})
export type Totals = typeof Totals.Type

/** What a sender could not offer (links, devices, what it may not read): how much, and names and reasons of some. */
export const LeftOut = Schema.Struct({
  count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 32 })),
  named: Schema.Array(Schema.Struct({ path: bounded({ max: pathMaxBytes }), reason: Reason })).check(
    Schema.isMaxLength(leftOutNamedMax)
  )
})
export type LeftOut = typeof LeftOut.Type

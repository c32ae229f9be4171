/**
 * Batches as they go from one thread to the other: paths in one array and numbers in another, since what crosses is
 * copied, and a thousand small objects take longer than the calls that they are about. Pure.
 */
import type { RelativePath } from "../../schema/RelativePath.ts"
import type { Scanned, SourcePart, StagedPart } from "../FileStore.ts"

export interface Columns {
  readonly paths: ReadonlyArray<RelativePath>
  readonly numbers: Float64Array
}

/** Numbers of each. */
const width = 5

const executableFlag = 1
const finishFlag = 2
const directoryFlag = 4

const pack = <A extends { readonly path: RelativePath }>(
  all: ReadonlyArray<A>,
  put: (numbers: Float64Array, at: number, one: A, i: number) => void
): Columns => {
  const numbers = new Float64Array(width * all.length)
  for (const [i, one] of all.entries()) put(numbers, i * width, one, i)
  return { paths: all.map(({ path }) => path), numbers }
}

export const packSource = (parts: ReadonlyArray<SourcePart>): Columns =>
  pack(parts, (numbers, i, { at, length, mtime, offset, size }) => {
    numbers[i] = size
    numbers[i + 1] = mtime
    numbers[i + 2] = offset
    numbers[i + 3] = length
    numbers[i + 4] = at
  })

export const unpackSource = ({ numbers, paths }: Columns): Array<SourcePart> =>
  paths.map((path, i) => {
    const of = (which: number): number => numbers[i * width + which] ?? 0
    return { path, size: of(0), mtime: of(1), offset: of(2), length: of(3), at: of(4) }
  })

/** Where bytes are in shared memory. */
export interface Located {
  readonly at: number
  readonly length: number
}

export const packStaged = (parts: ReadonlyArray<StagedPart>, places: ReadonlyArray<Located>): Columns =>
  pack(parts, (numbers, i, { executable, finish, mtime, offset }, which) => {
    numbers[i] = mtime
    numbers[i + 1] = offset
    numbers[i + 2] = (executable ? executableFlag : 0) | (finish ? finishFlag : 0)
    numbers[i + 3] = places[which]?.at ?? 0
    numbers[i + 4] = places[which]?.length ?? 0
  })

export const unpackStaged = ({ numbers, paths }: Columns, shared: SharedArrayBuffer): Array<StagedPart> =>
  paths.map((path, i) => {
    const of = (which: number): number => numbers[i * width + which] ?? 0
    const executable = (of(2) & executableFlag) !== 0
    const finish = (of(2) & finishFlag) !== 0
    return { path, mtime: of(0), executable, offset: of(1), bytes: new Uint8Array(shared, of(3), of(4)), finish }
  })

type Found = Extract<Scanned, { readonly _tag: "Found" }>

export const packFound = (found: ReadonlyArray<Found>): Columns =>
  pack(found, (numbers, i, { executable, kind, mtime, size }) => {
    numbers[i] = size
    numbers[i + 1] = mtime
    numbers[i + 2] = (executable ? executableFlag : 0) | (kind === "d" ? directoryFlag : 0)
  })

export const unpackFound = ({ numbers, paths }: Columns): Array<Found> =>
  paths.map((path, i) => {
    const of = (which: number): number => numbers[i * width + which] ?? 0
    const kind = (of(2) & directoryFlag) === 0 ? "f" : "d"
    return { _tag: "Found", path, kind, size: of(0), mtime: of(1), executable: (of(2) & executableFlag) !== 0 }
  })

export const digestBytes = 32

/** Digests that came in one piece. */
export const eachDigest = (digests: Uint8Array): Array<Uint8Array> =>
  Array.from({ length: digests.length / digestBytes }, (_, i) =>
    digests.subarray(i * digestBytes, (i + 1) * digestBytes)
  )

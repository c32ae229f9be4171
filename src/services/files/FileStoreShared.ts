/**
 * Memory as both threads of the file store see it: what is in shared memory is worked on where it is, anything else is
 * copied there and back. Owns nothing.
 */
import type { Located } from "./FileStoreColumns.ts"

interface InShared {
  readonly places: ReadonlyArray<Located>
  readonly shared: SharedArrayBuffer
}

const isShared = (bytes: Uint8Array): boolean => bytes.buffer instanceof SharedArrayBuffer

/** Has the thread fill parts of this memory. */
export const filling = async <A>(
  into: Uint8Array,
  parts: ReadonlyArray<Located>,
  work: (shared: Uint8Array) => Promise<A>
): Promise<A> => {
  if (isShared(into)) return work(into)
  const shared = new Uint8Array(new SharedArrayBuffer(into.length))
  for (const { at, length } of parts) shared.set(into.subarray(at, at + length), at)
  const done = await work(shared)
  for (const { at, length } of parts) into.set(shared.subarray(at, at + length), at)
  return done
}

/** Where these bytes are in one piece of shared memory. */
export const located = (all: ReadonlyArray<Uint8Array>): InShared => {
  const buffer = all[0]?.buffer
  if (buffer instanceof SharedArrayBuffer && all.every((bytes) => bytes.buffer === buffer)) {
    return { places: all.map(({ byteOffset, length }) => ({ at: byteOffset, length })), shared: buffer }
  }
  const shared = new SharedArrayBuffer(all.reduce((sum, { length }) => sum + length, 0))
  const into = new Uint8Array(shared)
  let used = 0
  const places = all.map((bytes) => {
    const at = used
    into.set(bytes, at)
    used += bytes.length
    return { at, length: bytes.length }
  })
  return { places, shared }
}

/**
 * Memory as both threads of the file store see it: what is in shared memory is worked on where it is, anything else is
 * copied there and back. Owns nothing.
 */
import type { StagedPart } from "./FileStore.ts"
import type { Located } from "./FileStoreDesk.ts"

const isShared = (bytes: Uint8Array): boolean => bytes.buffer instanceof SharedArrayBuffer

/** Parts of a buffer that work fills. */
type Filled = { readonly at: number; readonly length: number }

/** Has the thread fill parts of this memory. */
export const filling = async <A>(
  into: Uint8Array,
  parts: ReadonlyArray<Filled>,
  work: (shared: Uint8Array) => Promise<A>
): Promise<A> => {
  if (isShared(into)) return work(into)
  const shared = new Uint8Array(new SharedArrayBuffer(into.length))
  for (const { at, length } of parts) shared.set(into.subarray(at, at + length), at)
  const done = await work(shared)
  for (const { at, length } of parts) into.set(shared.subarray(at, at + length), at)
  return done
}

/** Where the bytes of these parts are in one piece of shared memory. */
export const located = (
  parts: ReadonlyArray<StagedPart>
): { readonly parts: Array<Located>; readonly shared: SharedArrayBuffer } => {
  const buffer = parts[0]?.bytes.buffer
  if (buffer instanceof SharedArrayBuffer && parts.every(({ bytes }) => bytes.buffer === buffer)) {
    return {
      parts: parts.map(({ bytes, ...part }) => ({ ...part, at: bytes.byteOffset, length: bytes.length })),
      shared: buffer
    }
  }
  const shared = new SharedArrayBuffer(parts.reduce((sum, { bytes }) => sum + bytes.length, 0))
  const all = new Uint8Array(shared)
  let used = 0
  const copied = parts.map(({ bytes, ...part }) => {
    const at = used
    all.set(bytes, at)
    used += bytes.length
    return { ...part, at, length: bytes.length }
  })
  return { parts: copied, shared }
}

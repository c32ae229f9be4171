/** What is sent in a bench: bytes that no compression helps with, the same for the same seed. */
import { createCipheriv } from "node:crypto"
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"

export const mebi = 1024 * 1024
export const gibi = 1024 * mebi

/** AES in counter mode over zeros: random to any eye, and as fast as memory. */
const keystream = (seed: number) => {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(seed)
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16))
  return (length: number): Buffer => cipher.update(Buffer.alloc(length))
}

/** One file of so many bytes. */
export const file = (path: string, bytes: number, seed = 1): string => {
  const next = keystream(seed)
  const to = openSync(path, "w")
  for (let left = bytes; left > 0; left -= 4 * mebi) writeSync(to, next(Math.min(left, 4 * mebi)))
  closeSync(to)
  return path
}

/** A file that takes no room on the disk: holes all through. */
export const sparse = (path: string, bytes: number): string => {
  const to = openSync(path, "w")
  ftruncateSync(to, bytes)
  closeSync(to)
  return path
}

/** So many files of so many bytes, spread over directories. */
export const tree = (
  path: string,
  shape: { readonly files: number; readonly directories: number; readonly bytes: number },
  seed = 1
) => {
  const next = keystream(seed)
  for (let at = 0; at < shape.directories; at++) mkdirSync(join(path, `d${at}`), { recursive: true })
  for (let at = 0; at < shape.files; at++) {
    writeFileSync(join(path, `d${at % shape.directories}`, `f${at}.bin`), next(shape.bytes))
  }
  return path
}

/**
 * The system calls that the file store's thread makes, one after the other and each to its end, on descriptors (plain
 * numbers). Made only there: on the main thread a slow disk would stop everything else. Nothing is owned here.
 */
import * as fs from "node:fs"
import * as os from "node:os"

const { constants } = fs

/** What failed, where and at what, by the system's code: as much as one thread can tell another. */
export class Fault extends Error {
  readonly path: string
  /** What was attempted, as in "could not be written". */
  readonly action: string
  readonly code: string

  constructor(path: string, action: string, code: string) {
    super(`${path} could not be ${action} (${code})`)
    this.path = path
    this.action = action
    this.code = code
  }
}

const codes = new Map(Object.entries(os.constants.errno).map(([code, number]) => [-number, code]))

/** The system's word for it; Node has none for some of its numbers, such as that of a quota. */
export const codeOf = (cause: unknown): string => {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return "EUNKNOWN"
  if (typeof cause.code !== "string") return "EUNKNOWN"
  if (/^E[A-Z0-9]+$/.test(cause.code) || !("errno" in cause)) return cause.code
  return (typeof cause.errno === "number" ? codes.get(cause.errno) : undefined) ?? cause.code
}

/** An error with a code, as the system would give it. */
export const refusal = (code: string, why: string): Error => Object.assign(new Error(why), { code })

/** Says of a failure what it was that failed, unless that is known. */
export const named = <A>(path: () => string, action: string, work: () => A): A => {
  try {
    return work()
  } catch (cause) {
    throw cause instanceof Fault ? cause : new Fault(path(), action, codeOf(cause))
  }
}

/** How long descriptors are waited for in all, in pieces of this many milliseconds, before it is given up. */
const pieceMs = 50
const patience = 20
let waited = 0
const nobody = new Int32Array(new SharedArrayBuffer(4))

/** Descriptors run out for moments when many transfers run: those who wait get their turn, within a second. */
export const open = (path: string, flags: number, mode = 0o666): number => {
  for (;;) {
    try {
      const fd = fs.openSync(path, flags, mode)
      waited = 0
      return fd
    } catch (cause) {
      const code = codeOf(cause)
      if ((code !== "EMFILE" && code !== "ENFILE") || waited === patience) throw cause
      waited++
      Atomics.wait(nobody, 0, 0, pieceMs)
    }
  }
}

export const close: (fd: number) => void = fs.closeSync
export const mkdir = (path: string, mode: number): void => void fs.mkdirSync(path, mode)
export const lstat = (path: string): fs.Stats => fs.lstatSync(path)
export const fstat = (fd: number): fs.Stats => fs.fstatSync(fd)
export const link: (from: string, to: string) => void = fs.linkSync
export const rename: (from: string, to: string) => void = fs.renameSync
export const unlink: (path: string) => void = fs.unlinkSync
export const rmdir = (path: string): void => fs.rmdirSync(path)
export const readable = (path: string): void => fs.accessSync(path, constants.R_OK)

/** The one call that is not waited for: a disk may take seconds to sync, and others want to write meanwhile. */
export const fsync = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => fs.fsync(fd, (error) => (error === null ? resolve() : reject(error))))

/** What is there, if anything. */
export const look = (location: string): fs.Stats | undefined => {
  try {
    return fs.lstatSync(location)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Bytes read, fewer than asked for only at the end of the file. */
export const readAt = (fd: number, into: Uint8Array, at: number, length: number, offset: number): number => {
  let done = 0
  while (done < length) {
    const count = fs.readSync(fd, into, at + done, length - done, offset + done)
    if (count === 0) return done
    done += count
  }
  return done
}

/** Writes all of it: a system may accept only a part. */
export const writeAt = (fd: number, bytes: Uint8Array, offset: number): void => {
  let done = 0
  while (done < bytes.length) {
    const count = fs.writeSync(fd, bytes, done, bytes.length - done, offset + done)
    if (count === 0) throw refusal("EIO", "nothing was accepted")
    done += count
  }
}

/** Whether there is nothing but zeros: the first one is, and each is as the one before it. */
const isZeros = (bytes: Uint8Array): boolean =>
  bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0

const piece = Buffer.allocUnsafeSlow(64 * 1024)

/** Whether a part of a file reads as zeros. */
const isEmpty = (fd: number, from: number, end: number): boolean => {
  for (let at = from; at < end; at += piece.length) {
    const length = Math.min(piece.length, end - at)
    if (readAt(fd, piece, 0, length, at) !== length || !isZeros(piece.subarray(0, length))) return false
  }
  return true
}

/** Writes all of it, but zeros only over what is none: elsewhere a hole stays, so a virtual machine's disk is small. */
export const writeSparsely = (fd: number, bytes: Uint8Array, offset: number): void => {
  if (!isZeros(bytes)) return writeAt(fd, bytes, offset)
  const { size } = fstat(fd)
  const end = offset + bytes.length
  if (!isEmpty(fd, offset, Math.min(end, size))) writeAt(fd, bytes, offset)
  else if (end > size) fs.ftruncateSync(fd, end)
}

/**
 * Sets a file's time, milliseconds since 1970. Node takes seconds as a float, which falls short by parts of a
 * microsecond: one more keeps the millisecond.
 */
export const setMtime = (fd: number, mtime: number): void => {
  const seconds = mtime / 1000 + 1e-6
  fs.futimesSync(fd, seconds, seconds)
}

const nofollow = constants.O_NOFOLLOW ?? 0
const directory = constants.O_DIRECTORY ?? 0
const nonblock = constants.O_NONBLOCK ?? 0

/** How files and directories are opened: never through a link, and never waiting for a pipe's other end. */
export const flags = {
  directory: constants.O_RDONLY | directory | nofollow,
  /** A folder that a person named may well be a link. */
  root: constants.O_RDONLY | directory,
  read: constants.O_RDONLY | nofollow | nonblock,
  write: constants.O_RDWR | nofollow,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | nofollow,
  /** What an earlier run of ours left behind is gone on with. */
  grow: constants.O_RDWR | constants.O_CREAT | nofollow
} as const

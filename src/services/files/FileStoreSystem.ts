/**
 * The few system calls that the main thread makes, through Node's pool of threads, on descriptors (plain numbers) since
 * Node's FileHandle costs three times as much; and what errors of files mean to a person. Nothing is owned here.
 */
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { FileStoreError } from "../FileStore.ts"
import { codeOf, Fault, flags, refusal } from "./FileStoreCalls.ts"
import { type Directory, directoryAt, isHeld, isLink, keepsDescriptors } from "./FileStoreDirectory.ts"

/** What a person can do, by the system's code. */
const remedies: Record<string, string> = {
  ENOSPC: "The disk is full: free some space there",
  EDQUOT: "The quota of this user is used up: free some space there",
  EACCES: "Give this user the permission",
  EPERM: "The system does not allow it: check the permissions and mount options",
  EROFS: "The file system is read-only: choose another folder",
  EMFILE: "Too many files are open: raise the limit with ulimit -n",
  ENFILE: "Too many files are open on this machine",
  EIO: "The disk reports a fault: check the disk",
  ENOENT: "It is not there",
  ENOTDIR: "Something else stands where a directory is needed",
  ELOOP: "A symbolic link stands there, and links are not followed",
  EEXIST: "Something is there already",
  ENAMETOOLONG: "The name is too long for the file system",
  EBUSY: "It is in use: try again later",
  EFBIG: "The file is too large for the file system",
  ETXTBSY: "It is being run",
  EINVAL: "The file system cannot hold such a name",
  ETHREAD: "The part of this program that works on files ended. If it happens again, install it anew"
}

export const storeError = (path: string, action: string, cause: unknown): FileStoreError => {
  if (cause instanceof FileStoreError) return cause
  const code = codeOf(cause)
  const remedy = remedies[code] ?? "See what the system's code means"
  return cause instanceof Fault
    ? new FileStoreError({ path: cause.path, action: cause.action, code, remedy })
    : new FileStoreError({ path, action, code, remedy })
}

/**
 * Waits for work on files to its end even when interrupted: buffers and descriptors in use cannot be given back
 * before the system is done with them. Each piece of work is short.
 */
export const attempt = <A>(path: string, action: string, work: () => Promise<A>): Effect.Effect<A, FileStoreError> =>
  Effect.uninterruptible(Effect.tryPromise({ try: work, catch: (cause) => storeError(path, action, cause) }))

type Done<A> = (error: NodeJS.ErrnoException | null, value: A) => void

const call = <A>(run: (done: Done<A>) => void): Promise<A> =>
  new Promise((resolve, reject) => run((error, value) => (error === null ? resolve(value) : reject(error))))

const act = (run: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => run((error) => (error === null ? resolve() : reject(error))))

const openOnce = (path: string, flags: number, mode: number): Promise<number> =>
  call<number>((done) => fs.open(path, flags, mode, done))

/** Descriptors run out for moments when many transfers run: those who wait get their turn, within a second. */
export const open = async (path: string, flags: number, mode = 0o666): Promise<number> => {
  for (let tries = 0; ; tries++) {
    try {
      return await openOnce(path, flags, mode)
    } catch (cause) {
      const code = codeOf(cause)
      if ((code !== "EMFILE" && code !== "ENFILE") || tries === 20) throw cause
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

export const close = (fd: number): Promise<void> => act((done) => fs.close(fd, done))
export const fsync = (fd: number): Promise<void> => act((done) => fs.fsync(fd, done))
export const truncate = (fd: number, length: number): Promise<void> => act((done) => fs.ftruncate(fd, length, done))
export const mkdir = (path: string, mode: number): Promise<void> => act((done) => fs.mkdir(path, mode, done))
export const lstat = (path: string): Promise<fs.Stats> => call<fs.Stats>((done) => fs.lstat(path, done))
export const unlink = (path: string): Promise<void> => act((done) => fs.unlink(path, done))
export const rmdir = (path: string): Promise<void> => act((done) => fs.rmdir(path, done))
export const readable = (path: string): Promise<void> => act((done) => fs.access(path, fs.constants.R_OK, done))
export const statfs = (path: string): Promise<fs.StatsFs> => call<fs.StatsFs>((done) => fs.statfs(path, done))

/** What is there, if anything. */
export const look = async (location: string): Promise<fs.Stats | undefined> => {
  try {
    return await lstat(location)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Makes a directory unless something is there. */
export const ensureDirectory = async (location: string, mode: number): Promise<void> => {
  try {
    await mkdir(location, mode)
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw cause
  }
}

/**
 * Opens a directory; whoever asks is to `letGo` of it. `follow`: whether it may itself be a link, as a folder that a
 * person named may.
 */
export const hold = async (location: string, follow: boolean): Promise<Directory> => {
  if (!isHeld && !follow && (await lstat(location)).isSymbolicLink()) throw isLink()
  return directoryAt(location, keepsDescriptors ? await open(location, follow ? flags.root : flags.directory) : -1)
}

export const letGo = async ({ fd }: Directory): Promise<void> => {
  if (fd >= 0) await close(fd)
}

/** Makes durable which names are in a directory. */
export const syncNames = async ({ fd }: Directory): Promise<void> => {
  if (fd >= 0) await fsync(fd)
}

/** Of an open file: answered from memory, so a thread would cost more than the call. */
export const fstat = (fd: number): fs.Stats => fs.fstatSync(fd)

/** Bytes read, fewer than asked for only at the end of the file. */
export const readAt = async (
  fd: number,
  into: Uint8Array,
  at: number,
  length: number,
  offset: number
): Promise<number> => {
  let done = 0
  while (done < length) {
    const count = await call<number>((resume) => fs.read(fd, into, at + done, length - done, offset + done, resume))
    if (count === 0) return done
    done += count
  }
  return done
}

/** Writes all of it: a system may accept only a part. */
export const writeAt = async (fd: number, bytes: Uint8Array, offset: number): Promise<void> => {
  let done = 0
  while (done < bytes.length) {
    const count = await call<number>((resume) => fs.write(fd, bytes, done, bytes.length - done, offset + done, resume))
    if (count === 0) throw refusal("EIO", "nothing was accepted")
    done += count
  }
}

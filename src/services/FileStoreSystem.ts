/**
 * The few system calls that the file store makes, on descriptors (plain numbers) since Node's FileHandle costs three
 * times as much, and what their errors mean to a person. Nothing is owned here.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { FileStoreError } from "./FileStore.ts"

const { constants } = fs

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
  EINVAL: "The file system cannot hold such a name"
}

const codes = new Map(Object.entries(os.constants.errno).map(([code, number]) => [-number, code]))

/** The system's word for it; Node has none for some of its numbers, such as that of a quota. */
export const codeOf = (cause: unknown): string => {
  if (!Predicate.hasProperty(cause, "code") || typeof cause.code !== "string") return "EUNKNOWN"
  if (/^E[A-Z0-9]+$/.test(cause.code) || !Predicate.hasProperty(cause, "errno")) return cause.code
  return (typeof cause.errno === "number" ? codes.get(cause.errno) : undefined) ?? cause.code
}

export const storeError = (path: string, action: string, cause: unknown): FileStoreError => {
  if (cause instanceof FileStoreError) return cause
  const code = codeOf(cause)
  return new FileStoreError({ path, action, code, remedy: remedies[code] ?? "See what the system's code means" })
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
export const link = (from: string, to: string): Promise<void> => act((done) => fs.link(from, to, done))
export const rename = (from: string, to: string): Promise<void> => act((done) => fs.rename(from, to, done))
export const unlink = (path: string): Promise<void> => act((done) => fs.unlink(path, done))
export const rmdir = (path: string): Promise<void> => act((done) => fs.rmdir(path, done))
export const readable = (path: string): Promise<void> => act((done) => fs.access(path, constants.R_OK, done))
export const statfs = (path: string): Promise<fs.StatsFs> => call<fs.StatsFs>((done) => fs.statfs(path, done))

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

/** Whether there is nothing but zeros: the first one is, and each is as the one before it. */
export const isZeros = (bytes: Uint8Array): boolean =>
  bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, -1)) === 0

/** Writes all of it: a system may accept only a part. */
export const writeAt = async (fd: number, bytes: Uint8Array, offset: number): Promise<void> => {
  let done = 0
  while (done < bytes.length) {
    const count = await call<number>((resume) => fs.write(fd, bytes, done, bytes.length - done, offset + done, resume))
    if (count === 0) throw Object.assign(new Error("nothing was accepted"), { code: "EIO" })
    done += count
  }
}

/**
 * Sets a file's time, milliseconds since 1970. Node takes seconds as a float, which falls short by parts of a
 * microsecond: one more keeps the millisecond.
 */
export const setMtime = (fd: number, mtime: number): void => {
  const seconds = mtime / 1000 + 1e-6
  fs.futimesSync(fd, seconds, seconds)
}

/** What a disk may say to a sync. */
const syncFailures: ReadonlyArray<readonly [RegExp, string]> = [
  [/(?:input\/output|i\/o) error/i, "EIO"],
  [/no space left/i, "ENOSPC"],
  [/quota exceeded/i, "EDQUOT"]
]

/**
 * Makes everything on the file system of this directory durable at once, by the system's `sync -f`, which is syncfs(2):
 * Node has no call for it, and for thousands of small files it is 20 times faster than one fsync for each. False where
 * that cannot be had, so that each is to be synced by itself; what the disk refused is an error, as after it a second
 * sync proves nothing.
 */
export const syncAll = (directory: string): Promise<boolean> =>
  process.platform !== "linux"
    ? Promise.resolve(false)
    : new Promise((resolve, reject) => {
        const env = { ...process.env, LC_ALL: "C" }
        const child = spawn("sync", ["-f", directory], { stdio: ["ignore", "ignore", "pipe"], env })
        let said = ""
        child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(0, 1000)))
        child.once("error", () => resolve(false))
        child.once("close", (exit) => {
          const code = exit === 0 ? undefined : syncFailures.find(([words]) => words.test(said))?.[1]
          if (code === undefined) resolve(exit === 0)
          else reject(Object.assign(new Error(said), { code }))
        })
      })

/** Runs the work on each item, at most `width` at a time; the first failure stops what has not begun. */
export const each = async <A>(items: ReadonlyArray<A>, width: number, work: (item: A, at: number) => Promise<void>) => {
  let next = 0
  let failed: { readonly cause: unknown } | undefined
  const lane = async () => {
    while (next < items.length && failed === undefined) {
      const at = next++
      const item = items[at]
      if (item === undefined) continue
      try {
        await work(item, at)
      } catch (cause) {
        failed ??= { cause }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane))
  if (failed !== undefined) throw failed.cause
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

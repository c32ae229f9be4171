/** One open directory, and how what is in it is reached: by both threads of the file store alike. Owns nothing. */
import * as path from "node:path"
import * as Calls from "./FileStoreCalls.ts"

/** One open directory. */
export interface Directory {
  /** Where a name in it can be reached now. */
  readonly at: (name: string) => string
  /** Itself. */
  readonly self: string
  /** Where it was opened. */
  readonly location: string
  readonly fd: number
}

/** What one thread tells the other of a directory that it holds open: descriptors are the whole process's. */
export type DirectoryPlace = Pick<Directory, "location" | "fd">

/** Whether a descriptor stands for its directory wherever that is. */
export const isHeld = process.platform === "linux"

/** Whether directories can be opened at all. */
export const keepsDescriptors = process.platform !== "win32"

export const directoryAt = (location: string, fd: number): Directory => {
  if (!isHeld) return { at: (name) => path.join(location, name), self: location, location, fd }
  const self = `/proc/self/fd/${fd}`
  return { at: (name) => `${self}/${name}`, self, location, fd }
}

export const isLink = (): Error => Calls.refusal("ELOOP", "a symbolic link")

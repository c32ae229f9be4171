/** Disks for the receive folder of a node that is a process: small ones of its own, and what stands on them. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"

/** The file that grows in the staging of the one transfer that comes. */
export const staged = (received: string) => {
  const [id] = fs.existsSync(join(received, ".kith")) ? fs.readdirSync(join(received, ".kith")) : []
  return join(received, ".kith", id ?? "", "data/tree/large")
}

/** Its size, or false where it is not there yet. */
export const sizeOfStaged = (received: string) => fs.existsSync(staged(received)) && fs.statSync(staged(received)).size

/** Writes to that file until nothing more can be written to its disk, by whoever. */
export const fill = (path: string): void => {
  for (const size of [256 * 1024, 4096, 1]) {
    try {
      for (;;) fs.writeFileSync(path, Buffer.alloc(size), { flag: "a" })
    } catch {
      // Full, in pieces of this size.
    }
  }
}

/** Runs a node with a disk of its own as its receive folder. */
export const ownDisk = (received: string, megabytes: number, options = ""): ReadonlyArray<string> => [
  "unshare",
  "-rm",
  "sh",
  "-c",
  `mount -t tmpfs -o size=${megabytes}m${options} none '${received}' && exec "$0" "$@"`
]

export const mayMount =
  spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs none /mnt"], { stdio: "ignore" }).status === 0

/** The receive folder as the process sees it. */
export const seenBy = (child: { readonly pid?: number | undefined }, path: string) => `/proc/${child.pid}/root${path}`

/** Making many files durable: the few calls of the file store's thread that are not waited for. Owns nothing. */
import { refusal } from "./FileStoreCalls.ts"

/** Syncs at once: a journalling file system commits those that wait together in one go. */
const width = 16

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
export const syncAll = async (directory: string): Promise<boolean> => {
  if (process.platform !== "linux") return false
  const { spawn } = await import("node:child_process")
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: "C" }
    const child = spawn("sync", ["-f", directory], { stdio: ["ignore", "ignore", "pipe"], env })
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(0, 1000)))
    child.once("error", () => resolve(false))
    child.once("close", (exit) => {
      const code = exit === 0 ? undefined : syncFailures.find(([words]) => words.test(said))?.[1]
      if (code === undefined) resolve(exit === 0)
      else reject(refusal(code, said))
    })
  })
}

/** Runs the work on each item, some at a time; the first failure stops what has not begun. */
export const eachAtOnce = async <A>(items: ReadonlyArray<A>, work: (item: A) => Promise<void>): Promise<void> => {
  let next = 0
  let failed: { readonly cause: unknown } | undefined
  const lane = async () => {
    while (next < items.length && failed === undefined) {
      const item = items[next++]
      if (item === undefined) continue
      try {
        await work(item)
      } catch (cause) {
        failed ??= { cause }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane))
  if (failed !== undefined) throw failed.cause
}

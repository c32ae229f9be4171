/**
 * The directory that holds a node's identity and state, for one node at a time. It is made with mode 0700 if missing,
 * and held by a lock that the system releases however the process ends, `kill -9` included: an exclusive transaction
 * on the SQLite file `lock`, since Node has no flock.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { NodeConfig } from "../../config.ts"
import { sqliteCode } from "../database/DatabaseError.ts"

/** The data directory cannot be used as it is; nothing was altered. */
export class DataDirectoryError extends Schema.TaggedError<DataDirectoryError>()("DataDirectoryError", {
  path: Schema.String,
  problem: Schema.Literals(["inUse", "full", "unusable"]),
  detail: Schema.String
}) {
  override get message(): string {
    switch (this.problem) {
      case "inUse":
        return `another node is running on ${this.path}. Stop it first, or choose another directory with --data-dir`
      case "full":
        return `the disk of the data directory ${this.path} is full. Make room on it, or choose another with --data-dir`
      case "unusable":
        return `the data directory ${this.path} cannot be used (${this.detail}). Choose another with --data-dir`
    }
  }
}

const attempt = <A>(path: string, run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) =>
      new DataDirectoryError({
        path,
        problem: isBusy(cause) ? "inUse" : isFull(cause) ? "full" : "unusable",
        detail: cause instanceof Error ? cause.message : String(cause)
      })
  })

/** SQLITE_BUSY. */
const isBusy = (cause: unknown): boolean => sqliteCode(cause) === 5

/** SQLITE_FULL, or what the system says of it. */
const isFull = (cause: unknown): boolean =>
  sqliteCode(cause) === 13 ||
  (cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT"))

/**
 * Makes a directory, and those above it, step by step: where the system says that it cannot be, Node's own way of
 * making several at once tries for ever (below /proc), or gives another reason than the system did.
 */
const make = async (path: string): Promise<void> => {
  const code = await step(path)
  if (code === "EEXIST" || code === undefined) return
  if (code === "ENOENT" && dirname(path) !== path) {
    await make(dirname(path))
    const again = await step(path)
    if (again === "EEXIST" || again === undefined) return
  }
  await fs.mkdir(path, { mode: 0o700 })
}

/** The code of what kept it from being made. */
const step = (path: string): Promise<string | undefined> =>
  fs.mkdir(path, { mode: 0o700 }).then(
    () => undefined,
    (cause: unknown) => (cause instanceof Error && "code" in cause ? String(cause.code) : "unknown")
  )

/** Makes the directory if it is missing and holds it until the scope ends. */
export const acquire = Effect.fn("DataDirectory.acquire")(function* (path: string) {
  yield* attempt(path, () => make(resolve(path)))
  yield* Effect.acquireRelease(
    attempt(path, async () => {
      // Loaded here, since nothing else of a node needs it.
      const { DatabaseSync } = await import("node:sqlite")
      const file = join(path, "lock")
      const isNew = !existsSync(file)
      const lock = new DatabaseSync(file, { timeout: 0 })
      try {
        lock.exec("BEGIN EXCLUSIVE")
      } catch (cause) {
        lock.close()
        // Where it cannot be held, nobody holds it; where another node made it meanwhile, it is that node's.
        if (isNew && !isBusy(cause)) await fs.rm(file, { force: true })
        throw cause
      }
      return lock
    }),
    (lock) => Effect.sync(() => lock.close())
  )
})

/** Holds the configured data directory for as long as the layer lives. */
export const layer: Layer.Layer<never, DataDirectoryError, NodeConfig> = Layer.effectDiscard(
  NodeConfig.use((config) => acquire(config.dataDir))
)

/**
 * control.json in the data directory: how the faces of a node find its API. Written whole or not at all, readable by
 * its owner alone, and gone when the node ends, unless another node has written its own since.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Control } from "../schema/Api.ts"
import { LoopbackError } from "./Loopback.ts"

export const pathIn = (dataDir: string): string => join(dataDir, "control.json")

const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Control))
const encode = Schema.encodeSync(Schema.fromJsonString(Control))

const attempt = <A>(action: string, run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new LoopbackError({ action, detail: cause instanceof Error ? cause.message : String(cause) })
  })

/** Writes the file for as long as the scope lives. */
export const publish = Effect.fn("ControlFile.publish")(function* (dataDir: string, control: Control) {
  const path = pathIn(dataDir)
  const staged = `${path}.${randomUUID()}`
  const write = attempt(`write ${path}`, async () => {
    // The mode is given at creation, so that there is no moment at which others could open it.
    await fs.writeFile(staged, encode(control), { mode: 0o600, flag: "wx" })
    await fs.rename(staged, path)
  }).pipe(Effect.tapError(() => Effect.promise(() => fs.rm(staged, { force: true }).catch(() => undefined))))
  // Nothing is left to do where it cannot be removed: its server is gone, and clients check for that.
  yield* Effect.acquireRelease(write, () =>
    Effect.ignore(
      attempt(`remove ${path}`, async () => {
        const current = decode(await fs.readFile(path, "utf8"))
        if (Exit.isSuccess(current) && current.value.token === control.token) await fs.rm(path)
      })
    )
  )
})

/** What keeps control.json from being used. `absent`: no node has written one. */
class ControlFileUnusable extends Schema.TaggedError<ControlFileUnusable>()("ControlFileUnusable", {
  path: Schema.String,
  problem: Schema.Literals(["absent", "malformed", "foreign", "exposed", "unreadable"])
}) {
  override get message(): string {
    switch (this.problem) {
      case "absent":
        return `${this.path} does not exist`
      case "malformed":
        return `${this.path} is damaged. Restart the node: it writes a new one`
      case "foreign":
        return `${this.path} belongs to another user and is not trusted`
      case "exposed":
        return `${this.path} can be read or written by others and is not trusted. Restart the node: it writes a new one`
      case "unreadable":
        return `${this.path} cannot be read. Does it belong to another user?`
    }
  }
}

/** Largest control.json that is read. */
const controlMaxBytes = 4096

/** Reads what a node wrote, after a look at whose it is; checked on the open file, so that nothing changes between. */
export const read = Effect.fn("ControlFile.read")(function* (dataDir: string) {
  const path = pathIn(dataDir)
  const unusable = (problem: ControlFileUnusable["problem"]) => new ControlFileUnusable({ path, problem })
  const file = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () => fs.open(path, "r"),
      catch: (cause) => unusable(absence(cause) ? "absent" : "unreadable")
    }),
    (file) => Effect.promise(() => file.close())
  )
  const stat = yield* Effect.tryPromise({ try: () => file.stat(), catch: () => unusable("unreadable") })
  const uid = process.getuid?.()
  if (uid !== undefined) {
    if (stat.uid !== uid && stat.uid !== 0) return yield* unusable("foreign")
    if ((stat.mode & 0o077) !== 0) return yield* unusable("exposed")
  }
  if (stat.size > controlMaxBytes) return yield* unusable("malformed")
  const text = yield* Effect.tryPromise({ try: () => file.readFile("utf8"), catch: () => unusable("unreadable") })
  const control = decode(text)
  return Exit.isSuccess(control) ? control.value : yield* unusable("malformed")
}, Effect.scoped)

const absence = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR")

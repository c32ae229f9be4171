/**
 * The secret that opens the API. It stays the same when the node is started again, so that a page that is open goes on
 * by itself: it is kept in the data directory, readable by its owner alone. Removing the file makes a new one at the
 * next start, and shuts out every page and script that knows the old one.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as fs from "node:fs/promises"
import { join } from "node:path"

/** Bytes of randomness in the token. */
const tokenBytes = 32

const shape = /^[A-Za-z0-9_-]{43}$/

/** What is kept, or undefined where nothing is, or others could have read or written it. */
const kept = async (path: string): Promise<string | undefined> => {
  const file = await fs.open(path, "r").catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const { mode, size, uid } = await file.stat()
    const self = process.getuid?.()
    if (self !== undefined && (uid !== self || (mode & 0o077) !== 0)) return undefined
    const text = size <= 64 ? (await file.readFile("utf8")).trim() : ""
    return shape.test(text) ? text : undefined
  } finally {
    await file.close()
  }
}

/** The token of the node of this data directory, made where there is none. */
export const load = Effect.fn("Token.load")(function* (dataDir: string) {
  const random = yield* SecureRandom.SecureRandom
  const path = join(dataDir, "api.token")
  const made = Base64Url.encode(yield* random.randomBytes(tokenBytes))
  return yield* Effect.tryPromise({
    try: async () => {
      const known = await kept(path)
      if (known !== undefined) return known
      // The mode is given at creation, so that there is no moment at which others could open it.
      await fs.rm(path, { force: true })
      await fs.writeFile(path, `${made}\n`, { mode: 0o600, flag: "wx" })
      return made
    },
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause))
  }).pipe(
    Effect.catch((detail) =>
      Effect.logWarning("The token of the API cannot be kept: pages have to be opened again after a restart.").pipe(
        Effect.annotateLogs({ path, detail }),
        Effect.as(made)
      )
    )
  )
})

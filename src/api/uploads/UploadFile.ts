/**
 * One file of an upload: written below the upload's own directory as its bytes come, whole or not at all. Nobody else
 * can write there, and nothing but files and directories is made there, so no link can lead out of it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
import { limits } from "../../config.ts"
import { UploadRefused } from "../../schema/ApiFailures.ts"
import type { RelativePath } from "../../schema/RelativePath.ts"

/** The room on disk is looked at again after this many bytes. */
const lookEvery = 64 * 1024 * 1024

/** The system's code of an error, such as ENOSPC. */
export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : String(cause)

const meanings: Record<string, string> = {
  ENOSPC: "the disk of this machine is full. Make room on it",
  EDQUOT: "this user may not store more on this disk",
  EEXIST: "there is a file or directory of that name already",
  ENOTDIR: "a part of its path is a file",
  EISDIR: "there is a directory of that name already",
  ENAMETOOLONG: "its name is too long for this machine's disk"
}

/** The same as a person is told. */
export const meaningOf = (cause: unknown): string => meanings[codeOf(cause)] ?? codeOf(cause)

/** Bytes that this user may still write there; all there are where the system does not say. */
export const freeBytes = (path: string): Effect.Effect<number> =>
  Effect.promise(() => fs.statfs(path).catch(() => undefined)).pipe(
    Effect.map((stat) => (stat === undefined ? Number.POSITIVE_INFINITY : stat.bavail * stat.bsize))
  )

/** Writes the file; on any failure, and when interrupted, nothing of it is left. */
export const store = Effect.fn("UploadFile.store")(function* (options: {
  readonly root: string
  readonly path: RelativePath
  readonly size: number
  readonly mtime: number | null
  readonly body: Stream.Stream<Uint8Array, unknown>
  /** Told of bytes that were written, and, by a negative number, of those that were taken back. */
  readonly add: (bytes: number) => void
}) {
  const { add, body, mtime, path, root, size } = options
  const target = join(root, path)
  const refuse = (problem: string) => new UploadRefused({ path, problem })
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({ try: run, catch: (cause) => refuse(meaningOf(cause)) })
  let written = 0
  let isWhole = false

  const roomLeft = Effect.fnUntraced(function* () {
    if ((yield* freeBytes(root)) < limits.uploadReserveBytes)
      return yield* refuse("there is no room left on the disk of this machine. Make room on it")
  })

  yield* roomLeft()
  yield* attempt(() => fs.mkdir(dirname(target), { recursive: true, mode: 0o700 }))
  yield* Effect.acquireUseRelease(
    attempt(() => fs.open(target, "wx", 0o600)),
    Effect.fnUntraced(function* (file) {
      let looked = 0
      yield* body.pipe(
        Stream.mapError((cause) => refuse(`it ended early (${codeOf(cause)})`)),
        Stream.timeoutOrElse({
          duration: limits.uploadStalled,
          orElse: () => Stream.fail(refuse("nothing of it came for a while"))
        }),
        Stream.runForEach((chunk) =>
          Effect.gen(function* () {
            if (written + chunk.length > size) return yield* refuse(`it is longer than ${size} bytes`)
            yield* attempt(() => writeAll(file, chunk))
            written += chunk.length
            add(chunk.length)
            if (written - looked < lookEvery) return
            looked = written
            yield* roomLeft()
          })
        )
      )
      if (written !== size) return yield* refuse(`it ended after ${written} of ${size} bytes`)
      if (mtime !== null) yield* attempt(() => file.utimes(mtime / 1000, mtime / 1000))
      isWhole = true
    }),
    (file) =>
      Effect.promise(async () => {
        await file.close()
        if (isWhole) return
        add(-written)
        await fs.rm(target, { force: true })
      })
  )
})

const writeAll = async (file: fs.FileHandle, chunk: Uint8Array): Promise<void> => {
  let at = 0
  while (at < chunk.length) at += (await file.write(chunk, at)).bytesWritten
}

/**
 * Which uploads are being sent: their transfers go on after a restart, so their files must be there. Beside the
 * directory of such an upload lies a mark, `ID.sent`, written whole or not at all, that says which transfers they are.
 * What has no mark is half an upload, and goes.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { UploadRefused } from "../../schema/ApiFailures.ts"
import { Upload, UploadId } from "../../schema/Upload.ts"
import { codeOf, meaningOf } from "./UploadFile.ts"

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Upload))
const encode = Schema.encodeSync(Schema.fromJsonString(Upload))
const isId = Schema.is(UploadId)

const suffix = ".sent"
const markOf = (home: string, id: string): string => join(home, `${id}${suffix}`)

/** Says durably enough for a kill that this upload is being sent, and by which transfers. */
export const write = Effect.fn("UploadMarks.write")((home: string, upload: Upload) =>
  Effect.tryPromise({
    try: async () => {
      const path = markOf(home, upload.id)
      await fs.writeFile(`${path}.new`, encode(upload), { mode: 0o600 })
      await fs.rename(`${path}.new`, path)
    },
    catch: (cause) => new UploadRefused({ path: null, problem: meaningOf(cause) })
  })
)

/** Removes an upload and its mark: the files first, so that none is left without one. */
export const remove = Effect.fn("UploadMarks.remove")((home: string, id: string) =>
  Effect.tryPromise({
    try: async () => {
      await fs.rm(join(home, id), { recursive: true, force: true })
      await fs.rm(markOf(home, id), { force: true })
    },
    catch: codeOf
  }).pipe(
    Effect.catch((code) =>
      Effect.logWarning("An upload that is over could not be removed.").pipe(
        Effect.annotateLogs({ path: join(home, id), code })
      )
    )
  )
)

/** What an earlier run was sending. What it was not is removed. */
export const readAll = Effect.fn("UploadMarks.readAll")(function* (home: string) {
  const names = yield* Effect.promise(() => fs.readdir(home).catch((): Array<string> => []))
  const sent: Array<Upload> = []
  for (const id of new Set(names.map((name) => name.split(".", 1)[0] ?? name))) {
    // Not made here.
    if (!isId(id)) continue
    yield* Effect.promise(() => fs.rm(`${markOf(home, id)}.new`, { force: true }).catch(() => undefined))
    const mark = yield* readOne(home, id)
    if (Option.isSome(mark) && names.includes(id)) sent.push(mark.value)
    else yield* remove(home, id)
  }
  return sent
})

const readOne = (home: string, id: string): Effect.Effect<Option.Option<Upload>> =>
  Effect.map(
    Effect.promise(() => fs.readFile(markOf(home, id), "utf8").catch(() => "")),
    (text) => Option.filter(decode(text), (upload) => upload.id === id)
  )

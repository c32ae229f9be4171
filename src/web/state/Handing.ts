/**
 * Hands picked files over to the node: each file is streamed as it is read, several small ones at once, and when all
 * are there the node offers them. What is stopped on the way, or fails, is discarded by the node.
 *
 * XMLHttpRequest rather than fetch: only it tells how much of a body was taken so far.
 */
import type { Transfer } from "../../schema/Offer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { RelativePath } from "../../schema/RelativePath.ts"
import * as Schema from "effect/Schema"
import * as Option from "effect/Option"
import { directoriesMax } from "../../schema/ApiUploads.ts"
import { registry } from "./atoms.ts"
import { type Answer, ask } from "./Client.ts"
import type { Picked, PickedFile } from "./Picking.ts"
import { session } from "./Session.ts"

/** Files that are handed over at one time: enough that many small ones do not wait for each other. */
const atOnce = 4

class Cut extends Error {}

const detailOf = (body: string): string => {
  try {
    const problem: unknown = JSON.parse(body)
    if (typeof problem === "object" && problem !== null && "detail" in problem && typeof problem.detail === "string") {
      return problem.detail.charAt(0).toUpperCase() + problem.detail.slice(1)
    }
  } catch {
    // No problem document: the status has to say it.
  }
  return ""
}

/** Streams one file. Rejects with a sentence. */
const put = (url: string, token: string, file: File, signal: AbortSignal, onBytes: (bytes: number) => void) =>
  new Promise<void>((done, failed) => {
    const request = new XMLHttpRequest()
    const fail = (why: string) => failed(new Cut(why))
    const abort = () => request.abort()
    request.open("PUT", url)
    request.setRequestHeader("authorization", `Bearer ${token}`)
    request.setRequestHeader("content-type", "application/octet-stream")
    request.upload.addEventListener("progress", (event) => onBytes(event.loaded))
    request.addEventListener("load", () => {
      signal.removeEventListener("abort", abort)
      if (request.status >= 200 && request.status < 300) {
        onBytes(file.size)
        done()
      } else fail(detailOf(request.responseText) || `The node refused ${file.name} (status ${request.status}).`)
    })
    request.addEventListener("error", () =>
      fail(`${file.name} was cut: the node stopped answering, or the file changed or went away while it was read.`)
    )
    request.addEventListener("abort", () => fail("It was stopped."))
    signal.addEventListener("abort", abort)
    request.send(file)
  })

const decodePath = Schema.decodeUnknownOption(RelativePath)

/** Runs the tasks, a few at a time, until the first that fails. */
const each = async <A>(items: ReadonlyArray<A>, run: (item: A) => Promise<void>): Promise<void> => {
  let next = 0
  const worker = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await run(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Hands everything over and sends it: one transfer for each receiver, or in a sentence what went wrong. */
export const hand = async (
  picked: Picked,
  to: ReadonlyArray<PeerId> | null,
  signal: AbortSignal,
  onBytes: (bytes: number) => void
): Promise<Answer<ReadonlyArray<Transfer>>> => {
  const current = registry.get(session)
  if (current._tag !== "Open") return { ok: false, problem: "The page is not connected to its node." }
  const begun = await ask((client) => client.uploads.begin({ payload: { bytes: picked.bytes } }))
  if (!begun.ok) return begun
  const { id } = begun.value
  const discard = () => ask((client) => client.uploads.discard({ params: { id } }))
  const taken = new Map<PickedFile, number>()
  let bytes = 0
  const goOn = () => {
    if (signal.aborted) throw new Cut("It was stopped.")
  }
  const handFile = (part: PickedFile) => {
    goOn()
    const query = new URLSearchParams({
      path: part.path,
      size: String(part.file.size),
      mtime: String(Math.max(0, part.file.lastModified))
    })
    return put(`/api/uploads/${id}/file?${query}`, current.token, part.file, signal, (now) => {
      bytes += now - (taken.get(part) ?? 0)
      taken.set(part, now)
      onBytes(bytes)
    })
  }
  try {
    const paths = picked.directories.flatMap((path) => Option.toArray(decodePath(path)))
    for (let at = 0; at < paths.length; at += directoriesMax) {
      const made = await ask((client) =>
        client.uploads.directories({ params: { id }, payload: { paths: paths.slice(at, at + directoriesMax) } })
      )
      if (!made.ok) throw new Cut(made.problem)
    }
    await each(picked.files, handFile)
    goOn()
    const sent = await ask((client) => client.uploads.send({ params: { id }, payload: { to } }))
    if (!sent.ok) throw new Cut(sent.problem)
    return sent
  } catch (error) {
    await discard()
    return { ok: false, problem: error instanceof Cut ? error.message : "The files could not be read." }
  }
}

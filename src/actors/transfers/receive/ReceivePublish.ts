/**
 * Giving what was received its names in the receive folder, once all of it is there: what failed is taken back,
 * directories get their times, everything is synced, then published. It can be gone on with after a fault at any point:
 * the journal says what has its name. Owns nothing.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { relative } from "node:path"
import type { ConflictPolicy } from "../../../schema/Offer.ts"
import { reservedTop } from "../../../schema/RelativePath.ts"
import { FileStoreError, type Staging } from "../../../services/FileStore.ts"
import type { Intake } from "./Intake.ts"
import type { Opened } from "./ReceivedFiles.ts"
import { entriesOf, isUnpublished, stayingOf, topsOf } from "./ReceivedNames.ts"
import { forgetChanged, forgetLost } from "./ReceiveReading.ts"
import type { Outcome } from "../TransferState.ts"

/** Entries made or sealed in one go. */
const stride = 1000

export interface Published {
  readonly paths: ReadonlyArray<string>
  /** What each of the top entries is called now, below the receive folder. */
  readonly names: ReadonlyArray<{ readonly path: string; readonly name: string }>
  readonly failures: ReadonlyArray<FileStoreError>
  /** Files that were the same, and stay as they are. */
  readonly skipped: number
  readonly outcome: Outcome
}

/** Does something with all of them, some at a time. */
export const inStrides = Effect.fnUntraced(function* <A, E>(
  items: Generator<A>,
  work: (some: ReadonlyArray<A>) => Effect.Effect<void, E>
) {
  while (true) {
    const some: Array<A> = []
    for (let next = items.next(); next.done !== true; next = items.next()) {
      some.push(next.value)
      if (some.length === stride) break
    }
    if (some.length === 0) return
    yield* work(some)
  }
})

const outcomeOf = (intake: Intake, published: number, failure: FileStoreError | undefined): Outcome => {
  const failed = intake.failed.size
  if (published === 0) {
    const why = failure?.message ?? [...intake.failed.values()][0] ?? "nothing came"
    return { state: "failed", error: failed > 1 ? `none of ${failed} files could be sent: ${why}` : why }
  }
  if (failure !== undefined) return { state: "partial", error: failure.message }
  if (failed === 0) return { state: "done", error: null }
  return { state: "partial", error: failed === 1 ? "1 file could not be sent" : `${failed} files could not be sent` }
}

/**
 * Publishes it; undefined where something is not there after all, and is to come again. `tryAgain`: the disk has less than
 * was written to it.
 */
export const publishReceived = Effect.fn("Receive.publish")(function* (
  { intake, journal }: Opened,
  conflict: ConflictPolicy,
  tryAgain: (staging: Staging) => Effect.Effect<undefined, FileStoreError>
): Effect.fn.Return<Published | undefined, FileStoreError> {
  const { entries } = intake
  const { staging } = journal
  const { chosen, published } = journal.publication
  if ((yield* forgetChanged(staging, intake, false)) > 0) return undefined
  if ((yield* forgetLost(staging, intake, journal.publication)) > 0) return yield* tryAgain(staging)
  const staying = stayingOf(intake).filter((top) => !chosen.has(top))
  if (staying.length > 0) yield* journal.publishing(staying.map((top) => ({ top, name: top })))
  const isThere = isUnpublished(journal)
  for (const entry of intake.failed.keys()) {
    if (isThere(entries.path(entry))) yield* staging.remove(entries.path(entry))
  }
  yield* inStrides(
    entriesOf(intake, (at) => entries.isDirectory(at) && isThere(entries.path(at))),
    staging.seal
  )
  yield* staging.sync
  const tops = [...topsOf(intake)].filter((top) => !published.has(top))
  const results = yield* staging.publish(tops, conflict, { known: chosen, note: journal.publishing })
  yield* journal.published(results.filter(Result.isSuccess).map(({ success }) => success))
  const failures = results.filter(Result.isFailure).map(({ failure }) => failure)
  const passing = failures.find((failure) => failure.mayPass)
  if (passing !== undefined) return yield* passing
  const unnamed = [...topsOf(intake, intake.failed)].filter((top) => !published.has(top))
  if (unnamed.length > failures.length) {
    const path = `${staging.root}/${reservedTop}/${staging.id}/data/${unnamed[0] ?? ""}`
    const remedy = "Someone removed it: it is asked for again"
    return yield* new FileStoreError({ path, action: "published", code: "ENOENT", remedy })
  }
  const paths = [...published.values()]
  const names = [...published].map(([path, at]) => ({ path, name: relative(staging.root, at) }))
  const skipped = intake.counterparts.whole.size
  return { paths, names, failures, skipped, outcome: outcomeOf(intake, paths.length, failures[0]) }
})

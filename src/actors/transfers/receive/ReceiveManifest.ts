/**
 * Learning what is offered: the whole list is pulled and checked before anyone is asked and anything is written.
 * What is dangerous or untrue makes the whole offer unacceptable; what merely cannot be stored here is left out.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { limits } from "../../../config.ts"
import type { DataFrame } from "../../../schema/Block.ts"
import type { ManifestCheck } from "../../../schema/ManifestCheck.ts"
import type { Totals } from "../../../schema/Manifest.ts"
import { Collisions, unstorable } from "../../../schema/Naming.ts"
import { Ranges } from "../../../schema/Ranges.ts"
import type { Target } from "../../../services/FileStore.ts"
import { broken, type DataLane } from "../DataLane.ts"

/** The offer is refused as a whole. The message completes "it was refused: ". */
export class Unacceptable extends Schema.TaggedError<Unacceptable>()("Unacceptable", { reason: Schema.String }) {
  override get message(): string {
    return `it was refused: ${this.reason}`
  }
}

/** Pages asked for ahead, so that a long way costs little. */
const pagesAhead = 4

/** Entries checked between two chances for others to run. */
const stride = 2000

/** What a sender says it has found so far. */
export type Found = Pick<Totals, "files" | "directories" | "bytes">

/**
 * Pulls the pages that are missing, and checks each as it comes. A sender that still walks says how far it is; one
 * that says nothing holds its memory no longer.
 */
export const pullManifest = Effect.fn("ReceiveManifest.pull")(
  (lane: DataLane, check: ManifestCheck, onFound: (found: Found) => Effect.Effect<void>) =>
    Effect.raceFirst(
      pull(lane, check, onFound),
      lane.watch(() => true)
    ).pipe(
      Effect.timeoutOrElse({
        duration: limits.offerExpires,
        orElse: () => Effect.fail(new Unacceptable({ reason: "its list does not come to an end" }))
      })
    )
)

const pull = Effect.fnUntraced(function* (
  lane: DataLane,
  check: ManifestCheck,
  onFound: (found: Found) => Effect.Effect<void>
) {
  let asked = check.next
  while (!check.complete) {
    const wants: Array<DataFrame> = []
    while (asked < check.next + pagesAhead) wants.push({ _tag: "WantPage", page: asked++ })
    if (wants.length > 0) yield* lane.send(...wants)
    const said = yield* next(lane)
    if (said._tag === "Page") {
      const problem = check.add(said)
      if (problem !== undefined) return yield* new Unacceptable({ reason: problem })
    }
    yield* onFound(said._tag === "Listing" ? said : check.entries.totals)
  }
  for (let at = 0; at < check.entries.length; at += stride) {
    const problem = check.clash(at, at + stride)
    if (problem !== undefined) return yield* new Unacceptable({ reason: problem })
    yield* Effect.yieldNow
  }
})

/** A page that its schema refuses (a dangerous path, most likely) refuses the offer, not only the lane. */
const next = Effect.fnUntraced(function* (lane: DataLane) {
  const incoming = yield* Effect.mapError(lane.read, (error) =>
    error.problem === "protocol" ? new Unacceptable({ reason: error.detail }) : error
  )
  if (incoming._tag === "Frame") {
    const { frame } = incoming
    if (frame._tag === "Page" || frame._tag === "Listing") return frame
  }
  return yield* broken(`a ${incoming._tag === "Frame" ? incoming.frame._tag : "block"} came instead of a page`)
})

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / (1024 * 1024)).toLocaleString("en")} MiB`

/** Why so many bytes do not fit here, or undefined where they do. */
export const tooMuch = (bytes: number, freeBytes: number): string | undefined =>
  bytes > freeBytes
    ? `it needs ${mebibytes(bytes)}, and ${mebibytes(freeBytes)} are free here beside what other transfers still need`
    : undefined

/** What of it this machine cannot store or tell apart; each is named to `onLeftOut`. */
export const fit = Effect.fn("ReceiveManifest.fit")(function* (
  check: ManifestCheck,
  target: Target,
  onLeftOut: (entry: number, reason: string) => void
) {
  const { entries } = check
  const { bytes, files } = entries.totals
  const reason = tooMuch(bytes, target.freeBytes)
  if (reason !== undefined) return yield* new Unacceptable({ reason })
  if (entries.length > target.freeFiles) {
    return yield* new Unacceptable({ reason: `it has ${files} files, and there is room for ${target.freeFiles} here` })
  }
  const leftOut = new Ranges()
  const collisions = new Collisions(target.naming)
  for (let at = 0; at < entries.length; at++) {
    const path = entries.path(at)
    const reason = unstorable(target.naming, path) ?? collisions.problem(path)
    if (reason !== undefined) {
      leftOut.add(at)
      onLeftOut(at, reason)
    }
    if (at % stride === stride - 1) yield* Effect.yieldNow
  }
  if (leftOut.size === entries.length) return yield* new Unacceptable({ reason: "none of it can be stored here" })
  return leftOut
})

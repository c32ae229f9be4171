/**
 * The pages of a list as its sender answers with them: each once it is full, while the walk goes on. A receiver that
 * waits hears how far it is, so that a slow walk is not taken for a dead link. Owns nothing.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { limits } from "../../../config.ts"
import type { DataFrame } from "../../../schema/Block.ts"
import { type LeftOut, leftOutMaxBytes } from "../../../schema/Manifest.ts"
import { pathMaxBytes } from "../../../schema/RelativePath.ts"
import { short } from "../../../schema/Text.ts"
import type { Walk } from "./Walk.ts"

/** How far the walk is. */
const soFar = ({ entries }: Walk): DataFrame => {
  const { bytes, directories, files } = entries.totals
  return { _tag: "Listing", files, directories, bytes }
}

/** Says this page once it is full; nothing for those after the last, which are asked for ahead. */
export const answerPage = Effect.fnUntraced(function* (
  walk: Walk,
  page: number,
  say: (frame: DataFrame) => Effect.Effect<void>
) {
  while (!walk.isFull(page)) {
    yield* say(soFar(walk))
    yield* Effect.timeoutOption(walk.whenFull(page), limits.listingEvery)
  }
  const { entries } = walk
  const listed = entries.page(page)
  if (listed === undefined) return
  const isLast = page === entries.pages - 1
  const leftOut = isLast ? leftOutOf(walk) : Option.none()
  yield* say({
    _tag: "Page",
    page,
    entries: listed,
    ...(isLast && { totals: entries.totals }),
    ...(Option.isSome(leftOut) && { leftOut: leftOut.value })
  })
})

/** What was left out, named as far as the page has room for it. */
const leftOutOf = ({ problemCount, problems }: Walk): Option.Option<LeftOut> => {
  if (problemCount === 0) return Option.none()
  const named: Array<LeftOut["named"][number]> = []
  let bytes = 0
  for (const { path, reason } of problems) {
    const one = { path: short(path, pathMaxBytes), reason: short(reason) }
    bytes += Buffer.byteLength(JSON.stringify(one)) + 1
    if (bytes > leftOutMaxBytes) break
    named.push(one)
  }
  return Option.some({ count: problemCount, named })
}

/**
 * From the paths that a person gave to the list that is offered: each is looked at first, so that a wrong one refuses
 * the whole at once, then walked. Owns nothing.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { entriesMax } from "../../../schema/Manifest.ts"
import { blocksMax } from "../../../schema/ManifestCheck.ts"
import { problem } from "../../../schema/RelativePath.ts"
import type { FileStore, Picked, Scanned } from "../../../services/FileStore.ts"
import { SendRefused } from "../../../services/Transfer.ts"
import type { Walk } from "./Walk.ts"

/** Entries walked between two chances for others to run. */
const stride = 1000

/** What was picked, by the name under which it is offered: two that are called the same get numbers. */
export const choose = Effect.fn("SendWalk.choose")(function* (
  store: FileStore["Service"],
  paths: ReadonlyArray<string>
) {
  if (paths.length === 0) return yield* new SendRefused({ path: null, problem: "no file was named" })
  const chosen = new Map<string, Picked>()
  for (const path of new Set(paths)) {
    const picked = yield* Effect.mapError(
      store.pick(path),
      (error) => new SendRefused({ path, problem: error.message })
    )
    const bad = problem(picked.name)
    if (bad !== undefined) return yield* new SendRefused({ path, problem: `its name ${bad}` })
    let as = picked.name
    for (let copy = 1; chosen.has(as); copy++) as = numbered(picked.name, copy)
    chosen.set(as, picked)
  }
  return chosen
})

const numbered = (name: string, copy: number): string => {
  const dot = name.lastIndexOf(".")
  return dot > 0 ? `${name.slice(0, dot)} (${copy})${name.slice(dot)}` : `${name} (${copy})`
}

/** Appends to the list what is found. Fails with a sentence. */
export const walk = Effect.fn("SendWalk.walk")(function* (store: FileStore["Service"], into: Walk) {
  const { entries } = into
  let seen = 0
  const add = (found: Scanned): string | undefined => {
    seen++
    if (found._tag === "LeftOut") {
      into.leaveOut(found.path, found.reason)
      return undefined
    }
    if (entries.length >= entriesMax) return `more than ${entriesMax.toLocaleString("en")} files cannot be sent at once`
    entries.append(found)
    return entries.totals.blocks > blocksMax ? "more than 64 TiB cannot be sent at once" : undefined
  }
  for (const [as, root] of into.picked) {
    yield* Stream.runForEachArray(store.scan(root, as), (some) => {
      for (const found of some) {
        const refusal = add(found)
        if (refusal !== undefined) return Effect.fail(refusal)
      }
      into.grew()
      return seen % stride < some.length ? Effect.yieldNow : Effect.void
    }).pipe(Effect.mapError((error) => (typeof error === "string" ? error : error.message)))
  }
})

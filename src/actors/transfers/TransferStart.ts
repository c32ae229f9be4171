/**
 * What a node does about transfers when it starts: removes what nobody came back for, reads what is kept, and says
 * what is to be gone on with. Owns nothing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { limits } from "../../config.ts"
import type { GroupId } from "../../schema/Id.ts"
import { isOver, type Transfer as View } from "../../schema/Offer.ts"
import type { FileStore } from "../../services/FileStore.ts"
import * as TransferArchive from "../../services/TransferArchive.ts"
import type { TransferStore } from "../../services/TransferStore.ts"
import { walk } from "./send/SendWalk.ts"
import type { Walk } from "./send/Walk.ts"

type Store = FileStore["Service"]
type Left = TransferArchive.Left

export interface Unfinished {
  readonly sends: ReadonlyArray<Left>
  readonly receives: ReadonlyArray<Left & { readonly staged: NonNullable<Left["staged"]> }>
  /** How transfers ended, the first to begin first; `isKept`: in an archive too, since its sender may ask again. */
  readonly ended: ReadonlyArray<{ readonly view: View; readonly isKept: boolean }>
  /** Receivings of which nothing is left, as nobody came back to them for too long. */
  readonly gone: ReadonlyArray<Left>
}

const before = Effect.map(Clock.currentTimeMillis, (now) => now - Duration.toMillis(limits.stagingExpires))

/** Removes stagings that expired, but these. What cannot be removed is tried again. */
export const clean = Effect.fn("TransferStart.clean")(function* (store: Store, but: ReadonlySet<string>) {
  const removed = yield* Effect.catch(store.clean(yield* before, but), (error) =>
    Effect.as(Effect.logWarning(`Expired transfers were not removed: ${error.message}`), [])
  )
  if (removed.length > 0) {
    yield* Effect.logInfo("Removed what nobody came back for").pipe(Effect.annotateLogs({ stagings: removed.length }))
  }
  return new Set(removed)
})

/** The staging of a transfer that is over: a run may have ended before it was removed. */
const discardStaging = Effect.fnUntraced(
  function* (store: Store, { root, staging }: NonNullable<Left["staged"]>) {
    const left = yield* store.reopen(root, staging)
    yield* left.discard
  },
  Effect.scoped,
  Effect.catch((error) =>
    // Mostly it is gone, as it should be.
    error.code === "ENOENT" ? Effect.void : Effect.logWarning(`Something was left behind: ${error.message}`)
  )
)

/** What there is to go on with. Nothing of it runs yet. */
export const read = Effect.fn("TransferStart.read")(
  function* (store: Store, history: TransferStore["Service"]) {
    const removed = yield* clean(store, new Set())
    const { groups, transfers } = yield* TransferArchive.readAll(store)
    const oldest = yield* before
    const sends: Array<Left> = []
    const receives: Array<Left & { readonly staged: NonNullable<Left["staged"]> }> = []
    const ended: Array<View> = []
    const gone: Array<Left> = []
    for (const left of transfers) {
      const { begun, ended: view, staged } = left
      if (view !== undefined && staged !== undefined) yield* discardStaging(store, staged)
      if (view !== undefined && isOver(view.state) && left.writtenAt >= oldest) ended.push(view)
      else if (view === undefined && begun.role === "send" && groups.has(begun.group)) sends.push(left)
      else if (view === undefined && staged !== undefined && !removed.has(staged.staging)) {
        receives.push({ ...left, staged })
      } else {
        if (view === undefined && staged !== undefined && removed.has(staged.staging)) gone.push(left)
        yield* TransferArchive.remove(store, begun.transfer)
      }
    }
    const needed = new Set<string>(sends.map(({ begun }) => begun.group))
    for (const group of groups) if (!needed.has(group)) yield* TransferArchive.remove(store, group)
    // The newest are those that may still be asked for.
    const forgotten = ended.splice(0, Math.max(0, ended.length - limits.transfersShownMax))
    for (const view of forgotten) yield* TransferArchive.remove(store, view.id)
    const shown = merged(ended, [...sends, ...receives], yield* told(history))
    return { sends, receives, ended: shown, gone } satisfies Unfinished
  },
  Effect.catch((error) =>
    Effect.as(Effect.logError(`Unfinished transfers cannot be gone on with: ${error.message}`), {
      sends: [],
      receives: [],
      ended: [],
      gone: []
    } satisfies Unfinished)
  )
)

/** How transfers ended, as the database knows; a node without that goes on all the same. */
const told = (history: TransferStore["Service"]) =>
  Effect.catch(history.all, (error) =>
    Effect.as(Effect.logError(`Transfers that are over cannot be shown: ${error.message}`), [])
  )

/** Each once: what is gone on with is not over, and an archive knows as much as the database. */
const merged = (kept: ReadonlyArray<View>, unfinished: ReadonlyArray<Left>, shown: ReadonlyArray<View>) => {
  const known = new Set<string>([...kept.map((view) => view.id), ...unfinished.map(({ begun }) => begun.transfer)])
  return [
    ...kept.map((view) => ({ view, isKept: true })),
    ...shown.filter((view) => !known.has(view.id)).map((view) => ({ view, isKept: false }))
  ].toSorted((a, b) => a.view.startedAt - b.view.startedAt)
}

/** Walks what was picked and keeps the list. Fails with a sentence. */
export const walkAndKeep = Effect.fn("TransferStart.walkAndKeep")(function* (store: Store, group: GroupId, into: Walk) {
  yield* walk(store, into)
  if (into.entries.length === 0) return yield* Effect.fail("there is nothing in it that can be sent")
  yield* Effect.mapError(TransferArchive.list(store, group, into), (error) => error.message)
})

/** The list of a group that an earlier run began: read back where it was whole, else walked. Fails with a sentence. */
export const listAgain = Effect.fn("TransferStart.listAgain")(function* (
  store: Store,
  group: GroupId,
  into: Walk,
  seed: number
) {
  const { entries, listed, picked } = yield* Effect.mapError(
    TransferArchive.gathered(store, group, seed),
    (error) => error.message
  )
  into.picked = picked
  const gone: Array<string> = []
  for (const { path } of picked.values()) {
    yield* Effect.catch(Effect.asVoid(store.pick(path)), () => Effect.sync(() => void gone.push(path)))
  }
  if (gone.length === picked.size) {
    return yield* Effect.fail(
      `${gone[0] ?? "what was picked"} is not there any more, or cannot be read: put it back and send it again, or send it from where it is now`
    )
  }
  if (entries === undefined) return yield* walkAndKeep(store, group, into)
  into.entries = entries
  into.problems = [...listed.problems]
  into.problemCount = listed.problemCount
})

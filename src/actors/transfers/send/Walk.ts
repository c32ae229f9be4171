/**
 * A walk through what is sent, from its first entry to its end, shared by the transfers of a group: the list as far as
 * it has come, what was left out, and how it ended. Whoever walks owns it while it grows; the others read, and wait.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { limits } from "../../../config.ts"
import { EntryList } from "../../../schema/EntryList.ts"
import type { EntryProblem } from "../../../schema/Offer.ts"
import type { Picked } from "../../../services/FileStore.ts"

export class Walk {
  /** Settled once it has begun, then only appended to. */
  entries: EntryList
  picked: ReadonlyMap<string, Picked> = new Map()
  /** What was left out, as far as it is named, and how much that is in all. */
  problems: Array<EntryProblem> = []
  problemCount = 0
  private readonly first = Deferred.makeUnsafe<void, string>()
  private readonly last = Deferred.makeUnsafe<void, string>()
  private isOver = false
  /** Those who wait for a page to be full. */
  private readonly waiting: Array<{ readonly page: number; readonly full: Deferred.Deferred<void> }> = []

  constructor(seed: number) {
    this.entries = new EntryList(seed)
  }

  /** Waits until there is something in it, or it has ended. Fails with the sentence that it failed with. */
  get begun(): Effect.Effect<void, string> {
    return Deferred.await(this.first)
  }

  /** Waits until the list is whole and kept. Fails with the sentence that it failed with. */
  get done(): Effect.Effect<void, string> {
    return Deferred.await(this.last)
  }

  /** True once a page will not change any more. */
  isFull(page: number): boolean {
    return this.isOver || page < this.entries.pages - 1
  }

  /** Waits for that. */
  whenFull(page: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isFull(page)) return Effect.void
      const one = { page, full: Deferred.makeUnsafe<void>() }
      this.waiting.push(one)
      return Effect.onInterrupt(Deferred.await(one.full), () =>
        Effect.sync(() => void this.waiting.splice(this.waiting.indexOf(one), 1))
      )
    })
  }

  leaveOut(path: string, reason: string): void {
    this.problemCount++
    if (this.problems.length < limits.problemsShownMax) this.problems.push({ kind: "leftOut", path, reason })
  }

  /** Something was appended. */
  grew(): void {
    if (this.entries.length > 0) Deferred.doneUnsafe(this.first, Effect.void)
    this.wake()
  }

  /** Runs what walks and keeps the list, and says how it ended. */
  settledBy<R>(walking: Effect.Effect<void, string, R>): Effect.Effect<void, never, R> {
    return Effect.matchEffect(walking, {
      onFailure: (reason) => {
        const failed = Effect.fail(reason)
        return Effect.andThen(Deferred.complete(this.first, failed), Deferred.complete(this.last, failed))
      },
      onSuccess: () =>
        Effect.sync(() => {
          this.isOver = true
          Deferred.doneUnsafe(this.first, Effect.void)
          Deferred.doneUnsafe(this.last, Effect.void)
          this.wake()
        })
    }).pipe(Effect.asVoid)
  }

  private wake(): void {
    for (let at = this.waiting.length - 1; at >= 0; at--) {
      const one = this.waiting[at]
      if (one === undefined || !this.isFull(one.page)) continue
      this.waiting.splice(at, 1)
      Deferred.doneUnsafe(one.full, Effect.void)
    }
  }
}

/**
 * The files of one transfer that is received, from the answer yes to their names in the receive folder: the staging,
 * the journal beside it, and what is in both. It owns what is open of them, in scopes below the one it is given. What
 * it opened may be closed and opened anew (`recover`), as another run of this node would; only `finish` removes it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { EntryList } from "../../../schema/EntryList.ts"
import type { ConflictPolicy } from "../../../schema/Offer.ts"
import type { Ranges } from "../../../schema/Ranges.ts"
import { reservedTop } from "../../../schema/RelativePath.ts"
import { type FileStore, FileStoreError, type Staging } from "../../../services/FileStore.ts"
import { appendRecords } from "../../../services/files/JournalFile.ts"
import { Intake } from "./Intake.ts"
import { inStrides, type Published, publishReceived } from "./ReceivePublish.ts"
import { ReceiveJournal, type Reopened, type Unreadable } from "./ReceiveJournal.ts"
import { entriesOf, isUnpublished } from "./ReceivedNames.ts"
import type { TransferRecord } from "../TransferBook.ts"
import type { Outcome } from "../TransferState.ts"

/** Published paths that are kept account of once it is over. */
const pathsMax = 1000

/** Where the staging of an earlier run is, and how many runs there were. */
export interface Kept {
  readonly root: string
  readonly staging: string
  readonly runs: number
}

interface ReceivedOptions {
  readonly store: FileStore["Service"]
  /** What the staging lives in. */
  readonly shelf: Scope.Scope
  readonly conflict: ConflictPolicy
  readonly kept: Kept | undefined
  /** Random, and known to nobody. */
  readonly seed: number
  /** A fresh name for a staging directory. */
  readonly freshStaging: Effect.Effect<string>
}

/** What blocks are written into. */
export interface Opened {
  readonly journal: ReceiveJournal
  readonly intake: Intake
}

export class ReceivedFiles {
  private readonly options: ReceivedOptions
  private readonly record: TransferRecord
  conflict: ConflictPolicy
  /** There once the list is known, from the sender or from an earlier run. */
  intake: Intake | undefined
  private place: { readonly root: string; readonly staging: string } | undefined
  private scope: Scope.Closeable | undefined
  private opened: Opened | undefined
  /** One thing at a time: nothing is removed while it is being made. */
  private readonly turn = Semaphore.makeUnsafe(1)
  /** How often the disk had less than was written. */
  private shortfalls = 0
  private ready = Deferred.makeUnsafe<Opened>()

  constructor(record: TransferRecord, options: ReceivedOptions) {
    this.record = record
    this.options = options
    this.conflict = options.conflict
    this.place = options.kept
    record.staging = options.kept?.staging ?? null
  }

  /** The list was read and weighed. */
  learnt(entries: EntryList, leftOut: Ranges): Intake {
    const intake = new Intake(entries, leftOut)
    this.intake = intake
    return intake
  }

  /** Waits until blocks can be written. */
  get whenReady(): Effect.Effect<Opened> {
    return Effect.suspend(() => Deferred.await(this.ready))
  }

  /** Reads back what an earlier run kept. */
  get restore(): Effect.Effect<Reopened, FileStoreError | Unreadable> {
    return this.turn.withPermit(this.reopen)
  }

  private readonly reopen: Effect.Effect<Reopened, FileStoreError | Unreadable> = Effect.gen(
    { self: this },
    function* () {
      const { seed, store } = this.options
      const place = this.place ?? { root: "", staging: "" }
      const reopened = yield* this.within(ReceiveJournal.reopen(store, this.record.id, { ...place, seed }))
      this.conflict = reopened.conflict
      this.intake = reopened.intake
      this.opened = reopened
      return reopened
    }
  )

  /** Makes the staging if there is none, its directories and its empty files: what has blocks comes to be with them. */
  get open(): Effect.Effect<void, FileStoreError> {
    return this.turn.withPermit(this.prepare)
  }

  private readonly prepare: Effect.Effect<void, FileStoreError> = Effect.gen({ self: this }, function* () {
    const opened = this.opened ?? (yield* this.begin)
    if (opened === undefined) return
    const { intake, journal } = opened
    const isThere = isUnpublished(journal)
    yield* inStrides(
      entriesOf(intake, (at) => intake.entries.blockCount(at) === 0 && isThere(intake.entries.path(at))),
      journal.staging.make
    )
    yield* Deferred.succeed(this.ready, opened)
  })

  private readonly begin: Effect.Effect<Opened | undefined, FileStoreError> = Effect.gen({ self: this }, function* () {
    const { intake } = this
    if (intake === undefined) return undefined
    intake.decide(this.conflict)
    const staging = yield* this.options.freshStaging
    const { conflict, record } = this
    const journal = yield* this.within(
      ReceiveJournal.begin(this.options.store, record.view, intake, { staging, conflict })
    )
    this.place = { root: journal.staging.root, staging }
    record.staging = staging
    this.opened = { journal, intake }
    return this.opened
  })

  /** Closes what is open, before anything else happens. */
  forget(): void {
    this.opened = undefined
    this.ready = Deferred.makeUnsafe()
  }

  /** After a fault: what is kept account of is gone on with, all else is asked for again. */
  get recover(): Effect.Effect<void, FileStoreError | Unreadable> {
    return this.turn.withPermit(this.again)
  }

  private readonly again: Effect.Effect<void, FileStoreError | Unreadable> = Effect.gen({ self: this }, function* () {
    const { intake, scope } = this
    this.scope = undefined
    if (scope !== undefined) yield* Scope.close(scope, Exit.void)
    if (this.place !== undefined) {
      yield* Effect.catchIf(
        Effect.asVoid(this.reopen),
        (error) => intake !== undefined && (error._tag === "Unreadable" || error.code === "ENOENT"),
        () =>
          Effect.logWarning("What was received is gone: it is asked for again").pipe(
            Effect.tap(() =>
              intake === undefined ? Effect.void : Effect.sync(() => this.learnt(intake.entries, intake.leftOut))
            )
          )
      )
    }
    yield* this.prepare
  })

  /** What is open belongs to a scope of its own, so that it can be closed before the transfer ends. */
  private within<A, E>(work: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> {
    return Effect.uninterruptible(
      Effect.gen({ self: this }, function* () {
        const scope = yield* Scope.fork(this.options.shelf)
        const result = yield* Effect.result(Scope.provide(work, scope))
        if (Result.isSuccess(result)) {
          this.scope = scope
          return result.success
        }
        yield* Scope.close(scope, Exit.void)
        return yield* Effect.fail(result.failure)
      })
    )
  }

  /**
   * Gives everything its name. Fails where that may go better later; what has its name by then keeps it. Undefined where
   * a file that was the same has changed meanwhile: that one is to come after all.
   */
  get publish(): Effect.Effect<Published | undefined, FileStoreError> {
    return this.turn.withPermit(this.publishAll)
  }

  private readonly publishAll = Effect.suspend(() =>
    Effect.flatMap(this.whenReady, (opened) =>
      publishReceived(opened, this.conflict, (staging) => this.tryAgain(staging))
    )
  )

  /** The disk has less than it was given: once more, and then someone has to look at it. */
  private tryAgain(staging: Staging): Effect.Effect<undefined, FileStoreError> {
    if (this.shortfalls++ % 2 === 0) {
      return Effect.as(Effect.logWarning("The disk has not kept what was written: that is asked for again"), undefined)
    }
    const path = `${staging.root}/${reservedTop}/${staging.id}`
    const remedy = "The disk does not keep what is written to it: check the disk"
    return Effect.fail(new FileStoreError({ path, action: "kept whole", code: "EIO", remedy }))
  }

  /** It is over: keeps how, for a sender that asks again, and removes what is left. */
  finish(outcome: Outcome): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { opened, place } = this
      if (place === undefined) return
      this.place = undefined
      const { store } = this.options
      const { view } = this.record
      const published = view.published.slice(0, pathsMax)
      const archive = yield* store.archive(this.record.id)
      // What was shown last was of one that runs.
      const still = { bytesPerSecond: 0, secondsLeft: null }
      yield* appendRecords(archive.journal, [{ _tag: "Ended", view: { ...view, ...outcome, ...still, published } }])
      this.record.isKept = true
      const staging = opened?.journal.staging ?? (yield* store.reopen(place.root, place.staging))
      yield* staging.discard
    }).pipe(
      Effect.scoped,
      Effect.catch((error) =>
        error.code === "ENOENT" ? Effect.void : Effect.logWarning(`Something was left behind: ${error.message}`)
      ),
      (removal) => this.turn.withPermit(removal),
      Effect.uninterruptible
    )
  }
}

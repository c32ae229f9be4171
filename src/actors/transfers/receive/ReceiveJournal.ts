/**
 * What a receiver keeps of a transfer, so that another run can go on with it: in its data directory where the staging
 * is, and in the staging the list, what was agreed, and which blocks are safe. Everything is durable before the sender
 * hears of it. `begin` makes it, `reopen` reads it back; the files belong to the scope of either.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import { EntryList } from "../../../schema/EntryList.ts"
import {
  blockRecords,
  inRecords,
  type JournalRecord,
  journalVersion,
  packDigests,
  rangesPerRecord
} from "../../../schema/Journal.ts"
import type { ConflictPolicy, Transfer as View } from "../../../schema/Offer.ts"
import { type Range, Ranges } from "../../../schema/Ranges.ts"
import type { FileStore, FileStoreError, Move, Staging } from "../../../services/FileStore.ts"
import { appendRecords, readJournal, readManifest, writeManifest } from "../../../services/files/JournalFile.ts"
import type { Intake } from "./Intake.ts"
import { forgetChanged, forgetLost, Reading } from "./ReceiveReading.ts"

/** What was kept cannot be gone on with: it is not whole, or not of this transfer. */
export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", { detail: Schema.String }) {
  override get message(): string {
    return `what was received before cannot be gone on with (${this.detail}). Send it again`
  }
}

/** Where a name was chosen, and where something was published, by top entry. */
export interface Publication {
  readonly chosen: Map<string, string>
  readonly published: Map<string, string>
}

const begun = (view: View): JournalRecord => ({
  _tag: "Begun",
  version: journalVersion,
  transfer: view.id,
  group: view.group,
  peer: view.peer,
  role: "receive",
  name: view.name,
  startedAt: view.startedAt
})

export class ReceiveJournal {
  readonly staging: Staging
  readonly publication: Publication
  /** Digest of the list, hex. */
  readonly manifest: string
  private readonly writing = Semaphore.makeUnsafe(1)

  private constructor(staging: Staging, manifest: string, publication: Publication) {
    this.staging = staging
    this.manifest = manifest
    this.publication = publication
  }

  /** The answer is yes: makes the staging and keeps what was agreed. */
  static begin = Effect.fn("ReceiveJournal.begin")(function* (
    store: FileStore["Service"],
    view: View,
    intake: Intake,
    options: { readonly staging: string; readonly conflict: ConflictPolicy }
  ): Effect.fn.Return<ReceiveJournal, FileStoreError, Scope.Scope> {
    const staging = yield* store.stage(options.staging)
    // Its own error is what is told; what it leaves on the disk is cleaned away later.
    const manifest = yield* Effect.onError(agree(store, staging, view, intake, options.conflict), () =>
      Effect.ignore(staging.discard)
    )
    return new ReceiveJournal(staging, manifest, { chosen: new Map(), published: new Map() })
  })

  /** Reads back what an earlier run kept. */
  static reopen = Effect.fn("ReceiveJournal.reopen")(function* (
    store: FileStore["Service"],
    transfer: string,
    options: { readonly root: string; readonly staging: string; readonly seed: number }
  ): Effect.fn.Return<Reopened, FileStoreError | Unreadable, Scope.Scope> {
    const staging = yield* store.reopen(options.root, options.staging)
    const entries = new EntryList(options.seed)
    const manifest = yield* readManifest(staging.manifest, entries)
    const read = new Reading(transfer, entries)
    yield* readJournal(staging.journal, (record) => read.take(record))
    const { conflict, intake, listed } = read
    if (intake === undefined || conflict === undefined) {
      return yield* new Unreadable({ detail: "its journal is not whole" })
    }
    if (listed === undefined || manifest !== listed.manifest) {
      return yield* new Unreadable({ detail: "its list is not whole" })
    }
    yield* forgetLost(staging, intake, read.publication)
    yield* forgetChanged(staging, intake, true)
    const journal = new ReceiveJournal(staging, manifest, read.publication)
    return { journal, intake, conflict, listed }
  })

  /** The first were synced, the others are the same in files that are there already. */
  readonly keep = (
    intake: Intake,
    written: ReadonlyArray<Range>,
    same: ReadonlyArray<Range>
  ): Effect.Effect<void, FileStoreError> =>
    Effect.suspend(() => this.append([...blockRecords(intake.digests, written), ...sameRecords(intake, same)]))

  readonly failed = (entry: number, reason: string): Effect.Effect<void, FileStoreError> =>
    this.append([{ _tag: "Failed", entry, reason }], { isLazy: true })

  /** About to publish: names that were chosen. */
  readonly publishing = (moves: ReadonlyArray<Move>): Effect.Effect<void, FileStoreError> =>
    Effect.suspend(() => {
      for (const { name, top } of moves) this.publication.chosen.set(top, name)
      return this.append([...inParts(moves)].map((moves): JournalRecord => ({ _tag: "Publishing", moves })))
    })

  /** These have their names, durably. */
  readonly published = (paths: ReadonlyArray<string>): Effect.Effect<void, FileStoreError> =>
    Effect.suspend(() => {
      const tops = new Map([...this.publication.chosen].map(([top, name]) => [name, top]))
      const moves = paths.map((path) => ({ path, top: tops.get(path.slice(this.staging.root.length + 1)) ?? "" }))
      for (const { path, top } of moves) this.publication.published.set(top, path)
      return this.append([...inParts(moves)].map((moves): JournalRecord => ({ _tag: "Published", moves })))
    })

  private append(records: Iterable<JournalRecord>, options?: { readonly isLazy?: boolean }) {
    return this.writing.withPermit(appendRecords(this.staging.journal, records, options))
  }
}

/** Writes down the list and what was agreed; returns the list's digest. */
const agree = Effect.fnUntraced(function* (
  store: FileStore["Service"],
  staging: Staging,
  view: View,
  intake: Intake,
  conflict: ConflictPolicy
) {
  const manifest = yield* writeManifest(staging.manifest, intake.entries)
  const { problemCount, problems } = view
  const leftOut = intake.leftOut.toArray()
  const records: Array<JournalRecord> = [begun(view)]
  records.push({ _tag: "Listed", manifest, totals: intake.entries.totals, problems, problemCount })
  for (let at = 0; at < leftOut.length; at += rangesPerRecord) {
    records.push({ _tag: "LeftOut", entries: leftOut.slice(at, at + rangesPerRecord) })
  }
  records.push({ _tag: "Accepted", conflict: conflict })
  yield* appendRecords(staging.journal, records)
  // Last, so that what the data directory names is there.
  yield* Effect.scoped(
    Effect.gen(function* () {
      const archive = yield* store.archive(view.id)
      yield* archive.journal.cut(0)
      const staged: JournalRecord = { _tag: "Staged", root: staging.root, staging: staging.id }
      yield* appendRecords(archive.journal, [begun(view), staged])
    })
  )
  return manifest
})

export interface Reopened {
  readonly journal: ReceiveJournal
  readonly intake: Intake
  readonly conflict: ConflictPolicy
  readonly listed: Extract<JournalRecord, { readonly _tag: "Listed" }>
}

/** Names in one record. */
const movesPerRecord = 500

function* inParts<A>(all: ReadonlyArray<A>): Generator<ReadonlyArray<A>> {
  for (let at = 0; at < all.length; at += movesPerRecord) yield all.slice(at, at + movesPerRecord)
}

function* sameRecords({ counterparts, digests, entries }: Intake, ranges: ReadonlyArray<Range>) {
  // Some may have been copied since, or be known not to be the same any more.
  const still = new Ranges()
  for (const [first, count] of ranges) {
    for (let number = first; number < first + count; number++) if (counterparts.same.has(number)) still.add(number)
  }
  for (const [first, count] of inRecords(still.toArray())) {
    const known: Array<Uint8Array> = []
    const marks = new Map<number, number>()
    for (let number = first; number < first + count; number++) {
      const digest = digests.get(number)
      const place = entries.place(number)
      if (digest === undefined || place === undefined) break
      known.push(digest)
      marks.set(place.entry, counterparts.mark(place.entry))
    }
    const record: JournalRecord = { _tag: "Same", first, digests: packDigests(known), marks: [...marks.values()] }
    yield record
  }
}

/**
 * What this node keeps of its transfers in its data directory, one archive each and one for each group that is sent:
 * what was picked and listed, what was accepted, where the staging is, how it ended. It is read when the node starts;
 * what cannot be read is removed, since nothing could be gone on with. The archives belong to the scopes they are
 * opened in.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Digests } from "../schema/Digests.ts"
import { EntryList } from "../schema/EntryList.ts"
import type { GroupId } from "../schema/Id.ts"
import { type JournalRecord, journalVersion, unpackDigests } from "../schema/Journal.ts"
import type { Transfer as View } from "../schema/Offer.ts"
import type { Range } from "../schema/Ranges.ts"
import type { Archive, FileStore, FileStoreError, Picked } from "./FileStore.ts"
import { appendRecords, readJournal, readManifest, writeManifest } from "./files/JournalFile.ts"

type Store = FileStore["Service"]
type RecordOf<Tag extends JournalRecord["_tag"]> = Extract<JournalRecord, { readonly _tag: Tag }>

/** One transfer as it was left. */
export interface Left {
  readonly begun: RecordOf<"Begun">
  /** Sending: it was accepted, and what is safe at the receiver. */
  readonly isAccepted: boolean
  readonly safe: ReadonlyArray<Range>
  readonly failed: ReadonlyMap<number, string>
  /** Sending: of the blocks that are safe. */
  readonly digests: Digests
  /** Receiving: where the data is. */
  readonly staged: RecordOf<"Staged"> | undefined
  /** How many runs went on with it. */
  readonly runs: number
  /** How it ended, if it did. */
  readonly ended: View | undefined
  readonly writtenAt: number
}

/** What was picked for a group, and the list it came to, if that was whole. */
export interface Gathered {
  readonly picked: ReadonlyMap<string, Picked>
  readonly listed: RecordOf<"Listed"> | undefined
  /** Digest of the list, hex. */
  readonly entries: EntryList | undefined
}

interface Archived {
  readonly transfers: ReadonlyArray<Left>
  readonly groups: ReadonlySet<string>
}

/** Everything that is kept, transfers in the order in which they began. */
export const readAll = Effect.fn("TransferArchive.readAll")(function* (store: Store) {
  const transfers: Array<Left> = []
  const groups = new Set<string>()
  for (const { id, writtenAt } of yield* store.archives) {
    yield* Effect.scoped(
      Effect.gen(function* () {
        const archive = yield* store.archive(id)
        const left = yield* readOne(archive, writtenAt)
        if (left === "group") groups.add(id)
        else if (left !== undefined) transfers.push(left)
        else yield* archive.discard
      })
    ).pipe(Effect.catch((error) => Effect.logWarning(`What was kept of a transfer cannot be read: ${error.message}`)))
  }
  transfers.sort((a, b) => a.begun.startedAt - b.begun.startedAt)
  return { transfers, groups } satisfies Archived
})

const readOne = Effect.fnUntraced(function* (archive: Archive, writtenAt: number) {
  let begun: RecordOf<"Begun"> | undefined
  let staged: RecordOf<"Staged"> | undefined
  let ended: View | undefined
  let isGroup = false
  let isAccepted = false
  let runs = 0
  const safe: Array<Range> = []
  const failed = new Map<number, string>()
  const digests = new Digests()
  yield* readJournal(archive.journal, (record) => {
    switch (record._tag) {
      case "Begun":
        if (record.transfer === archive.id) begun = record
        break
      case "Gathered":
        isGroup = true
        return false
      case "Staged":
        staged = record
        break
      case "Accepted":
        isAccepted = true
        break
      case "Safe":
        safe.push(...record.ranges)
        break
      case "Blocks":
        for (const [i, digest] of unpackDigests(record.digests).entries()) digests.set(record.first + i, digest)
        break
      case "Failed":
        failed.set(record.entry, record.reason)
        break
      case "Reopened":
        runs++
        break
      case "Ended":
        ended = record.view
        break
    }
    return
  })
  if (isGroup) return "group" as const
  if (begun === undefined) return undefined
  return { begun, isAccepted, safe, failed, digests, staged, runs, ended, writtenAt } satisfies Left
})

/** Notes that this run goes on with it; how many runs there were, this one included. */
export const reopened = Effect.fn("TransferArchive.reopened")(function* (store: Store, left: Left) {
  const archive = yield* store.archive(left.begun.transfer)
  yield* appendRecords(archive.journal, [{ _tag: "Reopened" }])
  return left.runs + 1
}, Effect.scoped)

export const remove = Effect.fn("TransferArchive.remove")(function* (store: Store, id: string) {
  const archive = yield* store.archive(id)
  yield* archive.discard
}, Effect.scoped)

/** Keeps what was picked for a group, durably. */
export const gather = Effect.fn("TransferArchive.gather")(function* (
  store: Store,
  group: GroupId,
  picked: ReadonlyMap<string, Picked>
) {
  const archive = yield* store.archive(group)
  const records: Array<JournalRecord> = [{ _tag: "Gathered", version: journalVersion, group }]
  for (const [as, { kind, name, path }] of picked) records.push({ _tag: "Picked", as, path, name, kind })
  yield* appendRecords(archive.journal, records)
}, Effect.scoped)

/** Keeps the list of a group, durably: from now on it is not walked again. Returns its digest. */
export const list = Effect.fn("TransferArchive.list")(function* (
  store: Store,
  group: GroupId,
  walked: {
    readonly entries: EntryList
    readonly problems: View["problems"]
    readonly problemCount: number
  }
) {
  const archive = yield* store.archive(group)
  const manifest = yield* writeManifest(archive.manifest, walked.entries)
  const { entries, problemCount, problems } = walked
  yield* appendRecords(archive.journal, [{ _tag: "Listed", manifest, totals: entries.totals, problems, problemCount }])
  return manifest
}, Effect.scoped)

/** What was kept of a group. The list is read back only if it is whole. */
export const gathered = Effect.fn("TransferArchive.gathered")(function* (store: Store, group: GroupId, seed: number) {
  const archive = yield* store.archive(group)
  const picked = new Map<string, Picked>()
  let listed: RecordOf<"Listed"> | undefined
  yield* readJournal(archive.journal, (record) => {
    if (record._tag === "Picked") picked.set(record.as, { path: record.path, name: record.name, kind: record.kind })
    if (record._tag === "Listed") listed = record
  })
  // A function's narrowing does not see what its callbacks assign.
  const whole = listed as RecordOf<"Listed"> | undefined
  if (whole === undefined) return { picked, listed: undefined, entries: undefined } satisfies Gathered
  const entries = new EntryList(seed)
  const digest = yield* readManifest(archive.manifest, entries)
  return digest === whole.manifest
    ? ({ picked, listed: whole, entries } satisfies Gathered)
    : ({ picked, listed: undefined, entries: undefined } satisfies Gathered)
}, Effect.scoped)

/** What one sender keeps while it runs. */
interface SendArchive {
  /** Appends; a failure is logged, since what is lost of it costs only that it is asked or shown again. */
  readonly note: (record: JournalRecord) => Effect.Effect<void>
}

/** Opens what is kept of one sending, durably begun. */
export const send = Effect.fn("TransferArchive.send")(function* (
  store: Store,
  view: View,
  isNew: boolean
): Effect.fn.Return<SendArchive, FileStoreError, Scope.Scope> {
  const archive = yield* store.archive(view.id)
  const { group, id, name, peer, startedAt } = view
  if (isNew) {
    yield* appendRecords(archive.journal, [
      { _tag: "Begun", version: journalVersion, transfer: id, group, peer, role: "send", name, startedAt }
    ])
  } else yield* readJournal(archive.journal, () => {})
  const warn = (error: FileStoreError) => Effect.logWarning(`A transfer is not kept account of: ${error.message}`)
  return {
    note: (record) => Effect.catch(appendRecords(archive.journal, [record], { isLazy: true }), warn)
  }
})

/**
 * The list of an offer that waits for a person, on disk instead of in memory: written once, read back a part at a time
 * for whoever looks, or whole for the answer. It is a file in the data directory that no journal speaks of, so what a
 * crash leaves of it is removed at the next start. `discard` removes it; in memory is where each page begins.
 */
import * as Effect from "effect/Effect"
import { EntryList, type NewEntry } from "../../../schema/EntryList.ts"
import type { TransferId } from "../../../schema/Id.ts"
import { frame, unframe } from "../../../schema/Journal.ts"
import { pageText, parsePage } from "../../../schema/ManifestText.ts"
import { FileStoreError, type FileStore } from "../../../services/FileStore.ts"
import { readManifest } from "../../../services/files/JournalFile.ts"

type Store = FileStore["Service"]

/** A page in the file: its first entry, and where it begins. */
interface Place {
  readonly entry: number
  readonly offset: number
}

export class ListSpool {
  /** Entries in it, and bytes on disk. */
  readonly length: number
  readonly bytes: number
  private readonly store: Store
  private readonly id: TransferId
  private readonly places: ReadonlyArray<Place>
  private readonly seed: number

  private constructor(
    store: Store,
    id: TransferId,
    list: {
      readonly length: number
      readonly bytes: number
      readonly places: ReadonlyArray<Place>
      readonly seed: number
    }
  ) {
    this.store = store
    this.id = id
    this.length = list.length
    this.bytes = list.bytes
    this.places = list.places
    this.seed = list.seed
  }

  /** Writes a list. What is left of a failure is removed. */
  static write = Effect.fn("ListSpool.write")(function* (
    store: Store,
    id: TransferId,
    entries: EntryList,
    seed: number
  ) {
    const places: Array<Place> = []
    let bytes = 0
    const writing = Effect.gen(function* () {
      const { manifest } = yield* store.archive(id)
      yield* manifest.cut(0)
      for (let page = 0, entry = 0; page < entries.pages; page++) {
        places.push({ entry, offset: bytes })
        const framed = frame(Buffer.from(pageText(entries, page)))
        yield* manifest.append(framed)
        bytes += framed.length
        entry += entries.pageLength(page)
      }
    })
    // Its own error is what is told; what it leaves on the disk goes at the next start.
    yield* Effect.onError(Effect.scoped(writing), () => Effect.ignore(remove(store, id)))
    return new ListSpool(store, id, { length: entries.length, bytes, places, seed })
  })

  /** At most `limit` entries from `from` on. */
  readonly part = Effect.fn("ListSpool.part")(
    function* (this: ListSpool, { from, limit }: { readonly from: number; readonly limit: number }) {
      const found: Array<NewEntry> = []
      const { manifest } = yield* this.store.archive(this.id)
      const end = Math.min(this.length, from + limit)
      for (const [page, { entry, offset }] of this.places.entries()) {
        const next = this.places[page + 1] ?? { entry: this.length, offset: this.bytes }
        if (next.entry <= from || entry >= end) continue
        const record = unframe(yield* manifest.read(offset, next.offset - offset), 0)
        const entries = record === undefined ? undefined : parsePage(Buffer.from(record.body).toString())
        if (entries === undefined) return yield* broken(this.id)
        found.push(...entries.slice(Math.max(0, from - entry), end - entry))
      }
      return found
    }.bind(this),
    Effect.scoped
  )

  /** All of it. */
  get whole(): Effect.Effect<EntryList, FileStoreError> {
    return Effect.gen({ self: this }, function* () {
      const { manifest } = yield* this.store.archive(this.id)
      const entries = new EntryList(this.seed)
      const digest = yield* readManifest(manifest, entries)
      return digest === undefined || entries.length !== this.length ? yield* broken(this.id) : entries
    }).pipe(Effect.scoped)
  }

  get discard(): Effect.Effect<void> {
    return Effect.catch(remove(this.store, this.id), (error) =>
      error.code === "ENOENT" ? Effect.void : Effect.logWarning(`A list was left behind: ${error.message}`)
    )
  }
}

const remove = (store: Store, id: TransferId) =>
  Effect.scoped(Effect.flatMap(store.archive(id), (archive) => archive.discard))

const broken = (id: TransferId) =>
  new FileStoreError({
    path: `the list of ${id.slice(0, 8)}`,
    action: "read back",
    code: "EIO",
    remedy: "Decline it, and ask for it to be sent again"
  })

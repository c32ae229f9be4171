/**
 * What the page hands over to be sent: files that are written to disk as they come, below `uploads` in the data
 * directory, each upload in a directory of its own. It owns these directories. One goes when all transfers that send
 * it are over, when it is discarded, and after `limits.uploadKept` whatever happens. Where a transfer of it failed, it
 * stays to be sent again, for as long as its room is not needed (UploadNeed.ts). What was not sent goes with the node,
 * or at its next start; what is being sent stays for the transfers, which go on then.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { limits, NodeConfig } from "../../config.ts"
import { UnknownUpload, UploadRefused } from "../../schema/ApiFailures.ts"
import type { NotPossible, SendRefused, UnknownTransfer } from "../../schema/Failure.ts"
import { idBytes, type TransferId } from "../../schema/Id.ts"
import { isOver, type Transfer as View } from "../../schema/Offer.ts"
import { base32, type PeerId } from "../../schema/PeerId.ts"
import type { RelativePath } from "../../schema/RelativePath.ts"
import { UploadId, type Upload } from "../../schema/Upload.ts"
import { Events } from "../../services/Events.ts"
import * as Metrics from "../../services/Metrics.ts"
import { Transfer } from "../../services/Transfer.ts"
import { freeBytes, meaningOf, store } from "./UploadFile.ts"
import * as Marks from "./UploadMarks.ts"
import { type Need, needOf } from "./UploadNeed.ts"

export class Uploads extends Context.Service<
  Uploads,
  {
    readonly list: Effect.Effect<ReadonlyArray<Upload>>
    readonly get: (id: UploadId) => Effect.Effect<Upload, UnknownUpload>
    /** `bytes`: what is about to come, or null where that is not known. */
    readonly begin: (bytes: number | null) => Effect.Effect<Upload, UploadRefused>
    /** Writes one file as its bytes come, and takes it back if they do not all come. */
    readonly file: (
      id: UploadId,
      file: { readonly path: RelativePath; readonly size: number; readonly mtime: number | null },
      body: Stream.Stream<Uint8Array, unknown>
    ) => Effect.Effect<Upload, UnknownUpload | UploadRefused>
    readonly directories: (
      id: UploadId,
      paths: ReadonlyArray<RelativePath>
    ) => Effect.Effect<Upload, UnknownUpload | UploadRefused>
    /** Offers everything that is there; from then on nothing can be added. */
    readonly send: (
      id: UploadId,
      to: ReadonlyArray<PeerId>
    ) => Effect.Effect<ReadonlyArray<View>, UnknownUpload | UploadRefused | SendRefused>
    /** Sends once more what a transfer sent, whether it was handed over or not; what was is kept for that. */
    readonly again: (id: TransferId) => Effect.Effect<ReadonlyArray<View>, UnknownTransfer | NotPossible | SendRefused>
    readonly discard: (id: UploadId) => Effect.Effect<void, UnknownUpload | UploadRefused>
  }
>()("kith/api/Uploads") {
  static readonly layer = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

/** One upload, as it is held. */
interface Held {
  view: Upload
  readonly root: string
  /** Files that are being written. */
  writing: number
  /** Directories that were made, by path. */
  readonly made: Set<string>
  isSent: boolean
  /** Transfers that are being begun anew with it. */
  resending: number
}

const sweepEvery = Duration.hours(1)

const make = Effect.gen(function* () {
  const { dataDir } = yield* NodeConfig
  const transfer = yield* Transfer
  const events = yield* Events
  const random = yield* SecureRandom.SecureRandom
  const home = join(dataDir, "uploads")
  const held = new Map<UploadId, Held>()
  yield* Metrics.sample({ metric: Metrics.uploads, labels: {}, read: () => held.size })

  for (const view of yield* Marks.readAll(home)) {
    held.set(view.id, { view, root: join(home, view.id), writing: 0, made: new Set(), isSent: true, resending: 0 })
  }

  const drop = Effect.fnUntraced(function* ({ view: { id } }: Held) {
    if (held.delete(id)) yield* Marks.remove(home, id)
  })

  const find = (id: UploadId) =>
    Effect.suspend(() => {
      const found = held.get(id)
      return found === undefined ? Effect.fail(new UnknownUpload({ id })) : Effect.succeed(found)
    })

  /** One to which something may be added. */
  const open = Effect.fnUntraced(function* (id: UploadId) {
    const upload = yield* find(id)
    return upload.isSent ? yield* new UploadRefused({ path: null, problem: "it is being sent already" }) : upload
  })

  /** What other uploads have announced and not brought yet. */
  const promised = () =>
    [...held.values()].reduce((sum, { view }) => sum + Math.max(0, (view.totalBytes ?? 0) - view.bytes), 0)

  const begin = Effect.fn("Uploads.begin")(function* (bytes: number | null) {
    if (held.size >= limits.uploadsMax) yield* dropKept(() => held.size >= limits.uploadsMax)
    if (held.size >= limits.uploadsMax) {
      const problem = `${limits.uploadsMax} uploads are under way. Wait until one was sent, or cancel its transfers`
      return yield* new UploadRefused({ path: null, problem })
    }
    const id = UploadId.make(base32(yield* random.randomBytes(idBytes)))
    const root = join(home, id)
    yield* Effect.tryPromise({
      try: () => fs.mkdir(root, { recursive: true, mode: 0o700 }),
      catch: (cause) => new UploadRefused({ path: null, problem: `${home} cannot be written: ${meaningOf(cause)}` })
    })
    const isShort = Effect.map(freeBytes(root), (free) => free - limits.uploadReserveBytes - promised() <= (bytes ?? 0))
    if (yield* isShort) yield* dropKept(() => true)
    if (yield* isShort) {
      yield* Marks.remove(home, id)
      const problem = "there is not enough room on this machine's disk. Make room on it"
      return yield* new UploadRefused({ path: null, problem })
    }
    const now = yield* Clock.currentTimeMillis
    const expiresAt = now + Duration.toMillis(limits.uploadKept)
    const empty = { files: 0, directories: 0, bytes: 0, totalBytes: bytes, transfers: [] }
    const view: Upload = { id, ...empty, startedAt: now, expiresAt }
    held.set(id, { view, root, writing: 0, made: new Set(), isSent: false, resending: 0 })
    return view
  })

  const file: Uploads["Service"]["file"] = Effect.fn("Uploads.file")(function* (id, { mtime, path, size }, body) {
    const upload = yield* open(id)
    if (upload.view.files + upload.writing >= limits.uploadFilesMax) {
      return yield* new UploadRefused({ path, problem: `there are ${limits.uploadFilesMax} files already` })
    }
    const add = (bytes: number) => {
      upload.view = { ...upload.view, bytes: upload.view.bytes + bytes }
    }
    yield* Effect.acquireUseRelease(
      Effect.sync(() => (upload.writing += 1)),
      () => store({ root: upload.root, path, size, mtime, body, add }),
      () => Effect.sync(() => (upload.writing -= 1))
    )
    upload.view = { ...upload.view, files: upload.view.files + 1 }
    return upload.view
  })

  const directories = Effect.fn("Uploads.directories")(function* (id: UploadId, paths: ReadonlyArray<RelativePath>) {
    const upload = yield* open(id)
    for (const path of paths) {
      if (upload.made.has(path)) continue
      if (upload.made.size >= limits.uploadFilesMax) {
        return yield* new UploadRefused({ path, problem: `there are ${limits.uploadFilesMax} directories already` })
      }
      yield* Effect.tryPromise({
        try: () => fs.mkdir(join(upload.root, path), { recursive: true, mode: 0o700 }),
        catch: (cause) => new UploadRefused({ path, problem: `it could not be made: ${meaningOf(cause)}` })
      })
      upload.made.add(path)
    }
    upload.view = { ...upload.view, directories: upload.made.size }
    return upload.view
  })

  const send = Effect.fn("Uploads.send")(function* (id: UploadId, to: ReadonlyArray<PeerId>) {
    const upload = yield* open(id)
    if (upload.writing > 0) return yield* new UploadRefused({ path: null, problem: "files of it are still coming" })
    upload.isSent = true
    const tops = yield* Effect.promise(() => fs.readdir(upload.root))
    const paths = tops.map((name) => join(upload.root, name))
    if (paths.length === 0) {
      upload.isSent = false
      return yield* new UploadRefused({ path: null, problem: "there is nothing in it" })
    }
    // Before there is anything that a restart could go on with, and again once it is known by what.
    const views = yield* Marks.write(home, upload.view).pipe(
      Effect.andThen(transfer.send(paths, to)),
      Effect.tapError(() => Effect.sync(() => (upload.isSent = false)))
    )
    upload.view = { ...upload.view, transfers: views.map((view) => view.id) }
    yield* Effect.ignore(Marks.write(home, upload.view))
    yield* settle
    return views
  })

  /** What is sent, and needed for this. */
  const sentFor = (need: Need) =>
    Effect.suspend(() => {
      const sent = [...held.values()].filter(({ resending, view }) => view.transfers.length > 0 && resending === 0)
      if (sent.length === 0) return Effect.succeed([])
      return Effect.map(transfer.list, (views) => {
        const known = new Map(views.map((view) => [view.id, view]))
        return sent.filter(({ view }) => needOf(view.transfers.flatMap((id) => known.get(id) ?? [])) === need)
      })
    })

  /** Removes what nothing is to be done with any more. */
  const settle = Effect.flatMap(sentFor("nothing"), (over) => Effect.forEach(over, drop, { discard: true }))

  /** Removes what is only kept to be sent again, the oldest first, while this holds. */
  const dropKept = Effect.fnUntraced(function* (isNeeded: () => boolean) {
    const kept = (yield* sentFor("again")).toSorted((a, b) => a.view.startedAt - b.view.startedAt)
    for (const upload of kept) if (isNeeded()) yield* drop(upload)
  })

  const again = Effect.fn("Uploads.again")(function* (id: TransferId) {
    const upload = [...held.values()].find(({ view }) => view.transfers.includes(id))
    if (upload === undefined) return yield* transfer.again(id)
    const sending = Effect.tap(transfer.again(id), (views) => {
      upload.view = { ...upload.view, transfers: [...upload.view.transfers, ...views.map((view) => view.id)] }
      return Effect.ignore(Marks.write(home, upload.view))
    })
    return yield* Effect.acquireUseRelease(
      Effect.sync(() => (upload.resending += 1)),
      () => sending,
      () =>
        Effect.andThen(
          Effect.sync(() => (upload.resending -= 1)),
          settle
        )
    )
  })

  const discard = Effect.fn("Uploads.discard")(function* (id: UploadId) {
    const upload = yield* find(id)
    if (upload.isSent && upload.view.transfers.length > 0) {
      return yield* new UploadRefused({ path: null, problem: "it is being sent; cancel its transfers instead" })
    }
    yield* drop(upload)
  })

  /** What is too old. */
  const sweep = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const upload of held.values()) if (upload.view.expiresAt <= now) yield* drop(upload)
  })

  yield* events.stream.pipe(
    Stream.runForEach((event) =>
      (event._tag === "TransferChanged" && isOver(event.transfer.state)) || event._tag === "Missed"
        ? settle
        : Effect.void
    ),
    Effect.forkScoped({ startImmediately: true })
  )
  // What was sent by an earlier run may be over since.
  yield* settle
  yield* sweep.pipe(Effect.andThen(Effect.sleep(sweepEvery)), Effect.forever, Effect.forkScoped)
  yield* Effect.addFinalizer(() =>
    Effect.forEach(
      [...held.values()].filter((upload) => !upload.isSent),
      drop,
      { discard: true }
    )
  )

  return Uploads.of({
    list: Effect.sync(() => [...held.values()].map(({ view }) => view)),
    get: (id) => Effect.map(find(id), ({ view }) => view),
    begin,
    file,
    directories,
    send,
    again,
    discard
  })
})

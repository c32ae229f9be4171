/**
 * The live layer of Transfer: starts an actor for each transfer, brings it what comes over control links and inbound
 * data links, and what a person decides. It owns the FiberMap of actors (by transfer), the one of walks (by group),
 * the memory for blocks, and the fiber that reads Connection's inbox; all end with the layer.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { limits, NodeConfig } from "../config.ts"
import { Frame, type FrameOf } from "../schema/Frame.ts"
import { GroupId, idBytes, TransferId } from "../schema/Id.ts"
import { isOver, type Transfer as View, type TransferPriority } from "../schema/Offer.ts"
import { base32, type PeerId } from "../schema/PeerId.ts"
import { Connection, type Inbound, type SessionChange } from "../services/Connection.ts"
import { Events } from "../services/Events.ts"
import { FileStore } from "../services/FileStore.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import * as TransferArchive from "../services/TransferArchive.ts"
import { NotPossible, SendRefused, Transfer, UnknownTransfer } from "../services/Transfer.ts"
import { SpeedCaps } from "../services/SpeedCaps.ts"
import { type Link, Transport } from "../services/Transport.ts"
import { BlockPool } from "./BlockPool.ts"
import { RateLimiter } from "./RateLimiter.ts"
import { DataLane } from "./DataLane.ts"
import { ManifestBudget, manifestMax, manifestUnverifiedMax } from "./ManifestBudget.ts"
import { lastWordOf, receiveActor } from "./ReceiveActor.ts"
import { sendActor, type Walked } from "./SendActor.ts"
import { GroupReads } from "./SharedReads.ts"
import { choose } from "./SendWalk.ts"
import * as TransferStart from "./TransferStart.ts"
import { end, type Ending, makeMailbox, notPossible, type Tools } from "./TransferActor.ts"
import { type EntriesPart, type Letter, type PersonAction, TransferBook, type TransferRecord } from "./TransferBook.ts"
import { ReceiveMessage } from "./ReceiveState.ts"
import { lanesMax, type SendMessage } from "./SendState.ts"
import { Turns } from "./Turns.ts"

/** An actor answers at once; only one that a disk holds up does not. */
const patience = Duration.seconds(10)

const inboxTags = [
  "Offer",
  "OfferReply",
  "TransferControl",
  "TransferStatus",
  "TransferDone",
  "DialMe",
  "Transfers"
] as const
type InboxTag = (typeof inboxTags)[number]

const make = Effect.gen(function* () {
  const late = yield* FiberMap.make<TransferId, void>()
  const pool = new BlockPool()
  const transfers = new Transfers({
    connection: yield* Connection,
    store: yield* FileStore,
    pool,
    reads: new GroupReads(pool),
    book: new TransferBook(yield* Events, (id, run) =>
      Effect.asVoid(FiberMap.run(late, id, run, { onlyIfMissing: true }))
    ),
    turns: new Turns(),
    limiter: yield* RateLimiter.make(yield* SpeedCaps),
    lanes: (yield* NodeConfig).lanes ?? NodeConfig.defaults.lanes,
    registry: yield* PeerRegistry,
    config: yield* NodeConfig,
    random: yield* SecureRandom.SecureRandom,
    actors: yield* FiberMap.make<TransferId, void>(),
    walks: yield* FiberMap.make<GroupId, void>()
  })
  const { connection } = transfers.tools
  // Before any session: the first thing that is said in one is what there is to go on with.
  yield* transfers.goOn
  const inbox = yield* connection.inbox(...inboxTags)
  for (const peer of yield* connection.connected) transfers.up.add(peer)
  yield* Effect.forkScoped(
    Effect.gen(function* () {
      while (true) yield* transfers.hear(yield* Queue.take(inbox))
    })
  )
  const transport = yield* Transport
  yield* transport.accept("kith-data/1", (link) => transfers.inbound(link))
  return Transfer.of({
    send: (paths, to, options) => transfers.send(paths, to, options?.priority ?? "normal"),
    list: Effect.sync(() => transfers.tools.book.all.map((record) => record.view).toReversed()),
    find: (query) => Effect.map(transfers.find(query), (record) => record.view),
    entries: (id, part) => transfers.entries(id, part),
    accept: (id, options) => transfers.person(id, { _tag: "accept", ...options }),
    decline: (id) => transfers.person(id, { _tag: "decline" }),
    cancel: (id) => transfers.person(id, { _tag: "cancel" }),
    pause: (id) => transfers.person(id, { _tag: "pause" }),
    resume: (id) => transfers.person(id, { _tag: "resume" }),
    prioritise: (id, priority) => transfers.person(id, { _tag: "prioritise", priority })
  })
})

export const layer: Layer.Layer<
  Transfer,
  never,
  Connection | Transport | PeerRegistry | Events | FileStore | NodeConfig | SpeedCaps | SecureRandom.SecureRandom
> = Layer.effect(Transfer, make)

interface Parts extends Tools {
  readonly registry: PeerRegistry["Service"]
  readonly config: NodeConfig["Service"]
  readonly random: SecureRandom.SecureRandom["Service"]
  readonly actors: FiberMap.FiberMap<TransferId, void>
  readonly walks: FiberMap.FiberMap<GroupId, void>
}

class Transfers {
  readonly tools: Parts
  /** Peers with a session now. */
  readonly up = new Set<PeerId>()
  private readonly lists = new ManifestBudget((id) => this.tools.book.get(id)?.view.state === "offered")

  constructor(tools: Parts) {
    this.tools = tools
  }

  private readonly freshStaging = Effect.suspend(() => Effect.map(this.tools.random.randomBytes(idBytes), base32))

  private readonly seed = Effect.suspend(() =>
    Effect.map(this.tools.random.randomBytes(4), (bytes) => new DataView(bytes.buffer).getUint32(0))
  )

  // ----------------------------------------------------------------------------------------- from an earlier run

  readonly goOn = Effect.gen({ self: this }, function* () {
    const { store, walks } = this.tools
    const { ended, receives, sends } = yield* TransferStart.read(store)
    for (const view of ended) yield* this.remember(view)
    for (const left of receives) yield* this.receiveAgain(left)
    const lists = new Map<GroupId, Deferred.Deferred<Walked, string>>()
    for (const left of sends) {
      const { group } = left.begun
      const list = lists.get(group) ?? (yield* Deferred.make<Walked, string>())
      lists.set(group, list)
      yield* this.sendAgain(left, list)
    }
    for (const [group, list] of lists) {
      yield* FiberMap.run(walks, group, Deferred.into(TransferStart.listAgain(store, group, yield* this.seed), list))
    }
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(limits.cleanEvery), this.clean)))
  })

  private readonly clean = Effect.suspend(() => TransferStart.clean(this.tools.store, new Set(this.stagings.values())))

  /** Sendings that are not over, by group. */
  private readonly members = new Map<GroupId, Set<TransferId>>()

  /** Stagings that are gone on with, by transfer. */
  private readonly stagings = new Map<TransferId, string>()

  /** It is over, but its sender may not know. */
  private remember(view: View): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const mailbox = yield* makeMailbox<ReceiveMessage>()
      yield* Queue.shutdown(mailbox)
      const record = yield* this.tools.book.add(view, mailbox)
      record.bytes = view.bytes
      record.filesDone = view.filesDone ?? 0
      record.isKept = true
      record.lastWord = lastWordOf(record)
    })
  }

  private receiveAgain(left: TransferStart.Unfinished["receives"][number]) {
    return Effect.gen({ self: this }, function* () {
      const { actors, book, config, store } = this.tools
      const { begun, staged } = left
      const runs = yield* Effect.catch(TransferArchive.reopened(store, left), () => Effect.succeed(left.runs + 1))
      const mailbox = yield* makeMailbox<ReceiveMessage>()
      const record = yield* book.add(viewOf(begun, "receive"), mailbox)
      this.stagings.set(record.id, staged.staging)
      const kept = { root: staged.root, staging: staged.staging, runs }
      const seed = yield* this.seed
      const { freshStaging } = this
      const known = { peerUp: false, unasked: true, conflict: config.conflict, manifestMax, seed, freshStaging, kept }
      yield* FiberMap.run(actors, record.id, this.watched(record, receiveActor(this.tools, record, mailbox, known)))
    })
  }

  private sendAgain(left: TransferArchive.Left, list: Deferred.Deferred<Walked, string>) {
    return Effect.gen({ self: this }, function* () {
      const { actors, book } = this.tools
      const mailbox = yield* makeMailbox<SendMessage>()
      const record = yield* book.add(viewOf(left.begun, "send"), mailbox)
      this.joinGroup(record)
      const run = sendActor(this.tools, record, mailbox, { peerUp: false, walk: list, kept: left })
      yield* FiberMap.run(actors, record.id, this.watched(record, run))
    })
  }

  // ------------------------------------------------------------------------------------------- from other nodes

  readonly hear = (heard: Inbound<InboxTag> | SessionChange): Effect.Effect<void> => {
    if ("_tag" in heard) return heard._tag === "Up" ? this.sessionUp(heard.peer) : this.sessionDown(heard.peer)
    const { frame, peer } = heard
    if (frame._tag === "Offer") return this.offered(peer, frame)
    if (frame._tag === "Transfers") return this.told(peer, frame)
    const record = this.tools.book.get(frame.transfer)
    const wanted = frame._tag === "TransferControl" ? undefined : "send"
    if (record === undefined || record.peer !== peer || (wanted !== undefined && record.direction !== wanted)) {
      return Effect.logDebug("A word about a transfer that is not there").pipe(
        Effect.annotateLogs({ peer, transfer: frame.transfer, frame: frame._tag })
      )
    }
    return deliver(record, { _tag: "Frame", frame })
  }

  private sessionUp(peer: PeerId): Effect.Effect<void> {
    this.up.add(peer)
    const records = this.tools.book.unfinished(peer)
    const unfinished = records.slice(0, 64).map((record) => ({
      transfer: record.id,
      role: record.direction === "send" ? ("send" as const) : ("receive" as const)
    }))
    // First of all, so that what the peer does not find here is known to be gone before anything is offered again.
    // A session that is down again says so by itself.
    return Effect.ignore(this.tools.connection.send(peer, Frame.cases.Transfers.make({ unfinished }))).pipe(
      Effect.andThen(
        Effect.forEach(records, (record) => deliver(record, { _tag: "Session", up: true }), { discard: true })
      )
    )
  }

  private sessionDown(peer: PeerId): Effect.Effect<void> {
    this.up.delete(peer)
    return Effect.forEach(
      this.tools.book.unfinished(peer),
      (record) => deliver(record, { _tag: "Session", up: false }),
      { discard: true }
    )
  }

  /** The peer lists what it has: what it was sending and does not list is gone. */
  private told(peer: PeerId, frame: FrameOf<"Transfers">): Effect.Effect<void> {
    const sending = new Set(frame.unfinished.filter(({ role }) => role === "send").map(({ transfer }) => transfer))
    const gone = this.tools.book
      .unfinished(peer)
      .filter((record) => record.direction === "receive" && !sending.has(record.id))
    return Effect.forEach(gone, (record) => deliver(record, { _tag: "Forgotten" }), { discard: true }).pipe(
      Effect.andThen(this.forgetEnded(peer, sending))
    )
  }

  /** What ended and is not being sent any more is not asked for again either. */
  private forgetEnded(peer: PeerId, sending: ReadonlySet<TransferId>): Effect.Effect<void> {
    const known = this.tools.book.all.filter(
      (record) => record.isKept && record.peer === peer && isOver(record.view.state) && !sending.has(record.id)
    )
    return Effect.forEach(
      known,
      (record) => {
        record.isKept = false
        return Effect.ignore(TransferArchive.remove(this.tools.store, record.id))
      },
      { discard: true }
    )
  }

  private offered(peer: PeerId, offer: FrameOf<"Offer">): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { book, config, connection, registry } = this.tools
      const known = book.get(offer.transfer)
      const decline = (reason: string) =>
        Effect.ignore(
          connection.send(peer, Frame.cases.OfferReply.make({ transfer: offer.transfer, decision: "declined", reason }))
        )
      if (known !== undefined) {
        if (known.peer !== peer || known.direction !== "receive") return yield* decline("that id is taken")
        if (!isOver(known.view.state)) return yield* deliver(known, { _tag: "Frame", frame: offer })
        // It ended while the sender was away; if it can't hear this either, it asks again.
        const { lastWord } = known
        if (lastWord === null) return
        // The yes may have been lost as well.
        const yes = Frame.cases.OfferReply.make({ transfer: offer.transfer, decision: "accepted", reason: "" })
        if (lastWord._tag === "TransferDone") yield* Effect.ignore(connection.send(peer, yes))
        return yield* Effect.ignore(connection.send(peer, lastWord))
      }
      const record = Option.getOrUndefined(yield* registry.get(peer))
      const policy = record?.accept ?? config.accept
      if (policy === "nobody" || record?.trust === "blocked") return yield* decline("this peer takes no files")
      if (book.unfinished(peer).length >= limits.transfersMax) {
        return yield* decline(`${limits.transfersMax} transfers with this peer are under way: try again later`)
      }
      const verified = record?.trust === "verified"
      const unasked = policy === "everyone" || (policy === "verified" && verified)
      yield* this.receive(peer, offer, unasked, unasked || verified ? manifestMax : manifestUnverifiedMax)
    }).pipe(Effect.annotateLogs({ peer, transfer: offer.transfer }))
  }

  private receive(peer: PeerId, offer: FrameOf<"Offer">, unasked: boolean, listsMax: number) {
    return Effect.gen({ self: this }, function* () {
      const { actors, book, config, random } = this.tools
      const mailbox = yield* makeMailbox<ReceiveMessage>()
      const { bytes, directories, files, group, name, priority = "normal" } = offer
      const shown = { id: offer.transfer, direction: "receive", state: "offered", group, peer, name, priority } as const
      const view = yield* fresh({ ...shown, files, directories, totalBytes: bytes })
      const record = yield* book.add(view, mailbox)
      yield* Effect.logInfo("An offer came").pipe(Effect.annotateLogs({ files, bytes }))
      const seed = new DataView((yield* random.randomBytes(4)).buffer).getUint32(0)
      const { freshStaging } = this
      const manifestMax = this.lists.room(record.id, peer, listsMax)
      const options = { peerUp: this.up.has(peer), unasked, conflict: config.conflict, manifestMax, seed, freshStaging }
      yield* Queue.offer(mailbox, { _tag: "Own", message: ReceiveMessage.Begin() })
      yield* FiberMap.run(actors, record.id, this.watched(record, receiveActor(this.tools, record, mailbox, options)))
    })
  }

  /** An inbound data link: the transfer it names runs it, if its peer is the one that the link proved. */
  readonly inbound = (link: Link): Effect.Effect<void> =>
    Effect.gen({ self: this }, function* () {
      const lane = new DataLane(link)
      const { attempt, lane: number, transfer } = yield* lane.attached
      const refuse = (reason: string) => lane.send({ _tag: "AttachReply", accepted: false, reason })
      const record = this.tools.book.get(transfer)
      if (record === undefined || record.peer !== link.peer)
        return yield* refuse("no transfer with this peer has that id")
      if (number >= lanesMax) return yield* refuse(`there are at most ${lanesMax} lanes`)
      const done = yield* Deferred.make<void>()
      if (!(yield* Queue.offer(record.mailbox, { _tag: "Lane", lane, number, attempt, done }))) {
        return yield* refuse("this transfer is over")
      }
      yield* Deferred.await(done)
    }).pipe(
      Effect.catch((error) =>
        Effect.logDebug("A data link was not opened").pipe(Effect.annotateLogs({ reason: error.message }))
      ),
      Effect.andThen(link.close),
      Effect.annotateLogs({ peer: link.peer })
    )

  // ------------------------------------------------------------------------------------------------ from persons

  send(
    paths: ReadonlyArray<string>,
    to: ReadonlyArray<PeerId>,
    priority: TransferPriority
  ): Effect.Effect<ReadonlyArray<View>, SendRefused> {
    return Effect.gen({ self: this }, function* () {
      const { book, random, store } = this.tools
      const peers = [...new Set(to)]
      if (peers.length === 0) return yield* new SendRefused({ path: null, problem: "there is nobody to send it to" })
      const picked = yield* choose(store, paths)
      const busy = peers.find((peer) => book.unfinished(peer).length >= limits.transfersMax)
      if (busy !== undefined) {
        const problem = `${limits.transfersMax} transfers with ${busy.slice(0, 8)} are under way: wait for one to end`
        return yield* new SendRefused({ path: null, problem })
      }
      const group = GroupId.make(base32(yield* random.randomBytes(idBytes)))
      const names = [...picked.keys()]
      const name = names.length === 1 ? (names[0] ?? "") : `${names.length} items`
      yield* Effect.mapError(
        TransferArchive.gather(store, group, picked),
        (error) => new SendRefused({ path: null, problem: error.message })
      )
      const walked = yield* Deferred.make<Walked, string>()
      const views: Array<View> = []
      for (const peer of peers) views.push(yield* this.sendOne(peer, { group, name, priority }, walked))
      const walking = TransferStart.walkAndKeep(store, group, picked, yield* this.seed)
      yield* FiberMap.run(this.tools.walks, group, Deferred.into(walking, walked))
      return views
    })
  }

  private sendOne(
    peer: PeerId,
    what: Pick<View, "group" | "name" | "priority">,
    walked: Deferred.Deferred<Walked, string>
  ) {
    return Effect.gen({ self: this }, function* () {
      const { actors, book, random } = this.tools
      const id = TransferId.make(base32(yield* random.randomBytes(idBytes)))
      const mailbox = yield* makeMailbox<SendMessage>()
      const peerUp = this.up.has(peer)
      const state = peerUp ? ("offered" as const) : ("waiting" as const)
      const empty = { files: 0, directories: 0, totalBytes: 0 }
      const view = yield* fresh({ id, direction: "send", state, peer, ...what, ...empty })
      const record = yield* book.add(view, mailbox)
      this.joinGroup(record)
      yield* Effect.catch(Effect.scoped(TransferArchive.send(this.tools.store, view, true)), (error) =>
        Effect.logWarning(`This transfer will not outlive a restart: ${error.message}`)
      )
      const run = sendActor(this.tools, record, mailbox, { peerUp, walk: walked })
      yield* FiberMap.run(actors, id, this.watched(record, run))
      return view
    })
  }

  /** A walk goes on, and its list is kept, for as long as one transfer of its group does. */
  private leaveGroup({ direction, id, view: { group } }: TransferRecord): Effect.Effect<void> {
    return Effect.suspend(() => {
      const members = this.members.get(group)
      members?.delete(id)
      if (direction !== "send" || (members?.size ?? 0) > 0) return Effect.void
      this.members.delete(group)
      return Effect.andThen(
        FiberMap.remove(this.tools.walks, group),
        Effect.ignore(TransferArchive.remove(this.tools.store, group))
      )
    })
  }

  private joinGroup({ id, view: { group } }: TransferRecord): void {
    const members = this.members.get(group) ?? new Set<TransferId>()
    this.members.set(group, members.add(id))
  }

  /** Says how it ended, once; what an actor dies of ends its transfer and nothing else. */
  private watched(record: TransferRecord, run: Effect.Effect<Ending>): Effect.Effect<void> {
    return run.pipe(
      Effect.catchDefect((defect) => {
        const outcome = { state: "failed", error: "a fault in this program: see its log" } as const
        const ending: Ending = { outcome, asker: undefined }
        return Effect.as(Effect.logError("A transfer failed by a fault in this program", defect), ending)
      }),
      Effect.tap(this.leaveGroup(record)),
      Effect.flatMap((ending) => end(this.tools, record, ending)),
      Effect.andThen(
        Effect.sync(() => {
          record.listing = null
          this.lists.forget(record.id)
        })
      ),
      Effect.andThen(Effect.suspend(() => logEnd(record.view))),
      Effect.annotateLogs({ peer: record.peer, transfer: record.id })
    )
  }

  find(query: string): Effect.Effect<TransferRecord, UnknownTransfer> {
    return Effect.suspend(() => {
      const found = this.tools.book.all.filter((record) => query !== "" && record.id.startsWith(query.toLowerCase()))
      const [only] = found
      if (only !== undefined && found.length === 1) return Effect.succeed(only)
      return Effect.fail(new UnknownTransfer({ query, candidates: found.slice(0, 10).map((record) => record.id) }))
    })
  }

  entries(id: TransferId, part: EntriesPart) {
    return Effect.gen({ self: this }, function* () {
      const record = yield* this.find(id)
      const entries = isOver(record.view.state) ? undefined : record.listing?.(part)
      if (entries !== undefined) return entries
      return yield* new NotPossible({ transfer: record.id, action: "list", state: record.view.state })
    })
  }

  person(id: TransferId, action: PersonAction): Effect.Effect<View, UnknownTransfer | NotPossible> {
    return Effect.gen({ self: this }, function* () {
      const record = yield* this.find(id)
      const reply = yield* Deferred.make<View, NotPossible>()
      const sent = yield* Queue.offer(record.mailbox, { _tag: "Person", action, reply })
      if (!sent) return yield* notPossible(record, action)
      return yield* Effect.timeoutOrElse(Deferred.await(reply), {
        duration: patience,
        orElse: () => Effect.fail(notPossible(record, action))
      })
    })
  }
}

const deliver = (record: TransferRecord, letter: Letter): Effect.Effect<void> =>
  Effect.asVoid(Queue.offer(record.mailbox, letter))

const fresh = (
  known: Pick<View, "id" | "direction" | "state" | "group" | "peer" | "name" | "files" | "directories" | "totalBytes"> &
    Pick<View, "priority">
): Effect.Effect<View> => Effect.map(Clock.currentTimeMillis, (startedAt) => ({ ...known, ...nothingYet, startedAt }))

const nothingYet = {
  bytes: 0,
  filesDone: 0,
  bytesPerSecond: 0,
  secondsLeft: null,
  listed: false,
  pausedBy: null,
  error: null,
  published: [],
  problems: [],
  problemCount: 0
} as const satisfies Partial<View>

/** As it is shown until its list is read back. */
const viewOf = (begun: TransferArchive.Left["begun"], direction: View["direction"]): View => ({
  id: begun.transfer,
  direction,
  state: "waiting",
  group: begun.group,
  peer: begun.peer,
  name: begun.name,
  files: 0,
  directories: 0,
  totalBytes: 0,
  ...nothingYet,
  startedAt: begun.startedAt
})

const logEnd = ({ bytes, error, files, problemCount, state }: View): Effect.Effect<void> =>
  Effect.logInfo(`A transfer is over: ${state}`).pipe(
    Effect.annotateLogs({ files, bytes, problems: problemCount, ...(error === null ? {} : { error }) })
  )

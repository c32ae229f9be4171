/**
 * One transfer to one receiver, from the walk to its outcome: offers it whenever the peer is there, serves the lanes
 * that the receiver opens or asks for, and shows what the receiver says is safe. It owns its lane and the files it
 * has open; both end with it.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { limits } from "../../../config.ts"
import type { EntryList } from "../../../schema/EntryList.ts"
import { blockRecords, type JournalRecord } from "../../../schema/Journal.ts"
import { type Transfer as View } from "../../../schema/Offer.ts"
import { Ranges } from "../../../schema/Ranges.ts"
import type { Source } from "../../../services/FileStore.ts"
import * as TransferArchive from "../../../services/TransferArchive.ts"
import { DataLane, LaneError } from "../DataLane.ts"
import { digestOf, disagreement } from "../FilesDigest.ts"
import { listing, sentFate } from "../ListedEntries.ts"
import { SafeCount } from "./SafeCount.ts"
import { readSending } from "./SendLetters.ts"
import { serve } from "./SendLane.ts"
import {
  answered,
  type Ending,
  type Inbound,
  live,
  type Mailbox,
  makeActor,
  refused,
  type Tools
} from "../TransferActor.ts"
import type { TransferRecord } from "../TransferBook.ts"
import { type SendAction, SendMessage, sending, shownSending, stepSending } from "./SendState.ts"
import type { Walk } from "./Walk.ts"
import { answerPage } from "./SendPages.ts"
import { controlOf, offerOf } from "../TransferWords.ts"

export const sendActor = Effect.fn("SendActor")(function* (
  tools: Tools,
  record: TransferRecord,
  mailbox: Mailbox<SendMessage>,
  options: SendOptions
) {
  // Before anything that takes a moment: places are given in the order in which transfers are started.
  const placed = yield* place(tools, record)
  const actor = yield* makeActor(tools, record, mailbox, SendMessage)
  const { kept } = options
  const failed = new Map<number, string>(kept?.failed)
  const keep = yield* keeping(tools, record)
  let counted: SafeCount | undefined
  /** One for all lanes, once there is a list. */
  const countOf = (entries: EntryList) => (counted ??= new SafeCount(entries))
  const show = ({ bytes, files }: SafeCount) => {
    record.bytes = bytes
    record.filesDone = files
  }
  let taken = new Ranges()
  /** What the receiver takes, once it has said all of it. */
  let allTaken: Ranges | undefined
  /** It said that this is everything. */
  let takesAll = false
  const { walk } = options
  let isListed = false
  let isAccepted = kept?.isAccepted ?? false
  record.listing = (part) =>
    Effect.sync(() => {
      if (!isListed) return undefined
      const { entries } = walk
      const { digests } = tools.reads.of(entries)
      const known = { isAccepted, failed, taken: allTaken, safe: countOf(entries), digests }
      const own = { length: entries.length, found: entries.part(part) }
      return listing(own, walk.problems, (at) => sentFate(entries, at, known), part)
    })
  const opened = yield* Deferred.make<Source>()
  yield* Effect.forkScoped(Effect.andThen(placed, actor.tell(SendMessage.Placed())))

  yield* Effect.forkScoped(
    Effect.matchEffect(follow(tools, record, walk, opened, actor.tell(SendMessage.Begun())), {
      onFailure: (reason) => actor.tell(SendMessage.Broken({ reason })),
      onSuccess: () => {
        const safe = countOf(walk.entries)
        for (const [first, count] of kept?.safe ?? []) safe.add(first, count)
        show(safe)
        isListed = true
        if (kept !== undefined) tools.reads.of(walk.entries).digests.merge(kept.digests)
        for (const [entry, reason] of failed) tools.book.problem(record, "failed", walk.entries.path(entry), reason)
        return actor.tell(SendMessage.Listed())
      }
    })
  )

  const serving = (lane: DataLane) =>
    Effect.gen(function* () {
      const source = yield* Deferred.await(opened)
      const { entries } = walk
      yield* serve(
        lane,
        {
          entries,
          page: (number, say) => answerPage(walk, number, say),
          source,
          reads: tools.reads.of(entries),
          claimant: { peer: record.peer, transfer: record.id },
          gate: tools.limiter.gate(record.peer, "send"),
          failed,
          onFailed: (entry, reason) => {
            tools.book.problem(record, "failed", entries.path(entry), reason)
            keep.note({ _tag: "Failed", entry, reason })
          },
          onSafe: (ranges) => {
            keep.note({ _tag: "Safe", ranges })
            for (const blocks of blockRecords(tools.reads.of(entries).digests, ranges)) keep.note(blocks)
            const safe = countOf(entries)
            for (const [first, count] of ranges) safe.add(first, count)
            show(safe)
          },
          onTaken: (ranges, last) => {
            for (const [first, count] of ranges) taken.add(first, count)
            if (!last) return
            record.view = { ...record.view, notTaken: notTakenOf(entries, taken) }
            allTaken = taken
            taken = new Ranges()
          }
        },
        tools.pool
      )
    })

  const dial = (number: number, attempt: number) =>
    Effect.gen(function* () {
      const link = yield* Effect.mapError(
        tools.connection.openDataLink(record.peer),
        (error) => new LaneError({ problem: "lost", detail: error.message })
      )
      const lane = new DataLane(link)
      yield* lane.attach({ transfer: record.id, lane: number, attempt })
      yield* actor.tell(SendMessage.Dialled({ lane: number, attempt }))
      yield* serving(lane)
    }).pipe(Effect.scoped)

  const act = (action: SendAction, inbound: Inbound | undefined) => {
    switch (action._tag) {
      case "Offer":
        return actor.say(offerOf(record))
      case "Wait":
        return Effect.forkScoped(Effect.andThen(Effect.sleep(limits.stallShown), actor.tell(SendMessage.Quiet())))
      case "Serve":
        return inbound === undefined
          ? Effect.void
          : actor.runLane(action.lane, action.attempt, answered(inbound, serving(inbound.lane)))
      case "Refuse":
        return inbound === undefined ? Effect.void : Effect.forkScoped(refused(inbound, action.reason))
      case "Dial":
        return actor.runLane(action.lane, action.attempt, dial(action.lane, action.attempt))
      case "DropLanes":
        return actor.dropLanes(action.lane)
      case "ExpireLater":
        return actor.expireLater(limits.outboxExpires)
      case "TellPaused":
        return actor.say(controlOf(record, "pause", "the sender paused it"))
      case "TellResumed":
        return actor.say(controlOf(record, "resume", "the sender resumed it"))
      case "TellCancelled":
        return actor.say(controlOf(record, "cancel", action.reason))
    }
  }

  if (!options.peerUp) yield* actor.expireLater(yield* patience(record, isAccepted))
  const ending = yield* live(tools, record, mailbox, {
    initial: { ...sending(options.peerUp), accepted: kept?.isAccepted ?? false },
    step: stepSending,
    shown: shownSending,
    read: (letter, state) => {
      const message = readSending(letter, state, tools, record)
      if (letter._tag === "Frame" && letter.frame._tag === "OfferReply") takesAll = letter.frame.taken === undefined
      const isNew = Option.isSome(message) && message.value._tag === "Accepted" && !state.accepted
      isAccepted ||= isNew
      if (isNew) keep.note({ _tag: "Accepted", conflict: null })
      return message
    },
    act: (action, inbound) => Effect.asVoid(act(action, inbound))
  })
  if (ending.outcome.state !== "done" || !isListed || failed.size > 0) return ending
  // Its last word may be here before what it takes was told, or in another run than that.
  if (allTaken === undefined && !takesAll) return ending
  const { entries } = walk
  const isTaken = (at: number) => allTaken?.has(at) ?? true
  const digest = yield* digestOf(entries, tools.reads.of(entries).digests, isTaken)
  const bad = disagreement(record, digest)
  if (bad === undefined && digest !== undefined) yield* tools.book.change(record, { digest })
  if (bad === undefined) return ending
  yield* Effect.logError(bad.error)
  yield* actor.say(bad.frame)
  return { ...ending, outcome: { state: "failed", error: bad.error } } satisfies Ending
}, Effect.scoped)

/**
 * How long it still waits for a receiver that is away when it starts: as long as a message does, from when it was sent.
 * What was accepted has all of that anew, since another run may have been sending a moment ago.
 */
const patience = ({ view }: TransferRecord, isAccepted: boolean) =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const waited = isAccepted ? Duration.zero : Duration.millis(Math.max(0, now - view.startedAt))
    return Duration.subtract(limits.outboxExpires, waited)
  })

/** Asks for a place among those that may be offered to this peer, until the scope ends; returns what waits for it. */
const place = Effect.fnUntraced(function* (tools: Tools, { id, peer, view }: TransferRecord) {
  const given = yield* Deferred.make<void>()
  const onTurn = (isGiven: boolean) => {
    if (isGiven) Deferred.doneUnsafe(given, Effect.void)
  }
  // In the order in which they were sent, whatever their priority: another run gives the same ones a place.
  const contender = { id, peer, priority: "normal", order: view.startedAt, onTurn } as const
  yield* Effect.acquireRelease(
    Effect.sync(() => tools.places.enter(contender)),
    () => Effect.sync(() => tools.places.leave(peer, id))
  )
  return Deferred.await(given)
})

interface SendOptions {
  readonly peerUp: boolean
  readonly walk: Walk
  /** What an earlier run left of it. */
  readonly kept?: Pick<TransferArchive.Left, "isAccepted" | "safe" | "failed" | "digests">
}

/** Notes that may wait to be written. More are dropped: what is not noted is only asked or shown again. */
const notesMax = 256

/** Writes down beside the work what happens to it. Where that cannot be, the transfer goes on without. */
const keeping = Effect.fnUntraced(function* (tools: Tools, record: TransferRecord) {
  const archive = yield* Effect.option(TransferArchive.send(tools.store, record.view, false))
  const notes = yield* Queue.dropping<JournalRecord>(notesMax)
  if (Option.isSome(archive)) {
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(notes), archive.value.note)))
  }
  return {
    note: (record: JournalRecord) => void Queue.offerUnsafe(notes, record)
  }
})

/** Goes along with the walk: shows how far it is, and says when there is something to offer though not all. */
const follow = Effect.fnUntraced(function* (
  tools: Tools,
  record: TransferRecord,
  walk: Walk,
  opened: Deferred.Deferred<Source>,
  begun: Effect.Effect<void>
) {
  const show = Effect.suspend(() => {
    const { bytes, directories, files } = walk.entries.totals
    const { problemCount } = walk
    return tools.book.change(record, {
      files,
      directories,
      totalBytes: bytes,
      problems: [...walk.problems],
      problemCount
    })
  })
  yield* walk.begun
  yield* tools.reads.of(walk.entries).join
  yield* Deferred.succeed(opened, yield* tools.store.open(walk.picked))
  // What is listed in no time is offered once, with all that there is to say of it.
  let isWhole = Option.isSome(yield* Effect.timeoutOption(walk.done, limits.listingShown))
  yield* show
  if (!isWhole) yield* begun
  while (!isWhole) {
    isWhole = Option.isSome(yield* Effect.timeoutOption(walk.done, limits.listingShown))
    yield* show
  }
})

/** What the receiver does not take, as it is shown. */
const notTakenOf = (entries: EntryList, taken: Ranges): NonNullable<View["notTaken"]> => {
  const paths: Array<string> = []
  for (let at = 0; paths.length < limits.problemsShownMax;) {
    const run = taken.missing(at, entries.length)
    if (run === undefined) break
    const [first, count] = run
    at = first + count
    for (let i = first; i < at && paths.length < limits.problemsShownMax; i++) paths.push(entries.path(i))
  }
  return { count: entries.length - taken.size, paths }
}

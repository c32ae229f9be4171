/**
 * One transfer from one sender, from the offer to its outcome: pulls and checks the list, asks a person where the
 * policy says so, pulls the blocks into a staging directory and publishes it. It owns its lanes and what is open of
 * its files, which stay when the node stops, for another run to go on with, and are removed with the outcome.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { limits } from "../config.ts"
import { Frame } from "../schema/Frame.ts"
import { short } from "../schema/Text.ts"
import { type ConflictPolicy, renamedOf, type TransferPriority } from "../schema/Offer.ts"
import type { FileStoreError } from "../services/FileStore.ts"
import { without } from "./Choice.ts"
import { DataLane, LaneError } from "./DataLane.ts"
import { digestOf } from "./FilesDigest.ts"
import { type Kept, ReceivedFiles } from "./ReceivedFiles.ts"
import type { Unreadable } from "./ReceiveJournal.ts"
import type { Intake } from "./Intake.ts"
import { lanesFor, LaneShare } from "./LaneShare.ts"
import { pullBlocks } from "./ReceiveLane.ts"
import { type Hearing, readReceiving } from "./ReceiveLetters.ts"
import { type ListOptions, OfferedList } from "./OfferedList.ts"
import { controlOf, doneOf } from "./TransferWords.ts"
import {
  type Actor,
  answered,
  type Inbound,
  live,
  type Mailbox,
  makeActor,
  refused,
  type Tools
} from "./TransferActor.ts"
import { retryAfter, type TransferRecord } from "./TransferBook.ts"
import { type ReceiveAction, ReceiveMessage, receiving, shownReceiving, stepReceiving } from "./ReceiveState.ts"

interface ReceiveOptions extends ListOptions {
  readonly peerUp: boolean
  /** Whether the policy takes it without asking. */
  readonly unasked: boolean
  /** Whether the sender still lists it. */
  readonly listing?: boolean
  readonly conflict: ConflictPolicy
  /** A name for a staging directory: fresh. */
  readonly freshStaging: Effect.Effect<string>
  /** What an earlier run accepted, and where it is. */
  readonly kept?: Kept
}

/** After `DialMe`: the sender dials, then attaches. */
const dialled = Duration.sum(limits.dial, limits.hello)

export const receiveActor = Effect.fn("ReceiveActor")(function* (
  tools: Tools,
  record: TransferRecord,
  mailbox: Mailbox<ReceiveMessage>,
  options: ReceiveOptions
) {
  const actor = yield* makeActor(tools, record, mailbox, ReceiveMessage)
  // Made before any worker, so that it is closed after the last of them has let go of the staging.
  const shelf = yield* Effect.acquireRelease(Scope.make(), (shelf, exit) => Scope.close(shelf, exit))
  const turn = yield* Queue.sliding<boolean>(1)
  const receiver = new Receiver(tools, actor, options, { shelf, turn })
  yield* Effect.addFinalizer(() => Effect.andThen(receiver.leaveTurn, receiver.list.discard))
  yield* Effect.forkScoped(
    Effect.forever(Effect.flatMap(Queue.take(turn), (given) => actor.tell(ReceiveMessage.Turn({ given }))))
  )
  if (options.kept !== undefined) yield* receiver.restore
  if (!options.peerUp) yield* actor.expireLater(limits.stagingExpires)
  const ending = yield* live(tools, record, mailbox, {
    initial: receiving({ ...options, ...(options.kept === undefined ? {} : { runs: options.kept.runs }) }),
    step: stepReceiving,
    shown: shownReceiving,
    weigh: (letter, state) => receiver.list.weigh(letter, state),
    whyNot: () => receiver.list.whyNot,
    read: (letter, state) => readReceiving(letter, state, receiver),
    act: (action, inbound) => Effect.asVoid(receiver.act(action, inbound))
  })
  yield* receiver.files.finish(ending.outcome)
  return ending
}, Effect.scoped)

type LaneTry = Extract<ReceiveAction, { readonly _tag: "OpenLane" }>

class Receiver implements Hearing {
  private readonly tools: Tools
  private readonly actor: Actor<ReceiveMessage>
  private readonly options: ReceiveOptions
  readonly files: ReceivedFiles
  /** Whether it is its turn: the newest answer. */
  private readonly turn: Queue.Enqueue<boolean>
  private share: LaneShare | undefined
  readonly list: OfferedList
  private isAccepted: boolean
  /** A person here said how urgent it is: what the sender says of that does not count any more. */
  private urgencyIsOurs = false

  constructor(
    tools: Tools,
    actor: Actor<ReceiveMessage>,
    options: ReceiveOptions,
    owned: {
      readonly shelf: Scope.Scope
      readonly turn: Queue.Enqueue<boolean>
    }
  ) {
    const { shelf } = owned
    this.turn = owned.turn
    this.tools = tools
    this.actor = actor
    this.options = options
    const { conflict, freshStaging, kept, seed } = options
    this.files = new ReceivedFiles(actor.record, { store: tools.store, shelf, conflict, freshStaging, kept, seed })
    this.isAccepted = kept !== undefined
    this.list = new OfferedList(tools, actor.record, this.files, options)
    this.list.show(() => this.isAccepted)
  }

  private get record(): TransferRecord {
    return this.actor.record
  }

  choose(conflict: ConflictPolicy | undefined): void {
    this.files.conflict = conflict ?? this.files.conflict
  }

  prioritise(priority: TransferPriority, by: "here" | "peer"): void {
    if (by === "here") this.urgencyIsOurs = true
    else if (this.urgencyIsOurs) return
    const { record, tools } = this
    record.view = { ...record.view, priority }
    if (tools.turns.has(record.peer, record.id)) this.askTurn()
  }

  private askTurn(): void {
    const { id, peer, view } = this.record
    this.tools.turns.enter({
      id,
      peer,
      priority: view.priority ?? "normal",
      order: view.startedAt,
      onTurn: (given) => void Queue.offerUnsafe(this.turn, given)
    })
  }

  readonly leaveTurn: Effect.Effect<void> = Effect.sync(() => this.tools.turns.leave(this.record.peer, this.record.id))

  act(action: ReceiveAction, inbound: Inbound | undefined): Effect.Effect<unknown, never, Scope.Scope> {
    const { actor } = this
    const transfer = this.record.id
    switch (action._tag) {
      case "OpenLane":
        return actor.runLane(action.lane, action.attempt, this.open(action))
      case "RunLane":
        return inbound === undefined
          ? Effect.void
          : actor.runLane(action.lane, action.attempt, answered(inbound, this.work(inbound.lane, action.lane)))
      case "Refuse":
        return inbound === undefined ? Effect.void : Effect.forkScoped(refused(inbound, action.reason))
      case "DropLanes":
        return actor.dropLanes(action.lane)
      case "ExpireLater":
        return actor.expireLater(limits.stagingExpires)
      case "AskTurn":
        return Effect.sync(() => this.askTurn())
      case "LeaveTurn":
        return this.leaveTurn
      case "Ask":
        return Effect.andThen(Effect.forkScoped(this.ask), Effect.forkScoped(this.list.putAside))
      case "Take":
        return this.worker(this.files.open)
      case "Recover":
        this.files.forget()
        if (this.options.kept !== undefined && this.files.intake === undefined) return this.restore
        return Effect.andThen(
          this.tools.book.change(this.record, { error: null }),
          this.worker(Effect.andThen(this.files.recover, this.showBytes))
        )
      case "RetryLater":
        return Effect.andThen(
          this.tools.book.change(this.record, { error: action.reason }),
          Effect.forkScoped(
            Effect.andThen(
              Effect.sleep(limits.faultRetry),
              Effect.suspend(() => actor.tell(ReceiveMessage.Retry()))
            )
          )
        )
      case "Publish":
        return this.worker(this.publish)
      case "TellAccepted":
        this.isAccepted = true
        return Effect.andThen(
          this.list.take,
          Effect.suspend(() => actor.say(this.list.accepted))
        )
      case "TellDeclined":
        return this.sayLast(
          Frame.cases.OfferReply.make({ transfer, decision: "declined", reason: short(action.reason) })
        )
      case "TellStatus":
        return actor.say(Frame.cases.TransferStatus.make({ transfer, status: action.status }))
      case "TellPaused":
        return actor.say(controlOf(this.record, "pause", "the receiver paused it"))
      case "TellResumed":
        return actor.say(controlOf(this.record, "resume", "the receiver resumed it"))
      case "TellCancelled":
        return this.sayLast(controlOf(this.record, "cancel", action.reason))
      case "TellDone":
        return this.sayLast(doneOf(this.record, action.outcome))
    }
  }

  /** Kept too, for a sender that is away now and asks again. */
  private sayLast(frame: Frame) {
    this.record.lastWord = frame
    return this.actor.say(frame)
  }

  /** Work on files: what it fails of holds the transfer up, or ends it where waiting is no help. */
  private worker(work: Effect.Effect<void, FileStoreError | Unreadable, Scope.Scope>) {
    return Effect.forkScoped(Effect.catch(work, (error) => this.refusedBy(error)))
  }

  private refusedBy(error: FileStoreError | Unreadable): Effect.Effect<void> {
    const reason = error.message
    if (error._tag === "Unreadable" || !error.mayPass) return this.actor.tell(ReceiveMessage.Broken({ reason }))
    return Effect.logWarning(`A transfer is held up: ${reason}`).pipe(
      Effect.andThen(this.actor.tell(ReceiveMessage.Faulted({ reason })))
    )
  }

  /** One for all lanes; a list that was read back anew is shared anew. */
  private shareOf(intake: Intake): LaneShare {
    if (this.share?.intake !== intake) this.share = new LaneShare(intake)
    return this.share
  }

  private progress(): void {
    const { intake } = this.files
    this.record.bytes = intake?.bytes ?? 0
    this.record.filesDone = intake?.filesDone ?? 0
  }

  private readonly showBytes = Effect.suspend(() => {
    this.progress()
    return this.tools.book.change(this.record, {})
  })

  /** Goes on with what an earlier run accepted. */
  get restore() {
    return this.worker(
      Effect.gen({ self: this }, function* () {
        const { intake, listed } = yield* this.files.restore
        const { record, tools } = this
        const { problemCount, problems } = listed
        record.view = { ...record.view, problems, problemCount }
        for (const [entry, reason] of intake.failed)
          tools.book.problem(record, "failed", intake.entries.path(entry), reason)
        this.progress()
        const { bytes, directories, files } = without(intake.entries, intake.leftOut).totals
        yield* tools.book.change(record, { files, directories, totalBytes: bytes })
        yield* this.actor.tell(ReceiveMessage.Listed({ lanes: lanesFor(intake, tools.lanes) }))
      })
    )
  }

  /** Dials the sender; where that does not work, asks to be dialled. */
  private open({ attempt, failures, lane: number }: LaneTry): Effect.Effect<void, LaneError> {
    const { connection } = this.tools
    const { id, peer } = this.record
    return Effect.gen({ self: this }, function* () {
      yield* Effect.sleep(retryAfter(failures))
      const opened = yield* Effect.option(
        Effect.timeoutOrElse(connection.openDataLink(peer), {
          duration: limits.dataDial,
          orElse: () => Effect.fail("late")
        })
      )
      if (Option.isSome(opened)) {
        const lane = new DataLane(opened.value)
        yield* lane.attach({ transfer: id, lane: number, attempt })
        yield* this.actor.tell(ReceiveMessage.LaneUp({ lane: number, attempt }))
        return yield* this.work(lane, number)
      }
      yield* this.actor.say(Frame.cases.DialMe.make({ transfer: id, lane: number, attempt }))
      yield* Effect.sleep(dialled)
      return yield* new LaneError({ problem: "lost", detail: "neither side could dial the other" })
    }).pipe(Effect.scoped)
  }

  /** What is done with a lane: the list if it is not known yet, then, once the answer is yes, the blocks. */
  private work(lane: DataLane, number: number): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      if (this.files.intake === undefined && this.options.kept === undefined) {
        const learnt = yield* this.list.learn(lane)
        yield* this.actor.tell(ReceiveMessage.Listed({ lanes: lanesFor(learnt, this.tools.lanes) }))
      }
      const { intake, journal } = yield* this.files.whenReady
      yield* pullBlocks(
        lane,
        {
          share: this.shareOf(intake),
          claimant: { peer: this.record.peer, transfer: this.record.id },
          gate: this.tools.limiter.gate(this.record.peer, "receive"),
          staging: journal.staging,
          // Said once: the other lanes are of the same transfer.
          taken: number === 0 && intake.leftOut.size > 0 ? without(intake.entries, intake.leftOut).taken : [],
          keep: (written, same) => journal.keep(intake, written, same),
          onProgress: () => this.progress(),
          onBlock: this.actor.tell(ReceiveMessage.Progress({ lane: number })),
          onFailed: (entry, reason) =>
            this.tools.book.problem(this.record, "failed", intake.entries.path(entry), reason)
        },
        this.tools.pool
      )
      yield* this.actor.tell(ReceiveMessage.Received())
    }).pipe(
      Effect.catchTags({
        Unacceptable: (refusal) => this.actor.tell(ReceiveMessage.Unacceptable({ reason: refusal.message })),
        FileStoreError: (error) => this.refusedBy(error)
      })
    )
  }

  private get ask() {
    return Effect.gen({ self: this }, function* () {
      const line = Effect.logInfo(`An offer waits for an answer: kith accept ${this.record.id.slice(0, 8)}`)
      yield* this.tools.reports.waits(this.record.peer, line)
      yield* Effect.sleep(limits.offerExpires)
      const hours = Duration.toHours(limits.offerExpires)
      yield* this.actor.tell(ReceiveMessage.Decline({ reason: `nobody answered within ${hours} hours` }))
    })
  }

  private get publish() {
    return Effect.gen({ self: this }, function* () {
      const { book } = this.tools
      const published = yield* this.files.publish
      if (published === undefined) return yield* this.actor.tell(ReceiveMessage.Missing())
      const { failures, names, outcome, paths, skipped } = published
      for (const failure of failures) book.problem(this.record, "failed", failure.path, failure.message)
      this.record.names = names
      if (outcome.state === "done") this.record.filesDone = this.record.view.files
      yield* book.change(this.record, {
        published: paths,
        renamed: renamedOf(names),
        ...(skipped === 0 ? {} : { skipped })
      })
      const { intake } = this.files
      if (outcome.state === "done" && intake !== undefined) {
        const { digests, entries, leftOut } = intake
        const digest = yield* digestOf(entries, digests, (at) => !leftOut.has(at))
        this.record.digest = digest
        if (digest !== undefined) yield* book.change(this.record, { digest })
      }
      yield* this.files.finish(outcome)
      yield* this.actor.tell(ReceiveMessage.Published({ outcome }))
    })
  }
}

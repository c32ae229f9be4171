/**
 * One transfer from one sender, from the offer to its outcome: pulls and checks the list, asks a person where the
 * policy says so, pulls the blocks into a staging directory and publishes it. It owns its lanes and what is open of
 * its files, which stay when the node stops, for another run to go on with, and are removed with the outcome.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { limits } from "../../../config.ts"
import { Frame } from "../../../schema/Frame.ts"
import { short } from "../../../schema/Text.ts"
import { type ConflictPolicy, renamedOf, type TransferPriority } from "../../../schema/Offer.ts"
import type { FileStoreError } from "../../../services/FileStore.ts"
import { without } from "./Choice.ts"
import { digestOf } from "../FilesDigest.ts"
import { type Kept, ReceivedFiles } from "./ReceivedFiles.ts"
import type { Unreadable } from "./ReceiveJournal.ts"
import { lanesFor } from "./LaneShare.ts"
import { ReceiveLinks } from "./ReceiveLinks.ts"
import { type Hearing, readReceiving } from "./ReceiveLetters.ts"
import { type ListOptions, OfferedList } from "./OfferedList.ts"
import { ReceiveTurn } from "./ReceiveTurn.ts"
import { controlOf, doneOf } from "../TransferWords.ts"
import {
  type Actor,
  answered,
  type Inbound,
  live,
  type Mailbox,
  makeActor,
  refused,
  type Tools
} from "../TransferActor.ts"
import type { TransferRecord } from "../TransferBook.ts"
import { type ReceiveAction, ReceiveMessage } from "./ReceiveMessages.ts"
import { receiving, shownReceiving, stepReceiving } from "./ReceiveState.ts"

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
  yield* Effect.addFinalizer(() => Effect.andThen(receiver.turn.leave, receiver.list.discard))
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

class Receiver implements Hearing {
  private readonly tools: Tools
  private readonly actor: Actor<ReceiveMessage>
  private readonly options: ReceiveOptions
  readonly files: ReceivedFiles
  readonly list: OfferedList
  readonly turn: ReceiveTurn
  private readonly links: ReceiveLinks
  private isAccepted: boolean

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
    this.tools = tools
    this.actor = actor
    this.options = options
    const { conflict, freshStaging, kept, seed } = options
    this.files = new ReceivedFiles(actor.record, { store: tools.store, shelf, conflict, freshStaging, kept, seed })
    this.turn = new ReceiveTurn(tools.turns, actor.record, owned.turn)
    this.links = new ReceiveLinks(tools, actor, this)
    this.isAccepted = kept !== undefined
    actor.record.isAnswered = this.isAccepted
    this.list = new OfferedList(tools, actor.record, this.files, options)
    this.list.show(() => this.isAccepted)
  }

  private get record(): TransferRecord {
    return this.actor.record
  }

  get isKept(): boolean {
    return this.options.kept !== undefined
  }

  prioritise(priority: TransferPriority, by: "here" | "peer"): void {
    this.turn.prioritise(priority, by)
  }

  choose(conflict: ConflictPolicy | undefined): void {
    this.files.conflict = conflict ?? this.files.conflict
  }

  act(action: ReceiveAction, inbound: Inbound | undefined): Effect.Effect<unknown, never, Scope.Scope> {
    const { actor } = this
    const transfer = this.record.id
    switch (action._tag) {
      case "OpenLane":
        return actor.runLane(action.lane, action.attempt, this.links.open(action))
      case "RunLane":
        return inbound === undefined
          ? Effect.void
          : actor.runLane(action.lane, action.attempt, answered(inbound, this.links.work(inbound.lane, action.lane)))
      case "Refuse":
        return inbound === undefined ? Effect.void : Effect.forkScoped(refused(inbound, action.reason))
      case "DropLanes":
        return actor.dropLanes(action.lane)
      case "ExpireLater":
        return actor.expireLater(limits.stagingExpires)
      case "AskTurn":
        return Effect.sync(() => this.turn.ask())
      case "LeaveTurn":
        return this.turn.leave
      case "Ask":
        return Effect.andThen(Effect.forkScoped(this.ask), Effect.forkScoped(this.list.putAside))
      case "Take":
        return this.worker(this.files.open)
      case "Recover":
        this.files.forget()
        if (this.isKept && this.files.intake === undefined) return this.restore
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
        this.record.isAnswered = true
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

  refusedBy(error: FileStoreError | Unreadable): Effect.Effect<void> {
    const reason = error.message
    if (error._tag === "Unreadable" || !error.mayPass) return this.actor.tell(ReceiveMessage.Broken({ reason }))
    return Effect.logWarning(`A transfer is held up: ${reason}`).pipe(
      Effect.andThen(this.actor.tell(ReceiveMessage.Faulted({ reason })))
    )
  }

  progress(): void {
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

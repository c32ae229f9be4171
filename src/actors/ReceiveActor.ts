/**
 * One transfer from one sender, from the offer to its outcome: pulls and checks the list, asks a person where the
 * policy says so, pulls the blocks into a staging directory and publishes it. It owns its lane and its staging, which
 * is discarded when the actor ends: what was not published by then never will be.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { limits } from "../config.ts"
import { Frame } from "../schema/Frame.ts"
import { ManifestCheck, type MemoryRoom } from "../schema/ManifestCheck.ts"
import type { ConflictPolicy, TransferPriority } from "../schema/Offer.ts"
import { top } from "../schema/RelativePath.ts"
import type { FileStoreError, StagedEntry, Staging } from "../services/FileStore.ts"
import { DataLane, LaneError } from "./DataLane.ts"
import { Intake } from "./Intake.ts"
import { pullBlocks } from "./ReceiveLane.ts"
import { fit, pullManifest } from "./ReceiveManifest.ts"
import { controlOf, short } from "./SendActor.ts"
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
import { type Letter, type PersonAction, retryAfter, type TransferRecord } from "./TransferBook.ts"
import {
  type ReceiveAction,
  ReceiveMessage,
  type Receiving,
  receiving,
  shownReceiving,
  stepReceiving
} from "./ReceiveState.ts"
import { isHeld, type Outcome } from "./TransferState.ts"

export interface ReceiveOptions {
  readonly peerUp: boolean
  /** Whether the policy takes it without asking. */
  readonly unasked: boolean
  readonly conflict: ConflictPolicy
  /** Memory its list may take, in bytes. */
  readonly manifestMax: number | MemoryRoom
  /** Random, and known to nobody. */
  readonly seed: number
  /** The name of its staging directory: fresh. */
  readonly staging: string
}

/** Entries made or sealed in one go. */
const stride = 1000

/** After `DialMe`: the sender dials, then attaches. */
const dialled = Duration.sum(limits.dial, limits.hello)

export const receiveActor = Effect.fn("ReceiveActor")(function* (
  tools: Tools,
  record: TransferRecord,
  mailbox: Mailbox<ReceiveMessage>,
  options: ReceiveOptions
) {
  const actor = yield* makeActor(tools, record, mailbox, ReceiveMessage.LaneEnded)
  // Made before any worker, so that it is closed after the last of them has let go of the staging.
  const shelf = yield* Effect.acquireRelease(Scope.make(), (shelf, exit) => Scope.close(shelf, exit))
  const turn = yield* Queue.sliding<boolean>(1)
  const receiver = new Receiver(tools, actor, options, shelf, turn)
  yield* Effect.addFinalizer(() => receiver.leaveTurn)
  yield* Effect.forkScoped(
    Effect.forever(Effect.flatMap(Queue.take(turn), (given) => actor.tell(ReceiveMessage.Turn({ given }))))
  )
  return yield* live(tools, record, mailbox, {
    initial: receiving(options),
    step: stepReceiving,
    shown: shownReceiving,
    read: (letter, state) => receiver.read(letter, state),
    act: (action, inbound) => Effect.asVoid(receiver.act(action, inbound))
  })
}, Effect.scoped)

type LaneTry = Extract<ReceiveAction, { readonly _tag: "OpenLane" }>

class Receiver {
  private readonly tools: Tools
  private readonly actor: Actor<ReceiveMessage>
  private readonly check: ManifestCheck
  private readonly options: ReceiveOptions
  /** What the staging lives in. */
  private readonly shelf: Scope.Scope
  /** Whether it is its turn: the newest answer. */
  private readonly turn: Queue.Enqueue<boolean>
  private conflict: ConflictPolicy
  /** A person here said how urgent it is: what the sender says of that does not count any more. */
  private urgencyIsOurs = false
  /** There once the list is good. */
  private intake: Intake | undefined
  /** There once the answer is yes and the directories are made. */
  private readonly staging = Deferred.makeUnsafe<Staging>()

  constructor(
    tools: Tools,
    actor: Actor<ReceiveMessage>,
    options: ReceiveOptions,
    shelf: Scope.Scope,
    turn: Queue.Enqueue<boolean>
  ) {
    this.turn = turn
    this.tools = tools
    this.shelf = shelf
    this.actor = actor
    this.options = options
    this.conflict = options.conflict
    this.check = new ManifestCheck({ seed: options.seed, memoryMax: options.manifestMax })
  }

  private get record(): TransferRecord {
    return this.actor.record
  }

  read(letter: Letter, state: Receiving): Option.Option<ReceiveMessage> {
    switch (letter._tag) {
      case "Session":
        return Option.some(letter.up ? ReceiveMessage.PeerUp() : ReceiveMessage.PeerDown())
      case "Lane":
        return Option.some(ReceiveMessage.Attached({ lane: letter.number, attempt: letter.attempt }))
      case "Forgotten":
        return state.received
          ? Option.none()
          : Option.some(
              ReceiveMessage.Cancelled({ by: "peer", reason: "the sender no longer has it: it was restarted" })
            )
      case "Frame":
        return this.readFrame(letter.frame, state)
      case "Person":
        // Publishing takes a moment and cannot be taken back.
        return state.received ? Option.none() : this.readPerson(letter.action, state)
    }
  }

  private readFrame(
    frame: Extract<Letter, { readonly _tag: "Frame" }>["frame"],
    state: Receiving
  ): Option.Option<ReceiveMessage> {
    if (frame._tag === "Offer") {
      if (!this.urgencyIsOurs) this.prioritise(frame.priority ?? "normal")
      return Option.some(ReceiveMessage.OfferedAgain())
    }
    if (frame._tag !== "TransferControl" || state.received) return Option.none()
    switch (frame.action) {
      case "pause":
        return Option.some(ReceiveMessage.Paused({ by: "peer" }))
      case "resume":
        return Option.some(ReceiveMessage.Resumed({ by: "peer" }))
      case "cancel":
        return Option.some(ReceiveMessage.Cancelled({ by: "peer", reason: frame.reason }))
    }
  }

  private readPerson(action: PersonAction, state: Receiving): Option.Option<ReceiveMessage> {
    switch (action._tag) {
      case "cancel":
        return Option.some(ReceiveMessage.Cancelled({ by: "here", reason: "the receiver cancelled it" }))
      case "pause":
        return state.pause.here ? Option.none() : Option.some(ReceiveMessage.Paused({ by: "here" }))
      case "resume":
        return isHeld(state.pause) ? Option.some(ReceiveMessage.Resumed({ by: "here" })) : Option.none()
      case "prioritise":
        this.urgencyIsOurs = true
        this.prioritise(action.priority)
        return Option.some(ReceiveMessage.Changed())
      case "decline":
        return state.accepted ? Option.none() : Option.some(ReceiveMessage.Decline({ reason: "it was declined" }))
      case "accept":
        if (state.accepted) return Option.none()
        this.conflict = action.conflict ?? this.conflict
        return Option.some(ReceiveMessage.Accept())
    }
  }

  private prioritise(priority: TransferPriority): void {
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
      case "AskTurn":
        return Effect.sync(() => this.askTurn())
      case "LeaveTurn":
        return this.leaveTurn
      case "Ask":
        return Effect.forkScoped(this.ask)
      case "Take":
        return this.worker(this.prepare)
      case "Publish":
        return this.worker(this.publish)
      case "TellAccepted":
        return actor.say(Frame.cases.OfferReply.make({ transfer, decision: "accepted", reason: "" }))
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

  /** Work on files: what it fails of ends the transfer. */
  private worker(work: Effect.Effect<void, FileStoreError, Scope.Scope>) {
    return work.pipe(
      Effect.catch((error) => this.actor.tell(ReceiveMessage.Broken({ reason: error.message }))),
      Effect.forkScoped
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
      if (this.intake === undefined) yield* this.learn(lane)
      const { intake } = this
      if (intake === undefined) return
      const staging = yield* Deferred.await(this.staging)
      yield* pullBlocks(
        lane,
        {
          intake,
          staging,
          keep: () => Effect.void,
          onProgress: () => void (this.record.bytes = intake.bytes),
          onBlock: this.actor.tell(ReceiveMessage.Progress({ lane: number })),
          onFailed: (entry, reason) => this.tools.book.problem(this.record, intake.entries.path(entry), reason)
        },
        this.tools.pool
      )
      yield* this.actor.tell(ReceiveMessage.Received())
    }).pipe(
      Effect.catchTags({
        Unacceptable: (refusal) => this.actor.tell(ReceiveMessage.Unacceptable({ reason: refusal.message })),
        FileStoreError: (error) => this.actor.tell(ReceiveMessage.Broken({ reason: error.message }))
      })
    )
  }

  /** Pulls the list and weighs it. */
  private learn(lane: DataLane) {
    return Effect.gen({ self: this }, function* () {
      const { check, record, tools } = this
      yield* pullManifest(lane, check)
      const { entries } = check
      record.view = { ...record.view, problems: [], problemCount: 0 }
      const leftOut = yield* fit(check, yield* tools.store.target, (entry, reason) =>
        tools.book.problem(record, entries.path(entry), reason)
      )
      const intake = new Intake(entries, leftOut)
      this.intake = intake
      const { directories, files } = entries.totals
      yield* tools.book.change(record, { files, directories, totalBytes: intake.totalBytes })
      yield* this.actor.tell(ReceiveMessage.Listed({ lanes: 1 }))
    })
  }

  private get ask() {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.logInfo(`An offer waits for an answer: kith accept ${this.record.id.slice(0, 8)}`)
      yield* Effect.sleep(limits.offerExpires)
      const hours = Duration.toHours(limits.offerExpires)
      yield* this.actor.tell(ReceiveMessage.Decline({ reason: `nobody answered within ${hours} hours` }))
    })
  }

  /** Makes the staging, its directories and its empty files: what has blocks comes to be with them. */
  private get prepare() {
    return Effect.gen({ self: this }, function* () {
      const { intake } = this
      if (intake === undefined) return
      const staging = yield* this.tools.store.stage(this.options.staging).pipe(
        Effect.tap((staging) =>
          Effect.addFinalizer(() =>
            Effect.catch(staging.discard, (error) => Effect.logWarning("A staging directory was left behind", error))
          )
        ),
        Scope.provide(this.shelf),
        Effect.uninterruptible
      )
      yield* inStrides(
        entriesOf(intake, (at) => intake.entries.blockCount(at) === 0),
        staging.make
      )
      yield* Deferred.succeed(this.staging, staging)
    })
  }

  private get publish() {
    return Effect.gen({ self: this }, function* () {
      const { intake, record } = this
      if (intake === undefined) return
      const { entries } = intake
      const staging = yield* Deferred.await(this.staging)
      for (const entry of intake.failed.keys()) yield* staging.remove(entries.path(entry))
      yield* inStrides(
        entriesOf(intake, (at) => entries.isDirectory(at)),
        staging.seal
      )
      yield* staging.sync
      const published = yield* staging.publish([...topsOf(intake)], this.conflict)
      const failures = published.filter(Result.isFailure)
      for (const { failure } of failures) this.tools.book.problem(record, failure.path, failure.message)
      const paths = published.filter(Result.isSuccess).map(({ success }) => success)
      yield* this.tools.book.change(record, { published: paths })
      yield* staging.discard
      yield* this.actor.tell(
        ReceiveMessage.Published({ outcome: outcomeOf(intake, paths.length, failures[0]?.failure) })
      )
    })
  }
}

/** The entries that are stored here and of this sort, as the store takes them. */
function* entriesOf(intake: Intake, wanted: (at: number) => boolean): Generator<StagedEntry> {
  const { entries, leftOut } = intake
  for (let at = 0; at < entries.length; at++) {
    if (!wanted(at) || leftOut.has(at)) continue
    const kind = entries.isDirectory(at) ? "d" : "f"
    yield { path: entries.path(at), kind, mtime: entries.mtime(at), executable: entries.isExecutable(at) }
  }
}

const inStrides = Effect.fnUntraced(function* <A, E>(
  items: Generator<A>,
  work: (some: ReadonlyArray<A>) => Effect.Effect<void, E>
) {
  while (true) {
    const some: Array<A> = []
    for (let next = items.next(); next.done !== true; next = items.next()) {
      some.push(next.value)
      if (some.length === stride) break
    }
    if (some.length === 0) return
    yield* work(some)
  }
})

/** The names to publish, in the order of the list. */
const topsOf = (intake: Intake): Set<string> => {
  const tops = new Set<string>()
  for (let at = 0; at < intake.entries.length; at++) if (!intake.leftOut.has(at)) tops.add(top(intake.entries.path(at)))
  return tops
}

const outcomeOf = (intake: Intake, published: number, failure: FileStoreError | undefined): Outcome => {
  const failed = intake.failed.size
  if (published === 0) {
    const why = failure?.message ?? [...intake.failed.values()][0] ?? "nothing came"
    return { state: "failed", error: failed > 1 ? `none of ${failed} files could be sent: ${why}` : why }
  }
  if (failure !== undefined) return { state: "partial", error: failure.message }
  if (failed === 0) return { state: "done", error: null }
  return { state: "partial", error: failed === 1 ? "1 file could not be sent" : `${failed} files could not be sent` }
}

const doneOf = (record: TransferRecord, outcome: Outcome): Frame =>
  Frame.cases.TransferDone.make({
    transfer: record.id,
    outcome: outcome.state === "done" || outcome.state === "partial" ? outcome.state : "failed",
    failed: record.view.problems.slice(0, 100).map(({ path, reason }) => ({ path, reason: short(reason) })),
    error: short(outcome.error ?? "")
  })

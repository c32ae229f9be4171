/**
 * What both actors of a transfer are made of: a mailbox, words to the peer in their order, its lanes, and a loop that
 * lets the pure machine decide and does what it says. The actor ends with its outcome; its scope takes down the lanes
 * and whatever the role opened.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Cause from "effect/Cause"
import type * as Scope from "effect/Scope"
import { limits } from "../../config.ts"
import type { Frame } from "../../schema/Frame.ts"
import type { TransferState as Shown } from "../../schema/Offer.ts"
import type { Connection } from "../../services/Connection.ts"
import type { FileStore } from "../../services/FileStore.ts"
import { NotPossible } from "../../services/Transfer.ts"
import type { BlockPool } from "./BlockPool.ts"
import type { Wanted } from "./receive/Choice.ts"
import type { DataLane, LaneError } from "./DataLane.ts"
import { businessAtOnce, makePeerReport, type PeerReport } from "../../services/peers/PeerReport.ts"
import type { GroupReads } from "./send/SharedReads.ts"
import type { RateLimiter } from "./RateLimiter.ts"
import type { Letter, PersonAction, TransferBook, TransferRecord } from "./TransferBook.ts"
import { type Outcome, type Pause, pausedBy, type Prospect } from "./TransferState.ts"
import type { Turns } from "./Turns.ts"

/** Lines of the log that peers can cause: one can make and take back as many offers as it likes. */
interface TransferReports {
  readonly came: PeerReport
  readonly waits: PeerReport
  readonly ended: PeerReport
  readonly unread: PeerReport
}

export const makeReports = (): TransferReports => ({
  came: makePeerReport({ atOnce: businessAtOnce }),
  waits: makePeerReport({ atOnce: businessAtOnce }),
  ended: makePeerReport({ atOnce: businessAtOnce }),
  unread: makePeerReport({ atOnce: 1 })
})

/** What actors work with. */
export interface Tools {
  readonly connection: Connection["Service"]
  readonly store: FileStore["Service"]
  readonly pool: BlockPool
  readonly reads: GroupReads
  readonly book: TransferBook
  /** Which of those that come from a peer are under way at one time. */
  readonly turns: Turns
  /** Which of those to a peer are offered at one time. */
  readonly places: Turns
  readonly limiter: RateLimiter
  readonly reports: TransferReports
  /** Data links for one large transfer that comes in. */
  readonly lanes: number
}

/** Letters from outside, and the messages that the actor's own workers send it. */
export type Mailbox<Message> = Queue.Queue<Letter | { readonly _tag: "Own"; readonly message: Message }>

/** Words to the peer that wait because its control link is full. More are dropped: it is told again when it asks. */
const outgoingMax = 32

/** How long the last word may take before the actor ends without it. */
const flush = Duration.seconds(1)

export interface Actor<Message> {
  readonly record: TransferRecord
  /** From a worker to the actor. */
  readonly tell: (message: Message) => Effect.Effect<void>
  /** To the peer, in order; lost if it is away, since it asks again when it is back. */
  readonly say: (frame: Frame) => Effect.Effect<void>
  /** Runs what works on this lane, in place of what did before, with its progress shown. */
  readonly runLane: (lane: number, attempt: number, work: Effect.Effect<void, LaneError>) => Effect.Effect<void>
  /** Returns once what worked on it has let go of everything. */
  readonly dropLanes: (lane: number | "all") => Effect.Effect<void>
  /** Tells it `Expired` after this, counted from the last time that this was called. */
  readonly expireLater: (after: Duration.Duration) => Effect.Effect<void>
}

export const makeActor = Effect.fn("TransferActor.make")(function* <Message>(
  tools: Tools,
  record: TransferRecord,
  mailbox: Mailbox<Message>,
  own: {
    readonly LaneEnded: (end: {
      readonly lane: number
      readonly attempt: number
      readonly reason: string
      readonly prospect: Prospect
    }) => Message
    readonly Expired: () => Message
  }
) {
  const outgoing = yield* Queue.bounded<Frame, Cause.Done>(outgoingMax)
  const speaking = yield* Effect.forkScoped(speak(tools, record, outgoing))
  const lanes = yield* FiberMap.make<number, void>()
  const ticker = yield* FiberHandle.make<void>()
  const away = yield* FiberHandle.make<void>()
  const tell = (message: Message) => Effect.asVoid(Queue.offer(mailbox, { _tag: "Own", message }))

  const say = (frame: Frame) =>
    Effect.suspend(() =>
      Queue.offerUnsafe(outgoing, frame)
        ? Effect.void
        : tools.reports.unread(
            record.peer,
            Effect.annotateLogs(Effect.logWarning("The peer does not read: a word to it was dropped"), {
              frame: frame._tag
            })
          )
    )

  // One for all lanes: it goes on until none is left.
  const tick = tools.book.ticking(record, () => lanes[Symbol.iterator]().next().done !== true)
  const runLane = (lane: number, attempt: number, work: Effect.Effect<void, LaneError>) =>
    work.pipe(
      Effect.catch((error) =>
        Effect.logDebug("A data link ended").pipe(
          Effect.annotateLogs({ lane, attempt, reason: error.message }),
          Effect.andThen(tell(own.LaneEnded({ lane, attempt, reason: error.message, prospect: prospectOf(error) })))
        )
      ),
      (run) => FiberMap.run(lanes, lane, run),
      Effect.andThen(FiberHandle.run(ticker, tick, { onlyIfMissing: true })),
      Effect.asVoid
    )

  const dropLanes = (lane: number | "all") => (lane === "all" ? FiberMap.clear(lanes) : FiberMap.remove(lanes, lane))

  const expireLater = (after: Duration.Duration) =>
    Effect.asVoid(FiberHandle.run(away, Effect.andThen(Effect.sleep(after), tell(own.Expired()))))

  // The last word must leave before the actor does, but a peer that does not read cannot keep it.
  yield* Effect.addFinalizer(() =>
    Queue.end(outgoing).pipe(Effect.andThen(Fiber.await(speaking)), Effect.timeoutOption(flush), Effect.asVoid)
  )

  return { record, tell, say, runLane, dropLanes, expireLater } satisfies Actor<Message>
})

const prospectOf = (error: LaneError): Prospect =>
  error.problem === "protocol" ? "none" : error.problem === "corrupt" ? "doubtful" : "good"

const speak = (tools: Tools, record: TransferRecord, outgoing: Queue.Dequeue<Frame, Cause.Done>) =>
  Effect.gen(function* () {
    while (true) {
      const frame = yield* Queue.take(outgoing)
      // Away: both sides say what they have when the session is back.
      yield* Effect.ignore(tools.connection.send(record.peer, frame))
    }
  }).pipe(Effect.catchTag("Done", () => Effect.void))

/** A lane handed in by the other side, to be run, refused, or forgotten; in any case its opener is let go. */
export interface Inbound {
  readonly lane: DataLane
  readonly done: Deferred.Deferred<void>
}

/** Answers an inbound lane, and works on it until it ends. */
export const answered = (inbound: Inbound, work: Effect.Effect<void, LaneError>): Effect.Effect<void, LaneError> =>
  inbound.lane
    .send({ _tag: "AttachReply", accepted: true, reason: "" })
    .pipe(Effect.andThen(work), Effect.ensuring(Deferred.succeed(inbound.done, undefined)))

export const refused = (inbound: Inbound, reason: string): Effect.Effect<void> =>
  Effect.ignore(inbound.lane.send({ _tag: "AttachReply", accepted: false, reason })).pipe(
    Effect.andThen(Deferred.succeed(inbound.done, undefined))
  )

/** What the machine of either role has. */
interface Stateful {
  /** The sender still lists what it offers. */
  readonly listing: boolean
  readonly listed: boolean
  readonly outcome: Outcome | null
  readonly pause: Pause
}

export interface Machine<State extends Stateful, Message, Action> {
  readonly initial: State
  readonly step: (state: State, message: Message) => readonly [State, ReadonlyArray<Action>]
  readonly shown: (state: State) => Shown
  /** What has to be found out before a letter can be read. Others wait meanwhile. */
  readonly weigh?: (letter: Letter, state: State) => Effect.Effect<void>
  /** Why what was weighed is not possible, where that is no matter of state. */
  readonly whyNot?: () => string | undefined
  /** What a letter means to this role; none where it means nothing. */
  readonly read: (letter: Letter, state: State) => Option.Option<Message>
  /** Does what was decided. It must be quick: long work goes to workers. `inbound`: the lane that was just handed in. */
  readonly act: (action: Action, inbound: Inbound | undefined) => Effect.Effect<void, never, Scope.Scope>
}

/** How an actor ended, and the person who is to hear of it, if one ended it. */
export interface Ending {
  readonly outcome: Outcome
  readonly asker: Extract<Letter, { readonly _tag: "Person" }> | undefined
}

export const makeMailbox = <Message>(): Effect.Effect<Mailbox<Message>> =>
  Queue.bounded<Letter | { readonly _tag: "Own"; readonly message: Message }>(limits.mailboxMax)

/**
 * Runs until the outcome, which is not shown yet: that is for when the actor's scope is closed, so that whoever hears
 * of it finds everything cleaned up.
 */
export const live = <State extends Stateful, Message, Action>(
  tools: Tools,
  record: TransferRecord,
  mailbox: Mailbox<Message>,
  machine: Machine<State, Message, Action>
) =>
  Effect.gen(function* () {
    let state = machine.initial
    while (true) {
      const letter = yield* Queue.take(mailbox)
      if (letter._tag === "Frame" && letter.frame._tag === "Offer") record.isAsked = false
      if (letter._tag === "Person" && machine.weigh !== undefined) yield* machine.weigh(letter, state)
      const message = letter._tag === "Own" ? Option.some(letter.message) : machine.read(letter, state)
      if (letter._tag === "Person" && Option.isSome(message)) record.isAnswered = true
      let actions: ReadonlyArray<Action> = []
      if (Option.isSome(message)) [state, actions] = machine.step(state, message.value)
      const inbound = letter._tag === "Lane" ? letter : undefined
      const { outcome } = state
      record.isEnding = outcome !== null
      if (outcome === null)
        yield* tools.book.change(record, {
          state: machine.shown(state),
          listed: state.listed,
          ...(state.listing !== (record.view.listing ?? false) && { listing: state.listing }),
          pausedBy: pausedBy(state.pause)
        })
      for (const action of actions) yield* machine.act(action, inbound)
      const asker = letter._tag === "Person" ? letter : undefined
      if (outcome !== null) return { outcome, asker } satisfies Ending
      if (asker !== undefined) yield* reply(asker, record, Option.isSome(message), machine.whyNot?.())
    }
  }).pipe(Effect.ensuring(leave(record, mailbox)))

/** Shows how it ended. */
export const end = (tools: Tools, record: TransferRecord, { asker, outcome }: Ending): Effect.Effect<void> =>
  tools.book
    .change(record, { ...outcome, ...(record.view.listing === true && { listing: false }) })
    .pipe(Effect.andThen(asker === undefined ? Effect.void : reply(asker, record, true)))

const reply = (
  letter: Extract<Letter, { readonly _tag: "Person" }>,
  record: TransferRecord,
  possible: boolean,
  reason?: string
) =>
  Effect.asVoid(
    possible
      ? Deferred.succeed(letter.reply, record.view)
      : Deferred.fail(letter.reply, notPossible(record, letter.action, reason))
  )

export const notPossible = (record: TransferRecord, action: PersonAction, reason?: string): NotPossible => {
  const { only, ranges }: Wanted = action._tag === "accept" ? action : {}
  const part = only !== undefined ? ` that ${only.join(" or ")} names` : ranges !== undefined ? " in those ranges" : ""
  return new NotPossible({
    transfer: record.id,
    action: `${action._tag}${part}`,
    state: record.view.state,
    ...(reason !== undefined && { reason })
  })
}

/** Nobody may wait for an actor that is gone. */
const leave = <Message>(record: TransferRecord, mailbox: Mailbox<Message>) =>
  Effect.gen(function* () {
    // Those who wait for room in a full mailbox come in as it is emptied.
    while (Queue.sizeUnsafe(mailbox) > 0) {
      for (const letter of yield* Queue.clear(mailbox)) {
        if (letter._tag === "Lane") yield* refused(letter, "this transfer is over")
        else if (letter._tag === "Person") yield* reply(letter, record, false)
      }
    }
    yield* Queue.shutdown(mailbox)
  })

/** What a transfer decides at the receiver. Pure. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { limits } from "../config.ts"
import type { TransferState as Shown } from "../schema/Offer.ts"
import {
  type Common,
  type CommonActions,
  free,
  isHeld,
  type Outcome,
  over,
  type Pause,
  replaced,
  type Tagged
} from "./TransferState.ts"

/**
 * How often one lane is lost in a row without a block before a receiver gives up while the session lives and no other
 * lane is up: half a minute of trying and more. A block that is not what its digest says is tried again too, as memory
 * may fail once, but not for long. A lane beside the first is a help, not a need: it is not tried for long either.
 */
export const failuresMax = 10
export const corruptMax = 2
export const helperFailuresMax = 2

/** A lane as the receiver sees it. */
export interface Wanted {
  /** The attempt that is wanted, being opened or up; null while there is none. */
  readonly attempt: number | null
  readonly up: boolean
  readonly newest: number
  /** Attempts lost in a row without a block. */
  readonly failures: number
}

export interface Receiving {
  readonly peerUp: boolean
  /** Whether the policy takes it without asking. */
  readonly unasked: boolean
  /** The sender still lists what it offers. */
  readonly listing: boolean
  /** The whole manifest was read and found good. */
  readonly listed: boolean
  readonly accepted: boolean
  /** Every block is here: what is left is to publish. */
  readonly received: boolean
  readonly pause: Pause
  /** What the disk here refused, in a sentence, until it is tried again. */
  readonly fault: string | null
  /** Whether it may run: other transfers of this peer may have to end first. */
  readonly turn: "none" | "asked" | "given" | "queued"
  /** The first reads the list; the others are wanted for blocks, where there are enough of them. */
  readonly lanes: ReadonlyArray<Wanted>
  readonly outcome: Outcome | null
}

export type ReceiveMessage = Tagged<
  Common & {
    Begin: {}
    /** How urgent it is has changed. */
    Changed: {}
    /** The sender offers it once more, as after a lost session, or because it knows all of it now. */
    OfferedAgain: { readonly listing: boolean }
    LaneUp: { readonly lane: number; readonly attempt: number }
    /** `lanes`: how many its blocks are worth. */
    Listed: { readonly lanes: number }
    /** The manifest is dangerous or untrue, or more than fits: nobody is asked. */
    Unacceptable: { readonly reason: string }
    Accept: {}
    Decline: { readonly reason: string }
    /** Whether it is its turn, once asked and whenever that changes. */
    Turn: { readonly given: boolean }
    /** A block came: whatever was wrong with this lane before is over. */
    Progress: { readonly lane: number }
    Received: {}
    /** Not all is there after all: a file that was the same has changed. */
    Missing: {}
    /** The disk here refused something, which may pass. */
    Faulted: { readonly reason: string }
    /** It is time to try again. */
    Retry: {}
    Published: { readonly outcome: Outcome }
  }
>
export const ReceiveMessage = Data.taggedEnum<ReceiveMessage>()

export type ReceiveAction = Data.TaggedEnum<
  CommonActions & {
    /** `failures`: attempts lost in a row, so how long to wait first. */
    OpenLane: { readonly lane: number; readonly attempt: number; readonly failures: number }
    RunLane: { readonly lane: number; readonly attempt: number }
    /** Ask a person, for a while. */
    Ask: {}
    /** The answer is yes: staging may begin. */
    Take: {}
    /** What was written and not kept account of may be lost: opens the staging anew, as another run would. */
    Recover: {}
    /** Shows the fault, and tries again after a while. */
    RetryLater: { readonly reason: string }
    AskTurn: {}
    LeaveTurn: {}
    Publish: {}
    TellAccepted: {}
    TellStatus: { readonly status: "queued" | "publishing" }
    TellDeclined: { readonly reason: string }
    TellDone: { readonly outcome: Outcome }
  }
>
export const ReceiveAction = Data.taggedEnum<ReceiveAction>()

/** What becomes of a transfer whose sender never comes back. */
export const expired = `its sender did not come back within ${Duration.toDays(limits.stagingExpires)} days`

const fresh: Wanted = { attempt: null, up: false, newest: 0, failures: 0 }

/** Attempts of one run: another run begins above all of them. */
const attemptsPerRun = 2 ** 20

export const receiving = (options: {
  readonly peerUp: boolean
  readonly unasked: boolean
  readonly listing?: boolean
  /** It was accepted by an earlier run: how many there were. */
  readonly runs?: number
}): Receiving => ({
  peerUp: options.peerUp,
  unasked: options.unasked || options.runs !== undefined,
  listing: options.listing ?? false,
  listed: false,
  accepted: options.runs !== undefined,
  received: false,
  pause: free,
  fault: null,
  turn: "none",
  lanes: [{ ...fresh, newest: (options.runs ?? 0) * attemptsPerRun }],
  outcome: null
})

export const shownReceiving = (state: Receiving): Shown => {
  if (state.outcome !== null) return state.outcome.state
  if (!state.accepted) return "offered"
  if (state.fault !== null) return "paused"
  if (state.received) return "running"
  if (isHeld(state.pause)) return "paused"
  if (!state.peerUp) return "waiting"
  if (state.turn === "queued") return "queued"
  const troubled = state.lanes.some((lane) => lane.failures > 0)
  return troubled && state.lanes.every((lane) => !lane.up) ? "stalled" : "running"
}

type ReceiveStep = readonly [Receiving, ReadonlyArray<ReceiveAction>]

const dropWanted = ReceiveAction.DropLanes({ lane: "all" })

/** Without lanes, and with another chance for each. */
const unlaned = (state: Receiving): Receiving => ({
  ...state,
  lanes: state.lanes.map(({ newest }) => ({ ...fresh, newest }))
})

/** Asks for a turn as soon as it could run, and gives it up once it can't. */
const withTurn = ([state, actions]: ReceiveStep): ReceiveStep => {
  const { accepted, fault, listed, outcome, pause, peerUp, received, turn } = state
  const could = outcome === null && fault === null && listed && accepted && !received && peerUp && !isHeld(pause)
  if (could === (turn !== "none")) return [state, actions]
  return could
    ? [{ ...state, turn: "asked" }, [...actions, ReceiveAction.AskTurn()]]
    : [{ ...state, turn: "none" }, [...actions, ReceiveAction.LeaveTurn()]]
}

/** Opens the lanes that are needed and not there. */
const withLanes = ([state, actions]: ReceiveStep): ReceiveStep => {
  const { accepted, fault, listed, outcome, pause, peerUp, received, turn } = state
  const allowed = outcome === null && fault === null && peerUp && !received && !isHeld(pause)
  if (!allowed || !(listed ? accepted && turn === "given" : true)) return [state, actions]
  const opened: Array<ReceiveAction> = []
  const lanes = state.lanes.map((wanted, lane) => {
    if (wanted.attempt !== null || (lane > 0 && (!listed || wanted.failures > helperFailuresMax))) return wanted
    const attempt = wanted.newest + 1
    opened.push(ReceiveAction.OpenLane({ lane, attempt, failures: wanted.failures }))
    return { ...wanted, attempt, newest: attempt }
  })
  return opened.length === 0 ? [state, actions] : [{ ...state, lanes }, [...actions, ...opened]]
}

const endReceiving = (state: Receiving, outcome: Outcome, ...actions: ReadonlyArray<ReceiveAction>): ReceiveStep => [
  { ...unlaned(state), outcome },
  [dropWanted, ...actions]
]

const fail = (state: Receiving, reason: string): ReceiveStep => {
  const outcome: Outcome = { state: "failed", error: reason }
  return endReceiving(state, outcome, ReceiveAction.TellDone({ outcome }))
}

const decline = (state: Receiving, reason: string): ReceiveStep =>
  endReceiving(state, { state: "declined", error: reason }, ReceiveAction.TellDeclined({ reason }))

const laneEnded = (state: Receiving, message: Extract<ReceiveMessage, { readonly _tag: "LaneEnded" }>): ReceiveStep => {
  const { lane, prospect, reason } = message
  const wanted = state.lanes[lane]
  if (wanted === undefined || wanted.attempt !== message.attempt) return [state, []]
  const failures = wanted.failures + 1
  if (prospect === "none" || (prospect === "doubtful" && failures > corruptMax)) return fail(state, reason)
  const alone = !state.lanes.some((other, at) => at !== lane && other.up)
  if (failures > failuresMax && alone) return fail(state, `the data link failed ${failures} times: ${reason}`)
  const lost: Wanted = { ...wanted, attempt: null, up: false, failures }
  return [{ ...state, lanes: replaced(state.lanes, lane, lost) }, []]
}

const attachedReceiving = (state: Receiving, lane: number, attempt: number): ReceiveStep => {
  const wanted = state.lanes[lane]
  // Only the attempt that we asked to be dialled for is welcome.
  if (wanted === undefined || wanted.attempt !== attempt || wanted.up) {
    return [state, [ReceiveAction.Refuse({ lane, attempt, reason: "this lane was not asked for" })]]
  }
  return [
    { ...state, lanes: replaced(state.lanes, lane, { ...wanted, up: true }) },
    [ReceiveAction.RunLane({ lane, attempt })]
  ]
}

const laneUp = (state: Receiving, lane: number, attempt: number): Receiving => {
  const wanted = state.lanes[lane]
  if (wanted === undefined || wanted.attempt !== attempt) return state
  return { ...state, lanes: replaced(state.lanes, lane, { ...wanted, up: true }) }
}

const progress = (state: Receiving, lane: number): Receiving => {
  const wanted = state.lanes[lane]
  if (wanted === undefined || wanted.failures === 0) return state
  return { ...state, lanes: replaced(state.lanes, lane, { ...wanted, failures: 0 }) }
}

const accept = (state: Receiving): ReceiveStep => [
  { ...state, accepted: true },
  [ReceiveAction.TellAccepted(), ReceiveAction.Take()]
]

const listed = (state: Receiving, count: number): ReceiveStep => {
  if (state.listed) return [state, []]
  // The first began where no earlier run has been.
  const newest = Math.floor((state.lanes[0]?.newest ?? 0) / attemptsPerRun) * attemptsPerRun
  const helpers = Array.from({ length: Math.max(0, count - state.lanes.length) }, () => ({ ...fresh, newest }))
  const lanes = [...state.lanes.map((lane) => ({ ...lane, failures: 0 })), ...helpers]
  const known: Receiving = { ...state, listing: false, listed: true, lanes }
  return known.unasked ? accept(known) : [unlaned(known), [dropWanted, ReceiveAction.Ask()]]
}

/** A sender that asks again is told again. */
const statusOf = (state: Receiving): ReadonlyArray<ReceiveAction> =>
  state.received
    ? [ReceiveAction.TellStatus({ status: "publishing" })]
    : state.turn === "queued"
      ? [ReceiveAction.TellStatus({ status: "queued" })]
      : []

const turned = (state: Receiving, given: boolean): ReceiveStep => {
  if (state.turn === "none") return [state, []]
  if (given) return [{ ...state, turn: "given" }, []]
  if (state.turn === "queued") return [state, []]
  return [{ ...unlaned(state), turn: "queued" }, [ReceiveAction.TellStatus({ status: "queued" }), dropWanted]]
}

const pauseReceiving = (state: Receiving, by: "here" | "peer"): ReceiveStep => {
  // What is being published is nobody's to hold any more.
  if (state.pause[by] || state.received) return [state, []]
  const told = by === "here" ? [ReceiveAction.TellPaused()] : []
  return [{ ...unlaned(state), pause: { ...state.pause, [by]: true } }, [dropWanted, ...told]]
}

const resumeReceiving = (state: Receiving, by: "here" | "peer"): ReceiveStep => {
  const told = by === "here" || state.pause.here ? [ReceiveAction.TellResumed()] : []
  return isHeld(state.pause) ? [{ ...state, pause: free }, told] : [state, []]
}

export const stepReceiving = (state: Receiving, message: ReceiveMessage): ReceiveStep => {
  if (state.outcome === null) return withLanes(withTurn(decide(state, message)))
  if (message._tag !== "Attached") return [state, []]
  return [state, [ReceiveAction.Refuse({ lane: message.lane, attempt: message.attempt, reason: over })]]
}

const decide = (state: Receiving, message: ReceiveMessage): ReceiveStep => {
  switch (message._tag) {
    case "Begin":
      return [state, []]
    case "Expired":
      return state.peerUp || state.received ? [state, []] : fail(state, expired)
    case "PeerUp": {
      const lanes = state.lanes.map((lane) => ({ ...lane, failures: 0 }))
      const back: Receiving = { ...state, lanes, peerUp: true, pause: { ...state.pause, peer: false } }
      return [back, state.pause.here ? [ReceiveAction.TellPaused()] : []]
    }
    case "PeerDown":
      return [{ ...unlaned(state), peerUp: false }, [dropWanted, ReceiveAction.ExpireLater()]]
    case "OfferedAgain":
      return [
        { ...state, listing: message.listing && !state.listed },
        state.accepted ? [ReceiveAction.TellAccepted(), ...statusOf(state)] : []
      ]
    case "Changed":
      return [state, []]
    case "Attached":
      return attachedReceiving(state, message.lane, message.attempt)
    case "LaneUp":
      return [laneUp(state, message.lane, message.attempt), []]
    case "LaneEnded":
      return laneEnded(state, message)
    case "Listed":
      return listed(state, message.lanes)
    case "Unacceptable":
      return decline(state, message.reason)
    case "Accept":
      if (state.accepted) return [state, []]
      return state.listed ? accept(state) : [{ ...state, unasked: true }, []]
    case "Decline":
      return state.accepted ? [state, []] : decline(state, message.reason)
    case "Turn":
      return turned(state, message.given)
    case "Progress":
      return [progress(state, message.lane), []]
    case "Received":
      return state.accepted && state.listed && !state.received
        ? [
            { ...unlaned(state), received: true },
            [ReceiveAction.TellStatus({ status: "publishing" }), dropWanted, ReceiveAction.Publish()]
          ]
        : [state, []]
    case "Missing":
      return [{ ...state, received: false }, []]
    case "Faulted":
      return state.fault === null
        ? [
            { ...unlaned(state), fault: message.reason, received: false },
            [dropWanted, ReceiveAction.RetryLater({ reason: message.reason })]
          ]
        : [state, []]
    case "Retry":
      return state.fault === null ? [state, []] : [{ ...state, fault: null }, [ReceiveAction.Recover()]]
    case "Published":
      return endReceiving(state, message.outcome, ReceiveAction.TellDone({ outcome: message.outcome }))
    case "Paused":
      return pauseReceiving(state, message.by)
    case "Resumed":
      return resumeReceiving(state, message.by)
    case "Cancelled":
      return message.by === "here"
        ? endReceiving(
            state,
            { state: "cancelled", error: null },
            ReceiveAction.TellCancelled({ reason: message.reason })
          )
        : endReceiving(state, { state: "cancelled", error: message.reason })
    case "Broken":
      return fail(state, message.reason)
  }
}

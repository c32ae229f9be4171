/** What a transfer decides at the receiver. Pure. */
import * as Duration from "effect/Duration"
import { limits } from "../../../config.ts"
import type { TransferState as Shown } from "../../../schema/Offer.ts"
import {
  attachedReceiving,
  dropWanted,
  endReceiving,
  fail,
  firstLane,
  laneEnded,
  lanesListed,
  laneUp,
  progress,
  type ReceiveStep,
  unlaned,
  withLanes
} from "./ReceiveLanes.ts"
import { ReceiveAction, type ReceiveMessage, type Receiving } from "./ReceiveMessages.ts"
import { free, isHeld, over } from "../TransferState.ts"

/** What becomes of a transfer whose sender never comes back. */
export const expired = `its sender did not come back within ${Duration.toDays(limits.stagingExpires)} days`

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
  lanes: [firstLane(options.runs ?? 0)],
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

/** Asks for a turn as soon as it could run, and gives it up once it can't. */
const withTurn = ([state, actions]: ReceiveStep): ReceiveStep => {
  const { accepted, fault, listed, outcome, pause, peerUp, received, turn } = state
  const could = outcome === null && fault === null && listed && accepted && !received && peerUp && !isHeld(pause)
  if (could === (turn !== "none")) return [state, actions]
  return could
    ? [{ ...state, turn: "asked" }, [...actions, ReceiveAction.AskTurn()]]
    : [{ ...state, turn: "none" }, [...actions, ReceiveAction.LeaveTurn()]]
}

const decline = (state: Receiving, reason: string): ReceiveStep =>
  endReceiving(state, { state: "declined", error: reason }, ReceiveAction.TellDeclined({ reason }))

const accept = (state: Receiving): ReceiveStep => [
  { ...state, accepted: true },
  [ReceiveAction.TellAccepted(), ReceiveAction.Take()]
]

const listed = (state: Receiving, count: number): ReceiveStep => {
  if (state.listed) return [state, []]
  const lanes = lanesListed(state, count)
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

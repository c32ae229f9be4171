/** What a transfer decides at the sender. Pure. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { limits } from "../../../config.ts"
import type { TransferState as Shown } from "../../../schema/Offer.ts"
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
} from "../TransferState.ts"

/** A lane as the sender sees it: the attempt that is served, and the newest that ever was. */
export interface Served {
  readonly attempt: number | null
  readonly newest: number
}

export interface Sending {
  readonly peerUp: boolean
  /** It is one of those that may be offered to this peer; the others wait for one of them to end. */
  readonly placed: boolean
  /** There is something to offer, but the walk goes on. */
  readonly listing: boolean
  /** The walk is over: all that is offered is known. */
  readonly listed: boolean
  readonly accepted: boolean
  readonly pause: Pause
  /** What the receiver says that it does, where that is not receiving. */
  readonly status: "queued" | "publishing" | null
  /** It had lanes, and has been without for a while. */
  readonly idle: boolean
  /** As many as it serves. */
  readonly lanes: ReadonlyArray<Served>
  readonly outcome: Outcome | null
}

export type SendMessage = Tagged<
  Common & {
    Placed: {}
    Begun: {}
    Listed: {}
    Accepted: {}
    Declined: { readonly reason: string }
    Status: { readonly status: "queued" | "publishing" }
    /** The receiver could not reach us. */
    DialWanted: { readonly lane: number; readonly attempt: number }
    /** A lane that we dialled is attached. */
    Dialled: { readonly lane: number; readonly attempt: number }
    /** A while after the last lane ended. */
    Quiet: {}
    /** What is offered, or how urgent it is, has changed. */
    Changed: {}
    /** The receiver says how it ended. */
    Over: { readonly outcome: Outcome }
  }
>
export const SendMessage = Data.taggedEnum<SendMessage>()

export type SendAction = Data.TaggedEnum<
  CommonActions & {
    Offer: {}
    /** Come back to it in a while, with `Quiet`. */
    Wait: {}
    Serve: { readonly lane: number; readonly attempt: number }
    Dial: { readonly lane: number; readonly attempt: number }
  }
>
export const SendAction = Data.taggedEnum<SendAction>()

/** What becomes of a transfer whose receiver never comes back. */
export const expired = `its receiver did not come back within ${Duration.toDays(limits.outboxExpires)} days`

/** Lanes that a sender serves for one transfer. */
export const lanesMax = 4

export const sending = (peerUp: boolean): Sending => ({
  peerUp,
  placed: false,
  listing: false,
  listed: false,
  accepted: false,
  pause: free,
  status: null,
  idle: false,
  lanes: Array.from({ length: lanesMax }, () => ({ attempt: null, newest: 0 })),
  outcome: null
})

export const shownSending = (state: Sending): Shown => {
  if (state.outcome !== null) return state.outcome.state
  if (isHeld(state.pause)) return "paused"
  if (!state.peerUp) return "waiting"
  if (!state.placed) return "queued"
  if (!state.accepted) return "offered"
  if (state.status !== null) return state.status === "queued" ? "queued" : "running"
  return state.idle ? "stalled" : "running"
}

/** It has no lane, and nothing says why. */
const isIdle = ({ accepted, lanes, pause, peerUp, status }: Sending): boolean =>
  peerUp && accepted && status === null && !isHeld(pause) && lanes.every((lane) => lane.attempt === null)

type SendStep = readonly [Sending, ReadonlyArray<SendAction>]

const isOffered = ({ listed, listing, placed }: Sending): boolean => placed && (listed || listing)

/** Offers it, where that can be heard, and says that it is held, if it is. */
const offered = (state: Sending): SendStep => [
  state,
  state.peerUp && isOffered(state) ? [SendAction.Offer(), ...(state.pause.here ? [SendAction.TellPaused()] : [])] : []
]

const unserved = (state: Sending): Sending => ({
  ...state,
  idle: false,
  lanes: state.lanes.map((lane) => ({ ...lane, attempt: null }))
})

const dropServed = SendAction.DropLanes({ lane: "all" })

const endSending = (state: Sending, outcome: Outcome, ...actions: ReadonlyArray<SendAction>): SendStep => [
  { ...unserved(state), outcome },
  [dropServed, ...actions]
]

const attachedSending = (state: Sending, lane: number, attempt: number): SendStep => {
  const refuse = (reason: string): SendStep => [state, [SendAction.Refuse({ lane, attempt, reason })]]
  if (!isOffered(state)) return refuse("it is not offered yet")
  if (isHeld(state.pause)) return refuse("it is paused")
  const served = state.lanes[lane]
  if (served === undefined) return refuse(`at most ${lanesMax} lanes are served`)
  if (attempt <= served.newest) return refuse("a newer attempt took over")
  return [
    { ...state, status: null, idle: false, lanes: replaced(state.lanes, lane, { attempt, newest: attempt }) },
    [SendAction.DropLanes({ lane }), SendAction.Serve({ lane, attempt })]
  ]
}

const pauseSending = (state: Sending, by: "here" | "peer"): SendStep => {
  if (state.pause[by]) return [state, []]
  const told = by === "here" ? [SendAction.TellPaused()] : []
  return [{ ...unserved(state), status: null, pause: { ...state.pause, [by]: true } }, [dropServed, ...told]]
}

const resumeSending = (state: Sending, by: "here" | "peer"): SendStep => {
  // Whoever held it says that it does no more: crossed words end in the same on both sides.
  const told = by === "here" || state.pause.here ? [SendAction.TellResumed()] : []
  return isHeld(state.pause) ? [{ ...state, pause: free }, told] : [state, []]
}

export const stepSending = (state: Sending, message: SendMessage): SendStep => {
  if (state.outcome !== null) {
    if (message._tag !== "Attached") return [state, []]
    return [state, [SendAction.Refuse({ lane: message.lane, attempt: message.attempt, reason: over })]]
  }
  switch (message._tag) {
    case "PeerUp":
      // Offered again even if accepted: the receiver goes on with it, says how it ended, or begins anew.
      return offered({ ...state, peerUp: true, idle: false, pause: { ...state.pause, peer: false } })
    case "Placed":
      return offered({ ...state, placed: true })
    case "PeerDown":
      return [{ ...unserved(state), peerUp: false, status: null }, [dropServed, SendAction.ExpireLater()]]
    case "Expired":
      return state.peerUp ? [state, []] : endSending(state, { state: "failed", error: expired })
    case "Begun":
      return offered({ ...state, listing: true })
    case "Listed":
      return offered({ ...state, listing: false, listed: true })
    case "Changed":
      return [state, state.peerUp && isOffered(state) ? [SendAction.Offer()] : []]
    case "Accepted":
      return [{ ...state, accepted: true }, []]
    case "Declined":
      return endSending(state, { state: "declined", error: message.reason })
    case "Status":
      return [state.accepted && !isHeld(state.pause) ? { ...state, status: message.status } : state, []]
    case "DialWanted": {
      const served = state.lanes[message.lane]
      const wanted = served !== undefined && message.attempt > served.newest && !isHeld(state.pause)
      return [state, wanted ? [SendAction.Dial({ lane: message.lane, attempt: message.attempt })] : []]
    }
    case "Attached":
      return attachedSending(state, message.lane, message.attempt)
    case "Dialled": {
      const served = state.lanes[message.lane]
      if (served === undefined) return [state, []]
      const newest = Math.max(served.newest, message.attempt)
      const lanes = replaced(state.lanes, message.lane, { attempt: message.attempt, newest })
      return [{ ...state, status: null, idle: false, lanes }, []]
    }
    case "LaneEnded": {
      const served = state.lanes[message.lane]
      if (served === undefined || served.attempt !== message.attempt) return [state, []]
      const lanes = replaced(state.lanes, message.lane, { ...served, attempt: null })
      return [{ ...state, lanes }, lanes.every((lane) => lane.attempt === null) ? [SendAction.Wait()] : []]
    }
    case "Quiet":
      return [isIdle(state) ? { ...state, idle: true } : state, []]
    case "Paused":
      return pauseSending(state, message.by)
    case "Resumed":
      return resumeSending(state, message.by)
    case "Cancelled":
      return message.by === "here"
        ? endSending(state, { state: "cancelled", error: null }, SendAction.TellCancelled({ reason: message.reason }))
        : endSending(state, { state: "cancelled", error: message.reason })
    case "Broken":
      return endSending(
        state,
        { state: "failed", error: message.reason },
        SendAction.TellCancelled({ reason: message.reason })
      )
    case "Over": {
      const untrue = !state.accepted && (message.outcome.state === "done" || message.outcome.state === "partial")
      return endSending(
        state,
        untrue ? { state: "failed", error: "the receiver says it has what it never asked for" } : message.outcome
      )
    }
  }
}

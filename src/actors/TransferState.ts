/**
 * What a transfer decides, at the sender (`Sending`) and at the receiver (`Receiving`): given what it is and what
 * happened, what it becomes and what is to be done. The actors do it. Pure.
 *
 * At most one lane is wanted at a time; each try has a higher attempt number, chosen by the receiver. An outcome is
 * final: nothing but a lane that has to be refused is answered after it.
 */
import * as Data from "effect/Data"
import type { TransferState as Shown } from "../schema/Offer.ts"

/** How it ended. `error` is a sentence for a person, or null. */
export interface Outcome {
  readonly state: "done" | "partial" | "failed" | "cancelled" | "declined"
  readonly error: string | null
}

/**
 * Lanes lost in a row without a block, after which a receiver gives up while the session lives: half a minute of trying
 * and more. A block that is not what its digest says is tried again too, as memory may fail once, but not for long.
 */
export const failuresMax = 10
export const corruptMax = 2

/** Whether trying again may help. */
export type Prospect = "good" | "doubtful" | "none"

/** Messages that both roles know. */
interface Common {
  PeerUp: {}
  PeerDown: {}
  /** The other side opened a lane. */
  Attached: { readonly attempt: number }
  LaneEnded: { readonly attempt: number; readonly reason: string; readonly prospect: Prospect }
  Cancelled: { readonly by: "here" | "peer"; readonly reason: string }
  /** It cannot go on, whatever the other side does. */
  Broken: { readonly reason: string }
}

type Tagged<A> = { [Tag in keyof A]: { readonly _tag: Tag } & A[Tag] }[keyof A]

// ---------------------------------------------------------------------------------------------------- the sender

export interface Sending {
  readonly peerUp: boolean
  /** The walk is over: there is something to offer. */
  readonly listed: boolean
  readonly accepted: boolean
  /** The attempt of the lane that is served, and of the newest that ever was. */
  readonly lane: number | null
  readonly newest: number
  readonly outcome: Outcome | null
}

export type SendMessage = Tagged<
  Common & {
    Listed: {}
    Accepted: {}
    Declined: { readonly reason: string }
    /** The receiver could not reach us. */
    DialWanted: { readonly attempt: number }
    /** A lane that we dialled is attached. */
    Dialled: { readonly attempt: number }
    /** The receiver says how it ended. */
    Over: { readonly outcome: Outcome }
  }
>
export const SendMessage = Data.taggedEnum<SendMessage>()

export type SendAction = Data.TaggedEnum<{
  Offer: {}
  Serve: { readonly attempt: number }
  Refuse: { readonly attempt: number; readonly reason: string }
  Dial: { readonly attempt: number }
  DropLane: {}
  TellCancelled: { readonly reason: string }
}>
export const SendAction = Data.taggedEnum<SendAction>()

export const sending = (peerUp: boolean): Sending => ({
  peerUp,
  listed: false,
  accepted: false,
  lane: null,
  newest: 0,
  outcome: null
})

export const shownSending = (state: Sending): Shown => {
  if (state.outcome !== null) return state.outcome.state
  if (!state.peerUp) return "waiting"
  if (!state.accepted) return "offered"
  return state.lane === null && state.newest > 0 ? "stalled" : "running"
}

type SendStep = readonly [Sending, ReadonlyArray<SendAction>]

const endSending = (state: Sending, outcome: Outcome, ...actions: ReadonlyArray<SendAction>): SendStep => [
  { ...state, lane: null, outcome },
  [SendAction.DropLane(), ...actions]
]

const over = "this transfer is over"

export const stepSending = (state: Sending, message: SendMessage): SendStep => {
  if (state.outcome !== null) {
    return [state, message._tag === "Attached" ? [SendAction.Refuse({ attempt: message.attempt, reason: over })] : []]
  }
  switch (message._tag) {
    case "PeerUp": {
      // Offered again even if accepted: the receiver goes on with it, says how it ended, or begins anew.
      return [{ ...state, peerUp: true }, state.listed ? [SendAction.Offer()] : []]
    }
    case "PeerDown":
      return [{ ...state, peerUp: false, lane: null }, [SendAction.DropLane()]]
    case "Listed":
      return [{ ...state, listed: true }, state.peerUp ? [SendAction.Offer()] : []]
    case "Accepted":
      return [{ ...state, accepted: true }, []]
    case "Declined":
      return endSending(state, { state: "declined", error: message.reason })
    case "DialWanted":
      return [state, message.attempt > state.newest ? [SendAction.Dial({ attempt: message.attempt })] : []]
    case "Attached":
      if (!state.listed)
        return [state, [SendAction.Refuse({ attempt: message.attempt, reason: "it is not offered yet" })]]
      if (message.attempt <= state.newest) {
        return [state, [SendAction.Refuse({ attempt: message.attempt, reason: "a newer attempt took over" })]]
      }
      return [
        { ...state, lane: message.attempt, newest: message.attempt },
        [SendAction.DropLane(), SendAction.Serve({ attempt: message.attempt })]
      ]
    case "Dialled":
      return [{ ...state, lane: message.attempt, newest: Math.max(state.newest, message.attempt) }, []]
    case "LaneEnded":
      return [state.lane === message.attempt ? { ...state, lane: null } : state, []]
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

// -------------------------------------------------------------------------------------------------- the receiver

export interface Receiving {
  readonly peerUp: boolean
  /** Whether the policy takes it without asking. */
  readonly unasked: boolean
  /** The whole manifest was read and found good. */
  readonly listed: boolean
  readonly accepted: boolean
  /** Every block is here: what is left is to publish. */
  readonly received: boolean
  /** The lane that is wanted: being opened, or up. */
  readonly lane: { readonly attempt: number; readonly up: boolean } | null
  readonly newest: number
  /** Lanes lost in a row without a block. */
  readonly failures: number
  readonly outcome: Outcome | null
}

export type ReceiveMessage = Tagged<
  Common & {
    Begin: {}
    /** The sender offers it once more, as after a lost session. */
    OfferedAgain: {}
    LaneUp: { readonly attempt: number }
    Listed: {}
    /** The manifest is dangerous or untrue, or more than fits: nobody is asked. */
    Unacceptable: { readonly reason: string }
    Accept: {}
    Decline: { readonly reason: string }
    /** A block came: whatever was wrong with lanes before is over. */
    Progress: {}
    Received: {}
    Published: { readonly outcome: Outcome }
  }
>
export const ReceiveMessage = Data.taggedEnum<ReceiveMessage>()

export type ReceiveAction = Data.TaggedEnum<{
  /** `failures`: lanes lost in a row, so how long to wait first. */
  OpenLane: { readonly attempt: number; readonly failures: number }
  RunLane: { readonly attempt: number }
  Refuse: { readonly attempt: number; readonly reason: string }
  DropLane: {}
  /** Ask a person, for a while. */
  Ask: {}
  /** The answer is yes: staging may begin. */
  Take: {}
  Publish: {}
  TellAccepted: {}
  TellDeclined: { readonly reason: string }
  TellDone: { readonly outcome: Outcome }
  TellCancelled: { readonly reason: string }
}>
export const ReceiveAction = Data.taggedEnum<ReceiveAction>()

export const receiving = (options: { readonly peerUp: boolean; readonly unasked: boolean }): Receiving => ({
  ...options,
  listed: false,
  accepted: false,
  received: false,
  lane: null,
  newest: 0,
  failures: 0,
  outcome: null
})

export const shownReceiving = (state: Receiving): Shown => {
  if (state.outcome !== null) return state.outcome.state
  if (!state.accepted) return "offered"
  if (state.received) return "running"
  if (!state.peerUp) return "waiting"
  return state.failures > 0 && state.lane?.up !== true ? "stalled" : "running"
}

type ReceiveStep = readonly [Receiving, ReadonlyArray<ReceiveAction>]

/** Opens a lane if one is needed and none is there. */
const withLane = ([state, actions]: ReceiveStep): ReceiveStep => {
  const needed = state.outcome === null && state.peerUp && !state.received && (!state.listed || state.accepted)
  if (!needed || state.lane !== null) return [state, actions]
  const attempt = state.newest + 1
  return [
    { ...state, lane: { attempt, up: false }, newest: attempt },
    [...actions, ReceiveAction.OpenLane({ attempt, failures: state.failures })]
  ]
}

const endReceiving = (state: Receiving, outcome: Outcome, ...actions: ReadonlyArray<ReceiveAction>): ReceiveStep => [
  { ...state, lane: null, outcome },
  [ReceiveAction.DropLane(), ...actions]
]

const fail = (state: Receiving, reason: string): ReceiveStep => {
  const outcome: Outcome = { state: "failed", error: reason }
  return endReceiving(state, outcome, ReceiveAction.TellDone({ outcome }))
}

const decline = (state: Receiving, reason: string): ReceiveStep =>
  endReceiving(state, { state: "declined", error: reason }, ReceiveAction.TellDeclined({ reason }))

const laneEnded = (state: Receiving, message: Extract<ReceiveMessage, { readonly _tag: "LaneEnded" }>): ReceiveStep => {
  if (state.lane?.attempt !== message.attempt) return [state, []]
  const failures = state.failures + 1
  if (message.prospect === "none" || (message.prospect === "doubtful" && failures > corruptMax)) {
    return fail(state, message.reason)
  }
  if (failures > failuresMax) return fail(state, `the data link failed ${failures} times: ${message.reason}`)
  return withLane([{ ...state, lane: null, failures }, []])
}

const attached = (state: Receiving, attempt: number): ReceiveStep => {
  // Only the attempt that we asked to be dialled for is welcome.
  if (state.lane?.attempt !== attempt || state.lane.up) {
    return [state, [ReceiveAction.Refuse({ attempt, reason: "this lane was not asked for" })]]
  }
  return [{ ...state, lane: { attempt, up: true } }, [ReceiveAction.RunLane({ attempt })]]
}

const accept = (state: Receiving): ReceiveStep =>
  withLane([{ ...state, accepted: true }, [ReceiveAction.TellAccepted(), ReceiveAction.Take()]])

export const stepReceiving = (state: Receiving, message: ReceiveMessage): ReceiveStep => {
  if (state.outcome !== null) {
    return [
      state,
      message._tag === "Attached" ? [ReceiveAction.Refuse({ attempt: message.attempt, reason: over })] : []
    ]
  }
  switch (message._tag) {
    case "Begin":
      return withLane([state, []])
    case "PeerUp":
      return withLane([{ ...state, peerUp: true, failures: 0 }, []])
    case "PeerDown":
      return [{ ...state, peerUp: false, lane: null }, [ReceiveAction.DropLane()]]
    case "OfferedAgain":
      return [state, state.accepted ? [ReceiveAction.TellAccepted()] : []]
    case "Attached":
      return attached(state, message.attempt)
    case "LaneUp":
      return [state.lane?.attempt === message.attempt ? { ...state, lane: { ...state.lane, up: true } } : state, []]
    case "LaneEnded":
      return laneEnded(state, message)
    case "Listed": {
      if (state.listed) return [state, []]
      const listed = { ...state, listed: true, failures: 0 }
      return state.unasked
        ? accept(listed)
        : [{ ...listed, lane: null }, [ReceiveAction.DropLane(), ReceiveAction.Ask()]]
    }
    case "Unacceptable":
      return decline(state, message.reason)
    case "Accept":
      return state.listed && !state.accepted ? accept(state) : [{ ...state, unasked: true }, []]
    case "Decline":
      return state.accepted ? [state, []] : decline(state, message.reason)
    case "Progress":
      return [state.failures === 0 ? state : { ...state, failures: 0 }, []]
    case "Received":
      return state.accepted && state.listed && !state.received
        ? [{ ...state, received: true, lane: null }, [ReceiveAction.DropLane(), ReceiveAction.Publish()]]
        : [state, []]
    case "Published":
      return endReceiving(state, message.outcome, ReceiveAction.TellDone({ outcome: message.outcome }))
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

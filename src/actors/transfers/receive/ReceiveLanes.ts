/** What a transfer at the receiver decides about its lanes: which are needed, and what one that is lost means. Pure. */
import { ReceiveAction, type ReceiveMessage, type Receiving, type Wanted } from "./ReceiveMessages.ts"
import { isHeld, type Outcome, replaced } from "../TransferState.ts"

/**
 * How often one lane is lost in a row without a block before a receiver gives up while the session lives and no other
 * lane is up: half a minute of trying and more. A block that is not what its digest says is tried again too, as memory
 * may fail once, but not for long. A lane beside the first is a help, not a need: it is not tried for long either.
 */
export const failuresMax = 10
export const corruptMax = 2
export const helperFailuresMax = 2

const fresh: Wanted = { attempt: null, up: false, newest: 0, failures: 0 }

/** Attempts of one run: another run begins above all of them. */
const attemptsPerRun = 2 ** 20

export type ReceiveStep = readonly [Receiving, ReadonlyArray<ReceiveAction>]

export const dropWanted = ReceiveAction.DropLanes({ lane: "all" })

/** Without lanes, and with another chance for each. */
export const unlaned = (state: Receiving): Receiving => ({
  ...state,
  lanes: state.lanes.map(({ newest }) => ({ ...fresh, newest }))
})

/** Opens the lanes that are needed and not there. */
export const withLanes = ([state, actions]: ReceiveStep): ReceiveStep => {
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

export const endReceiving = (
  state: Receiving,
  outcome: Outcome,
  ...actions: ReadonlyArray<ReceiveAction>
): ReceiveStep => [{ ...unlaned(state), outcome }, [dropWanted, ...actions]]

export const fail = (state: Receiving, reason: string): ReceiveStep => {
  const outcome: Outcome = { state: "failed", error: reason }
  return endReceiving(state, outcome, ReceiveAction.TellDone({ outcome }))
}

export const laneEnded = (
  state: Receiving,
  message: Extract<ReceiveMessage, { readonly _tag: "LaneEnded" }>
): ReceiveStep => {
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

export const attachedReceiving = (state: Receiving, lane: number, attempt: number): ReceiveStep => {
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

export const laneUp = (state: Receiving, lane: number, attempt: number): Receiving => {
  const wanted = state.lanes[lane]
  if (wanted === undefined || wanted.attempt !== attempt) return state
  return { ...state, lanes: replaced(state.lanes, lane, { ...wanted, up: true }) }
}

export const progress = (state: Receiving, lane: number): Receiving => {
  const wanted = state.lanes[lane]
  if (wanted === undefined || wanted.failures === 0) return state
  return { ...state, lanes: replaced(state.lanes, lane, { ...wanted, failures: 0 }) }
}

/** The first lane of a run, above all attempts of those before. */
export const firstLane = (runs: number): Wanted => ({ ...fresh, newest: runs * attemptsPerRun })

/** Those that the blocks are worth, once the list is known. */
export const lanesListed = (state: Receiving, count: number): ReadonlyArray<Wanted> => {
  // The first began where no earlier run has been.
  const newest = Math.floor((state.lanes[0]?.newest ?? 0) / attemptsPerRun) * attemptsPerRun
  const helpers = Array.from({ length: Math.max(0, count - state.lanes.length) }, () => ({ ...fresh, newest }))
  return [...state.lanes.map((lane) => ({ ...lane, failures: 0 })), ...helpers]
}

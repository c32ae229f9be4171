/**
 * When a peer is dialled, and when again: a part of PeerState. Pure.
 */
import type { Address } from "../../schema/Address.ts"
import { includes, list, note } from "./Candidates.ts"
import { type PeerState, type Step, step } from "./PeerSteps.ts"

/** A session this long was a good one: the waits between dials begin anew after it. Milliseconds. */
export const steadyAfter = 10_000

/** A suggestion ends a wait between dials at most this often. Milliseconds. */
const cutEvery = 1000

/** Where to dial, in this order. */
export const addresses = (state: PeerState): ReadonlyArray<Address> => list(state.candidates)

/** It has no session, or one that is as good as none. */
export const isBare = (state: PeerState) => state.current === null || state.doubted

const mayDial = (state: PeerState) => isBare(state) && state.wanted && !state.halted

export const dialIfIdle = (state: PeerState): Step => {
  const candidates = addresses(state)
  if (!mayDial(state) || state.dial !== null || state.backingOff || candidates.length === 0) return [state, []]
  const link = -(state.dials + 1)
  return [
    { ...state, dial: link, dials: state.dials + 1 },
    [{ _tag: "Dial", link, attempt: state.failures, addresses: candidates }]
  ]
}

export const dialNow = (state: PeerState): Step => {
  if (!state.backingOff) return dialIfIdle(state)
  const [next, actions] = dialIfIdle({ ...state, backingOff: false })
  return [next, [{ _tag: "StopWaiting" }, ...actions]]
}

/**
 * It is heard elsewhere while it is connected: it has several addresses, or has moved, which its answer tells. The order
 * of its addresses stays as it is, since it would change with every announcement.
 */
export const noted = (state: PeerState, address: Address): Step => {
  if (state.current === null || includes(state.candidates, address)) return step(state)
  const next = { ...state, candidates: note(state.candidates, address), hint: address }
  return [next, [{ _tag: "Probe", link: state.current.link }]]
}

export const suggested = (state: PeerState, now: number): Step => {
  if (!state.backingOff) return dialIfIdle(state)
  return now - state.cutAt < cutEvery ? [state, []] : dialNow({ ...state, cutAt: now })
}

export const wait = (state: PeerState): Step =>
  mayDial(state) && state.dial === null && !state.backingOff && addresses(state).length > 0
    ? [{ ...state, backingOff: true }, [{ _tag: "Wait", attempt: state.failures }]]
    : [state, []]

/** What the end of a session or of a dial of ours teaches, apart from the link itself. */
export const learnFrom = (state: PeerState, reason: string): Step => {
  if (reason === "replaced") return [{ ...state, halted: true }, [{ _tag: "Alarm" }]]
  return [reason === "removed" || reason === "blocked" ? { ...state, halted: true } : state, []]
}

/** `duplicate` is no failure: the peer has another link with us, or is about to find that it has none. */
export const missedDial = (state: PeerState, reason: string): PeerState => {
  const isMissed = reason !== "duplicate" && isBare(state)
  const failures = isMissed ? state.failures + 1 : state.failures
  return { ...state, missed: state.missed || (isMissed && state.current === null), failures }
}

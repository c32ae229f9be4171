/**
 * What to do about one peer: whether to dial it, when again, and which of several links to keep. Pure: a message and
 * the state give the next state and the actions that PeerActor carries out.
 *
 * Links have numbers. Those dialled because this machine says `Dial` are negative; links that come from elsewhere
 * (accepted, or dialled by hand) bring a positive one.
 *
 * Both machines of a pair must end with the same link, whatever overtakes what on the way between them:
 * - A side says Hello only while it has no session, and on one link at a time. The side that accepted answers only
 *   once it has decided to keep the link. So both sides see the links of one dialler in the same order.
 * - Of two crossed dials the one by the smaller id wins. Its dialler, while it waits for the answer, puts the other
 *   link off instead of choosing it and changing its mind: nobody hears of two sessions.
 *
 * A session that falls silent is doubted before it is given up: another link is dialled beside it, which takes its
 * place if it comes first. So a peer with a new address, or behind a cable that was mended, is back at once, and a
 * network that only hesitates loses nothing. In doubt links are judged as if there were no session.
 */
import type { Address } from "../../schema/Address.ts"
import type { GoodbyeReason } from "../../schema/Frame.ts"
import type { PeerConnectionState } from "../../schema/Peer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { hear, includes, noCandidates } from "./Candidates.ts"
import { isBare, dialIfIdle, dialNow, noted, suggested } from "./PeerStateDials.ts"
import { doubt, trust, reached, established, close, over } from "./PeerStateLinks.ts"
import { type PeerAction, type PeerMessage, type PeerState, type Step, step } from "./PeerSteps.ts"

export { addresses, steadyAfter } from "./PeerStateDials.ts"
export type { PeerAction, PeerMessage, PeerState, Step }

export const initial = (options: {
  readonly self: PeerId
  readonly peer: PeerId
  readonly wanted?: boolean
  readonly met?: boolean
  readonly addresses?: ReadonlyArray<Address>
}): PeerState => ({
  self: options.self,
  peer: options.peer,
  candidates: { ...noCandidates, heard: options.addresses ?? [] },
  wanted: options.wanted ?? false,
  halted: false,
  met: options.met ?? false,
  missed: false,
  current: null,
  doubted: false,
  hint: null,
  dial: null,
  backingOff: false,
  greeting: null,
  waiting: [],
  deferred: [],
  failures: 0,
  cutAt: Number.NEGATIVE_INFINITY,
  dials: 0,
  stopped: null
})

/** What is left of a state whose links are all gone, as after a defect of its actor. */
export const bereave = (state: PeerState): PeerState => ({
  ...state,
  current: null,
  doubted: false,
  dial: null,
  backingOff: false,
  greeting: null,
  waiting: [],
  deferred: []
})

/** The first step of a life. */
export const begin = (state: PeerState): Step => dialIfIdle(state)

/** What the registry shows. */
export const shown = (state: PeerState): PeerConnectionState => {
  if (state.current !== null) return "connected"
  if (!state.wanted) return state.met ? "away" : "discovered"
  return state.missed || state.halted ? "away" : "connecting"
}

/** Whether a suggestion of this address would change nothing. */
export const isAt = (state: PeerState, address: Address): boolean =>
  state.current !== null &&
  !state.doubted &&
  state.wanted &&
  state.stopped === null &&
  includes(state.candidates, address)

/** The wait before the next dial, without jitter: after the first failure (or none) 200 ms, doubling up to 30 s. */
export const backoff = (attempt: number, first: number, most: number): number =>
  Math.min(most, first * 2 ** Math.min(30, Math.max(0, attempt - 1)))

/** The whole machine. `now` is monotonic, in milliseconds. */
export const transition = (state: PeerState, message: PeerMessage, now: number): Step => {
  if (state.stopped !== null) return [state, afterStop(state.stopped, message)]
  switch (message._tag) {
    case "Suggested":
      return isBare(state)
        ? suggested({ ...state, wanted: true, candidates: hear(state.candidates, message.address) }, now)
        : noted({ ...state, wanted: true }, message.address)
    case "Wanted": {
      const candidates = message.address === null ? state.candidates : hear(state.candidates, message.address)
      const next: PeerState = { ...state, candidates, wanted: true, halted: false, missed: false, failures: 0 }
      return isBare(next) ? dialNow(next) : step(next)
    }
    case "Reached":
      return reached(state, message.link)
    case "Established":
      return established(state, message, now)
    case "Over":
      return over(state, message.link, message.reason, now)
    case "Doubtful":
      return state.current?.link === message.link && !state.doubted ? doubt(state, message.link) : step(state)
    case "Answered":
      return state.current?.link === message.link && state.doubted ? trust(state, message.link) : step(state)
    case "Retry":
      return state.backingOff ? dialIfIdle({ ...state, backingOff: false }) : [state, []]
    case "Stop":
      return stop(state, message.reason)
  }
}

const afterStop = (reason: GoodbyeReason, message: PeerMessage): ReadonlyArray<PeerAction> => {
  if (message._tag === "Reached") return [{ _tag: "Drop", link: message.link }]
  return message._tag === "Established" ? [{ _tag: "Close", link: message.link, reason }] : []
}

const stop = (state: PeerState, reason: GoodbyeReason): Step => {
  const actions: Array<PeerAction> = []
  if (state.current !== null) actions.push(close(state.current.link, reason))
  for (const { link } of state.deferred) actions.push(close(link, reason))
  for (const link of state.waiting) actions.push({ _tag: "Drop", link })
  if (state.dial !== null) actions.push({ _tag: "CancelDial", link: state.dial })
  if (state.backingOff) actions.push({ _tag: "StopWaiting" })
  return [
    {
      ...state,
      current: null,
      doubted: false,
      dial: null,
      backingOff: false,
      waiting: [],
      deferred: [],
      stopped: reason
    },
    actions
  ]
}

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
 */
import type { Address } from "../schema/Address.ts"
import type { GoodbyeReason } from "../schema/Frame.ts"
import type { Instance } from "../schema/Id.ts"
import type { PeerConnectionState } from "../schema/Peer.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { type Candidates, hear, includes, list, noCandidates, note, prove } from "./Candidates.ts"

/** A session this long was a good one: the waits between dials begin anew after it. Milliseconds. */
export const steadyAfter = 10_000

/** A suggestion ends a wait between dials at most this often. Milliseconds. */
export const cutEvery = 1000

/**
 * Two dials can only have crossed when both Hellos came within one time limit of a Hello, here doubled. Later, the
 * peer would not dial if it still had the link we have. Milliseconds.
 */
export const crossedWithin = 10_000

/** Links put off, or waiting to say Hello, at one time; one more is closed. */
const pendingMax = 8

/** A link on which the peer's Hello was read. */
export interface LinkFacts {
  readonly link: number
  readonly side: "dialled" | "accepted"
  /** The peer's, from its Hello. */
  readonly instance: Instance
}

export interface PeerState {
  readonly self: PeerId
  readonly peer: PeerId
  readonly candidates: Candidates
  readonly wanted: boolean
  /** The peer, or another node with our identity, told us to stop: not dialled until a person acts or it comes back. */
  readonly halted: boolean
  /** There was a session once. */
  readonly met: boolean
  /** It went away, or did not answer: dialling it again is no news. */
  readonly missed: boolean
  readonly current: (LinkFacts & { readonly since: number }) | null
  /** The link this machine asked for, until it is a session or over. */
  readonly dial: number | null
  readonly backingOff: boolean
  /** The link on which our Hello is out and not answered. */
  readonly greeting: number | null
  /** Dialled links that wait to say Hello, until `greeting` is settled. */
  readonly waiting: ReadonlyArray<number>
  /** Accepted links that are put off until `greeting` is settled, the newest last. */
  readonly deferred: ReadonlyArray<LinkFacts>
  /** Dials and short sessions that failed since the last good one. */
  readonly failures: number
  /** When a suggestion last ended a wait. */
  readonly cutAt: number
  readonly dials: number
  readonly stopped: GoodbyeReason | null
}

export type PeerMessage =
  /** Someone who claims to be this peer may be there. */
  | { readonly _tag: "Suggested"; readonly address: Address }
  /** A person wants this peer. */
  | { readonly _tag: "Wanted"; readonly address: Address | null }
  /** A dialled link is up and its other side is this peer; it asks whether to say Hello. */
  | { readonly _tag: "Reached"; readonly link: number }
  /** The peer's Hello was read. `address`: where it was dialled, or may be. */
  | ({ readonly _tag: "Established"; readonly address: Address } & LinkFacts)
  /** A link of any kind is over; told once for each. `reason` as in the Goodbye, or why it failed. */
  | { readonly _tag: "Over"; readonly link: number; readonly reason: string }
  /** The wait is over. */
  | { readonly _tag: "Retry" }
  | { readonly _tag: "Stop"; readonly reason: GoodbyeReason }

export type PeerAction =
  | {
      readonly _tag: "Dial"
      readonly link: number
      readonly attempt: number
      readonly addresses: ReadonlyArray<Address>
    }
  | { readonly _tag: "CancelDial"; readonly link: number }
  /** Answers to Reached. */
  | { readonly _tag: "Greet"; readonly link: number }
  | { readonly _tag: "Drop"; readonly link: number }
  /** Answers to Established: this is the session now. The one before, if any, is closed by the next action. */
  | { readonly _tag: "Adopt"; readonly link: number }
  | { readonly _tag: "Close"; readonly link: number; readonly reason: GoodbyeReason }
  /** Tell `Retry` after `backoff(attempt)`. */
  | { readonly _tag: "Wait"; readonly attempt: number }
  | { readonly _tag: "StopWaiting" }
  /** Ask the session's peer whether it is there: a link that died on its side shows at once. */
  | { readonly _tag: "Probe"; readonly link: number }
  /** Another node runs with our identity. */
  | { readonly _tag: "Alarm" }

export type Step = readonly [state: PeerState, actions: ReadonlyArray<PeerAction>]

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

/** Where to dial, in this order. */
export const addresses = (state: PeerState): ReadonlyArray<Address> => list(state.candidates)

/** Whether a suggestion of this address would change nothing. */
export const isAt = (state: PeerState, address: Address): boolean =>
  state.current !== null && state.wanted && state.stopped === null && includes(state.candidates, address)

/** The wait before the next dial, without jitter: after the first failure (or none) 200 ms, doubling up to 30 s. */
export const backoff = (attempt: number, first: number, most: number): number =>
  Math.min(most, first * 2 ** Math.min(30, Math.max(0, attempt - 1)))

/** The whole machine. `now` is monotonic, in milliseconds. */
export const transition = (state: PeerState, message: PeerMessage, now: number): Step => {
  if (state.stopped !== null) return [state, afterStop(state.stopped, message)]
  switch (message._tag) {
    case "Suggested": {
      // While it is connected the order of its addresses tells nothing new, and would change with every announcement.
      const learn = state.current === null ? hear : note
      return suggested({ ...state, wanted: true, candidates: learn(state.candidates, message.address) }, now)
    }
    case "Wanted": {
      const candidates = message.address === null ? state.candidates : hear(state.candidates, message.address)
      return dialNow({ ...state, candidates, wanted: true, halted: false, missed: false, failures: 0 })
    }
    case "Reached":
      return reached(state, message.link)
    case "Established":
      return established(state, message, now)
    case "Over":
      return over(state, message.link, message.reason, now)
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

const mayDial = (state: PeerState) => state.current === null && state.wanted && !state.halted

const dialIfIdle = (state: PeerState): Step => {
  const candidates = addresses(state)
  if (!mayDial(state) || state.dial !== null || state.backingOff || candidates.length === 0) return [state, []]
  const link = -(state.dials + 1)
  return [
    { ...state, dial: link, dials: state.dials + 1 },
    [{ _tag: "Dial", link, attempt: state.failures, addresses: candidates }]
  ]
}

const dialNow = (state: PeerState): Step => {
  if (!state.backingOff) return dialIfIdle(state)
  const [next, actions] = dialIfIdle({ ...state, backingOff: false })
  return [next, [{ _tag: "StopWaiting" }, ...actions]]
}

const suggested = (state: PeerState, now: number): Step => {
  if (!state.backingOff) return dialIfIdle(state)
  return now - state.cutAt < cutEvery ? [state, []] : dialNow({ ...state, cutAt: now })
}

const wait = (state: PeerState): Step =>
  mayDial(state) && state.dial === null && !state.backingOff && addresses(state).length > 0
    ? [{ ...state, backingOff: true }, [{ _tag: "Wait", attempt: state.failures }]]
    : [state, []]

const reached = (state: PeerState, link: number): Step => {
  if (state.current !== null) {
    return [{ ...state, dial: state.dial === link ? null : state.dial }, [{ _tag: "Drop", link }]]
  }
  if (state.greeting === null) return [{ ...state, greeting: link }, [{ _tag: "Greet", link }]]
  if (state.waiting.length >= pendingMax) return [state, [{ _tag: "Drop", link }]]
  return [{ ...state, waiting: [...state.waiting, link] }, []]
}

type Established = Extract<PeerMessage, { readonly _tag: "Established" }>

const established = (before: PeerState, message: Established, now: number): Step => {
  const { link, side, instance, address } = message
  const facts: LinkFacts = { link, side, instance }
  const learn = side === "dialled" ? prove : note
  const state: PeerState = {
    ...before,
    candidates: learn(before.candidates, address),
    greeting: before.greeting === link ? null : before.greeting,
    dial: before.dial === link ? null : before.dial
  }
  const { current } = state
  if (current === null) {
    // Our own dial is out, and will win if it is answered: choosing this one now would mean changing our mind.
    const isPutOff = state.greeting !== null && side === "accepted" && state.self < state.peer
    return isPutOff ? defer(state, facts) : adopt(state, facts, now, [])
  }
  if (instance !== current.instance) return adopt(state, facts, now, [close(current.link, "replaced")])
  const isNewer = side === "accepted" && now - current.since >= crossedWithin
  const wins = side === current.side || isNewer || (side === "dialled") === state.self < state.peer
  return wins
    ? adopt(state, facts, now, [close(current.link, "duplicate")])
    : [state, [close(link, "duplicate"), { _tag: "Probe", link: current.link }]]
}

const close = (link: number, reason: GoodbyeReason): PeerAction => ({ _tag: "Close", link, reason })

const defer = (state: PeerState, facts: LinkFacts): Step => {
  const deferred = [...state.deferred, facts]
  const [oldest] = deferred
  return oldest === undefined || deferred.length <= pendingMax
    ? [{ ...state, deferred }, []]
    : [{ ...state, deferred: deferred.slice(1) }, [close(oldest.link, "duplicate")]]
}

/** Makes this link the session: everything else that was under way is called off. */
const adopt = (state: PeerState, facts: LinkFacts, now: number, closing: ReadonlyArray<PeerAction>): Step => {
  // Once our Hello is out the other side may have chosen that link: then its answer decides, not we.
  const isReaching = state.dial !== null && state.dial !== state.greeting && !state.waiting.includes(state.dial)
  const dial = state.dial === state.greeting ? state.dial : null
  const actions: Array<PeerAction> = [{ _tag: "Adopt", link: facts.link }, ...closing]
  if (state.backingOff) actions.push({ _tag: "StopWaiting" })
  if (isReaching && state.dial !== null) actions.push({ _tag: "CancelDial", link: state.dial })
  for (const link of state.waiting) actions.push({ _tag: "Drop", link })
  // What was put off came earlier, so it is the older one where it is of another instance.
  for (const { link, instance } of state.deferred) {
    if (link !== facts.link) actions.push(close(link, instance === facts.instance ? "duplicate" : "replaced"))
  }
  return [
    {
      ...state,
      current: { ...facts, since: now },
      met: true,
      halted: false,
      dial,
      backingOff: false,
      waiting: [],
      deferred: []
    },
    actions
  ]
}

/** What the end of a session or of a dial of ours teaches, apart from the link itself. */
const learnFrom = (state: PeerState, reason: string): Step => {
  if (reason === "replaced") return [{ ...state, halted: true }, [{ _tag: "Alarm" }]]
  return [reason === "removed" || reason === "blocked" ? { ...state, halted: true } : state, []]
}

const over = (state: PeerState, link: number, reason: string, now: number): Step => {
  if (state.current?.link === link) {
    const isSteady = now - state.current.since >= steadyAfter
    const failures = isSteady ? 0 : reason === "duplicate" ? state.failures : state.failures + 1
    return chain(
      learnFrom({ ...state, current: null, missed: reason !== "duplicate" || state.missed, failures }, reason),
      wait
    )
  }
  const rest: PeerState = {
    ...state,
    dial: state.dial === link ? null : state.dial,
    waiting: state.waiting.filter((each) => each !== link),
    deferred: state.deferred.filter((each) => each.link !== link)
  }
  const settled = rest.greeting === link ? settle({ ...rest, greeting: null }, now) : step(rest)
  if (state.dial !== link) return settled
  return chain(
    chain(settled, (next) => learnFrom(missedDial(next, reason), reason)),
    wait
  )
}

/** `duplicate` is no failure: the peer has another link with us, or is about to find that it has none. */
const missedDial = (state: PeerState, reason: string): PeerState =>
  reason === "duplicate" || state.current !== null ? state : { ...state, missed: true, failures: state.failures + 1 }

/** Our Hello came to nothing: now the links that waited for that. */
const settle = (state: PeerState, now: number): Step => {
  const newest = state.deferred.at(-1)
  if (state.current === null && newest !== undefined) return adopt(state, newest, now, [])
  const [next, ...waiting] = state.waiting
  return next === undefined ? step(state) : [{ ...state, greeting: next, waiting }, [{ _tag: "Greet", link: next }]]
}

const stop = (state: PeerState, reason: GoodbyeReason): Step => {
  const actions: Array<PeerAction> = []
  if (state.current !== null) actions.push(close(state.current.link, reason))
  for (const { link } of state.deferred) actions.push(close(link, reason))
  for (const link of state.waiting) actions.push({ _tag: "Drop", link })
  if (state.dial !== null) actions.push({ _tag: "CancelDial", link: state.dial })
  if (state.backingOff) actions.push({ _tag: "StopWaiting" })
  return [
    { ...state, current: null, dial: null, backingOff: false, waiting: [], deferred: [], stopped: reason },
    actions
  ]
}

const step = (state: PeerState): Step => [state, []]

const chain = ([state, actions]: Step, next: (state: PeerState) => Step): Step => {
  const [after, more] = next(state)
  return [after, [...actions, ...more]]
}

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
import type { Address } from "../schema/Address.ts"
import type { GoodbyeReason } from "../schema/Frame.ts"
import type { Instance } from "../schema/Id.ts"
import type { PeerConnectionState } from "../schema/Peer.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { type Candidates, hear, includes, list, noCandidates, note, prove } from "./Candidates.ts"

/** A session this long was a good one: the waits between dials begin anew after it. Milliseconds. */
export const steadyAfter = 10_000

/** A suggestion ends a wait between dials at most this often. Milliseconds. */
const cutEvery = 1000

/**
 * Two dials can only have crossed when both Hellos came within one time limit of a Hello, here doubled. Later, the
 * peer would not dial if it still had the link we have. Milliseconds.
 */
const crossedWithin = 10_000

/** Links put off, or waiting to say Hello, at one time; one more is closed. */
const pendingMax = 8

/** A link on which the peer's Hello was read. */
interface LinkFacts {
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
  /** The session's peer did not answer in time, or this machine lost the address it speaks from. */
  readonly doubted: boolean
  /** Where the peer was heard last that was not known when this session began: there it is if the session is dead. */
  readonly hint: Address | null
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
  /** Nothing was heard on the link since the peer was asked, or this machine lost the address that it speaks from. */
  | { readonly _tag: "Doubtful"; readonly link: number }
  /** Something was heard on it after all. */
  | { readonly _tag: "Answered"; readonly link: number }
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
  /** Ask the session's peer whether it is there: a link that died on its side shows at once. Tell `Doubtful`. */
  | { readonly _tag: "Probe"; readonly link: number }
  /** Tell `Answered` once anything is heard on it. */
  | { readonly _tag: "Listen"; readonly link: number }
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

/** Where to dial, in this order. */
export const addresses = (state: PeerState): ReadonlyArray<Address> => list(state.candidates)

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

/** It has no session, or one that is as good as none. */
const isBare = (state: PeerState) => state.current === null || state.doubted

const mayDial = (state: PeerState) => isBare(state) && state.wanted && !state.halted

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

/**
 * It is heard elsewhere while it is connected: it has several addresses, or has moved, which its answer tells. The order
 * of its addresses stays as it is, since it would change with every announcement.
 */
const noted = (state: PeerState, address: Address): Step => {
  if (state.current === null || includes(state.candidates, address)) return step(state)
  const next = { ...state, candidates: note(state.candidates, address), hint: address }
  return [next, [{ _tag: "Probe", link: state.current.link }]]
}

const doubt = (state: PeerState, link: number): Step => {
  const candidates = state.hint === null ? state.candidates : hear(state.candidates, state.hint)
  return chain([{ ...state, doubted: true, hint: null, candidates }, [{ _tag: "Listen", link }]], dialIfIdle)
}

/** The session lives. While our Hello is out beside it, the other side may have chosen that link: its answer decides. */
const trust = (state: PeerState, link: number): Step => {
  if (state.greeting !== null) return [state, [{ _tag: "Listen", link }]]
  const actions: Array<PeerAction> = []
  if (state.backingOff) actions.push({ _tag: "StopWaiting" })
  if (state.dial !== null) actions.push({ _tag: "CancelDial", link: state.dial })
  return [{ ...state, doubted: false, dial: null, backingOff: false }, actions]
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
  if (!isBare(state)) {
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
  if (current === null || state.doubted) {
    // Our own dial is out, and will win if it is answered: choosing this one now would mean changing our mind.
    const isPutOff = state.greeting !== null && side === "accepted" && state.self < state.peer
    return isPutOff ? defer(state, facts) : adopt(state, facts, now)
  }
  if (instance !== current.instance) return adopt(state, facts, now)
  const isNewer = side === "accepted" && now - current.since >= crossedWithin
  const wins = side === current.side || isNewer || (side === "dialled") === state.self < state.peer
  return wins ? adopt(state, facts, now) : [state, [close(link, "duplicate"), { _tag: "Probe", link: current.link }]]
}

const close = (link: number, reason: GoodbyeReason): PeerAction => ({ _tag: "Close", link, reason })

const defer = (state: PeerState, facts: LinkFacts): Step => {
  const deferred = [...state.deferred, facts]
  const [oldest] = deferred
  return oldest === undefined || deferred.length <= pendingMax
    ? [{ ...state, deferred }, []]
    : [{ ...state, deferred: deferred.slice(1) }, [close(oldest.link, "duplicate")]]
}

/** Makes this link the session, in place of the one before: everything else that was under way is called off. */
const adopt = (state: PeerState, facts: LinkFacts, now: number): Step => {
  const reasonFor = (instance: Instance): GoodbyeReason => (instance === facts.instance ? "duplicate" : "replaced")
  const closing = state.current === null ? [] : [close(state.current.link, reasonFor(state.current.instance))]
  // Once our Hello is out the other side may have chosen that link: then its answer decides, not we.
  const isReaching = state.dial !== null && state.dial !== state.greeting && !state.waiting.includes(state.dial)
  const dial = state.dial === state.greeting ? state.dial : null
  const actions: Array<PeerAction> = [{ _tag: "Adopt", link: facts.link }, ...closing]
  if (state.backingOff) actions.push({ _tag: "StopWaiting" })
  if (isReaching && state.dial !== null) actions.push({ _tag: "CancelDial", link: state.dial })
  for (const link of state.waiting) actions.push({ _tag: "Drop", link })
  // What was put off came earlier, so it is the older one where it is of another instance.
  for (const { link, instance } of state.deferred) {
    if (link !== facts.link) actions.push(close(link, reasonFor(instance)))
  }
  return [
    {
      ...state,
      current: { ...facts, since: now },
      doubted: false,
      hint: null,
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
      learnFrom(
        { ...state, current: null, doubted: false, missed: reason !== "duplicate" || state.missed, failures },
        reason
      ),
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
const missedDial = (state: PeerState, reason: string): PeerState => {
  const isMissed = reason !== "duplicate" && isBare(state)
  const failures = isMissed ? state.failures + 1 : state.failures
  return { ...state, missed: state.missed || (isMissed && state.current === null), failures }
}

/** Our Hello came to nothing: now the links that waited for that. */
const settle = (state: PeerState, now: number): Step => {
  const newest = state.deferred.at(-1)
  if (isBare(state) && newest !== undefined) return adopt(state, newest, now)
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

const step = (state: PeerState): Step => [state, []]

const chain = ([state, actions]: Step, next: (state: PeerState) => Step): Step => {
  const [after, more] = next(state)
  return [after, [...actions, ...more]]
}

/**
 * Which of several links with a peer becomes its session, and what the end of one means: a part of PeerState. Pure.
 */
import type { GoodbyeReason } from "../../schema/Frame.ts"
import type { Instance } from "../../schema/Id.ts"
import { hear, note, prove } from "./Candidates.ts"
import { steadyAfter, isBare, dialIfIdle, wait, learnFrom, missedDial } from "./PeerStateDials.ts"
import {
  chain,
  type LinkFacts,
  type PeerAction,
  type PeerMessage,
  type PeerState,
  type Step,
  step
} from "./PeerSteps.ts"

/**
 * Two dials can only have crossed when both Hellos came within one time limit of a Hello, here doubled. Later, the
 * peer would not dial if it still had the link we have. Milliseconds.
 */
const crossedWithin = 10_000

/** Links put off, or waiting to say Hello, at one time; one more is closed. */
const pendingMax = 8

export const doubt = (state: PeerState, link: number): Step => {
  const candidates = state.hint === null ? state.candidates : hear(state.candidates, state.hint)
  return chain([{ ...state, doubted: true, hint: null, candidates }, [{ _tag: "Listen", link }]], dialIfIdle)
}

/** The session lives. While our Hello is out beside it, the other side may have chosen that link: its answer decides. */
export const trust = (state: PeerState, link: number): Step => {
  if (state.greeting !== null) return [state, [{ _tag: "Listen", link }]]
  const actions: Array<PeerAction> = []
  if (state.backingOff) actions.push({ _tag: "StopWaiting" })
  if (state.dial !== null) actions.push({ _tag: "CancelDial", link: state.dial })
  return [{ ...state, doubted: false, dial: null, backingOff: false }, actions]
}

export const reached = (state: PeerState, link: number): Step => {
  if (!isBare(state)) {
    return [{ ...state, dial: state.dial === link ? null : state.dial }, [{ _tag: "Drop", link }]]
  }
  if (state.greeting === null) return [{ ...state, greeting: link }, [{ _tag: "Greet", link }]]
  if (state.waiting.length >= pendingMax) return [state, [{ _tag: "Drop", link }]]
  return [{ ...state, waiting: [...state.waiting, link] }, []]
}

type Established = Extract<PeerMessage, { readonly _tag: "Established" }>

export const established = (before: PeerState, message: Established, now: number): Step => {
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

export const close = (link: number, reason: GoodbyeReason): PeerAction => ({ _tag: "Close", link, reason })

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

export const over = (state: PeerState, link: number, reason: string, now: number): Step => {
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

/** Our Hello came to nothing: now the links that waited for that. */
const settle = (state: PeerState, now: number): Step => {
  const newest = state.deferred.at(-1)
  if (isBare(state) && newest !== undefined) return adopt(state, newest, now)
  const [next, ...waiting] = state.waiting
  return next === undefined ? step(state) : [{ ...state, greeting: next, waiting }, [{ _tag: "Greet", link: next }]]
}

/**
 * The contract of the machine behind one peer: what it knows, what it is told, and what it wants done. PeerState is the
 * machine; PeerStateDials and PeerStateLinks are its parts. Pure.
 */
import type { Address } from "../../schema/Address.ts"
import type { GoodbyeReason } from "../../schema/Frame.ts"
import type { Instance } from "../../schema/Id.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { Candidates } from "./Candidates.ts"

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

export const step = (state: PeerState): Step => [state, []]

export const chain = ([state, actions]: Step, next: (state: PeerState) => Step): Step => {
  const [after, more] = next(state)
  return [after, [...actions, ...more]]
}

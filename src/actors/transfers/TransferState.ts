/**
 * What the two machines of a transfer share: `SendState` decides at the sender, `ReceiveState` at the receiver. Given
 * what it is and what happened, each says what it becomes and what is to be done; the actors do it. Pure.
 *
 * The receiver says which lanes it wants; each try of a lane has a higher attempt number of that lane, chosen by the
 * receiver. A transfer that either side holds, or whose turn it is not, has no lane. An outcome is final: nothing but
 * a lane that has to be refused is answered after it.
 */
/** How it ended. `error` is a sentence for a person, or null. */
export interface Outcome {
  readonly state: "done" | "partial" | "failed" | "cancelled" | "declined"
  readonly error: string | null
}

/** Whether trying again may help. */
export type Prospect = "good" | "doubtful" | "none"

/** Which sides hold it. Each holds for itself, and whoever resumes lets go for both. */
export interface Pause {
  readonly here: boolean
  readonly peer: boolean
}

export const isHeld = ({ here, peer }: Pause): boolean => here || peer

export const free: Pause = { here: false, peer: false }

/** Messages that both roles know. */
export interface Common {
  PeerUp: {}
  PeerDown: {}
  /** The other side opened a lane. */
  Attached: { readonly lane: number; readonly attempt: number }
  LaneEnded: { readonly lane: number; readonly attempt: number; readonly reason: string; readonly prospect: Prospect }
  Paused: { readonly by: "here" | "peer" }
  Resumed: { readonly by: "here" | "peer" }
  Cancelled: { readonly by: "here" | "peer"; readonly reason: string }
  /** It cannot go on, whatever the other side does. */
  Broken: { readonly reason: string }
  /** The other side has been away for too long. */
  Expired: {}
}

/** What both roles do. */
export type CommonActions = {
  Refuse: { readonly lane: number; readonly attempt: number; readonly reason: string }
  /** One lane, or all of them. */
  DropLanes: { readonly lane: number | "all" }
  TellPaused: {}
  TellResumed: {}
  TellCancelled: { readonly reason: string }
  /** The other side is away: comes back to it with `Expired`, unless it was away anew meanwhile. */
  ExpireLater: {}
}

export type Tagged<A> = { [Tag in keyof A]: { readonly _tag: Tag } & A[Tag] }[keyof A]

export const over = "this transfer is over"

/** A copy with one element replaced. */
export const replaced = <A>(all: ReadonlyArray<A>, at: number, by: A): ReadonlyArray<A> =>
  all.map((one, i) => (i === at ? by : one))

/** Which side holds it, as it is shown. */
export const pausedBy = ({ here, peer }: Pause): "here" | "peer" | "both" | null =>
  here ? (peer ? "both" : "here") : peer ? "peer" : null

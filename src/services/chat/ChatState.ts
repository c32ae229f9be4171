/**
 * The counting behind chat: what of an outbox is to be written to a session, and what of a peer was already shown. It
 * decides; Chat acts, and MessageStore counts. Pure.
 *
 * Each message to a peer has an epoch and a number, from 1. A link keeps order and loses nothing but its end, so
 * after a new session everything unacknowledged is sent again, in order, and the receiver shows the one number
 * that follows the last. `first` in every message, the oldest unacknowledged number, is where a receiver that
 * forgot the epoch begins.
 */
import type { Epoch } from "../../schema/Id.ts"
import type { MessageState } from "../../schema/Message.ts"

/** What of an outbox was written to one session, and acknowledged since it began. */
export interface Session {
  /** Of what was written last; null before anything was. */
  readonly epoch: Epoch | null
  /** The oldest number of it that the peer has not acknowledged, as far as this session knows. */
  readonly first: number
  /** The greatest number written: what follows it is to be written next. */
  readonly written: number
}

/** A session begins: everything unacknowledged is to be written, from the first on. */
export const newSession: Session = { epoch: null, first: 0, written: 0 }

/** One message to one peer. */
export interface Item {
  readonly epoch: Epoch
  readonly seq: number
}

/**
 * The message is about to be written, the next of those that were unacknowledged a moment ago. Its `first` is that of
 * the session; undefined where its receipt came meanwhile, so that nothing is to be written.
 */
export const writing = (session: Session, { epoch, seq }: Item): Session | undefined => {
  const first = session.epoch === epoch ? session.first : seq
  return seq < first ? undefined : { epoch, first, written: seq }
}

/** Everything up to this number was acknowledged. */
export const acknowledged = (session: Session, { epoch, seq }: Item): Session =>
  session.epoch === epoch ? { ...session, first: Math.max(session.first, seq + 1) } : session

/** What of one peer was shown: the last number of each epoch, the epoch heard last at the end. */
export type Inbox = ReadonlyArray<{ readonly epoch: Epoch; readonly last: number }>

/** Epochs of one peer that are remembered. A peer begins one at each start, and never returns to an old one. */
export const epochsMax = 8

export interface Received {
  readonly inbox: Inbox
  /** new: show it. again: it was shown. gap: one before it is missing, and will be sent before this one again. */
  readonly verdict: "new" | "again" | "gap"
  /** The last number shown of this epoch, which is what may be acknowledged; 0 if none. */
  readonly last: number
}

/** A message arrived. */
export const receive = (
  inbox: Inbox,
  message: { readonly epoch: Epoch; readonly first: number; readonly seq: number }
): Received => {
  const known = inbox.find((one) => one.epoch === message.epoch)?.last ?? 0
  // The sender counts what lies before `first` as acknowledged. If that is forgotten here, it will not come again.
  const last = Math.max(known, message.first - 1)
  if (message.seq <= last) return { inbox, verdict: message.seq <= known ? "again" : "gap", last: known }
  if (message.seq > last + 1) return { inbox, verdict: "gap", last: known }
  const others = inbox.filter((one) => one.epoch !== message.epoch)
  return {
    inbox: [...others, { epoch: message.epoch, last: message.seq }].slice(-epochsMax),
    verdict: "new",
    last: message.seq
  }
}

const order: ReadonlyArray<MessageState> = ["expired", "queued", "sent", "delivered", "read"]

/** Whether a message in state `a` got less far than one in state `b`. */
const isBehind = (a: MessageState, b: MessageState): boolean => order.indexOf(a) < order.indexOf(b)

/** The state of a message: that of its least advanced recipient. */
export const leastAdvanced = (states: ReadonlyArray<MessageState>): MessageState =>
  states.reduce((least, state) => (isBehind(state, least) ? state : least), "read" as MessageState)

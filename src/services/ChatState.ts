/**
 * The counting behind chat: what is still to be sent to one peer, and what of a peer was already shown. It decides;
 * Chat acts. Pure.
 *
 * Each message to a peer has an epoch and a number, from 1. A link keeps order and loses nothing but its end, so
 * after a new session everything unacknowledged is sent again, in order, and the receiver shows the one number
 * that follows the last. `first` in every message, the oldest unacknowledged number, is where a receiver that
 * forgot the epoch begins.
 */
import type { Epoch } from "../schema/Id.ts"
import type { MessageState } from "../schema/Message.ts"

/** One message to one peer. `A` is whatever the owner knows it by. */
export interface Item<A> {
  readonly seq: number
  readonly value: A
}

/** Everything on its way to one peer. */
export interface Outbox<A> {
  readonly epoch: Epoch
  /** The number of the next message. */
  readonly next: number
  /** Not acknowledged, in order and without gaps. */
  readonly pending: ReadonlyArray<Item<A>>
  /** The number of the next message to write to this session. */
  readonly cursor: number
  /** The greatest number ever written to a session: what the peer may acknowledge. */
  readonly written: number
  /** Delivered and not known to be read, in order; the oldest are forgotten. */
  readonly unread: ReadonlyArray<Item<A>>
}

/** Delivered messages of one peer whose reading is still awaited. */
export const unreadMax = 1000

export const emptyOutbox = (epoch: Epoch): Outbox<never> => ({
  epoch,
  next: 1,
  pending: [],
  cursor: 1,
  written: 0,
  unread: []
})

/** One message more, at the end. */
export const enqueue = <A>(outbox: Outbox<A>, value: A): Outbox<A> => ({
  ...outbox,
  next: outbox.next + 1,
  pending: [...outbox.pending, { seq: outbox.next, value }]
})

/** The number of the oldest message the peer has not acknowledged. */
export const first = <A>(outbox: Outbox<A>): number => outbox.pending[0]?.seq ?? outbox.next

/** What to write next to this session, if anything. */
export const nextToWrite = <A>(outbox: Outbox<A>): Item<A> | undefined => outbox.pending[outbox.cursor - first(outbox)]

/**
 * The message is about to be written. It is counted before and not after: its receipt may be here before the write
 * is known to be over.
 */
export const writing = <A>(outbox: Outbox<A>, item: Item<A>): Outbox<A> => ({
  ...outbox,
  cursor: item.seq + 1,
  written: Math.max(outbox.written, item.seq)
})

/** Whether the peer has not acknowledged this message yet. */
export const isPending = <A>(outbox: Outbox<A>, item: Item<A>): boolean => item.seq >= first(outbox)

/** A session begins or ends: everything unacknowledged is to be written again. */
export const rewind = <A>(outbox: Outbox<A>): Outbox<A> => ({ ...outbox, cursor: first(outbox) })

export interface Acknowledged<A> {
  readonly outbox: Outbox<A>
  /** Messages whose state this receipt advances, in order. */
  readonly advanced: ReadonlyArray<A>
}

/**
 * The peer's receipt for everything up to `seq`: what it advances, or undefined if it speaks of what was never
 * written. One that tells nothing new advances nothing.
 */
export const acknowledge = <A>(
  outbox: Outbox<A>,
  receipt: { readonly epoch: Epoch; readonly seq: number; readonly state: "delivered" | "read" }
): Acknowledged<A> | undefined => {
  if (receipt.epoch !== outbox.epoch || receipt.seq > outbox.written) return undefined
  const count = Math.max(0, receipt.seq + 1 - first(outbox))
  const delivered = outbox.pending.slice(0, count)
  const pending = count === 0 ? outbox.pending : outbox.pending.slice(count)
  const next = { ...outbox, pending, cursor: Math.max(outbox.cursor, receipt.seq + 1) }
  const unread = count === 0 ? outbox.unread : [...outbox.unread, ...delivered].slice(-unreadMax)
  if (receipt.state === "delivered") {
    return { outbox: { ...next, unread }, advanced: delivered.map((item) => item.value) }
  }
  const read = unread.filter((item) => item.seq <= receipt.seq)
  return {
    outbox: { ...next, unread: unread.slice(read.length) },
    advanced: read.map((item) => item.value)
  }
}

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

const order: ReadonlyArray<MessageState> = ["queued", "sent", "delivered", "read"]

/** Whether a message in state `a` got less far than one in state `b`. */
export const isBehind = (a: MessageState, b: MessageState): boolean => order.indexOf(a) < order.indexOf(b)

/** The state of a message: that of its least advanced recipient. */
export const leastAdvanced = (states: ReadonlyArray<MessageState>): MessageState =>
  states.reduce((least, state) => (isBehind(state, least) ? state : least), "read" as MessageState)

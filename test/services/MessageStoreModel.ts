/**
 * What MessageStore promises, in the simplest way: lists in memory. And the steps a test takes on both.
 */
import * as Schema from "effect/Schema"
import type { Epoch } from "../../src/schema/Id.ts"
import type { Message, MessageState } from "../../src/schema/Message.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import type { Arrival, Numbered, Progress, Received } from "../../src/services/MessageStore.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))
const Offset = Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 2 }))
const State = Schema.Literals(["sent", "delivered", "read"])

/** Numbers are near those that are due, so that every verdict comes up. */
export const Step = Schema.TaggedUnion({
  Append: { to: Schema.NullOr(Small) },
  Advance: { peer: Small, back: Offset, state: State },
  Requeue: { peer: Schema.NullOr(Small) },
  Renumber: { peer: Small },
  Receive: {
    arrivals: Schema.Array(
      Schema.Struct({ peer: Small, epoch: Small, ahead: Offset, first: Small, isRepeated: Schema.Boolean })
    ).check(Schema.isMaxLength(6))
  },
  MarkRead: { peer: Schema.NullOr(Small), back: Schema.NullOr(Small) },
  Reopen: {}
})
export type Step = typeof Step.Type

export const self = someId(0)
export const peerOf = (n: number): PeerId => someId(n + 1)

interface Kept {
  readonly message: Message
  /** Of a message of ours: with each recipient. */
  readonly numbers: Map<PeerId, { epoch: Epoch; seq: number; state: MessageState }>
  /** Of another's: to acknowledge when it is read. */
  readonly arrival?: Arrival
  isUnread: boolean
}

const order: ReadonlyArray<MessageState> = ["queued", "sent", "delivered", "read"]
const least = (states: ReadonlyArray<MessageState>): MessageState =>
  order.find((state) => states.includes(state)) ?? "delivered"

const isBetween = ({ from, to }: Message, peer: PeerId): boolean => from === peer || to === peer

export const makeModel = () => {
  const kept: Array<Kept> = []
  const outgoing = new Map<PeerId, { epoch: Epoch; next: number }>()
  const counters = new Map<string, number>()
  const shown = new Map<PeerId, Array<{ epoch: Epoch; last: number }>>()
  let ids = 0

  const view = ({ message, numbers }: Kept): Message => {
    if (message.from !== self) return message
    // In the order in which the peers became known, which these tests make the order of their numbers.
    const recipients = message.recipients.map(({ peer }) => ({ peer, state: numbers.get(peer)?.state ?? "queued" }))
    return { ...message, recipients, state: least(recipients.map((one) => one.state)) }
  }
  const waiting = (peer: PeerId) =>
    kept.filter(({ numbers }) => {
      const state = numbers.get(peer)?.state
      return state === "queued" || state === "sent"
    })

  return {
    nextId: () => someMessage(++ids),
    kept,
    view,
    /** Begins with everyone known in order. */
    append: (message: Message, fresh: Epoch): Array<Numbered> => {
      const numbers: Kept["numbers"] = new Map()
      for (const { peer } of message.recipients) {
        const counter = outgoing.get(peer) ?? { epoch: fresh, next: 1 }
        counters.set(`${peer}/${counter.epoch}`, counter.next + 1)
        outgoing.set(peer, { ...counter, next: counter.next + 1 })
        numbers.set(peer, { epoch: counter.epoch, seq: counter.next, state: "queued" })
      }
      kept.push({ message, numbers, isUnread: false })
      return Array.from(numbers, ([peer, { epoch, seq }]) => ({ peer, epoch, seq }))
    },
    counterOf: (peer: PeerId) => outgoing.get(peer),
    advance: (peer: PeerId, progress: Progress) => {
      const next = counters.get(`${peer}/${progress.epoch}`)
      if (next === undefined) return { changed: [], isAhead: false }
      if (progress.seq >= next) return { changed: [], isAhead: true }
      const changed = kept.filter(({ numbers }) => {
        const number = numbers.get(peer)
        if (number === undefined || number.epoch !== progress.epoch || number.seq > progress.seq) return false
        if (order.indexOf(number.state) >= order.indexOf(progress.state)) return false
        number.state = progress.state
        return true
      })
      return { changed: changed.map(view), isAhead: false }
    },
    requeue: (peer: PeerId | null) =>
      kept
        .filter(({ numbers }) => {
          const sent = [...numbers].filter(([id, one]) => (peer === null || id === peer) && one.state === "sent")
          for (const [, one] of sent) one.state = "queued"
          return sent.length > 0
        })
        .map(view),
    renumber: (peer: PeerId, fresh: Epoch) => {
      const some = waiting(peer)
      some.forEach(({ numbers }, at) => numbers.set(peer, { epoch: fresh, seq: at + 1, state: "queued" }))
      outgoing.set(peer, { epoch: fresh, next: some.length + 1 })
      counters.set(`${peer}/${fresh}`, some.length + 1)
    },
    lastShown: (peer: PeerId, epoch: Epoch) => shown.get(peer)?.find((one) => one.epoch === epoch)?.last ?? 0,
    receive: (arrival: Arrival): Received => {
      const all = shown.get(arrival.peer) ?? []
      const known = all.find((one) => one.epoch === arrival.epoch)?.last ?? 0
      const last = Math.max(known, arrival.first - 1)
      if (arrival.seq !== last + 1) {
        return { verdict: arrival.seq <= known ? "again" : "gap", last: known, message: null }
      }
      shown.set(arrival.peer, [
        ...all.filter((one) => one.epoch !== arrival.epoch),
        { epoch: arrival.epoch, last: arrival.seq }
      ])
      if (kept.some(({ message }) => message.from === arrival.peer && message.id === arrival.id)) {
        return { verdict: "duplicateId", last: arrival.seq, message: null }
      }
      const { id, peer, sentAt, text, to } = arrival
      const message: Message = { id, from: peer, to, text, sentAt, state: "delivered", recipients: [] }
      kept.push({ message, numbers: new Map(), arrival, isUnread: true })
      return { verdict: "new", last: arrival.seq, message }
    },
    markRead: (conversation: PeerId | null, id?: Message["id"]) => {
      const isOf = ({ message }: Kept) =>
        conversation === null ? message.to === null : message.to !== null && isBetween(message, conversation)
      const at = id === undefined ? kept.length : kept.findIndex((one) => isOf(one) && one.message.id === id)
      const senders = new Set<PeerId>()
      for (const one of kept.slice(0, at + 1)) {
        if (!isOf(one) || !one.isUnread) continue
        one.isUnread = false
        senders.add(one.message.from)
      }
      const receipts = [...senders].flatMap((peer) =>
        (shown.get(peer) ?? []).flatMap(({ epoch, last }) => {
          const waits = kept.find((one) => one.isUnread && one.message.from === peer && one.arrival?.epoch === epoch)
          const seq = (waits?.arrival?.seq ?? last + 1) - 1
          return seq > 0 ? [{ peer, epoch, seq }] : []
        })
      )
      return { isChanged: senders.size > 0, receipts }
    },
    outbox: (peer: PeerId) =>
      waiting(peer).map(({ message, numbers }) => ({
        id: message.id,
        epoch: numbers.get(peer)?.epoch ?? someEpoch(0),
        seq: numbers.get(peer)?.seq ?? 0,
        toEveryone: message.to === null,
        sentAt: message.sentAt,
        text: message.text
      })),
    outboxes: () =>
      Array.from(outgoing, ([peer, { epoch, next }]) => ({
        peer,
        epoch,
        next,
        first: waiting(peer)[0]?.numbers.get(peer)?.seq ?? next,
        waiting: waiting(peer).length,
        bytes: waiting(peer).reduce((sum, { message }) => sum + Buffer.byteLength(message.text), 0)
      })),
    unread: (peer: PeerId, toEveryone: boolean) =>
      kept.filter((one) => one.isUnread && one.message.from === peer && (one.message.to === null) === toEveryone)
        .length,
    history: (peer?: PeerId) =>
      kept
        .filter(({ message, numbers }) => peer === undefined || message.from === peer || numbers.has(peer))
        .map(view)
        .toReversed()
  }
}

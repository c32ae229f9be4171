/**
 * What the page knows of its node, and how each event changes it. Pure: the lists are read once, and from then on the
 * events keep them true. What an event does not touch keeps its identity, so that it is not drawn again.
 */
import type { Alarm } from "../../schema/Alarm.ts"
import type { NodeInfo } from "../../schema/ApiNode.ts"
import type { Event } from "../../schema/Event.ts"
import type { TransferId, VerificationId } from "../../schema/Id.ts"
import type { Message } from "../../schema/Message.ts"
import type { Transfer } from "../../schema/Offer.ts"
import type { Peer } from "../../schema/Peer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { Verification } from "../../schema/Verification.ts"

export interface Model {
  readonly node: NodeInfo
  readonly peers: ReadonlyMap<PeerId, Peer>
  /** Oldest first. Of each conversation the newest, without a gap, as far back as was asked for. */
  readonly messages: ReadonlyArray<Message>
  /** Where what is older of a conversation begins, or null if there is none; absent where nobody asked yet. */
  readonly older: ReadonlyMap<Conversation, number | null>
  /** Messages that nobody here has read, by conversation. */
  readonly unread: ReadonlyMap<Conversation, number>
  /** Newest first. */
  readonly transfers: ReadonlyMap<TransferId, Transfer>
  readonly verifications: ReadonlyMap<VerificationId, Verification>
  /** Those that nobody has put away yet, oldest first. */
  readonly alarms: ReadonlyArray<Alarm>
}

/** Most messages held by the page; older ones are found by search. */
const messagesMax = 50_000

/** A part of the history as the node gives it: the newest first, and where the next part begins. */
interface Past {
  readonly items: ReadonlyArray<Message>
  readonly before: number | null
}

export const make = (lists: {
  readonly node: NodeInfo
  readonly peers: ReadonlyArray<Peer>
  readonly messages: Past
  readonly unread: ReadonlyArray<{ readonly peer: PeerId | null; readonly count: number }>
  readonly transfers: ReadonlyArray<Transfer>
  readonly verifications: ReadonlyArray<Verification>
  readonly alarms: ReadonlyArray<Alarm>
}): Model => ({
  node: lists.node,
  peers: new Map(lists.peers.map((peer) => [peer.id, peer])),
  messages: lists.messages.items.toReversed(),
  older: new Map([["everyone", lists.messages.before]]),
  unread: new Map(lists.unread.map(({ count, peer }) => [peer ?? "everyone", count])),
  transfers: new Map(lists.transfers.map((transfer) => [transfer.id, transfer])),
  verifications: new Map(lists.verifications.map((verification) => [verification.id, verification])),
  alarms: lists.alarms
})

const withEntry = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> => new Map(map).set(key, value)

/** New keys come first. */
const withFirst = <K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> =>
  map.has(key) ? withEntry(map, key, value) : new Map([[key, value], ...map])

const without = <K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> => {
  const rest = new Map(map)
  rest.delete(key)
  return rest
}

/** A message that changed is nearly always among the newest, so it is looked for from the end. One older than all that is known stays unknown. */
const withChanged = (model: Model, message: Message): Model => {
  const at = model.messages.findLastIndex((known) => known.id === message.id)
  return at < 0 ? model : { ...model, messages: model.messages.with(at, message) }
}

/** A new message comes last; one that the list at the beginning held already is told of once more. */
const withMessage = (model: Model, message: Message): Model => {
  const { messages, node, unread } = model
  const changed = withChanged(model, message)
  if (changed !== model) return changed
  const to = conversationOf(message, node.id)
  return {
    ...model,
    messages: [...(messages.length < messagesMax ? messages : messages.slice(1)), message],
    unread: message.from === node.id ? unread : withEntry(unread, to, (unread.get(to) ?? 0) + 1)
  }
}

/** Whether there is, or may be, more of a conversation than what is known. */
export const hasOlder = ({ messages, older }: Model, of: Conversation): boolean =>
  older.get("everyone") !== null && older.get(of) !== null && messages.length < messagesMax

/**
 * With an older part of a conversation before what is known. What of it is not known yet is older than all that is
 * known of its conversation, so it comes first.
 */
export const withOlder = (model: Model, of: Conversation, past: Past): Model => {
  const known = new Set(model.messages.map(({ id }) => id))
  const fresh = past.items.filter(({ id }) => !known.has(id)).toReversed()
  return { ...model, messages: [...fresh, ...model.messages], older: withEntry(model.older, of, past.before) }
}

/** The model after an event. `Missed` changes nothing here: whoever follows the events reads the lists again. */
export const apply = (model: Model, event: Event): Model => {
  switch (event._tag) {
    case "PeerChanged":
      return { ...model, peers: withEntry(model.peers, event.peer.id, event.peer) }
    case "PeerRemoved":
      // No conversation is left in which its messages could be read.
      return { ...model, peers: without(model.peers, event.id), unread: without(model.unread, event.id) }
    case "MessageAdded":
      return withMessage(model, event.message)
    case "MessageChanged":
      return withChanged(model, event.message)
    case "MessagesRead":
      return { ...model, unread: withEntry(model.unread, event.peer ?? "everyone", event.unread) }
    case "TransferChanged":
      return { ...model, transfers: withFirst(model.transfers, event.transfer.id, event.transfer) }
    case "VerificationChanged":
      return { ...model, verifications: withEntry(model.verifications, event.verification.id, event.verification) }
    case "AlarmsChanged":
      return { ...model, alarms: event.alarms }
    default:
      return model
  }
}

/** A conversation: with one peer, or with everyone. */
export type Conversation = PeerId | "everyone"

/** The conversation a message belongs to, seen from `me`. */
export const conversationOf = (message: Message, me: PeerId): Conversation =>
  message.to === null ? "everyone" : message.from === me ? message.to : message.from

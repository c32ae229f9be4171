/**
 * The messages a node remembers, oldest first, bounded in number and in bytes: the oldest make room. In memory; its
 * owner may put a database in its place.
 */
import type { MessageId } from "../schema/Id.ts"
import type { Message } from "../schema/Message.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { byteLength } from "../schema/Text.ts"

/** One message as it stands; its owner replaces `message` when a recipient's state changes. */
export interface Kept {
  message: Message
  /** Bytes of its text. */
  readonly bytes: number
  /** Its place in the order in which messages were added. */
  readonly place: number
}

export interface History {
  readonly add: (message: Message) => Kept
  /** A message is named by its sender and its id: another peer could copy the id of one that went to everyone. */
  readonly get: (from: PeerId, id: MessageId) => Kept | undefined
  /** The newest `limit`, oldest first; `peer` narrows to what went between this node and that peer. */
  readonly newest: (limit: number, peer?: PeerId) => ReadonlyArray<Message>
  /** The newest `limit` of those before a place, the newest first, and the place to go on before, or null. */
  readonly page: (options: { readonly limit: number; readonly before?: number; readonly peer?: PeerId }) => {
    readonly items: ReadonlyArray<Message>
    readonly before: number | null
  }
}

export const make = (bounds: { readonly historyMax: number; readonly historyBytes: number }): History => {
  const kept = new Map<string, Kept>()
  let bytes = 0
  let places = 0

  const forget = (key: string): void => {
    bytes -= kept.get(key)?.bytes ?? 0
    kept.delete(key)
  }

  return {
    add: (message) => {
      const one = { message, bytes: byteLength(message.text), place: ++places }
      const key = keyOf(message.from, message.id)
      forget(key)
      kept.set(key, one)
      bytes += one.bytes
      for (const oldest of kept.keys()) {
        if (kept.size <= bounds.historyMax && bytes <= bounds.historyBytes) break
        forget(oldest)
      }
      return one
    },
    get: (from, id) => kept.get(keyOf(from, id)),
    newest: (limit, peer) => {
      const all = Array.from(kept.values(), (one) => one.message)
      const some = peer === undefined ? all : all.filter((message) => isBetween(message, peer))
      return limit > 0 ? some.slice(-limit) : []
    },
    page: ({ before, limit, peer }) => {
      const found: Array<Kept> = []
      for (const one of Array.from(kept.values()).toReversed()) {
        if (before !== undefined && one.place >= before) continue
        if (peer !== undefined && !isBetween(one.message, peer)) continue
        if (found.length === limit)
          return { items: found.map(({ message }) => message), before: found.at(-1)?.place ?? null }
        found.push(one)
      }
      return { items: found.map(({ message }) => message), before: null }
    }
  }
}

const keyOf = (from: PeerId, id: MessageId): string => `${from}/${id}`

const isBetween = (message: Message, peer: PeerId): boolean =>
  message.from === peer || message.recipients.some((recipient) => recipient.peer === peer)

/**
 * What other nodes sent to this one: each message once, whatever is sent again or restarted, and what of it nobody
 * read yet. A part of MessageStore.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { Epoch, type MessageId } from "../schema/Id.ts"
import type { Message } from "../schema/Message.ts"
import { PeerId } from "../schema/PeerId.ts"
import * as State from "./ChatState.ts"
import type { Database } from "./Database.ts"
import { insertMessage, keyOf, number, trim } from "./MessageStoreRows.ts"
import { indexed } from "./SearchTerms.ts"

/** A message that came from a peer, as its frame says, and to whom: this node, or null for everyone. */
export interface Arrival {
  readonly peer: PeerId
  readonly to: PeerId | null
  readonly id: MessageId
  readonly epoch: Epoch
  readonly first: number
  readonly seq: number
  readonly sentAt: number
  readonly text: string
}

export interface Received {
  /** As ChatState has it; duplicateId: the peer gave this id to another message, so this one is not shown. */
  readonly verdict: State.Received["verdict"] | "duplicateId"
  /** The last number shown of this epoch, which is what may be acknowledged; 0 if none. */
  readonly last: number
  /** What is to be shown, or null. */
  readonly message: Message | null
}

/** What of one sender nobody here has read. */
const Unread = Schema.Struct({ peer: PeerId, toEveryone: Schema.BooleanFromBit, count: Schema.Natural })
export type Unread = typeof Unread.Type

/** What marking as read has come to. */
export interface Read {
  /** Whether anything was unread. */
  readonly isChanged: boolean
  readonly receipts: ReadonlyArray<{ readonly peer: PeerId; readonly epoch: Epoch; readonly seq: number }>
}

/** Rows removed by one statement. */
const changesMax = 1000

const Shown = Schema.Struct({ epoch: Epoch, last: Schema.Natural })
const decodeInbox = Schema.decodeUnknownEffect(Schema.Array(Shown))
const encodeInbox = Schema.encodeEffect(Schema.fromJsonString(Schema.Array(Shown)))
const decodeUnread = Schema.decodeUnknownEffect(Schema.Array(Unread))
const decodeSenders = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ peer: PeerId })))
const decodeReceipts = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ epoch: Epoch, seq: Schema.Natural })))

export const makeReceived = (database: Database["Service"], sql: SqlClient) => {
  const inboxOf = (peer: PeerId) =>
    Effect.flatMap(sql`SELECT epoch, last FROM incoming WHERE peer = ${keyOf(sql, peer)} ORDER BY place`, decodeInbox)

  const keepInbox = Effect.fnUntraced(function* (peer: PeerId, before: State.Inbox, inbox: State.Inbox) {
    const key = keyOf(sql, peer)
    const heard = inbox.at(-1)
    // Mostly it is the epoch heard last that goes on.
    if (heard !== undefined && inbox.length === before.length && heard.epoch === before.at(-1)?.epoch) {
      return yield* sql`UPDATE incoming SET last = ${heard.last} WHERE peer = ${key} AND place = ${inbox.length - 1}`
    }
    yield* sql`DELETE FROM incoming WHERE peer = ${key}`
    return yield* sql`
      INSERT INTO incoming (peer, place, epoch, last)
      SELECT ${key}, j.key, j.value ->> 'epoch', j.value ->> 'last' FROM json_each(${yield* encodeInbox(inbox)}) j`
  })

  /** The place of the new message, or undefined if the peer gave its id to another one. */
  const add = Effect.fnUntraced(function* (arrival: Arrival, message: Message) {
    const place = yield* insertMessage(sql, message)
    if (place === undefined) return undefined
    const sender = keyOf(sql, arrival.peer)
    yield* sql`
      INSERT INTO unread (message, sender, to_everyone, epoch, seq)
      VALUES (${place}, ${sender}, ${arrival.to === null}, ${arrival.epoch}, ${arrival.seq})`
    yield* sql`
      INSERT INTO message_search (rowid, who, words) VALUES (${place}, 'k' || ${sender}, ${indexed(arrival.text)})`
    return place
  })

  const receive = Effect.fn("MessageStore.receive")((arrivals: ReadonlyArray<Arrival>) =>
    database.write(
      Effect.gen(function* () {
        const peers = new Set(arrivals.flatMap(({ peer, to }) => (to === null ? [peer] : [peer, to])))
        yield* number(sql, [...peers])
        const inboxes = new Map<PeerId, { readonly before: State.Inbox; now: State.Inbox }>()
        const received: Array<Received> = []
        let last = 0
        let added = 0
        for (const arrival of arrivals) {
          let inbox = inboxes.get(arrival.peer)
          if (inbox === undefined) {
            const before = yield* inboxOf(arrival.peer)
            inbox = { before, now: before }
            inboxes.set(arrival.peer, inbox)
          }
          const judged = State.receive(inbox.now, arrival)
          inbox.now = judged.inbox
          if (judged.verdict !== "new") {
            received.push({ verdict: judged.verdict, last: judged.last, message: null })
            continue
          }
          const message = messageOf(arrival)
          const place = yield* add(arrival, message)
          if (place !== undefined) {
            last = place
            added++
          }
          received.push({
            verdict: place === undefined ? "duplicateId" : "new",
            last: judged.last,
            message: place === undefined ? null : message
          })
        }
        for (const [peer, { before, now }] of inboxes) {
          if (now !== before) yield* keepInbox(peer, before, now)
        }
        if (added > 0) yield* trim(sql, last, added)
        return received
      })
    )
  )

  const unread = database
    .read(
      Effect.flatMap(
        sql`
          SELECT k.id AS peer, u.to_everyone AS toEveryone, count(*) AS count
          FROM unread u JOIN keys k ON k.n = u.sender GROUP BY u.sender, u.to_everyone`,
        decodeUnread
      )
    )
    .pipe(Effect.withSpan("MessageStore.unread"))

  /** Whose unread messages belong to the conversation, and the place of the last one that was seen. */
  const conversationOf = (conversation: PeerId | null, upTo: MessageId | undefined) => {
    const key = conversation === null ? undefined : keyOf(sql, conversation)
    const theirs = key === undefined ? sql`to_everyone = 1` : sql`to_everyone = 0 AND sender = ${key}`
    const within =
      key === undefined ? sql`receiver IS NULL` : sql`receiver IS NOT NULL AND ${key} IN (sender, receiver)`
    // An id names a message of one sender only; whoever copied another's comes later.
    const last = sql`ifnull((SELECT min(n) FROM messages WHERE id = ${upTo ?? ""} AND ${within}), 0)`
    return upTo === undefined ? theirs : sql`${theirs} AND message <= ${last}`
  }

  const markRead = Effect.fn("MessageStore.markRead")((conversation: PeerId | null, upTo?: MessageId) =>
    database.write(
      Effect.gen(function* () {
        const seen = conversationOf(conversation, upTo)
        const senders = new Set<PeerId>()
        for (;;) {
          const some = yield* Effect.flatMap(
            sql`
              DELETE FROM unread WHERE message IN (SELECT message FROM unread WHERE ${seen} LIMIT ${changesMax})
              RETURNING (SELECT id FROM keys WHERE n = sender) AS peer`,
            decodeSenders
          )
          for (const { peer } of some) senders.add(peer)
          if (some.length < changesMax) break
        }
        const receipts = yield* Effect.forEach(senders, (peer) =>
          Effect.map(readOf(peer), (read) => read.filter(({ seq }) => seq > 0).map((one) => ({ peer, ...one })))
        )
        return { isChanged: senders.size > 0, receipts: receipts.flat() }
      })
    )
  )

  const readOf = (from: PeerId) => {
    const sender = keyOf(sql, from)
    // Two look-ups in an index, instead of all that is unread.
    const first = (toEveryone: number) => sql`
      (SELECT u.seq FROM unread u WHERE u.sender = i.peer AND u.to_everyone = ${toEveryone} AND u.epoch = i.epoch
        ORDER BY u.message LIMIT 1)`
    return Effect.flatMap(
      sql`
          SELECT epoch, min(ifnull(direct, last + 1), ifnull(everyone, last + 1)) - 1 AS seq FROM (
            SELECT i.epoch, i.last, i.place, ${first(0)} AS direct, ${first(1)} AS everyone
            FROM incoming i WHERE i.peer = ${sender}
          ) ORDER BY place`,
      decodeReceipts
    )
  }

  const readUpTo = Effect.fn("MessageStore.readUpTo")((from: PeerId) => database.read(readOf(from)))

  return { receive, unread, markRead, readUpTo }
}

const messageOf = ({ id, peer, sentAt, text, to }: Arrival): Message => ({
  id,
  from: peer,
  to,
  text,
  sentAt,
  state: "delivered",
  recipients: []
})

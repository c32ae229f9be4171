/**
 * What other nodes sent to this one: each message once, whatever is sent again or restarted, and what of it nobody
 * read yet. A part of MessageStore.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { Epoch, type MessageId } from "../../schema/Id.ts"
import type { Message } from "../../schema/Message.ts"
import { PeerId } from "../../schema/PeerId.ts"
import * as State from "./ChatState.ts"
import type { Database } from "../Database.ts"
import { trim } from "./MessageStoreRoom.ts"
import { index, insertMessages, keyOf, numbered } from "./MessageStoreRows.ts"

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

  /** Keeps what is new of these, and says which of them are: a peer may have given one's id to another. */
  const add = Effect.fnUntraced(function* (arrivals: ReadonlyArray<Arrival>) {
    if (arrivals.length === 0) return []
    const keys = yield* numbered(sql, new Set(arrivals.flatMap(({ peer, to }) => (to === null ? [peer] : [peer, to]))))
    const places = yield* insertMessages(sql, keys, arrivals.map(messageOf))
    const added = arrivals.flatMap((arrival, at) => {
      const place = places[at]
      const sender = keys.get(arrival.peer)
      return place === undefined || sender === undefined ? [] : [{ ...arrival, place, sender, who: `k${sender}` }]
    })
    const rows = added.map(({ epoch, place, sender, seq, to }) => [place, sender, to === null ? 1 : 0, epoch, seq])
    yield* sql`
      INSERT INTO unread (message, sender, to_everyone, epoch, seq)
      SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4
      FROM json_each(${JSON.stringify(rows)}) j`
    yield* index(sql, added)
    const last = added.at(-1)
    if (last !== undefined) yield* trim(sql, last.place, added.length)
    return places.map((place) => place !== undefined)
  })

  const receive = Effect.fn("MessageStore.receive")((arrivals: ReadonlyArray<Arrival>) =>
    database.write(
      Effect.gen(function* () {
        const inboxes = new Map<PeerId, { readonly before: State.Inbox; now: State.Inbox }>()
        const judged: Array<State.Received & { readonly arrival: Arrival }> = []
        for (const arrival of arrivals) {
          let inbox = inboxes.get(arrival.peer)
          if (inbox === undefined) {
            const before = yield* inboxOf(arrival.peer)
            inbox = { before, now: before }
            inboxes.set(arrival.peer, inbox)
          }
          const one = State.receive(inbox.now, arrival)
          inbox.now = one.inbox
          judged.push({ ...one, arrival })
        }
        const fresh = judged.filter(({ verdict }) => verdict === "new").map(({ arrival }) => arrival)
        const isAdded = yield* add(fresh)
        const shown = new Set(fresh.filter((_, at) => isAdded[at]))
        for (const [peer, { before, now }] of inboxes) {
          if (now !== before) yield* keepInbox(peer, before, now)
        }
        return judged.map(({ arrival, last, verdict }): Received => {
          if (verdict !== "new") return { verdict, last, message: null }
          return shown.has(arrival)
            ? { verdict, last, message: messageOf(arrival) }
            : { verdict: "duplicateId", last, message: null }
        })
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

/**
 * What this node sends: messages with their recipients, the numbers they have with each, and how far each got. A part
 * of MessageStore.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { limits } from "../config.ts"
import { Epoch, MessageId } from "../schema/Id.ts"
import type { Message } from "../schema/Message.ts"
import { PeerId, short } from "../schema/PeerId.ts"
import { byteLength } from "../schema/Text.ts"
import type { Database } from "./Database.ts"
import {
  decodeNumbers,
  insertMessage,
  decodeRows,
  keyOf,
  messageOf,
  number,
  selectMessages,
  StoredText,
  stateNumber,
  trim
} from "./MessageStoreRows.ts"
import { indexed } from "./SearchTerms.ts"

/** The number a message has with one of its recipients. */
const Numbered = Schema.Struct({ peer: PeerId, epoch: Epoch, seq: Schema.Natural })
export type Numbered = typeof Numbered.Type

/** A message that a peer has not acknowledged, with all that its frame needs. */
const Waiting = Schema.Struct({
  id: MessageId,
  epoch: Epoch,
  seq: Schema.Natural,
  toEveryone: Schema.BooleanFromBit,
  sentAt: Schema.Int,
  text: StoredText
})
export type Waiting = typeof Waiting.Type

/** What this node has to send to one peer, in numbers. */
const Outbox = Schema.Struct({
  peer: PeerId,
  epoch: Epoch,
  /** The number of the next message. */
  next: Schema.Natural,
  /** The oldest number that is not acknowledged; `next` where all are. */
  first: Schema.Natural,
  /** Messages that wait, and the bytes of their texts. */
  waiting: Schema.Natural,
  bytes: Schema.Natural
})
export type Outbox = typeof Outbox.Type

/** How far a peer got: everything of this epoch up to and including `seq`. */
export interface Progress {
  readonly epoch: Epoch
  readonly seq: number
  readonly state: "sent" | "delivered" | "read"
}

export interface Advanced {
  /** The messages this changed, as they are now, the newest `limits.outboxMax` of them in order. */
  readonly changed: ReadonlyArray<Message>
  /**
   * The peer speaks of a number that was never given: this database is older than what the peer has seen (a copy
   * that was restored), or the peer lies. Nothing was changed; `renumber` lets the messages through.
   */
  readonly isAhead: boolean
}

/** How much may wait for one peer: messages, and bytes of their texts. */
export interface Room {
  readonly messages: number
  readonly bytes: number
}

/** So much waits for a peer already that one message more is not taken. Nothing was kept. */
export class OutboxFull extends Schema.TaggedError<OutboxFull>()("OutboxFull", {
  peer: PeerId,
  waiting: Schema.Natural
}) {
  override get message(): string {
    return `${this.waiting} messages already wait for ${short(this.peer)}`
  }
}

/** Rows changed by one statement. */
const changesMax = 1000

const decodeNumbered = Schema.decodeUnknownEffect(Schema.Array(Numbered))
const decodeWaiting = Schema.decodeUnknownEffect(Schema.Array(Waiting))
const decodeWaitingCounts = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ peer: PeerId, messages: Schema.Natural, bytes: Schema.Natural }))
)
const decodeOutboxes = Schema.decodeUnknownEffect(Schema.Array(Outbox))
const decodeCounters = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ n: Schema.Int, next: Schema.Natural, peer: Schema.Int }))
)

export const makeSent = (database: Database["Service"], sql: SqlClient) => {
  const select = sql.literal(selectMessages)

  /** Messages that are being kept: what the outbox shows meanwhile may not be safe yet. */
  let appending = 0

  /**
   * At most so much waits for a peer: what was delivered or undone since is not taken off. Counting anew for each
   * message would take longer than keeping it.
   */
  const bounds = new Map<PeerId, { messages: number; bytes: number }>()

  const hasRoom = (peer: PeerId, room: Room, bytes: number): boolean => {
    const bound = bounds.get(peer)
    return bound !== undefined && bound.messages < room.messages && bound.bytes + bytes <= room.bytes
  }

  /** The first of these peers that has no room for a message of so many bytes more. */
  const firstFull = Effect.fnUntraced(function* (peers: ReadonlyArray<PeerId>, room: Room, bytes: number) {
    const unsure = peers.filter((peer) => !hasRoom(peer, room, bytes))
    if (unsure.length === 0) return undefined
    const waiting = yield* Effect.flatMap(
      sql`
        SELECT j.value AS peer, count(r.message) AS messages, ifnull(sum(r.bytes), 0) AS bytes
        FROM json_each(${JSON.stringify(unsure)}) j
        LEFT JOIN keys k ON k.id = j.value
        LEFT JOIN recipients r ON r.peer = k.n AND r.state < 2
        GROUP BY j.key ORDER BY j.key`,
      decodeWaitingCounts
    )
    if (bounds.size + waiting.length > limits.peersMax) bounds.clear()
    for (const { bytes, messages, peer } of waiting) bounds.set(peer, { messages, bytes })
    const full = waiting.find(({ peer }) => !hasRoom(peer, room, bytes))
    return full === undefined ? undefined : new OutboxFull({ peer: full.peer, waiting: full.messages })
  })

  const append = Effect.fn("MessageStore.append")(function* (
    message: Message,
    fresh: ReadonlyArray<Epoch>,
    room?: Room
  ) {
    const kept = yield* Effect.acquireUseRelease(
      Effect.sync(() => appending++),
      () => keep(message, fresh, room),
      () => Effect.sync(() => appending--)
    )
    return "full" in kept ? yield* kept.full : kept.numbers
  })

  const keep = (message: Message, fresh: ReadonlyArray<Epoch>, room: Room | undefined) => {
    const peers = message.recipients.map((one) => one.peer)
    const list = JSON.stringify(peers)
    const bytes = byteLength(message.text)
    return database.write(
      Effect.gen(function* () {
        const full = room === undefined ? undefined : yield* firstFull(peers, room, bytes)
        if (full !== undefined) return { full }
        yield* number(sql, [message.from, ...peers])
        yield* sql`
          INSERT INTO outgoing (peer, epoch, next) SELECT k.n, f.value, 1
          FROM json_each(${list}) j JOIN keys k ON k.id = j.value JOIN json_each(${JSON.stringify(fresh)}) f ON f.key = j.key
          WHERE NOT EXISTS (SELECT 1 FROM outgoing o WHERE o.peer = k.n)`
        const last = yield* insertMessage(sql, message)
        if (last === undefined) return { numbers: [] }
        for (const peer of peers) {
          const bound = bounds.get(peer)
          if (bound !== undefined) bounds.set(peer, { messages: bound.messages + 1, bytes: bound.bytes + bytes })
        }
        yield* sql`
          INSERT INTO recipients (message, peer, counter, seq, state, bytes)
          SELECT ${last}, o.peer, o.n, o.next, 0, ${bytes}
          FROM json_each(${list}) j JOIN keys k ON k.id = j.value
          JOIN outgoing o ON o.n = (SELECT max(n) FROM outgoing WHERE peer = k.n)`
        yield* sql`
          INSERT INTO message_search (rowid, who, words)
          SELECT ${last}, 'k' || ${keyOf(sql, message.from)} || ' ' || group_concat('k' || peer, ' '), ${indexed(message.text)}
          FROM recipients WHERE message = ${last}`
        yield* trim(sql, last, 1)
        const numbers = yield* Effect.flatMap(
          sql`
            UPDATE outgoing SET next = next + 1 WHERE n IN (SELECT counter FROM recipients WHERE message = ${last})
            RETURNING (SELECT id FROM keys WHERE n = peer) AS peer, epoch, next - 1 AS seq`,
          decodeNumbered
        )
        return { numbers }
      })
    )
  }

  const outboxes = database
    .read(
      Effect.flatMap(
        sql`
          SELECT k.id AS peer, o.epoch, o.next, count(r.seq) AS waiting, ifnull(min(r.seq), o.next) AS first,
            ifnull(sum(r.bytes), 0) AS bytes
          FROM outgoing o JOIN keys k ON k.n = o.peer
          LEFT JOIN recipients r ON r.peer = o.peer AND r.counter = o.n AND r.state < 2
          WHERE o.n = (SELECT max(n) FROM outgoing WHERE peer = o.peer)
          GROUP BY o.n ORDER BY o.n`,
        decodeOutboxes
      )
    )
    .pipe(Effect.withSpan("MessageStore.outboxes"))

  const outbox = Effect.fn("MessageStore.outbox")(
    (peer: PeerId, options: { readonly after: number; readonly limit: number }) =>
      // What could still be lost must not be sent: its number would be given to another message.
      Effect.suspend(() =>
        (appending > 0 ? database.write : database.read)(
          Effect.flatMap(
            sql`
            SELECT m.id, (SELECT epoch FROM outgoing WHERE n = r.counter) AS epoch, r.seq,
              m.receiver IS NULL AS toEveryone, m.sent_at AS sentAt, CAST(m.text AS BLOB) AS text
            FROM recipients r JOIN messages m ON m.n = r.message
            WHERE r.peer = ${keyOf(sql, peer)} AND r.state < 2 AND r.seq > ${options.after}
              AND r.counter = (SELECT max(n) FROM outgoing WHERE peer = ${keyOf(sql, peer)})
            ORDER BY r.seq LIMIT ${Math.min(options.limit, limits.outboxMax)}`,
            decodeWaiting
          )
        )
      )
  )

  /** Sets the state of what is behind it, some rows at a time, and returns the messages' numbers. */
  const set = Effect.fnUntraced(function* (
    behind: string,
    counter: { readonly n: number; readonly peer: number },
    progress: { readonly seq: number; readonly state: number }
  ) {
    const changed: Array<number> = []
    for (;;) {
      const some = yield* Effect.flatMap(
        sql`
          UPDATE recipients SET state = ${progress.state}
          WHERE (message, peer) IN (
            SELECT message, peer FROM recipients
            WHERE peer = ${counter.peer} AND counter = ${counter.n} AND seq <= ${progress.seq} AND ${sql.literal(behind)}
            ORDER BY seq LIMIT ${changesMax}
          ) RETURNING message AS n`,
        decodeNumbers
      )
      for (const { n } of some) changed.push(n)
      if (some.length < changesMax) return changed
    }
  })

  const messagesOf = Effect.fnUntraced(function* (numbers: ReadonlyArray<number>) {
    const newest = numbers.toSorted((a, b) => a - b).slice(-limits.outboxMax)
    if (newest.length === 0) return []
    const rows = yield* decodeRows(
      yield* sql`${select} WHERE m.n IN (SELECT value FROM json_each(${JSON.stringify(newest)})) ORDER BY m.n`
    )
    return rows.map(messageOf)
  })

  const advance = Effect.fn("MessageStore.advance")((peer: PeerId, progress: Progress) =>
    database.write(
      Effect.gen(function* () {
        const [counter] = yield* Effect.flatMap(
          sql`SELECT n, next, peer FROM outgoing WHERE peer = ${keyOf(sql, peer)} AND epoch = ${progress.epoch}`,
          decodeCounters
        )
        if (counter === undefined) return { changed: [], isAhead: false }
        if (progress.seq >= counter.next) return { changed: [], isAhead: true }
        const to = { seq: progress.seq, state: stateNumber(progress.state) }
        // Each condition is the one of an index, word for word, or the index would not be used.
        const waiting = yield* set(progress.state === "sent" ? "state < 2 AND state = 0" : "state < 2", counter, to)
        const delivered = progress.state === "read" ? yield* set("state = 2", counter, to) : []
        return { changed: yield* messagesOf([...waiting, ...delivered]), isAhead: false }
      })
    )
  )

  const requeue = Effect.fn("MessageStore.requeue")((peer: PeerId | null) => {
    const whose = peer === null ? sql`true` : sql`peer = ${keyOf(sql, peer)}`
    return database.write(
      Effect.gen(function* () {
        const rows = yield* sql`
          UPDATE recipients SET state = 0 WHERE state < 2 AND state = 1 AND ${whose} RETURNING message AS n`
        return yield* messagesOf((yield* decodeNumbers(rows)).map(({ n }) => n))
      })
    )
  })

  const renumber = Effect.fn("MessageStore.renumber")((peer: PeerId, fresh: Epoch) =>
    database.write(
      Effect.gen(function* () {
        yield* number(sql, [peer])
        const key = keyOf(sql, peer)
        const newest = sql`(SELECT max(n) FROM outgoing WHERE peer = ${key})`
        yield* sql`INSERT INTO outgoing (peer, epoch, next) VALUES (${key}, ${fresh}, 1)`
        yield* sql`
          UPDATE recipients SET counter = ${newest}, seq = w.place, state = 0
          FROM (SELECT message, row_number() OVER (ORDER BY counter, seq) AS place FROM recipients
            WHERE peer = ${key} AND state < 2) w
          WHERE recipients.message = w.message AND recipients.peer = ${key}`
        yield* sql`
          UPDATE outgoing SET next = 1 + (SELECT count(*) FROM recipients WHERE peer = ${key} AND state < 2)
          WHERE n = ${newest}`
      })
    )
  )

  /** Some of what waits, all of it older than anything that may wait longer: numbers that wait stay without gaps. */
  const expireSome = Effect.fnUntraced(function* (sentBefore: number) {
    const rows = yield* sql`
      UPDATE recipients SET state = 4 WHERE (message, peer) IN (
        SELECT message, peer FROM recipients WHERE state < 2 AND message < ifnull(
          (SELECT min(m.n) FROM recipients r JOIN messages m ON m.n = r.message
            WHERE r.state < 2 AND m.sent_at >= ${sentBefore}),
          ${Number.MAX_SAFE_INTEGER})
        LIMIT ${changesMax}
      ) RETURNING message AS n`
    return yield* messagesOf((yield* decodeNumbers(rows)).map(({ n }) => n))
  })

  const expire = Effect.fn("MessageStore.expire")((sentBefore: number) => database.write(expireSome(sentBefore)))

  return { append, outboxes, outbox, advance, requeue, renumber, expire }
}

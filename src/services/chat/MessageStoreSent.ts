/**
 * What this node sends: what waits for whom, and how far each message got. MessageStoreAppend keeps them. A part of
 * MessageStore.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { limits } from "../../config.ts"
import { Epoch, MessageId } from "../../schema/Id.ts"
import type { Message } from "../../schema/Message.ts"
import { PeerId } from "../../schema/PeerId.ts"
import type { Database } from "../Database.ts"
import { makeAppends } from "./MessageStoreAppend.ts"
import {
  decodeNumbers,
  decodeRows,
  keyOf,
  messageOf,
  number,
  selectMessages,
  StoredText,
  stateNumber
} from "./MessageStoreRows.ts"

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

/** Rows changed by one statement. */
const changesMax = 1000

const decodeWaiting = Schema.decodeUnknownEffect(Schema.Array(Waiting))
const decodeOutboxes = Schema.decodeUnknownEffect(Schema.Array(Outbox))
const decodeCounters = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ n: Schema.Int, next: Schema.Natural, peer: Schema.Int }))
)

export const makeSent = (database: Database["Service"], sql: SqlClient) => {
  const select = sql.literal(selectMessages)
  const { append, safeUpTo } = makeAppends(database, sql)

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
    (peer: PeerId, options: { readonly after: number; readonly limit: number; readonly bytes?: number }) =>
      Effect.suspend(() =>
        database.read(
          Effect.flatMap(
            // What could still be lost must not be sent: its number would be given to another message.
            sql`
              SELECT m.id, (SELECT epoch FROM outgoing WHERE n = r.counter) AS epoch, r.seq,
                m.receiver IS NULL AS toEveryone, m.sent_at AS sentAt, CAST(m.text AS BLOB) AS text
              FROM (
                SELECT message, counter, seq, sum(bytes) OVER (ORDER BY seq) - bytes AS before FROM recipients
                WHERE peer = ${keyOf(sql, peer)} AND state < 2 AND seq > ${options.after} AND message <= ${safeUpTo()}
                  AND counter = (SELECT max(n) FROM outgoing WHERE peer = ${keyOf(sql, peer)})
                ORDER BY seq LIMIT ${Math.min(options.limit, limits.outboxMax)}
              ) r JOIN messages m ON m.n = r.message
              WHERE r.before < ${options.bytes ?? Number.MAX_SAFE_INTEGER} ORDER BY r.seq`,
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
        // A counter of which the peer may still read something stays. Any other is used again: a peer that asks for new
        // ones all the time, as only one that lies does, costs no room.
        yield* sql`
          INSERT INTO outgoing (peer, epoch, next) SELECT ${key}, ${fresh}, 1 WHERE ${newest} IS NULL
            OR EXISTS (SELECT 1 FROM recipients WHERE peer = ${key} AND counter = ${newest} AND state = 2)`
        yield* sql`UPDATE outgoing SET epoch = ${fresh} WHERE n = ${newest}`
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

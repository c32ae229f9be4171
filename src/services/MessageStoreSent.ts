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
  decodeRows,
  index,
  insertMessages,
  keyOf,
  messageOf,
  number,
  numbered,
  selectMessages,
  StoredText,
  stateNumber,
  trim
} from "./MessageStoreRows.ts"

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

/** One message to be kept. */
interface Append {
  readonly message: Message
  /** An epoch for each of its recipients that was never written to. */
  readonly fresh: ReadonlyArray<Epoch>
  readonly room: Room
  /** Of its text. */
  readonly bytes: number
}

interface Kept {
  readonly place: number
  readonly numbers: ReadonlyArray<Numbered>
}

/** What is asked for one peer, and the least room any of it is to have. */
interface Wanted extends Room {
  readonly room: Room
}

const lesser = (a: Room, b: Room): Room => ({
  messages: Math.min(a.messages, b.messages),
  bytes: Math.min(a.bytes, b.bytes)
})

/** Messages kept by one set of statements. */
const appendsAtOnce = 64

/** Rows changed by one statement. */
const changesMax = 1000

const decodeNewest = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ peer: PeerId, key: Schema.Int, n: Schema.Int, epoch: Epoch, next: Schema.Natural }))
)
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

  /** Messages that are being kept. Meanwhile only what stands up to `safe` is sure to stay. */
  let appending = 0
  let safe = Number.MAX_SAFE_INTEGER

  /**
   * At most so much waits for a peer: what was delivered or undone since is not taken off. Counting anew for each
   * message would take longer than keeping it.
   */
  const bounds = new Map<PeerId, { messages: number; bytes: number }>()

  const hasRoom = (peer: PeerId, { bytes, messages, room }: Wanted): boolean => {
    const bound = bounds.get(peer)
    return bound !== undefined && bound.messages + messages <= room.messages && bound.bytes + bytes <= room.bytes
  }

  const take = (peer: PeerId, bytes: number): void => {
    const bound = bounds.get(peer)
    if (bound !== undefined) bounds.set(peer, { messages: bound.messages + 1, bytes: bound.bytes + bytes })
  }

  /** Counts what waits for these peers, where it is not sure that all that is asked for has room. */
  const count = Effect.fnUntraced(function* (wanted: ReadonlyMap<PeerId, Wanted>) {
    const unsure = [...wanted].flatMap(([peer, one]) => (hasRoom(peer, one) ? [] : [peer]))
    if (unsure.length === 0) return
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
  })

  /** The newest counter of each of these peers; of one that was never written to, a new one. */
  const countersOf = Effect.fnUntraced(function* (
    keys: ReadonlyMap<PeerId, number>,
    fresh: ReadonlyMap<PeerId, Epoch>
  ) {
    const list = JSON.stringify([...fresh].map(([peer, epoch]) => [keys.get(peer), epoch]))
    const select = sql`
      SELECT k.id AS peer, o.peer AS key, o.n, o.epoch, o.next FROM json_each(${list}) j
      JOIN outgoing o ON o.n = (SELECT max(n) FROM outgoing WHERE peer = j.value ->> 0) JOIN keys k ON k.n = o.peer`
    const known = yield* Effect.flatMap(select, decodeNewest)
    if (known.length === fresh.size) return known
    yield* sql`
      INSERT INTO outgoing (peer, epoch, next) SELECT j.value ->> 0, j.value ->> 1, 1 FROM json_each(${list}) j
      WHERE NOT EXISTS (SELECT 1 FROM outgoing o WHERE o.peer = j.value ->> 0)`
    return yield* Effect.flatMap(select, decodeNewest)
  })

  const append = Effect.fn("MessageStore.append")(function* (
    message: Message,
    fresh: ReadonlyArray<Epoch>,
    room: Room = { messages: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER }
  ) {
    const kept = yield* Effect.acquireUseRelease(
      Effect.sync(() => appending++),
      () => keep({ message, fresh, room, bytes: byteLength(message.text) }),
      () =>
        Effect.sync(() => {
          if (--appending === 0) safe = Number.MAX_SAFE_INTEGER
        })
    )
    if (kept instanceof OutboxFull) return yield* kept
    // Whatever stands before it was kept with it, or earlier.
    safe = Math.max(safe, kept.place)
    return kept.numbers
  })

  /** Which of these have room, one after the other; of the others, the peer that has none. */
  const admit = Effect.fnUntraced(function* (asked: ReadonlyArray<Append>) {
    const wanted = new Map<PeerId, Wanted>()
    for (const { bytes, message, room } of asked) {
      for (const { peer } of message.recipients) {
        const more = wanted.get(peer) ?? { messages: 0, bytes: 0, room }
        wanted.set(peer, { messages: more.messages + 1, bytes: more.bytes + bytes, room: lesser(more.room, room) })
      }
    }
    yield* count(wanted)
    return asked.map(({ bytes, message, room }) => {
      const full = message.recipients.find(({ peer }) => !hasRoom(peer, { messages: 1, bytes, room }))
      if (full === undefined) {
        for (const { peer } of message.recipients) take(peer, bytes)
        return undefined
      }
      return new OutboxFull({ peer: full.peer, waiting: bounds.get(full.peer)?.messages ?? 0 })
    })
  })

  /** Keeps what has room of all that is asked for at one time, with one statement of each kind. */
  const keep = database.together<Append, Kept | OutboxFull>(
    appendsAtOnce,
    Effect.fnUntraced(function* (asked) {
      const refused = yield* admit(asked)
      const admitted = asked.filter((_, at) => refused[at] === undefined)
      const kept = admitted.length === 0 ? new Map<Append, Kept>() : yield* add(admitted)
      return asked.map((one, at) => refused[at] ?? kept.get(one) ?? { place: 0, numbers: [] })
    })
  )

  const add = Effect.fnUntraced(function* (asked: ReadonlyArray<Append>) {
    const fresh = new Map<PeerId, Epoch>()
    for (const one of asked) {
      for (const [at, { peer }] of one.message.recipients.entries()) {
        const epoch = one.fresh[at]
        if (epoch !== undefined && !fresh.has(peer)) fresh.set(peer, epoch)
      }
    }
    const keys = yield* numbered(sql, new Set([...asked.map(({ message }) => message.from), ...fresh.keys()]))
    const counters = new Map((yield* countersOf(keys, fresh)).map((one) => [one.peer, { ...one }]))
    const places = yield* insertMessages(
      sql,
      asked.map(({ message }) => message)
    )
    safe = Math.min(safe, (places.find((place) => place !== undefined) ?? safe + 1) - 1)
    const kept = new Map<Append, Kept>()
    const rows: Array<ReadonlyArray<number>> = []
    const added: Array<{ readonly place: number; readonly who: string; readonly text: string }> = []
    for (const [at, one] of asked.entries()) {
      const place = places[at]
      if (place === undefined) continue
      const { from, recipients, text } = one.message
      const own: Array<Numbered> = []
      const who = [`k${keys.get(from) ?? ""}`]
      for (const { peer } of recipients) {
        const counter = counters.get(peer)
        if (counter === undefined) continue
        const seq = counter.next++
        own.push({ peer, epoch: counter.epoch, seq })
        who.push(`k${counter.key}`)
        rows.push([place, counter.key, counter.n, seq, one.bytes])
      }
      kept.set(one, { place, numbers: own })
      added.push({ place, who: who.join(" "), text })
    }
    yield* sql`
      INSERT INTO recipients (message, peer, counter, seq, state, bytes)
      SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, 0, j.value ->> 4
      FROM json_each(${JSON.stringify(rows)}) j`
    yield* sql`
      UPDATE outgoing SET next = j.value ->> 1
      FROM json_each(${JSON.stringify([...counters.values()].map(({ n, next }) => [n, next]))}) j
      WHERE outgoing.n = j.value ->> 0`
    yield* index(sql, added)
    const last = added.at(-1)
    if (last !== undefined) yield* trim(sql, last.place, added.length)
    return kept
  })

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
                WHERE peer = ${keyOf(sql, peer)} AND state < 2 AND seq > ${options.after} AND message <= ${safe}
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

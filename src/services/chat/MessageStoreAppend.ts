/**
 * Keeping what this node says: each message with its recipients and the number it has with each, as many of them by
 * one set of statements as are said at one time. A part of MessageStore. Owns nothing but what it remembers of
 * outboxes.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import { limits } from "../../config.ts"
import { Epoch } from "../../schema/Id.ts"
import type { Message } from "../../schema/Message.ts"
import { PeerId, short } from "../../schema/PeerId.ts"
import { byteLength } from "../../schema/Text.ts"
import type { Database } from "../Database.ts"
import { trim } from "./MessageStoreRoom.ts"
import { index, insertMessages, numbered } from "./MessageStoreRows.ts"

/** The number a message has with one of its recipients. */
export interface Numbered {
  readonly peer: PeerId
  readonly epoch: Epoch
  readonly seq: number
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

const decodeNewest = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ peer: PeerId, key: Schema.Int, n: Schema.Int, epoch: Epoch, next: Schema.Natural }))
)
const decodeWaitingCounts = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ peer: PeerId, messages: Schema.Natural, bytes: Schema.Natural }))
)

export const makeAppends = (database: Database["Service"], sql: SqlClient) => {
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
    let unsure = [...wanted].flatMap(([peer, one]) => (hasRoom(peer, one) ? [] : [peer]))
    if (unsure.length === 0) return
    if (bounds.size + unsure.length > limits.peersMax) {
      // What is forgotten has to be counted anew, where it is asked for.
      bounds.clear()
      unsure = [...wanted.keys()]
    }
    const waiting = yield* Effect.flatMap(
      sql`
        SELECT j.value AS peer, count(r.message) AS messages, ifnull(sum(r.bytes), 0) AS bytes
        FROM json_each(${JSON.stringify(unsure)}) j
        LEFT JOIN keys k ON k.id = j.value
        LEFT JOIN recipients r INDEXED BY recipients_waiting ON r.peer = k.n AND r.state < 2
        GROUP BY j.key ORDER BY j.key`,
      decodeWaitingCounts
    )
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
    const named = asked.flatMap(({ message: { from, to } }) => (to === null ? [from] : [from, to]))
    const keys = yield* numbered(sql, new Set([...named, ...fresh.keys()]))
    const counters = new Map((yield* countersOf(keys, fresh)).map((one) => [one.peer, { ...one }]))
    const places = yield* insertMessages(
      sql,
      keys,
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

  return {
    append,
    /** The place of the last message that is sure to stay, as far as it matters: beyond it some are being kept. */
    safeUpTo: () => safe
  }
}

/** Messages as rows: what is asked for, how it is decoded, and what every addition has to do. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { MessageId } from "../../schema/Id.ts"
import type { Message, MessageState } from "../../schema/Message.ts"
import { PeerId } from "../../schema/PeerId.ts"
import { ChatText } from "../../schema/Text.ts"
import { leastAdvanced } from "./ChatState.ts"
import { TextFromBytes } from "../database/DatabaseText.ts"
import { indexed } from "./SearchTerms.ts"

/** How a state stands in the database: further is greater, but for the last, which comes of `queued` and `sent`. */
const states = ["queued", "sent", "delivered", "read", "expired"] as const satisfies ReadonlyArray<MessageState>

const StateNumber = Schema.Literals([0, 1, 2, 3, 4])
export const stateNumber = (state: MessageState): number => states.indexOf(state)

/** The text of a message, asked for as bytes. */
export const StoredText = TextFromBytes.pipe(Schema.decodeTo(ChatText))

export const Row = Schema.Struct({
  n: Schema.Int,
  id: MessageId,
  sender: PeerId,
  receiver: Schema.NullOr(PeerId),
  text: StoredText,
  sentAt: Schema.Int,
  recipients: Schema.fromJsonString(Schema.Array(Schema.Tuple([PeerId, StateNumber])))
})
export type Row = typeof Row.Type

export const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))

/** What a SELECT from messages `m`, continued by a condition, answers with for `decodeRows`. */
export const selectMessages = `
  SELECT m.n, m.id, s.id AS sender, r.id AS receiver, CAST(m.text AS BLOB) AS text, m.sent_at AS sentAt,
    (SELECT json_group_array(json_array(k.id, x.state)) FROM recipients x JOIN keys k ON k.n = x.peer
      WHERE x.message = m.n) AS recipients
  FROM messages m JOIN keys s ON s.n = m.sender LEFT JOIN keys r ON r.n = m.receiver`

export const messageOf = (row: Row): Message => {
  const recipients = row.recipients.map(([peer, state]) => ({ peer, state: states[state] }))
  return {
    id: row.id,
    from: row.sender,
    to: row.receiver,
    text: row.text,
    sentAt: row.sentAt,
    state: recipients.length === 0 ? "delivered" : leastAdvanced(recipients.map((one) => one.state)),
    recipients
  }
}

/** Rows of one column of whole numbers. */
export const decodeNumbers = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ n: Schema.Int })))

const decodeLast = Schema.decodeUnknownEffect(Schema.Tuple([Schema.Struct({ n: Schema.NullOr(Schema.Int) })]))
const decodeAdded = Schema.decodeUnknownEffect(Schema.Struct({ changes: Schema.Int }))

/**
 * Adds these messages and returns the place of each, in their order; undefined where its sender gave the id to another
 * one. `keys`: the numbers of all whom they name. One statement for all; with RETURNING it would take several times as
 * long.
 */
export const insertMessages = Effect.fnUntraced(function* (
  sql: SqlClient,
  keys: ReadonlyMap<PeerId, number>,
  messages: ReadonlyArray<Pick<Message, "id" | "from" | "to" | "text" | "sentAt">>
) {
  const [{ n: last }] = yield* Effect.flatMap(sql`SELECT max(n) AS n FROM messages`, decodeLast)
  const first = (last ?? 0) + 1
  const rows = messages.map(({ from, id, sentAt, text, to }, at) => {
    return [first + at, id, keys.get(from), to === null ? null : keys.get(to), text, sentAt]
  })
  const { changes } = yield* Effect.flatMap(
    sql`
      INSERT INTO messages (n, id, sender, receiver, text, sent_at)
      SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4, j.value ->> 5
      FROM json_each(${JSON.stringify(rows)}) j WHERE true ORDER BY j.key
      ON CONFLICT (id, sender) DO NOTHING`.raw,
    decodeAdded
  )
  const places = messages.map((_, at) => first + at)
  if (changes === messages.length) return places
  const added = new Set(
    (yield* Effect.flatMap(sql`SELECT n FROM messages WHERE n >= ${first}`, decodeNumbers)).map(({ n }) => n)
  )
  return places.map((place) => (added.has(place) ? place : undefined))
})

/** Makes the words of these messages found: of each its place, the keys it went between, and its text. */
export const index = (
  sql: SqlClient,
  added: ReadonlyArray<{ readonly place: number; readonly who: string; readonly text: string }>
): Effect.Effect<unknown, SqlError> => {
  const rows = added.map(({ place, text, who }) => [place, who, indexed(text)])
  return sql`
    INSERT INTO message_search (rowid, who, words)
    SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2 FROM json_each(${JSON.stringify(rows)}) j`
}

const decodeKeys = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ n: Schema.Int, id: PeerId })))

/** The numbers of these peers, where they have one. */
export const keysOf = Effect.fnUntraced(function* (sql: SqlClient, peers: Iterable<PeerId>) {
  const list = JSON.stringify([...peers])
  const rows = yield* Effect.flatMap(
    sql`SELECT n, id FROM keys WHERE id IN (SELECT value FROM json_each(${list}))`,
    decodeKeys
  )
  return new Map(rows.map(({ id, n }) => [id, n]))
})

/** The numbers of these peers, which are given one if they have none. */
export const numbered = Effect.fnUntraced(function* (sql: SqlClient, peers: ReadonlySet<PeerId>) {
  const known = yield* keysOf(sql, peers)
  if (known.size === peers.size) return known
  yield* number(
    sql,
    [...peers].filter((peer) => !known.has(peer))
  )
  return yield* keysOf(sql, peers)
})

/** Gives a number to each of these peers that has none. */
export const number = (sql: SqlClient, peers: ReadonlyArray<PeerId>): Effect.Effect<void, SqlError> =>
  Effect.forEach(peers, (peer) => sql`INSERT INTO keys (id) VALUES (${peer}) ON CONFLICT DO NOTHING`, { discard: true })

/** The number of a peer, in a statement. */
export const keyOf = (sql: SqlClient, peer: PeerId) => sql`(SELECT n FROM keys WHERE id = ${peer})`

/** Messages as rows: what is asked for, how it is decoded, and what every addition has to do. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { limits } from "../config.ts"
import { MessageId } from "../schema/Id.ts"
import type { Message, MessageState } from "../schema/Message.ts"
import { PeerId } from "../schema/PeerId.ts"
import { ChatText } from "../schema/Text.ts"
import { leastAdvanced } from "./ChatState.ts"
import { TextFromBytes } from "./DatabaseText.ts"

/** How a state stands in the database: further is greater, but for the last, which comes of `queued` and `sent`. */
const states = ["queued", "sent", "delivered", "read", "expired"] as const satisfies ReadonlyArray<MessageState>

export const StateNumber = Schema.Literals([0, 1, 2, 3, 4])
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

const Added = Schema.Struct({ changes: Schema.Int, lastInsertRowid: Schema.Int })
const decodeAdded = Schema.decodeUnknownEffect(Added)

/**
 * Adds a message and returns its place, or undefined if its sender gave this id to another one. SQLite says the place
 * without being asked; RETURNING would make the statement several times as slow.
 */
export const insertMessage = Effect.fnUntraced(function* (
  sql: SqlClient,
  message: Pick<Message, "id" | "from" | "to" | "text" | "sentAt">
) {
  const { changes, lastInsertRowid } = yield* Effect.flatMap(
    sql`
      INSERT INTO messages (id, sender, receiver, text, sent_at)
      VALUES (${message.id}, ${keyOf(sql, message.from)}, ${message.to === null ? null : keyOf(sql, message.to)},
        ${message.text}, ${message.sentAt})
      ON CONFLICT (id, sender) DO NOTHING`.raw,
    decodeAdded
  )
  return changes === 0 ? undefined : lastInsertRowid
})

/** Gives a number to each of these peers that has none. */
export const number = (sql: SqlClient, peers: ReadonlyArray<PeerId>): Effect.Effect<void, SqlError> =>
  Effect.forEach(peers, (peer) => sql`INSERT INTO keys (id) VALUES (${peer}) ON CONFLICT DO NOTHING`, { discard: true })

/** The number of a peer, in a statement. */
export const keyOf = (sql: SqlClient, peer: PeerId) => sql`(SELECT n FROM keys WHERE id = ${peer})`

/** A message that so many others came after is not counted as unread any more. */
const unreadSpan = 100_000

/** Room is made once in so many additions. */
const trimEvery = 64

/**
 * Makes room after `added` messages, of which `last` is the newest: what lies further back than
 * `limits.messagesMax` goes, unless it still waits for a peer. Never many at once, so that no addition takes long.
 */
export const trim = (sql: SqlClient, last: number, added: number): Effect.Effect<void, SqlError> =>
  Math.floor(last / trimEvery) === Math.floor((last - added) / trimEvery)
    ? Effect.void
    : Effect.asVoid(
        Effect.all([
          sql`
            DELETE FROM messages WHERE n IN (
              SELECT m.n FROM messages m WHERE m.n <= ${last - limits.messagesMax}
                AND NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.n AND r.state < 2)
              ORDER BY m.n LIMIT ${2 * (trimEvery + added)}
            )`,
          sql`DELETE FROM unread WHERE message <= ${last - unreadSpan}`
        ])
      )

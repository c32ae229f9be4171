/**
 * How much is kept of what was said, and what makes room beyond that: the oldest in all, but for what waits for a
 * peer; and before that the oldest of unverified peers, of whom there may be any number. What makes room was acknowledged
 * and stays so: the counters by which each message is taken once are not touched. A part of MessageStore.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"
import { limits } from "../../config.ts"

/** A message that so many others came after is not counted as unread any more. */
const unreadSpan = 100_000

/** Room is made once in so many additions. */
const trimEvery = 64

/** Messages, and bytes of their texts. */
interface Amount {
  readonly messages: number
  readonly bytes: number
}

const Amount = { messages: Schema.Int, bytes: Schema.Int }
const decodeTotals = Schema.decodeUnknownEffect(Schema.Tuple([Schema.Struct({ kept: Schema.Int, ...Amount })]))
const decodeOver = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ peer: Schema.Int, ...Amount })))

const ofOne: Amount = { messages: limits.unverifiedMessagesMax, bytes: limits.unverifiedMessagesBytes }
const ofStrangers: Amount = { messages: limits.strangersMessagesMax, bytes: limits.strangersMessagesBytes }

const isMore = (a: Amount, than: Amount): boolean => a.messages > than.messages || a.bytes > than.bytes

/**
 * Makes room after `added` messages, of which `last` is the newest, in their transaction. Never many at once, so that
 * no addition takes long.
 */
export const trim = (sql: SqlClient, last: number, added: number) =>
  Math.floor(last / trimEvery) === Math.floor((last - added) / trimEvery)
    ? Effect.void
    : Effect.andThen(
        makeRoom(sql, 2 * (trimEvery + added)),
        sql`DELETE FROM unread WHERE message <= ${last - unreadSpan}`
      )

const makeRoom = Effect.fnUntraced(function* (sql: SqlClient, most: number) {
  const over = yield* Effect.flatMap(
    sql`
      SELECT peer, messages, bytes FROM said_unverified
      WHERE messages > ${ofOne.messages} OR bytes > ${ofOne.bytes} LIMIT ${trimEvery}`,
    decodeOver
  )
  for (const one of over) {
    const oldest = sql`SELECT n FROM messages WHERE sender = ${one.peer} ORDER BY n LIMIT ${most}`
    yield* forget(sql, oldest, one, ofOne)
  }
  const [totals] = yield* Effect.flatMap(
    sql`
      SELECT (SELECT ifnull(sum(messages), 0) FROM said) AS kept,
        ifnull(sum(messages), 0) AS messages, ifnull(sum(bytes), 0) AS bytes
      FROM said_unverified WHERE written = 0`,
    decodeTotals
  )
  if (isMore(totals, ofStrangers)) {
    // Their messages are few, and may lie behind a lifetime of others.
    const oldest = sql`
      SELECT m.n FROM said_unverified s CROSS JOIN messages m ON m.sender = s.peer WHERE s.written = 0
      ORDER BY m.n LIMIT ${most}`
    yield* forget(sql, oldest, totals, ofStrangers)
  }
  const surplus = totals.kept - limits.messagesMax
  if (surplus <= 0) return
  yield* sql`
    DELETE FROM messages WHERE n IN (
      SELECT m.n FROM messages m
      WHERE NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.n AND r.state < 2)
      ORDER BY m.n LIMIT ${Math.min(surplus, most)}
    )`
})

/** Removes as many of these, the first of them first, as it takes to come from `kept` to `most`. */
const forget = (
  sql: SqlClient,
  oldest: Statement<unknown>,
  kept: Amount,
  most: Amount
): Effect.Effect<unknown, SqlError> => sql`
  DELETE FROM messages WHERE n IN (
    SELECT n FROM (
      SELECT n, row_number() OVER (ORDER BY n) AS place,
        sum(octet_length(text)) OVER (ORDER BY n) - octet_length(text) AS before
      FROM messages WHERE n IN (${oldest})
    ) WHERE place <= ${kept.messages - most.messages} OR before < ${kept.bytes - most.bytes}
  )`

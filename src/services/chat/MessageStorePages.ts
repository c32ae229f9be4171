/** Reading messages again: by page, by words, by name. A part of MessageStore. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import type { MessageId } from "../../schema/Id.ts"
import type { Message } from "../../schema/Message.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { byteLength } from "../../schema/Text.ts"
import type { Database } from "../Database.ts"
import { decodeNumbers, decodeRows, keyOf, messageOf, type Row, selectMessages } from "./MessageStoreRows.ts"
import { excerpt, expression, phrasesOf, type Piece } from "./SearchTerms.ts"

/** Where to read on, and how much. */
export interface PageOptions {
  /** Of at most `pageMax`. A page may hold less where messages are long. */
  readonly limit: number
  /** Where the page before this one said to go on. */
  readonly before?: number
  /** Only what went between this node and that peer. */
  readonly peer?: PeerId
  /** Only what went to everyone. */
  readonly to?: "everyone"
}

export interface Page<A> {
  /** The newest first. */
  readonly items: ReadonlyArray<A>
  /** Where the next page begins, or null if there is none. */
  readonly before: number | null
}

/** A found message, and where in it the words stand. */
export interface Found {
  readonly message: Message
  readonly excerpt: ReadonlyArray<Piece>
}

/** Most messages in one page, and most bytes of their texts (one message more may exceed it). */
export const pageMax = 1000
const pageBytes = 4 * 1024 * 1024

/** Messages read by one statement: others get their turn between two of them. */
const rowsAtOnce = 64

const beyondAll = Number.MAX_SAFE_INTEGER

export const makePages = (database: Database["Service"], sql: SqlClient) => {
  const select = sql.literal(selectMessages)

  /** A page of the messages whose places, the newest first, are what this statement answers with. */
  const page = Effect.fnUntraced(function* <A>(
    options: PageOptions,
    placesOf: (before: number, limit: number) => Statement<unknown>,
    itemOf: (row: Row) => A
  ) {
    const wanted = Math.max(1, Math.min(Math.trunc(options.limit), pageMax))
    const places = yield* database.read(Effect.flatMap(placesOf(options.before ?? beyondAll, wanted), decodeNumbers))
    const items: Array<A> = []
    let bytes = 0
    for (let at = 0; at < places.length; at += rowsAtOnce) {
      const some = JSON.stringify(places.slice(at, at + rowsAtOnce).map(({ n }) => n))
      const rows = yield* database.read(
        Effect.flatMap(sql`${select} WHERE m.n IN (SELECT value FROM json_each(${some})) ORDER BY m.n DESC`, decodeRows)
      )
      for (const row of rows) {
        items.push(itemOf(row))
        bytes += byteLength(row.text)
        if (bytes > pageBytes) return { items, before: row.n }
      }
      yield* Effect.yieldNow
    }
    return { items, before: places.length < wanted ? null : (places.at(-1)?.n ?? null) }
  })

  const history = Effect.fn("MessageStore.history")((options: PageOptions) =>
    page(
      options,
      (before, limit) => {
        if (options.to === "everyone") {
          return sql`
            SELECT n FROM messages WHERE receiver IS NULL AND n < ${before} ORDER BY n DESC LIMIT ${limit}`
        }
        if (options.peer === undefined) {
          return sql`SELECT n FROM messages WHERE n < ${before} ORDER BY n DESC LIMIT ${limit}`
        }
        const key = keyOf(sql, options.peer)
        return sql`
          SELECT * FROM (
            SELECT n FROM messages WHERE sender = ${key} AND n < ${before} ORDER BY n DESC LIMIT ${limit}
          ) UNION SELECT * FROM (
            SELECT message FROM recipients WHERE peer = ${key} AND message < ${before}
            ORDER BY message DESC LIMIT ${limit}
          ) ORDER BY 1 DESC LIMIT ${limit}`
      },
      messageOf
    )
  )

  const numberOf = Effect.fnUntraced(function* (peer: PeerId) {
    const [row] = yield* database.read(Effect.flatMap(sql`SELECT n FROM keys WHERE id = ${peer}`, decodeNumbers))
    return row?.n
  })

  const search = Effect.fn("MessageStore.search")(function* (query: string, options: PageOptions) {
    const phrases = phrasesOf(query)
    const words = expression(phrases)
    const key = options.peer === undefined ? undefined : yield* numberOf(options.peer)
    const isNobody = options.peer !== undefined && key === undefined
    if (words === undefined || isNobody) return { items: [], before: null }
    const match = key === undefined ? words : `(${words}) AND (who : "k${key}")`
    const within =
      options.to === "everyone"
        ? sql.literal("AND EXISTS (SELECT 1 FROM messages m WHERE m.n = message_search.rowid AND m.receiver IS NULL)")
        : sql.literal("")
    return yield* page<Found>(
      options,
      (before, limit) =>
        sql`
          SELECT rowid AS n FROM message_search WHERE message_search MATCH ${match} AND rowid < ${before} ${within}
          ORDER BY rowid DESC LIMIT ${limit}`,
      (row) => ({ message: messageOf(row), excerpt: excerpt(row.text, phrases) })
    )
  })

  const get = Effect.fn("MessageStore.get")(function* (from: PeerId, id: MessageId) {
    const [row] = yield* database.read(
      Effect.flatMap(sql`${select} WHERE m.id = ${id} AND m.sender = ${keyOf(sql, from)}`, decodeRows)
    )
    return Option.map(Option.fromUndefinedOr(row), messageOf)
  })

  return { history, search, get }
}

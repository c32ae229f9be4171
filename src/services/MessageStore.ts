/**
 * Messages on disk: what was said, to whom, how far it got, and the counters by which each is shown exactly once. What
 * an effect of this store returned has happened and stays, whatever happens to the node or the machine.
 *
 * Its parts are MessageStoreAppend, MessageStoreSent, MessageStoreReceived and MessageStorePages.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import type { Epoch, MessageId } from "../schema/Id.ts"
import type { Message } from "../schema/Message.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { Database, type DatabaseError } from "./Database.ts"
import { type Found, makePages, type Page, type PageOptions } from "./chat/MessageStorePages.ts"
import { type Arrival, makeReceived, type Read, type Received, type Unread } from "./chat/MessageStoreReceived.ts"
import { type Numbered, OutboxFull, type Room } from "./chat/MessageStoreAppend.ts"
import { type Advanced, makeSent, type Outbox, type Progress, type Waiting } from "./chat/MessageStoreSent.ts"

export { OutboxFull }
export type {
  Room,
  Advanced,
  Arrival,
  Found,
  Numbered,
  Outbox,
  Page,
  PageOptions,
  Progress,
  Read,
  Received,
  Unread,
  Waiting
}

export class MessageStore extends Context.Service<
  MessageStore,
  {
    /**
     * Keeps a message of this node and gives it its next number with each of its recipients; `fresh`: an epoch
     * for each of them, used where it never wrote to that one. States begin at `queued`. A message that is kept already gets no numbers. `room`: how much
     * may wait for each of them, this one included; without it, any number.
     */
    readonly append: (
      message: Message,
      fresh: ReadonlyArray<Epoch>,
      room?: Room
    ) => Effect.Effect<ReadonlyArray<Numbered>, DatabaseError | OutboxFull>
    /** What is to be sent to whom, in numbers: one for each peer that was ever written to. */
    readonly outboxes: Effect.Effect<ReadonlyArray<Outbox>, DatabaseError>
    /**
     * What waits for a peer and would survive a power failure, in order, from the number that follows `after` on; at
     * most `limits.outboxMax`, and of so many bytes of texts, which one message may exceed.
     */
    readonly outbox: (
      peer: PeerId,
      options: { readonly after: number; readonly limit: number; readonly bytes?: number }
    ) => Effect.Effect<ReadonlyArray<Waiting>, DatabaseError>
    /** A peer's receipt, or how far its session was written. States only go forward. */
    readonly advance: (peer: PeerId, progress: Progress) => Effect.Effect<Advanced, DatabaseError>
    /** What was written to a session that is over waits again: of this peer, or (null) of all. Returns what changed. */
    readonly requeue: (peer: PeerId | null) => Effect.Effect<ReadonlyArray<Message>, DatabaseError>
    /** Begins a new epoch with a peer and numbers what waits for it from 1. */
    readonly renumber: (peer: PeerId, fresh: Epoch) => Effect.Effect<void, DatabaseError>
    /** What was sent before this time and still waits does so no more. Returns what changed, some of it: ask until none. */
    readonly expire: (sentBefore: number) => Effect.Effect<ReadonlyArray<Message>, DatabaseError>
    /**
     * Takes what came from peers, in order, each exactly once by its number, and says of each what became of it. All of
     * them in one transaction: give it whatever has come, not one at a time.
     */
    readonly receive: (arrivals: ReadonlyArray<Arrival>) => Effect.Effect<ReadonlyArray<Received>, DatabaseError>
    /** How many messages nobody here has read, of each sender, to this node and to everyone. */
    readonly unread: Effect.Effect<ReadonlyArray<Unread>, DatabaseError>
    /**
     * What came in the conversation with this peer, or (null) with everyone, was read up to this message, or all of it.
     * Returns the receipts that say so: each stands for everything up to it, so none goes past what is unread elsewhere.
     */
    readonly markRead: (conversation: PeerId | null, upTo?: MessageId) => Effect.Effect<Read, DatabaseError>
    /** How far this sender's messages were read, in each of its epochs; 0 where none was. */
    readonly readUpTo: (
      from: PeerId
    ) => Effect.Effect<ReadonlyArray<{ readonly epoch: Epoch; readonly seq: number }>, DatabaseError>
    readonly get: (from: PeerId, id: MessageId) => Effect.Effect<Option.Option<Message>, DatabaseError>
    readonly history: (options: PageOptions) => Effect.Effect<Page<Message>, DatabaseError>
    /**
     * Messages that hold all of the words: whole ones, but for the last, which may be the beginning of one. Quotes join
     * words to a phrase. No query is wrong; one without words finds nothing.
     */
    readonly search: (query: string, options: PageOptions) => Effect.Effect<Page<Found>, DatabaseError>
  }
>()("kith/services/MessageStore") {
  static readonly layer: Layer.Layer<MessageStore, never, Database | SqlClient> = Layer.effect(
    this,
    Effect.gen(function* () {
      const database = yield* Database
      const sql = yield* SqlClient
      return MessageStore.of({
        ...makeSent(database, sql),
        ...makeReceived(database, sql),
        ...makePages(database, sql)
      })
    })
  )
}

/**
 * Messages to everyone or to one peer: each shown exactly once and in order, each with a state that never lies.
 * Owns the history, the per-peer outbox and counters. It reads Connection's inbox for as long as its layer lives.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { MessageRefused } from "../schema/Failure.ts"
import type { Message } from "../schema/Message.ts"
import type { PeerId } from "../schema/PeerId.ts"

/** Defined in schema/, since the API carries them. */
export { MessageRefused } from "../schema/Failure.ts"

export class Chat extends Context.Service<
  Chat,
  {
    /**
     * Sends to one peer, or (null) to everyone who is connected or verified now. It returns as soon as the message
     * is kept; its state advances as receipts come (`delivered`), and stays `queued` while the peer is away.
     */
    readonly say: (text: string, to: PeerId | null) => Effect.Effect<Message, MessageRefused>
    /** Waits until every recipient has it, or `patience` is over; then the message as it stands. */
    readonly settled: (id: Message["id"], patience: Duration.Input) => Effect.Effect<Message, MessageRefused>
    /** The newest `limit` messages, oldest first; `peer` narrows to one conversation. */
    readonly history: (options: {
      readonly limit: number
      readonly peer?: PeerId
    }) => Effect.Effect<ReadonlyArray<Message>>
  }
>()("kith/services/Chat") {}

/**
 * The front door of the transfer actors: sends and receives, what they are doing, and what a person decides about
 * them. It owns a FiberMap with one SendActor or ReceiveActor for each transfer, and the handling of inbound data
 * links. It does not know which wire an offer came by.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TransferId } from "../schema/Id.ts"
import type { ConflictPolicy, Transfer as View } from "../schema/Offer.ts"
import type { PeerId } from "../schema/PeerId.ts"

/** What was to be sent cannot be: nothing was offered to anyone. */
export class SendRefused extends Schema.TaggedError<SendRefused>()("SendRefused", {
  /** The path it is about, or null where it is about the whole. */
  path: Schema.NullOr(Schema.String),
  problem: Schema.String
}) {
  override get message(): string {
    return this.path === null ? `nothing was sent: ${this.problem}` : `${this.path} was not sent: ${this.problem}`
  }
}

/** No transfer has that id. */
export class UnknownTransfer extends Schema.TaggedError<UnknownTransfer>()("UnknownTransfer", {
  query: Schema.String,
  candidates: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.candidates.length === 0
      ? `no transfer has the id "${this.query}". List them with: kith transfers`
      : `"${this.query}" may be any of ${this.candidates.join(", ")}. Give more of the id`
  }
}

/** The transfer is not in a state in which that can be done. */
export class NotPossible extends Schema.TaggedError<NotPossible>()("NotPossible", {
  transfer: TransferId,
  action: Schema.String,
  state: Schema.String
}) {
  override get message(): string {
    return `transfer ${this.transfer.slice(0, 8)} is ${this.state}: there is nothing to ${this.action}`
  }
}

export class Transfer extends Context.Service<
  Transfer,
  {
    /**
     * Offers files and directories (absolute paths) to each of the peers: one transfer for each, sharing a group.
     * Returns once the paths are known to be readable and the offers are kept; what becomes of them is in `list` and
     * in the events.
     */
    readonly send: (
      paths: ReadonlyArray<string>,
      to: ReadonlyArray<PeerId>
    ) => Effect.Effect<ReadonlyArray<View>, SendRefused>
    /** The newest first. */
    readonly list: Effect.Effect<ReadonlyArray<View>>
    /** By id, or the beginning of one. */
    readonly find: (query: string) => Effect.Effect<View, UnknownTransfer>
    /** Takes an offer that waits for an answer. */
    readonly accept: (
      id: TransferId,
      options: {
        readonly conflict?: ConflictPolicy
      }
    ) => Effect.Effect<View, UnknownTransfer | NotPossible>
    readonly decline: (id: TransferId) => Effect.Effect<View, UnknownTransfer | NotPossible>
    /** Ends it, from either side. What was received so far is discarded; what was published stays. */
    readonly cancel: (id: TransferId) => Effect.Effect<View, UnknownTransfer | NotPossible>
  }
>()("kith/services/Transfer") {}

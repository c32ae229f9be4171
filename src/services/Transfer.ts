/**
 * The front door to transfers: sends and receives, what they are doing, and what a person decides about them. A
 * contract; its layer is actors/TransferActors. It does not know which wire an offer came by.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { NotPossible, SendRefused, UnknownTransfer } from "../schema/Failure.ts"
import type { ListedEntry } from "../schema/ListedEntry.ts"
import type { TransferId } from "../schema/Id.ts"
import type { ConflictPolicy, Transfer as View, TransferPriority } from "../schema/Offer.ts"
import type { PeerId } from "../schema/PeerId.ts"
import type { Range } from "../schema/Ranges.ts"

/** Defined in schema/, since the API carries them. */
export { NotPossible, SendRefused, UnknownTransfer } from "../schema/Failure.ts"

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
      to: ReadonlyArray<PeerId>,
      options?: { readonly priority?: TransferPriority }
    ) => Effect.Effect<ReadonlyArray<View>, SendRefused>
    /**
     * Sends what was picked for a send that is over to the same peer once more: one transfer, of a group of its own.
     * Refused where that is not known any more or not there, and where the peer was removed or is blocked.
     */
    readonly again: (id: TransferId) => Effect.Effect<ReadonlyArray<View>, UnknownTransfer | NotPossible | SendRefused>
    /** The newest first. */
    readonly list: Effect.Effect<ReadonlyArray<View>>
    /** By id, or the beginning of one. */
    readonly find: (query: string) => Effect.Effect<View, UnknownTransfer>
    /**
     * Its list: at most `limit` entries from index `from` on, and what the sender left out after them; none beyond the
     * end. Not possible before the list is known, nor once it is over: a list is held for as long as it is needed.
     */
    readonly entries: (
      id: TransferId,
      part: { readonly from: number; readonly limit: number }
    ) => Effect.Effect<ReadonlyArray<ListedEntry>, UnknownTransfer | NotPossible>
    /** Takes an offer that waits for an answer. */
    readonly accept: (
      id: TransferId,
      options: {
        readonly conflict?: ConflictPolicy
        /** Only what one of these patterns names (schema/Glob.ts), with the directories it is in. */
        readonly only?: ReadonlyArray<string>
        /** Only these of its entries, once its list is known, with the directories they are in. */
        readonly ranges?: ReadonlyArray<Range>
      }
    ) => Effect.Effect<View, UnknownTransfer | NotPossible>
    readonly decline: (id: TransferId) => Effect.Effect<View, UnknownTransfer | NotPossible>
    /** Ends it, from either side. What was received so far is discarded; what was published stays. */
    readonly cancel: (id: TransferId) => Effect.Effect<View, UnknownTransfer | NotPossible>
    /** Holds it, from either side, until one side resumes it: it has no data link and no memory for blocks then. */
    readonly pause: (id: TransferId) => Effect.Effect<View, UnknownTransfer | NotPossible>
    /** Lets it go on, whichever side held it. */
    readonly resume: (id: TransferId) => Effect.Effect<View, UnknownTransfer | NotPossible>
    /** Which of several has its turn first. Said at the receiver, it counts more than what the sender says. */
    readonly prioritise: (
      id: TransferId,
      priority: TransferPriority
    ) => Effect.Effect<View, UnknownTransfer | NotPossible>
  }
>()("kith/services/Transfer") {}

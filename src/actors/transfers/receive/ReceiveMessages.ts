/** The words of a transfer at the receiver: what its machine knows, what reaches it, and what it asks for. Pure. */
import * as Data from "effect/Data"
import type { Common, CommonActions, Outcome, Pause, Tagged } from "../TransferState.ts"

/** A lane as the receiver sees it. */
export interface Wanted {
  /** The attempt that is wanted, being opened or up; null while there is none. */
  readonly attempt: number | null
  readonly up: boolean
  readonly newest: number
  /** Attempts lost in a row without a block. */
  readonly failures: number
}

export interface Receiving {
  readonly peerUp: boolean
  /** Whether the policy takes it without asking. */
  readonly unasked: boolean
  /** The sender still lists what it offers. */
  readonly listing: boolean
  /** The whole manifest was read and found good. */
  readonly listed: boolean
  readonly accepted: boolean
  /** Every block is here: what is left is to publish. */
  readonly received: boolean
  readonly pause: Pause
  /** What the disk here refused, in a sentence, until it is tried again. */
  readonly fault: string | null
  /** Whether it may run: other transfers of this peer may have to end first. */
  readonly turn: "none" | "asked" | "given" | "queued"
  /** The first reads the list; the others are wanted for blocks, where there are enough of them. */
  readonly lanes: ReadonlyArray<Wanted>
  readonly outcome: Outcome | null
}

export type ReceiveMessage = Tagged<
  Common & {
    Begin: {}
    /** How urgent it is has changed. */
    Changed: {}
    /** The sender offers it once more, as after a lost session, or because it knows all of it now. */
    OfferedAgain: { readonly listing: boolean }
    LaneUp: { readonly lane: number; readonly attempt: number }
    /** `lanes`: how many its blocks are worth. */
    Listed: { readonly lanes: number }
    /** The manifest is dangerous or untrue, or more than fits: nobody is asked. */
    Unacceptable: { readonly reason: string }
    Accept: {}
    Decline: { readonly reason: string }
    /** Whether it is its turn, once asked and whenever that changes. */
    Turn: { readonly given: boolean }
    /** A block came: whatever was wrong with this lane before is over. */
    Progress: { readonly lane: number }
    Received: {}
    /** Not all is there after all: a file that was the same has changed. */
    Missing: {}
    /** The disk here refused something, which may pass. */
    Faulted: { readonly reason: string }
    /** It is time to try again. */
    Retry: {}
    Published: { readonly outcome: Outcome }
  }
>
export const ReceiveMessage = Data.taggedEnum<ReceiveMessage>()

export type ReceiveAction = Data.TaggedEnum<
  CommonActions & {
    /** `failures`: attempts lost in a row, so how long to wait first. */
    OpenLane: { readonly lane: number; readonly attempt: number; readonly failures: number }
    RunLane: { readonly lane: number; readonly attempt: number }
    /** Ask a person, for a while. */
    Ask: {}
    /** The answer is yes: staging may begin. */
    Take: {}
    /** What was written and not kept account of may be lost: opens the staging anew, as another run would. */
    Recover: {}
    /** Shows the fault, and tries again after a while. */
    RetryLater: { readonly reason: string }
    AskTurn: {}
    LeaveTurn: {}
    Publish: {}
    TellAccepted: {}
    TellStatus: { readonly status: "queued" | "publishing" }
    TellDeclined: { readonly reason: string }
    TellDone: { readonly outcome: Outcome }
  }
>
export const ReceiveAction = Data.taggedEnum<ReceiveAction>()

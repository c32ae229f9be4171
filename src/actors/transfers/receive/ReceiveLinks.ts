/**
 * What a receiver does with the lanes of one transfer: dials them, or asks to be dialled, learns the list by the first,
 * and pulls the blocks by all. What the lanes share is here; each link belongs to the scope of its lane.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { limits } from "../../../config.ts"
import { Frame } from "../../../schema/Frame.ts"
import type { FileStoreError } from "../../../services/FileStore.ts"
import { without } from "./Choice.ts"
import { DataLane, LaneError } from "../DataLane.ts"
import type { Intake } from "./Intake.ts"
import { lanesFor, LaneShare } from "./LaneShare.ts"
import type { OfferedList } from "./OfferedList.ts"
import type { ReceivedFiles } from "./ReceivedFiles.ts"
import { pullBlocks } from "./ReceiveLane.ts"
import { type ReceiveAction, ReceiveMessage } from "./ReceiveMessages.ts"
import type { Actor, Tools } from "../TransferActor.ts"
import { retryAfter, type TransferRecord } from "../TransferBook.ts"

/** After `DialMe`: the sender dials, then attaches. */
const dialled = Duration.sum(limits.dial, limits.hello)

type LaneTry = Extract<ReceiveAction, { readonly _tag: "OpenLane" }>

/** Whose lanes they are. */
interface LaneOwner {
  readonly files: ReceivedFiles
  readonly list: OfferedList
  /** An earlier run accepted it, so that its list is known. */
  readonly isKept: boolean
  /** The intake's bytes have changed. */
  readonly progress: () => void
  /** The disk here refused something. */
  readonly refusedBy: (error: FileStoreError) => Effect.Effect<void>
}

export class ReceiveLinks {
  private readonly tools: Tools
  private readonly actor: Actor<ReceiveMessage>
  private readonly receiver: LaneOwner
  private share: LaneShare | undefined

  constructor(tools: Tools, actor: Actor<ReceiveMessage>, receiver: LaneOwner) {
    this.tools = tools
    this.actor = actor
    this.receiver = receiver
  }

  private get record(): TransferRecord {
    return this.actor.record
  }

  /** One for all lanes; a list that was read back anew is shared anew. */
  private shareOf(intake: Intake): LaneShare {
    if (this.share?.intake !== intake) this.share = new LaneShare(intake)
    return this.share
  }

  /** Dials the sender; where that does not work, asks to be dialled. */
  open({ attempt, failures, lane: number }: LaneTry): Effect.Effect<void, LaneError> {
    const { connection } = this.tools
    const { id, peer } = this.record
    return Effect.gen({ self: this }, function* () {
      yield* Effect.sleep(retryAfter(failures))
      const opened = yield* Effect.option(connection.openDataLink(peer))
      if (Option.isSome(opened)) {
        const lane = new DataLane(opened.value)
        yield* lane.attach({ transfer: id, lane: number, attempt })
        yield* this.actor.tell(ReceiveMessage.LaneUp({ lane: number, attempt }))
        return yield* this.work(lane, number)
      }
      yield* this.actor.say(Frame.cases.DialMe.make({ transfer: id, lane: number, attempt }))
      yield* Effect.sleep(dialled)
      return yield* new LaneError({ problem: "lost", detail: "neither side could dial the other" })
    }).pipe(Effect.scoped)
  }

  /** What is done with a lane: the list if it is not known yet, then, once the answer is yes, the blocks. */
  work(lane: DataLane, number: number): Effect.Effect<void, LaneError> {
    return Effect.gen({ self: this }, function* () {
      if (this.receiver.files.intake === undefined && !this.receiver.isKept) {
        const learnt = yield* this.receiver.list.learn(lane)
        yield* this.actor.tell(ReceiveMessage.Listed({ lanes: lanesFor(learnt, this.tools.lanes) }))
      }
      const { intake, journal } = yield* this.receiver.files.whenReady
      yield* pullBlocks(
        lane,
        {
          share: this.shareOf(intake),
          claimant: { peer: this.record.peer, transfer: this.record.id },
          gate: this.tools.limiter.gate(this.record.peer, "receive"),
          staging: journal.staging,
          // Said once: the other lanes are of the same transfer.
          taken: number === 0 && intake.leftOut.size > 0 ? without(intake.entries, intake.leftOut).taken : [],
          keep: (written, same) => journal.keep(intake, written, same),
          onProgress: () => this.receiver.progress(),
          onBlock: this.actor.tell(ReceiveMessage.Progress({ lane: number })),
          onFailed: (entry, reason) =>
            this.tools.book.problem(this.record, "failed", intake.entries.path(entry), reason)
        },
        this.tools.pool
      )
      yield* this.actor.tell(ReceiveMessage.Received())
    }).pipe(
      Effect.catchTags({
        Unacceptable: (refusal) => this.actor.tell(ReceiveMessage.Unacceptable({ reason: refusal.message })),
        FileStoreError: (error) => this.receiver.refusedBy(error)
      })
    )
  }
}

/**
 * The place of one received transfer among those of its peer: how urgent it is, and whether it is its turn. It owns that
 * place, given up with `leave`; the newest answer goes to whoever reads the queue.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { TransferPriority } from "../../../schema/Offer.ts"
import type { TransferRecord } from "../TransferBook.ts"
import type { Turns } from "../Turns.ts"

export class ReceiveTurn {
  private readonly turns: Turns
  private readonly record: TransferRecord
  private readonly answers: Queue.Enqueue<boolean>
  /** A person here said how urgent it is: what the sender says of that does not count any more. */
  private urgencyIsOurs = false

  constructor(turns: Turns, record: TransferRecord, answers: Queue.Enqueue<boolean>) {
    this.turns = turns
    this.record = record
    this.answers = answers
  }

  prioritise(priority: TransferPriority, by: "here" | "peer"): void {
    if (by === "here") this.urgencyIsOurs = true
    else if (this.urgencyIsOurs) return
    const { record } = this
    record.view = { ...record.view, priority }
    if (this.turns.has(record.peer, record.id)) this.ask()
  }

  ask(): void {
    const { id, peer, view } = this.record
    this.turns.enter({
      id,
      peer,
      priority: view.priority ?? "normal",
      order: view.startedAt,
      onTurn: (given) => void Queue.offerUnsafe(this.answers, given)
    })
  }

  readonly leave: Effect.Effect<void> = Effect.sync(() => this.turns.leave(this.record.peer, this.record.id))
}

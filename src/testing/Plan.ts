/**
 * A plan: actions by their times, those of one time in the order in which they were planned. It owns nothing else and
 * lets no time pass itself. What is no longer wanted stays in it unseen until its time.
 */
import * as Duration from "effect/Duration"

/** Whole microseconds of a duration. */
export const micros = (duration: Duration.Input): number =>
  Math.round(Duration.toMillis(Duration.fromInputUnsafe(duration)) * 1000)

class Planned {
  readonly time: number
  readonly order: number
  action: (() => void) | undefined

  constructor(time: number, order: number, action: () => void) {
    this.time = time
    this.order = order
    this.action = action
  }

  isBefore(other: Planned): boolean {
    return this.time < other.time || (this.time === other.time && this.order < other.order)
  }
}

/** A binary heap, the earliest first. */
export class Plan {
  readonly #heap: Array<Planned> = []
  #order = 0
  #size = 0

  /** Actions that are still wanted. */
  get size(): number {
    return this.#size
  }

  /** The time of the next action. */
  get next(): number | undefined {
    while (this.#heap[0] !== undefined && this.#heap[0].action === undefined) this.#remove()
    return this.#heap[0]?.time
  }

  /** Returns how to take it back. */
  add(time: number, action: () => void): () => void {
    const planned = new Planned(time, this.#order++, action)
    this.#insert(planned)
    this.#size++
    return () => {
      if (planned.action === undefined) return
      planned.action = undefined
      this.#size--
    }
  }

  /** Takes the next action out. */
  take(): (() => void) | undefined {
    if (this.next === undefined) return undefined
    const first = this.#heap[0]
    this.#remove()
    const action = first?.action
    if (first !== undefined) first.action = undefined
    this.#size--
    return action
  }

  #insert(planned: Planned): void {
    const heap = this.#heap
    let at = heap.push(planned) - 1
    while (at > 0) {
      const above = (at - 1) >>> 1
      const parent = heap[above]
      if (parent === undefined || !planned.isBefore(parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = planned
  }

  #remove(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    while (true) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const goRight = right !== undefined && right.isBefore(left)
      const least = goRight ? right : left
      if (!least.isBefore(last)) break
      heap[at] = least
      at = 2 * at + (goRight ? 2 : 1)
    }
    heap[at] = last
  }
}

/**
 * Whether the peer of one session is there: when it is asked, doubted, and given up. Time in which nobody here listens
 * to it does not count. Pure: it is told what happens and what time it is, others act. Times are monotonic, in
 * milliseconds.
 */
import * as Duration from "effect/Duration"
import { limits } from "../../config.ts"

const asked = {
  dialled: Duration.toMillis(limits.heartbeat),
  accepted: Duration.toMillis(limits.heartbeatAccepted)
}
const doubtful = Duration.toMillis(limits.doubtful)
const dead = Duration.toMillis(limits.dead)
const stalled = Duration.toMillis(limits.stalled)

/** What is due at one time. */
interface Beat {
  /** silent: nothing was heard for too long. stalled: the peer takes nothing any more. */
  readonly end: "silent" | "stalled" | null
  /** Nothing was heard for `limits.doubtful`: due until `doubt` was called, once in each silence. */
  readonly isDoubtful: boolean
  readonly isToAsk: boolean
  /** Until something may be due again. */
  readonly wait: number
}

export class Pulse {
  readonly #every: number
  #heardAt: number
  #askedAt: number
  /** Since when this node waits for bytes; undefined while it does something with what it read. */
  #readingSince: number | undefined
  #writingSince: number | undefined
  /** The silence that was told, by its beginning. */
  #doubted: number | undefined

  constructor(side: "dialled" | "accepted", now: number) {
    this.#every = asked[side]
    this.#heardAt = now
    this.#askedAt = now
  }

  get isListening(): boolean {
    return this.#readingSince !== undefined
  }

  listens(now: number): void {
    this.#readingSince = now
  }

  hears(now: number): void {
    this.#readingSince = undefined
    this.#heardAt = now
  }

  writes(now: number): void {
    this.#writingSince = now
  }

  wrote(): void {
    this.#writingSince = undefined
  }

  /** Someone was told of this silence. */
  doubt(): void {
    this.#doubted = this.#readingSince
  }

  /** What is due now; it counts as asked if that is due. */
  beat(now: number): Beat {
    const quiet = this.#readingSince === undefined ? 0 : now - this.#readingSince
    const held = this.#writingSince === undefined ? 0 : now - this.#writingSince
    const isDoubted = this.#doubted === this.#readingSince
    const isToAsk = now - Math.max(this.#heardAt, this.#askedAt) >= this.#every
    if (isToAsk) this.#askedAt = now
    return {
      end: quiet >= dead ? "silent" : held >= stalled ? "stalled" : null,
      isDoubtful: quiet >= doubtful && !isDoubted,
      isToAsk,
      wait: Math.min(
        Math.max(this.#heardAt, this.#askedAt) + this.#every - now,
        (isDoubted ? dead : doubtful) - quiet,
        stalled - held
      )
    }
  }
}

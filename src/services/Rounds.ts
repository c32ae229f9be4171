/**
 * When fibers that gave way go on. Effect's own scheduler lets the event loop turn once between a fiber that gives
 * something and the one that takes it. A message goes through ten such hands at each end, and beside a transfer a turn
 * takes milliseconds. Here those that are ready have several rounds in one turn, in the same order, for as long as that
 * takes no more than a millisecond; then whatever came from outside has its turn.
 *
 * Owns what waits for the next round, and nothing that has to end.
 */
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"

/** Rounds begin within this time of the first of a turn. Milliseconds. */
const turnMillis = 1

interface Task {
  run: (() => void) | undefined
}

/** What runs tasks later, as `setImmediate` does; it returns how to call one off. */
export type Later = (run: () => void) => () => void

/** Rounds of tasks. `later` starts a turn, `now` is a clock in milliseconds. */
export const make = (later: (run: () => void) => void, now: () => number): Later => {
  let waiting: Array<Task> = []
  let isTurnNear = false

  const startTurn = () => {
    if (isTurnNear || waiting.length === 0) return
    isTurnNear = true
    later(turn)
  }

  const turn = () => {
    const began = now()
    let round: ReadonlyArray<Task> = []
    let at = 0
    try {
      do {
        round = waiting
        waiting = []
        for (at = 0; at < round.length; at++) round[at]?.run?.()
      } while (waiting.length > 0 && now() - began < turnMillis)
    } finally {
      // One that throws is the process's to report; those behind it are not to be lost.
      if (at < round.length) waiting = [...round.slice(at + 1), ...waiting]
      isTurnNear = false
      startTurn()
    }
  }

  return (run) => {
    const task: Task = { run }
    waiting.push(task)
    startTurn()
    return () => {
      task.run = undefined
    }
  }
}

/** The scheduler of this process, for whatever is built and run under the layer. */
export const layer: Layer.Layer<never> = Layer.sync(
  Scheduler.Scheduler,
  () =>
    new Scheduler.MixedScheduler(
      "async",
      make(
        (run) => void setImmediate(run),
        () => performance.now()
      )
    )
)

/**
 * Plays a scenario: makes the nodes, does to them what it says, makes everything whole again, gives them time, and
 * checks what must be true meanwhile and in the end. The same scenario has the same outcome, to the byte.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import { createHash } from "node:crypto"
import { isOver } from "../../src/schema/Offer.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import * as Simulation from "../../src/testing/Simulation.ts"
import { ask, transfersOf } from "./Ask.ts"
import * as Checks from "./Checks.ts"
import { perform, start, stop, thaw } from "./Deeds.ts"
import type { Scenario } from "./Scenario.ts"
import * as Stages from "./Stage.ts"
import type { Stage } from "./Stage.ts"
import { answer, waitsForAnswer } from "./TransferDeeds.ts"

export interface Outcome {
  /** What was wrong; empty where nothing was. */
  readonly failures: ReadonlyArray<string>
  /** A sum over all that happened on the network and all that was logged. */
  readonly fingerprint: string
  /** To read. */
  readonly trace: ReadonlyArray<string>
  /** Simulated seconds. */
  readonly seconds: number
}

/** From the moment the network is whole, every two nodes that may have a session must have one after this. */
const connectedWithin = 75

/** And everything under way must be done after this, in seconds. */
const finishedWithin = 300

/** One seed of so many looks at what idle nodes hold, which takes minutes of simulated time. */
const keptEvery = 20

/** Steps between two looks at what is always true. */
const checkEvery = 6

const whole = Effect.fnUntraced(function* (stage: Stage) {
  const { actors, network, trace } = stage
  trace.add("", "--- everything is made whole")
  network.heal()
  network.conditions({ latency: 1, jitter: 0, bandwidth: null, loss: 0, duplication: 0, reordering: 0 })
  for (const actor of actors) {
    thaw(actor)
    actor.peer.disk.onWork = undefined
    actor.peer.slowDisk(0)
    actor.peer.fillDisk(Number.POSITIVE_INFINITY)
    for (const segment of actor.segments) network.plug(actor.peer.name, segment)
    yield* start(stage, actor)
  }
})

const resumeAll = Effect.fnUntraced(function* (stage: Stage) {
  for (const actor of stage.actors) {
    for (const { id, pausedBy, state } of yield* transfersOf(stage, actor)) {
      if (isOver(state) || pausedBy === null || pausedBy === undefined) continue
      yield* ask(
        stage,
        actor,
        "resume",
        Transfer.use((transfer) => transfer.resume(id))
      )
    }
  }
})

/** Everybody takes what they are asked about. */
const answerAll = Effect.fnUntraced(function* (stage: Stage) {
  for (const actor of stage.actors) {
    const waiting = (yield* transfersOf(stage, actor)).filter(waitsForAnswer)
    for (const _ of waiting) yield* answer(stage, actor, { part: "all", which: 0 })
  }
})

/** Waits until nothing is missing any more, at most so many seconds. */
const until = Effect.fnUntraced(function* (
  stage: Stage,
  seconds: number,
  look: (stage: Stage) => Effect.Effect<ReadonlyArray<string>>
) {
  for (let passed = 0; ; passed++) {
    const missing = yield* look(stage)
    if (missing.length === 0 || stage.failures.length > 0) return
    if (passed >= seconds) {
      stage.failures.push(...missing.map((each) => `${each}, ${seconds} s after everything was whole`))
      return
    }
    yield* Effect.sleep("1 second")
  }
})

/** After the end of every node nothing is left: no link, socket, timer or fiber. */
const checkLeft = Effect.fnUntraced(function* (stage: Stage, before: number) {
  const alive = yield* Simulation.Alive
  yield* Effect.sleep("1 minute")
  const left = { ...stage.network.open(), timers: alive.planned(), fibers: alive.fibers() - before }
  for (const [what, count] of Object.entries(left)) {
    if (count > 0) stage.failures.push(`${count} ${what} are left after every node has stopped`)
  }
})

/** What is alive once nothing is under way any more, and time has run out for whatever waits for an answer. */
const idle = Effect.fnUntraced(function* (stage: Stage) {
  const alive = yield* Simulation.Alive
  yield* until(stage, connectedWithin, Checks.strangers)
  yield* Effect.sleep("130 seconds")
  // Timers may be one more or less: what is on its way at this moment is one of them.
  return { ...stage.network.open(), fibers: alive.fibers() }
})

/** Whatever they have been through, nodes that are idle hold no more than nodes that have just been started. */
const checkKept = Effect.fnUntraced(function* (stage: Stage) {
  const before = yield* idle(stage)
  for (const actor of stage.actors) yield* stop(stage, actor)
  for (const actor of stage.actors) yield* start(stage, actor)
  const after = yield* idle(stage)
  for (const [what, count] of Object.entries(before)) {
    const fresh = Object.entries(after).find(([key]) => key === what)?.[1] ?? 0
    if (count > fresh) stage.failures.push(`idle nodes have ${count} ${what}, and ${fresh} after a fresh start`)
  }
})

const run = Effect.fnUntraced(function* (stage: Stage, scenario: Scenario) {
  const alive = yield* Simulation.Alive
  const fibers = alive.fibers()
  for (const actor of stage.actors) yield* start(stage, actor)
  for (const [at, { act, wait }] of scenario.steps.entries()) {
    yield* Effect.sleep(Duration.millis(wait))
    yield* perform(stage, act)
    if (at % checkEvery === checkEvery - 1) yield* Checks.always(stage)
    if (stage.failures.length > 0) return
  }
  yield* whole(stage)
  yield* until(stage, connectedWithin, Checks.strangers)
  yield* resumeAll(stage)
  yield* until(stage, finishedWithin, (stage) => Effect.andThen(answerAll(stage), Checks.unfinished(stage)))
  yield* Checks.always(stage)
  yield* Checks.afterwards(stage)
  if (stage.failures.length === 0 && scenario.seed % keptEvery === 0) yield* checkKept(stage)
  if (stage.failures.length > 0) return
  stage.trace.add("", "--- everyone stops")
  for (const actor of stage.actors) yield* stop(stage, actor)
  yield* checkLeft(stage, fibers)
})

/** Plays it, without stacks unless told otherwise: most errors in it are part of a history. */
export const play = (scenario: Scenario, options: Simulation.Options = {}): Outcome => {
  let stage: Stage | undefined
  const program = Effect.gen(function* () {
    stage = yield* Stages.make(scenario)
    yield* Effect.provideService(run(stage, scenario), Logger.CurrentLoggers, new Set([stage.trace.logger]))
  })
  const exit = Simulation.runExit(Effect.scoped(program), { within: "3 hours", stackTraces: false, ...options })
  if (stage === undefined) throw new Error("there is no stage")
  const { failures, network, trace } = stage
  const ended = Exit.isFailure(exit) ? [Cause.pretty(exit.cause)] : []
  const digest = createHash("sha256").update(trace.lines.join("\n")).digest("hex").slice(0, 16)
  return {
    failures: [...new Set([...failures, ...ended])],
    fingerprint: `${network.fingerprint()}-${digest}`,
    trace: trace.lines,
    seconds: Math.round(network.timeline.now() / 1e6)
  }
}

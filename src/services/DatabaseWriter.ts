/**
 * Commits what many ask for at the same time together: whatever comes while one transaction is brought to the disk
 * goes into the next. A lone write waits for nobody, and a thousand at once wait for the disk once.
 *
 * It owns one fiber and a bounded queue; beyond it, callers wait. When its scope ends it accepts nothing more and
 * finishes what it has accepted.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { DatabaseError } from "./DatabaseError.ts"

interface Outcome {
  readonly tell: Effect.Effect<unknown>
}

/** One caller's part of a transaction. */
interface Job {
  /** Does the work within a transaction. Succeeds, or fails, with what is to be told to the caller. */
  readonly run: Effect.Effect<Outcome, Outcome>
  /** Tells the caller that the transaction was not kept. */
  readonly refuse: (cause: Cause.Cause<SqlError | DatabaseError>) => Effect.Effect<unknown>
  /** Whether the caller stopped waiting before anything was done for it. */
  readonly isAbandoned: Effect.Effect<boolean>
}

/** The work at this place in a transaction failed, so nothing of the transaction may be kept. */
class Spoiled {
  readonly at: number
  readonly outcome: Outcome
  constructor(at: number, outcome: Outcome) {
    this.at = at
    this.outcome = outcome
  }
}

export interface Writer {
  /**
   * Runs statements in a transaction and returns once that is safe. The work may share its transaction with others
   * and may be run a second time, after all of them were undone: it must do nothing but statements, and must not
   * write through another writer. A caller that is interrupted does not learn whether its work was kept.
   */
  readonly write: <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError | DatabaseError>
}

export const makeWriter = Effect.fnUntraced(function* (options: {
  readonly sql: SqlClient
  /** Returns when what was committed is safe. */
  readonly sync: Effect.Effect<void, DatabaseError>
  /** Done after each transaction, while nothing is written. */
  readonly checkpoint: Effect.Effect<void, DatabaseError>
  /** What a caller hears when the node is stopping. */
  readonly closed: DatabaseError
  /** What every caller hears once the disk refused: what it holds is not known from then on. */
  readonly unsafe: (error: DatabaseError) => DatabaseError
  /** Callers whose work goes into one transaction. */
  readonly jobsMax: number
  readonly waitingMax: number
}) {
  const { checkpoint, closed, jobsMax, sql, sync, unsafe, waitingMax } = options
  const jobs = yield* Queue.bounded<Job, Cause.Done>(waitingMax)
  let broken: DatabaseError | undefined

  /** A disk that failed to keep something may say the next time that it did: it is believed no more. */
  const distrust = Effect.fnUntraced(function* (error: DatabaseError) {
    broken = unsafe(error)
    yield* Effect.logError("The disk did not keep what was written; nothing is accepted until a restart").pipe(
      Effect.annotateLogs({ path: error.path, problem: error.problem })
    )
    return broken
  })

  /** One transaction for these jobs. If one fails, nothing of any was kept. */
  const transaction = (some: ReadonlyArray<Job>) =>
    sql
      .withTransaction(
        Effect.forEach(some, (job, at) => Effect.mapError(job.run, (outcome) => new Spoiled(at, outcome)))
      )
      .pipe(Effect.withTracerEnabled(false))

  /** Tells every one of these jobs, once what was committed for them is safe. */
  const commit = (some: ReadonlyArray<Job>): Effect.Effect<void> => {
    const refuseAll = (cause: Cause.Cause<SqlError | DatabaseError>) =>
      Effect.forEach(some, (job) => job.refuse(cause), { discard: true })
    if (some.length === 0) return Effect.void
    if (broken !== undefined) return refuseAll(Cause.fail(broken))
    return transaction(some).pipe(
      Effect.matchCauseEffect({
        onFailure: (cause) => {
          const spoiled = spoiledBy(cause)
          if (spoiled === undefined) return refuseAll(withoutSpoiled(cause))
          // As if they had come one after the other: those before it are kept, and those after it are tried again.
          const { at, outcome } = spoiled
          return commit(some.slice(0, at)).pipe(
            Effect.andThen(outcome.tell),
            Effect.andThen(Effect.suspend(() => commit(some.slice(at + 1))))
          )
        },
        onSuccess: (outcomes) =>
          Effect.matchEffect(sync, {
            onFailure: (error) => Effect.andThen(distrust(error), (error) => refuseAll(Cause.fail(error))),
            onSuccess: () => Effect.forEach(outcomes, (outcome) => outcome.tell, { discard: true })
          })
      })
    )
  }

  const next = Effect.gen(function* () {
    yield* Queue.peek(jobs)
    // Let everyone who is about to ask do so.
    yield* Effect.yieldNow
    const taken = yield* Queue.takeBetween(jobs, 1, jobsMax)
    const wanted = yield* Effect.filter(taken, (job) => Effect.map(job.isAbandoned, (isAbandoned) => !isAbandoned))
    yield* commit(wanted)
    if (broken === undefined) yield* Effect.catch(checkpoint, distrust)
  })

  const loop = next.pipe(
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )
  const fiber = yield* Effect.forkScoped(loop)
  // Before the fiber is interrupted: nothing more is accepted, and what was accepted is finished.
  yield* Effect.addFinalizer(() => Effect.andThen(Queue.end(jobs), Fiber.await(fiber)))

  const write = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError | DatabaseError> =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<A, E | SqlError | DatabaseError>()
      const isTaken = yield* Queue.offer(jobs, {
        run: Effect.matchCauseEffect(work, {
          onFailure: (cause) => Effect.fail({ tell: Deferred.failCause(done, cause) }),
          onSuccess: (value) => Effect.succeed({ tell: Deferred.succeed(done, value) })
        }),
        refuse: (cause) => Deferred.failCause(done, cause),
        isAbandoned: Deferred.isDone(done)
      })
      if (!isTaken) return yield* closed
      return yield* Effect.onInterrupt(Deferred.await(done), () => Deferred.interrupt(done))
    })

  return { write } satisfies Writer
})

const spoiledBy = (cause: Cause.Cause<SqlError | Spoiled>): Spoiled | undefined =>
  cause.reasons.flatMap((reason) =>
    Cause.isFailReason(reason) && reason.error instanceof Spoiled ? [reason.error] : []
  )[0]

const withoutSpoiled = (cause: Cause.Cause<SqlError | Spoiled>): Cause.Cause<SqlError> =>
  Cause.fromReasons(
    cause.reasons.flatMap((reason): ReadonlyArray<Cause.Reason<SqlError>> => {
      if (!Cause.isFailReason(reason)) return [reason]
      return reason.error instanceof Spoiled ? [] : [Cause.makeFailReason(reason.error)]
    })
  )

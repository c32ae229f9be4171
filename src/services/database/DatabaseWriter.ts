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

/** Does the work of these jobs, which are all its own, within a transaction. Ends with what is to be told to them. */
type Run = (jobs: ReadonlyArray<Job>) => Effect.Effect<Outcome, Outcome>

/** One caller's part of a transaction. */
interface Job {
  readonly run: Run
  /** At most so many of the same `run` are done by one call of it. */
  readonly atOnce: number
  /** Tells the caller that the transaction was not kept. */
  readonly refuse: (cause: Cause.Cause<SqlError | DatabaseError>) => Effect.Effect<unknown>
  /** Whether the caller stopped waiting before anything was done for it. */
  readonly isAbandoned: Effect.Effect<boolean>
}

/** Jobs that one call does. */
type Party = readonly [Job, ...Array<Job>]

/** The work at this place in a transaction failed, so nothing of the transaction may be kept. */
class Spoiled {
  readonly at: number
  readonly outcome: Outcome
  constructor(at: number, outcome: Outcome) {
    this.at = at
    this.outcome = outcome
  }
}

interface Writer {
  /**
   * Runs statements in a transaction and returns once that is safe. The work may share its transaction with others
   * and may be run a second time, after all of them were undone: it must do nothing but statements, and must not
   * write through another writer. A caller that is interrupted does not learn whether its work was kept.
   */
  readonly write: <A, E>(work: Effect.Effect<A, E>) => Effect.Effect<A, E | SqlError | DatabaseError>
  /**
   * The same for work that is quicker for many callers at once: it is given what all of them ask, at most `atOnce`,
   * and answers each in its place. Where it fails, it is tried for each of them alone.
   */
  readonly together: <I, A, E>(
    atOnce: number,
    work: (asked: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, E>
  ) => (asked: I) => Effect.Effect<A, E | SqlError | DatabaseError>
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

  /** One transaction for these parties. If one fails, nothing of any was kept. */
  const transaction = (some: ReadonlyArray<Party>) =>
    sql
      .withTransaction(
        Effect.forEach(some, (party, at) => Effect.mapError(party[0].run(party), (outcome) => new Spoiled(at, outcome)))
      )
      .pipe(Effect.withTracerEnabled(false))

  /** Tells every job of these parties, once what was committed for them is safe. */
  const commit = (some: ReadonlyArray<Party>): Effect.Effect<void> => {
    const refuseAll = (cause: Cause.Cause<SqlError | DatabaseError>) =>
      Effect.forEach(some.flat(), (job) => job.refuse(cause), { discard: true })
    if (some.length === 0) return Effect.void
    if (broken !== undefined) return refuseAll(Cause.fail(broken))
    return transaction(some).pipe(
      Effect.matchCauseEffect({
        onFailure: (cause) => {
          const spoiled = spoiledBy(cause)
          if (spoiled === undefined) return refuseAll(withoutSpoiled(cause))
          // As if they had come one after the other: those before it are kept, and those after it are tried again.
          const { at, outcome } = spoiled
          const alone = some[at] ?? []
          return commit(some.slice(0, at)).pipe(
            Effect.andThen(
              alone.length > 1 ? Effect.forEach(alone, (job) => commit([[job]]), { discard: true }) : outcome.tell
            ),
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
    yield* commit(parties(wanted))
    if (broken === undefined) yield* Effect.catch(checkpoint, distrust)
  })

  const loop = next.pipe(
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )
  const fiber = yield* Effect.forkScoped(loop)
  // Before the fiber is interrupted: nothing more is accepted, and what was accepted is finished.
  yield* Effect.addFinalizer(() => Effect.andThen(Queue.end(jobs), Fiber.await(fiber)))

  const together: Writer["together"] = <I, A, E>(
    atOnce: number,
    work: (asked: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<A>, E>
  ) => {
    type Done = Deferred.Deferred<A, E | SqlError | DatabaseError>
    const callers = new WeakMap<Job, { readonly asked: I; readonly done: Done }>()
    const run: Run = (some) => {
      const parts = some.flatMap((job) => callers.get(job) ?? [])
      return Effect.matchCauseEffect(work(parts.map(({ asked }) => asked)), {
        onFailure: (cause) =>
          Effect.fail({ tell: Effect.forEach(parts, ({ done }) => Deferred.failCause(done, cause)) }),
        onSuccess: (answers) =>
          Effect.succeed({
            tell: Effect.sync(() =>
              answers.forEach((answer, at) => {
                const part = parts[at]
                if (part !== undefined) Deferred.doneUnsafe(part.done, Effect.succeed(answer))
              })
            )
          })
      })
    }
    return Effect.fnUntraced(function* (asked: I) {
      const done: Done = Deferred.makeUnsafe()
      const job: Job = {
        run,
        atOnce,
        refuse: (cause) => Deferred.failCause(done, cause),
        isAbandoned: Deferred.isDone(done)
      }
      callers.set(job, { asked, done })
      if (!(yield* Queue.offer(jobs, job))) return yield* closed
      return yield* Effect.onInterrupt(Deferred.await(done), () => Deferred.interrupt(done))
    })
  }

  const write: Writer["write"] = (work) => together(1, () => Effect.map(work, (answer) => [answer]))(undefined)

  return { write, together } satisfies Writer
})

/** Jobs of one kind go together, where the first of them stands: none of their callers knows an order yet. */
const parties = (some: ReadonlyArray<Job>): ReadonlyArray<Party> => {
  const all: Array<[Job, ...Array<Job>]> = []
  const open = new Map<Run, [Job, ...Array<Job>]>()
  for (const job of some) {
    const party = open.get(job.run)
    if (party !== undefined && party.length < job.atOnce) {
      party.push(job)
      continue
    }
    const fresh: [Job, ...Array<Job>] = [job]
    open.set(job.run, fresh)
    all.push(fresh)
  }
  return all
}

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

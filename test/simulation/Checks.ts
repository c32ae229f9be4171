/**
 * What must be true of the nodes of a run: some of it always, some of it once everything was made whole again and they
 * had time. Each check adds what it finds to the stage's failures.
 */
import * as Effect from "effect/Effect"
import * as Chats from "./ChatChecks.ts"
import * as Meetings from "./MeetingChecks.ts"
import type { Stage } from "./Stage.ts"
import * as Transfers from "./TransferChecks.ts"
import * as Trusts from "./TrustChecks.ts"

/** What is true at any time. */
export const always = Effect.fnUntraced(function* (stage: Stage) {
  yield* Meetings.always(stage)
  yield* Chats.always(stage)
  yield* Trusts.always(stage)
  yield* Transfers.always(stage)
  stage.failures.push(...stage.trace.errors)
})

/** Pairs that should have a session and have none. */
export const strangers = Meetings.strangers

/** What should have arrived, and has not. */
export const unfinished = Effect.fnUntraced(function* (stage: Stage) {
  return [...(yield* Chats.unfinished(stage)), ...(yield* Transfers.unfinished(stage))]
})

/** After that nothing is left of what is over. */
export const afterwards = Transfers.afterwards

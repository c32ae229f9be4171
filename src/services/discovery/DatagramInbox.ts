/**
 * What one socket hears, handed to its receiver. The receiver decides about each datagram at once; what there is to do
 * about it waits in a bounded buffer and is done in turn, by a fiber that belongs to the scope.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import { datagramMaxBytes } from "../../schema/Announcement.ts"
import type { Datagram, Receive } from "../Datagrams.ts"

/** Things to do that wait on one socket while another is done; more are dropped and counted. */
const bufferMax = 512

const decide = (receive: Receive, datagram: Datagram): Effect.Effect<void> => {
  try {
    return receive(datagram)
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** Hands over a datagram; false where it was dropped. Something else to be done in its turn may be given as well. */
export interface DatagramInbox {
  readonly hear: (datagram: Datagram) => boolean
  readonly next: (work: Effect.Effect<void>) => boolean
}

export const makeInbox = Effect.fnUntraced(function* (receive: Receive) {
  const queue = yield* Effect.acquireRelease(Queue.dropping<Effect.Effect<void>>(bufferMax), Queue.shutdown)
  yield* Queue.take(queue).pipe(
    Effect.flatten,
    // One datagram that its receiver cannot bear must not deafen the node.
    Effect.catchDefect((defect) => Effect.logError("A datagram was not handled", defect)),
    Effect.forever,
    Effect.forkScoped
  )
  const next = (work: Effect.Effect<void>) =>
    // Most datagrams repeat what is known, and are done with once that is seen.
    (Exit.isExit(work) && Exit.isSuccess(work)) || Queue.offerUnsafe(queue, work)
  const inbox: DatagramInbox = {
    hear: (datagram) => datagram.payload.length <= datagramMaxBytes && next(decide(receive, datagram)),
    next
  }
  return inbox
})

/**
 * Words to peers from a fiber that serves all of them: each goes out in a fiber of its own, in the order of its peer's
 * words, so that a peer that does not read delays nobody else. It owns these fibers; they end with the scope.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Frame } from "../../schema/Frame.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { Connection } from "../Connection.ts"
import { makePeerReport } from "./PeerReport.ts"

/** Words to one peer that wait because its control link is full. More are dropped. */
export const wordsMax = 32

export interface PeerWords {
  /** Returns at once. Lost where the peer is away, or has not taken the `wordsMax` before it: a session says things anew. */
  readonly say: (peer: PeerId, ...frames: ReadonlyArray<Frame>) => Effect.Effect<void>
}

interface Line {
  readonly turn: Semaphore.Semaphore
  waiting: number
}

export const makePeerWords = (
  connection: Pick<Connection["Service"], "send">
): Effect.Effect<PeerWords, never, Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* FiberSet.makeRuntime<never>()
    /** Of peers with words that wait. */
    const lines = new Map<PeerId, Line>()
    const drops = makePeerReport({ atOnce: 1 })

    const say: PeerWords["say"] = (peer, ...frames) =>
      Effect.suspend(() => {
        const line = lines.get(peer) ?? { turn: Semaphore.makeUnsafe(1), waiting: 0 }
        if (line.waiting >= wordsMax) {
          const kinds = frames.map((frame) => frame._tag).join(" ")
          const dropped = Effect.logWarning("The peer does not read: a word to it was dropped")
          return drops(peer, Effect.annotateLogs(dropped, { peer, frame: kinds }))
        }
        line.waiting++
        lines.set(peer, line)
        const left = Effect.sync(() => {
          if (--line.waiting === 0) lines.delete(peer)
        })
        // It starts before this returns, so those who come first go first.
        run(Effect.ensuring(line.turn.withPermit(Effect.ignore(connection.send(peer, ...frames))), left))
        return Effect.void
      })
    return { say }
  })

/**
 * A Connection without a network: the test is the network. It says which sessions are up, hands frames in, and
 * reads what was sent; or it joins two nodes by a link that it can cut.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Frame, FrameOf, FrameTag } from "../../src/schema/Frame.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import { Connection, type Inbound, NotConnected, type SessionChange } from "../../src/services/Connection.ts"

const isOneOf =
  <Tag extends FrameTag>(tags: ReadonlyArray<Tag>) =>
  (frame: Frame): frame is FrameOf<Tag> =>
    tags.some((tag) => tag === frame._tag)

/** What one side of a session does with a frame that is sent to it. */
export type Wire = (frame: Frame) => Effect.Effect<void>

export const make = () => {
  const sessions = new Map<PeerId, Wire>()
  const subscribers = new Set<{
    readonly frame: (peer: PeerId, frame: Frame) => Effect.Effect<unknown>
    readonly change: (change: SessionChange) => Effect.Effect<unknown>
  }>()

  const layer = Layer.mock(Connection, {
    connected: Effect.sync(() => [...sessions.keys()]),
    send: (peer, ...frames) =>
      Effect.forEach(
        frames,
        (frame): Effect.Effect<void, NotConnected> => {
          const wire = sessions.get(peer)
          return wire === undefined ? Effect.fail(new NotConnected({ peer })) : wire(frame)
        },
        { discard: true }
      ),
    inbox: Effect.fnUntraced(function* <const Tag extends FrameTag>(...tags: ReadonlyArray<Tag>) {
      const queue = yield* Queue.bounded<Inbound<Tag> | SessionChange>(10_000)
      const isWanted = isOneOf(tags)
      const subscriber = {
        frame: (peer: PeerId, frame: Frame) =>
          isWanted(frame) ? Queue.offer(queue, { peer, frame }) : Effect.succeed(false),
        change: (change: SessionChange) => Queue.offer(queue, change)
      }
      for (const peer of sessions.keys()) yield* Queue.offer(queue, { _tag: "Up", peer })
      yield* Effect.acquireRelease(
        Effect.sync(() => subscribers.add(subscriber)),
        () => Effect.sync(() => subscribers.delete(subscriber))
      )
      return queue
    })
  })

  return {
    layer,
    /** A session with this peer begins; what is sent to it goes to `wire`. */
    up: (peer: PeerId, wire: Wire) =>
      Effect.suspend(() => {
        sessions.set(peer, wire)
        return Effect.forEach(subscribers, (one) => one.change({ _tag: "Up", peer }), { discard: true })
      }),
    down: (peer: PeerId) =>
      Effect.suspend(() => {
        if (!sessions.delete(peer)) return Effect.void
        return Effect.forEach(subscribers, (one) => one.change({ _tag: "Down", peer, reason: "closed" }), {
          discard: true
        })
      }),
    /** A frame from this peer arrives. */
    deliver: (peer: PeerId, frame: Frame) =>
      Effect.suspend(() => Effect.forEach(subscribers, (one) => one.frame(peer, frame), { discard: true }))
  }
}

export type FakeConnection = ReturnType<typeof make>

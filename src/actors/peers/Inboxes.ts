/**
 * Who in this node receives which kinds of frames. Each subscriber has one bounded queue for the frames of its kinds
 * and for session changes; a full one makes whoever fills it wait, so that a slow service slows the peers and loses
 * nothing. A queue ends with its subscriber's scope.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { limits } from "../../config.ts"
import type { Frame, FrameTag } from "../../schema/Frame.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { Inbound, SessionChange } from "../../services/Connection.ts"
import * as Metrics from "../../services/Metrics.ts"

interface Subscriber {
  /** Queues it if it is of a kind this subscriber asked for. */
  readonly offer: (peer: PeerId, frame: Frame) => Effect.Effect<boolean>
  readonly change: (change: SessionChange) => Effect.Effect<unknown>
  /** Peers whose `Up` it was told, and whose `Down` not yet. */
  readonly up: Set<PeerId>
}

export interface Inboxes {
  readonly subscribe: <const Tag extends FrameTag>(
    tags: ReadonlyArray<Tag>
  ) => Effect.Effect<Queue.Dequeue<Inbound<Tag> | SessionChange>, never, Scope.Scope>
  /** Hands a frame to every subscriber of its kind; false when there is none. Waits while one of them is full. */
  readonly deliver: (peer: PeerId, frame: Frame) => Effect.Effect<boolean>
  readonly up: (peer: PeerId) => Effect.Effect<void>
  readonly down: (peer: PeerId, reason: string) => Effect.Effect<void>
}

export const make = (): Inboxes => {
  const subscribers = new Set<Subscriber>()
  const connected = new Set<PeerId>()

  const subscribe = Effect.fnUntraced(function* <const Tag extends FrameTag>(tags: ReadonlyArray<Tag>) {
    const wanted = new Set<string>(tags)
    const isWanted = (frame: Frame): frame is Extract<Frame, { readonly _tag: Tag }> => wanted.has(frame._tag)
    const queue = yield* Effect.acquireRelease(
      // Room for the sessions there are now, over what is allowed to wait.
      Queue.bounded<Inbound<Tag> | SessionChange>(limits.inboxMax + connected.size),
      Queue.shutdown
    )
    yield* Metrics.sampleQueue("inbox", () => Queue.sizeUnsafe(queue))
    const subscriber: Subscriber = {
      offer: (peer, frame) =>
        isWanted(frame) ? Effect.as(Queue.offer(queue, { peer, frame }), true) : Effect.succeed(false),
      change: (change) => Queue.offer(queue, change),
      up: new Set(connected)
    }
    for (const peer of connected) Queue.offerUnsafe(queue, { _tag: "Up", peer })
    subscribers.add(subscriber)
    yield* Effect.addFinalizer(() => Effect.sync(() => subscribers.delete(subscriber)))
    return queue
  }, Effect.uninterruptible)

  const deliver = Effect.fnUntraced(function* (peer: PeerId, frame: Frame) {
    let isTaken = false
    for (const subscriber of subscribers) {
      if (yield* subscriber.offer(peer, frame)) isTaken = true
    }
    return isTaken
  })

  const up = Effect.fnUntraced(function* (peer: PeerId) {
    connected.add(peer)
    for (const subscriber of subscribers) {
      if (subscriber.up.has(peer)) continue
      subscriber.up.add(peer)
      yield* subscriber.change({ _tag: "Up", peer })
    }
  })

  const down = Effect.fnUntraced(function* (peer: PeerId, reason: string) {
    connected.delete(peer)
    for (const subscriber of subscribers) {
      if (subscriber.up.delete(peer)) yield* subscriber.change({ _tag: "Down", peer, reason })
    }
  })

  return { subscribe, deliver, up, down }
}

/**
 * The memory for blocks on their way, for the whole node: `limits.blockPoolBytes`, half of it for receiving and half
 * for sending. Receiving waits only for this machine's disk, so it always goes on; were sending to take the same
 * memory, two nodes that send to each other could wait for each other for ever.
 *
 * It owns the buffers that are free. A lease that ends in order is given back for the next; one whose link broke is
 * only forgotten, since the link may still be reading from it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../config.ts"

export interface Lease {
  readonly buffer: Uint8Array
  readonly permits: number
}

/** Leases of one lane. What it has not given back when its scope ends is forgotten. */
export interface Leases {
  readonly take: (bytes: number) => Effect.Effect<Lease>
  readonly give: (lease: Lease) => Effect.Effect<void>
}

/** A chunk of this many bytes is kept for reuse; larger ones (large blocks) are rare. */
const commonBytes = 1024 * 1024 + 64 * 1024
const kibi = 1024

class Half {
  private readonly room: Semaphore.Semaphore
  private readonly size: number
  private free: Array<Uint8Array> = []

  constructor(bytes: number) {
    this.size = Math.floor(bytes / kibi)
    this.room = Semaphore.makeUnsafe(this.size)
  }

  /** `restore`: waiting may be interrupted, but what was taken is never dropped on the way. */
  take(bytes: number, restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>): Effect.Effect<Lease> {
    const length = Math.max(bytes, commonBytes)
    const permits = Math.min(this.size, Math.ceil(length / kibi))
    return Effect.map(restore(this.room.take(permits)), () => ({
      buffer: (length === commonBytes ? this.free.pop() : undefined) ?? Buffer.allocUnsafeSlow(length),
      permits
    }))
  }

  give(lease: Lease): Effect.Effect<void> {
    if (lease.buffer.length === commonBytes) this.free.push(lease.buffer)
    return this.forget(lease)
  }

  forget(lease: Lease): Effect.Effect<void> {
    return Effect.asVoid(this.room.release(lease.permits))
  }
}

export class BlockPool {
  private readonly halves = {
    send: new Half(limits.blockPoolBytes / 2),
    receive: new Half(limits.blockPoolBytes / 2)
  }

  leases(direction: "send" | "receive"): Effect.Effect<Leases, never, Scope.Scope> {
    const half = this.halves[direction]
    return Effect.gen(function* () {
      const held = yield* Effect.acquireRelease(
        Effect.sync(() => new Set<Lease>()),
        (held) => Effect.forEach(held, (lease) => half.forget(lease), { discard: true })
      )
      return {
        take: (bytes) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.tap(half.take(bytes, restore), (lease) => Effect.sync(() => held.add(lease)))
          ),
        give: (lease) => Effect.suspend(() => (held.delete(lease) ? half.give(lease) : Effect.void))
      }
    })
  }
}

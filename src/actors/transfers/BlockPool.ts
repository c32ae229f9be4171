/**
 * The memory for blocks on their way, for the whole node: `limits.blockPoolBytes`, half of it for receiving and half
 * for sending. Receiving waits only for this machine's disk, so it always goes on; were sending to take the same
 * memory, two nodes that send to each other could wait for each other for ever.
 *
 * Who waits has its turn by peer, then by transfer. A part of each half is only for those that hold nothing yet, so
 * that transfers whose peers are slow to read cannot have all of it. What is kept only because it may be of use again
 * (`reclaim`) is given up as soon as anyone waits.
 *
 * It owns the buffers that are free. A lease that ends in order is given back for the next; one whose link broke is
 * only forgotten, since the link may still be reading from it.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { limits } from "../../config.ts"
import type { TransferId } from "../../schema/Id.ts"
import { type Claimant, FairQueue } from "./FairQueue.ts"

export interface Lease {
  readonly buffer: Uint8Array
  readonly bytes: number
  readonly claimant: Claimant
}

/** Leases of one lane. What it has not given back when its scope ends is forgotten. */
export interface Leases {
  readonly take: (bytes: number) => Effect.Effect<Lease>
  readonly give: (lease: Lease) => Effect.Effect<void>
}

/** Memory that the file store's thread sees as well. Leases are of this many bytes, or, for large blocks, of a multiple of `stepBytes`: so that few sizes are in use. */
const commonBytes = 1024 * 1024 + 64 * 1024
const stepBytes = 64 * 1024

/** The share of a half that is for those that hold nothing yet. */
const reserve = 0.25

interface Waiter {
  readonly claimant: Claimant
  readonly bytes: number
  readonly ready: Deferred.Deferred<void>
  granted: boolean
}

type Restore = <A>(effect: Effect.Effect<A>) => Effect.Effect<A>

class Half {
  private readonly size: number
  private left: number
  /** Buffers to be used again, those of the last use last: never more than nobody holds. */
  private readonly free: Array<Uint8Array> = []
  private freeBytes = 0
  private readonly waiting = new FairQueue<Waiter>()
  /** Bytes that each transfer holds. */
  private readonly held = new Map<TransferId, number>()
  readonly reclaimers = new Set<() => void>()

  constructor(bytes: number) {
    this.size = bytes
    this.left = bytes
  }

  get isContested(): boolean {
    return this.waiting.size > 0
  }

  /** `restore`: waiting may be interrupted, but what was taken is never dropped on the way. */
  take(claimant: Claimant, wanted: number, restore: Restore): Effect.Effect<Lease> {
    return Effect.suspend(() => {
      const length = wanted <= commonBytes ? commonBytes : Math.ceil(wanted / stepBytes) * stepBytes
      // One that is larger than all there is has all there is.
      const bytes = Math.min(this.size, length)
      const lease = (): Lease => ({
        buffer: this.reuse(length) ?? new Uint8Array(new SharedArrayBuffer(length)),
        bytes,
        claimant
      })
      if (this.waiting.size === 0 && this.fits(claimant, bytes)) {
        this.hold(claimant, bytes)
        return Effect.sync(lease)
      }
      const waiter: Waiter = { claimant, bytes, ready: Deferred.makeUnsafe(), granted: false }
      this.waiting.push(claimant, waiter)
      for (const reclaim of this.reclaimers) reclaim()
      this.grant()
      return restore(Deferred.await(waiter.ready)).pipe(
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            if (waiter.granted) this.drop(claimant, bytes)
            else this.waiting.remove(claimant, waiter)
            // Whoever came behind it may fit.
            this.grant()
          })
        ),
        Effect.map(lease)
      )
    })
  }

  give(lease: Lease): void {
    this.free.push(lease.buffer)
    this.freeBytes += lease.buffer.length
    this.forget(lease)
    this.trim()
  }

  forget(lease: Lease): void {
    this.drop(lease.claimant, lease.bytes)
    this.grant()
  }

  private reuse(length: number): Uint8Array | undefined {
    const at = this.free.findLastIndex((buffer) => buffer.length === length)
    const [buffer] = at < 0 ? [] : this.free.splice(at, 1)
    this.freeBytes -= buffer?.length ?? 0
    this.trim()
    return buffer
  }

  /** What is held and what is free are together no more than the half. */
  private trim(): void {
    while (this.freeBytes > this.left) this.freeBytes -= this.free.shift()?.length ?? this.freeBytes
  }

  private fits({ transfer }: Claimant, bytes: number): boolean {
    return this.left - bytes >= (this.held.has(transfer) ? this.size * reserve : 0)
  }

  private hold({ transfer }: Claimant, bytes: number): void {
    this.left -= bytes
    this.held.set(transfer, (this.held.get(transfer) ?? 0) + bytes)
  }

  private drop({ transfer }: Claimant, bytes: number): void {
    this.left += bytes
    const rest = (this.held.get(transfer) ?? 0) - bytes
    if (rest > 0) this.held.set(transfer, rest)
    else this.held.delete(transfer)
  }

  private grant(): void {
    while (true) {
      const waiter = this.waiting.take(({ bytes, claimant }) => this.fits(claimant, bytes))
      if (waiter === undefined) return
      waiter.granted = true
      this.hold(waiter.claimant, waiter.bytes)
      Deferred.doneUnsafe(waiter.ready, Effect.void)
    }
  }
}

export class BlockPool {
  private readonly halves: Record<"send" | "receive", Half>

  constructor(bytes: number = limits.blockPoolBytes) {
    this.halves = { send: new Half(bytes / 2), receive: new Half(bytes / 2) }
  }

  /** True while someone waits for memory to send from. */
  get isContested(): boolean {
    return this.halves.send.isContested
  }

  /** A lease to send from that whoever takes it gives back, or forgets. */
  take(claimant: Claimant, bytes: number): Effect.Effect<Lease> {
    return Effect.uninterruptibleMask((restore) => this.halves.send.take(claimant, bytes, restore))
  }

  give(lease: Lease): void {
    this.halves.send.give(lease)
  }

  forget(lease: Lease): void {
    this.halves.send.forget(lease)
  }

  /** Called whenever someone has to wait for memory to send from, until the scope ends. */
  onContest(reclaim: () => void): Effect.Effect<void, never, Scope.Scope> {
    const { reclaimers } = this.halves.send
    return Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => reclaimers.add(reclaim)),
        () => Effect.sync(() => reclaimers.delete(reclaim))
      )
    )
  }

  leases(direction: "send" | "receive", claimant: Claimant): Effect.Effect<Leases, never, Scope.Scope> {
    const half = this.halves[direction]
    return Effect.gen(function* () {
      const held = yield* Effect.acquireRelease(
        Effect.sync(() => new Set<Lease>()),
        (held) =>
          Effect.sync(() => {
            for (const lease of held) half.forget(lease)
          })
      )
      return {
        take: (bytes) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.tap(half.take(claimant, bytes, restore), (lease) => Effect.sync(() => held.add(lease)))
          ),
        give: (lease) =>
          Effect.sync(() => {
            if (held.delete(lease)) half.give(lease)
          })
      }
    })
  }
}

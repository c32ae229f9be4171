/**
 * What the transfers of one group read together: a chunk that one of them read and digested is written by all that
 * come to it while it is kept. Kept is what someone still writes, and the newest `windowBytes` beyond that, as long as
 * nobody waits for the memory. Who comes later reads again for itself, and holds up nobody.
 *
 * It owns the chunks, and gives their memory back when nobody needs them any more.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Digests } from "../../../schema/Digests.ts"
import type { EntryList } from "../../../schema/EntryList.ts"
import type { BlockPool, Lease } from "../BlockPool.ts"

/** A chunk that was read. */
export interface Loaded {
  readonly blocks: ReadonlyArray<LoadedBlock>
  readonly lease: Lease | undefined
  /** Entries in it that cannot be sent, and why. */
  readonly failures: ReadonlyArray<readonly [entry: number, reason: string]>
}

/** One block, and its record in the chunk's memory; undefined where it cannot be sent. */
export interface LoadedBlock {
  readonly number: number
  readonly entry: number
  readonly record: { readonly from: number; readonly to: number; readonly digest: Uint8Array } | undefined
}

/** A chunk that is kept, with how many need it. */
interface Shared {
  readonly first: number
  readonly end: number
  /** What was loaded; null where whoever loaded it was stopped, so that another has to. */
  readonly ready: Deferred.Deferred<Loaded | null>
  loaded: Loaded | undefined
  uses: number
  /** A link that broke may still read from it. */
  broken: boolean
}

interface Used {
  readonly loaded: Loaded
  readonly shared: Shared
}

type Restore = <A>(effect: Effect.Effect<A>) => Effect.Effect<A>

/** One lane's way to what is read together. */
export interface Reader {
  /** The chunk of these blocks, as it is kept or loaded now for all, until it was `written`. */
  readonly use: (
    first: number,
    end: number,
    load: Effect.Effect<Loaded>
  ) => Effect.Effect<{ readonly loaded: Loaded; readonly written: Effect.Effect<void> }>
}

/** Bytes of chunks kept for those that are a little behind. */
const windowBytes = 8 * 1024 * 1024

export class SharedReads {
  /** Of the blocks that were read, by any of them. */
  readonly digests = new Digests()
  private readonly pool: BlockPool
  /** By their first block; the one used longest ago comes first. */
  private readonly kept = new Map<number, Shared>()
  private members = 0

  constructor(pool: BlockPool) {
    this.pool = pool
  }

  /** True while there is anyone to share with. */
  get isShared(): boolean {
    return this.members > 1
  }

  /** One transfer of the group, until its scope ends. */
  get join(): Effect.Effect<void, never, Scope.Scope> {
    const joined = Effect.acquireRelease(
      Effect.sync(() => this.members++),
      () => Effect.sync(() => this.leave())
    )
    return Effect.andThen(
      joined,
      Effect.suspend(() => this.pool.onContest(() => this.trim(0)))
    )
  }

  private leave(): void {
    this.members--
    if (!this.isShared) this.trim(0)
  }

  /** For one lane: what it has not given back when its scope ends was being written to a link that broke. */
  get reader(): Effect.Effect<Reader, never, Scope.Scope> {
    return Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Set<Shared>()),
        (held) =>
          Effect.sync(() => {
            for (const shared of held) this.release(shared, true)
          })
      ),
      (held): Reader => ({
        use: (first, end, load) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.map(this.use(first, end, load, restore), ({ loaded, shared }) => {
              held.add(shared)
              const written = Effect.sync(() => {
                if (held.delete(shared)) this.release(shared, false)
              })
              return { loaded, written }
            })
          )
      })
    )
  }

  private use(first: number, end: number, load: Effect.Effect<Loaded>, restore: Restore): Effect.Effect<Used> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const known = this.kept.get(first)
        if (known === undefined || known.end !== end) return yield* this.load(first, end, restore(load))
        // Used now: it is the last to go.
        this.kept.delete(first)
        this.kept.set(first, known)
        known.uses++
        const loaded = yield* restore(Deferred.await(known.ready)).pipe(
          Effect.onInterrupt(() => Effect.sync(() => this.release(known, false)))
        )
        if (loaded !== null) return { loaded, shared: known }
      }
    })
  }

  private load(first: number, end: number, load: Effect.Effect<Loaded>): Effect.Effect<Used> {
    return Effect.suspend(() => {
      const made: Shared = { first, end, ready: Deferred.makeUnsafe(), loaded: undefined, uses: 1, broken: false }
      // Another cut of the same blocks is not kept any longer; whoever uses it still has it.
      this.evict(this.kept.get(first))
      this.kept.set(first, made)
      return load.pipe(
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            if (this.kept.get(first) === made) this.kept.delete(first)
            Deferred.doneUnsafe(made.ready, Effect.succeed(null))
          })
        ),
        Effect.map((loaded) => {
          made.loaded = loaded
          Deferred.doneUnsafe(made.ready, Effect.succeed(loaded))
          this.trim(windowBytes)
          return { loaded, shared: made }
        })
      )
    })
  }

  /** It was written, or will not be. `broken`: the link it was being written to may still read from it. */
  private release(shared: Shared, broken: boolean): void {
    shared.uses--
    shared.broken ||= broken
    if (shared.uses > 0) return
    if (this.kept.get(shared.first) !== shared) this.free(shared)
    else this.trim(this.isShared && !this.pool.isContested ? windowBytes : 0)
  }

  /** Keeps at most so many bytes that nobody needs now. */
  private trim(bytes: number): void {
    let idle = 0
    for (const shared of this.kept.values()) if (shared.uses === 0) idle += shared.loaded?.lease?.bytes ?? 0
    for (const shared of this.kept.values()) {
      if (idle <= bytes) return
      if (shared.uses > 0) continue
      idle -= shared.loaded?.lease?.bytes ?? 0
      this.evict(shared)
    }
  }

  private evict(shared: Shared | undefined): void {
    if (shared === undefined) return
    this.kept.delete(shared.first)
    if (shared.uses === 0) this.free(shared)
  }

  private free({ broken, loaded }: Shared): void {
    if (loaded?.lease === undefined) return
    if (broken) this.pool.forget(loaded.lease)
    else this.pool.give(loaded.lease)
  }
}

/** What is shared, by the list that the transfers of a group have in common. */
export class GroupReads {
  private readonly pool: BlockPool
  private readonly byList = new WeakMap<EntryList, SharedReads>()

  constructor(pool: BlockPool) {
    this.pool = pool
  }

  of(list: EntryList): SharedReads {
    const known = this.byList.get(list) ?? new SharedReads(this.pool)
    this.byList.set(list, known)
    return known
  }
}

/**
 * Brings what the registry knows into the PeerStore: many changes at a time, a moment after they happened, or at once
 * where its caller waits for that. What the disk refuses is tried again later. A part of PeerRegistry; it owns one
 * fiber, and ends with its scope after everything is written.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../../config.ts"
import { type Address, format } from "../../schema/Address.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { DatabaseError } from "../Database.ts"
import type { PeerStore, StoredPeer } from "../PeerStore.ts"

/** Peers written in one transaction: others get their turn between two. */
const writtenAtOnce = 64

export interface PeerKeeper {
  /** This peer may have changed. */
  readonly note: (id: PeerId) => void
  /** Returns once everything noted is safe, or the disk refused it, which is logged. */
  readonly flush: Effect.Effect<void>
}

/** `loaded`: what the store holds. `current`: what of a peer is to be kept now, or null for nothing. */
export const makeKeeper = Effect.fnUntraced(function* (
  store: PeerStore["Service"],
  loaded: ReadonlyArray<StoredPeer>,
  current: (id: PeerId) => StoredPeer | null
) {
  /** What the store holds, or will once what is being written is. */
  const kept = new Map(loaded.map((peer) => [peer.id, fingerprint(peer)]))
  const noted = new Set<PeerId>()
  const changed = Latch.makeUnsafe(false)
  // Whoever asks for a flush waits for the one under way, which may be about its own change.
  const turn = yield* Semaphore.make(1)
  let isRefused = false

  /** What differs from the store, some of it; it counts as written from here on. */
  const take = (): { readonly save: Array<StoredPeer>; readonly remove: Array<PeerId> } => {
    const save: Array<StoredPeer> = []
    const remove: Array<PeerId> = []
    for (const id of noted) {
      if (save.length + remove.length === writtenAtOnce) break
      noted.delete(id)
      const peer = current(id)
      const print = peer === null ? undefined : fingerprint(peer)
      if (kept.get(id) === print) continue
      if (peer === null || print === undefined) {
        kept.delete(id)
        remove.push(id)
      } else {
        kept.set(id, print)
        save.push(peer)
      }
    }
    return { save, remove }
  }

  const writeSome = Effect.suspend((): Effect.Effect<void, DatabaseError> => {
    const { remove, save } = take()
    const all = [
      ...(save.length > 0 ? [store.save(save)] : []),
      // Asked for at the same time, all of it goes into one transaction.
      ...remove.map((id) => store.remove(id))
    ]
    const putBack = () =>
      Effect.sync(() => {
        for (const id of [...save.map((peer) => peer.id), ...remove]) {
          kept.set(id, "unknown")
          noted.add(id)
        }
      })
    return Effect.all(all, { concurrency: "unbounded", discard: true }).pipe(Effect.onError(putBack))
  })

  const writeAll = Effect.suspend(() => writeSome).pipe(
    Effect.repeat({ while: () => noted.size > 0 }),
    Effect.andThen(
      Effect.sync(() => {
        isRefused = false
      })
    )
  )

  const flush: PeerKeeper["flush"] = Effect.suspend(() => (noted.size === 0 ? Effect.void : writeAll)).pipe(
    turn.withPermit,
    Effect.catch((error) => {
      changed.openUnsafe()
      // Said once; and a node that is stopping has nothing to try again.
      if (isRefused || error.reason === "closed") return Effect.void
      isRefused = true
      return Effect.logError("What is known of peers could not be written; a restart would forget it").pipe(
        Effect.annotateLogs({ path: error.path, problem: error.problem })
      )
    }),
    Effect.uninterruptible
  )

  yield* changed.await.pipe(
    Effect.andThen(changed.close),
    Effect.andThen(Effect.suspend(() => Effect.sleep(isRefused ? limits.faultRetry : limits.peersWritten))),
    Effect.andThen(flush),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => flush)

  const keeper: PeerKeeper = {
    note: (id) => {
      // What is neither kept nor to be kept is hearsay, of which there may be any number.
      if (!kept.has(id) && current(id) === null) return
      noted.add(id)
      changed.openUnsafe()
    },
    flush
  }
  return keeper
})

/** Equal for what would be written the same. */
const fingerprint = (peer: StoredPeer): string => JSON.stringify({ ...peer, addresses: peer.addresses.map(text) })

const text = (address: Address): string => `${address._tag} ${format(address)}`

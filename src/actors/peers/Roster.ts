/**
 * Which peers have an actor, and how many may. Owns no fiber: it is told how to make and start an actor, and an actor
 * leaves it when it ends.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { limits } from "../../config.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { PeerActor } from "./PeerActor.ts"

export interface Roster {
  readonly get: (id: PeerId) => PeerActor | undefined
  readonly all: () => ReadonlyArray<PeerActor>
  /** The actor of this peer, made if need be; none when there is no room. `heard`: known from hearsay alone. */
  readonly ensure: (id: PeerId, kind?: "heard") => Effect.Effect<Option.Option<PeerActor>>
}

export const makeRoster = (options: {
  readonly make: (id: PeerId) => Effect.Effect<PeerActor>
  /** One has made room: what nobody decided about it is forgotten with it. */
  readonly forget: (id: PeerId) => Effect.Effect<void>
  /** Runs the actor, and `end` after it, in a fiber that belongs to the node. */
  readonly start: (actor: PeerActor, end: Effect.Effect<void>) => void
}): Roster => {
  const actors = new Map<PeerId, PeerActor>()
  /** Those that were only heard of, the one heard longest ago first. */
  const heard = new Set<PeerId>()

  const noteHeard = (id: PeerId) => {
    heard.delete(id)
    if (actors.get(id)?.isMet() === false) heard.add(id)
  }

  /** Who makes room for one more; none if nobody has to. */
  const surplus = (kind: "heard" | undefined): Option.Option<PeerActor> | "full" => {
    for (const id of heard) if (actors.get(id)?.isMet() !== false) heard.delete(id)
    if (kind === "heard") {
      const [oldest] = heard
      return heard.size < limits.discoveredMax || oldest === undefined
        ? Option.none()
        : Option.fromUndefinedOr(actors.get(oldest))
    }
    if (actors.size - heard.size < limits.peersMax) return Option.none()
    for (const actor of actors.values()) {
      if (!heard.has(actor.id) && !actor.isKept() && actor.session() === undefined) return Option.some(actor)
    }
    return "full"
  }

  const ensure: Roster["ensure"] = Effect.fnUntraced(function* (id, kind) {
    const known = actors.get(id)
    if (known !== undefined) {
      if (kind === "heard") noteHeard(id)
      return Option.some(known)
    }
    const leaving = surplus(kind)
    if (leaving === "full") return Option.none()
    if (Option.isSome(leaving)) {
      heard.delete(leaving.value.id)
      yield* leaving.value.stop("shutdown", { forget: false })
      yield* options.forget(leaving.value.id)
    }
    const actor = yield* options.make(id)
    // Someone else may have been quicker while we made room.
    const other = actors.get(id)
    if (other !== undefined) return Option.some(other)
    actors.set(id, actor)
    if (kind === "heard") noteHeard(id)
    const leave = Effect.sync(() => {
      heard.delete(id)
      if (actors.get(id) === actor) actors.delete(id)
    })
    options.start(actor, leave)
    return Option.some(actor)
  })

  return {
    get: (id) => actors.get(id),
    all: () => [...actors.values()],
    ensure
  }
}

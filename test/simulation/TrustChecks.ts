/** What must be true of whom a node trusts, what it keeps of what it was told, and what it warns of. */
import * as Effect from "effect/Effect"
import { Alarms } from "../../src/services/Alarms.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Profile } from "../../src/services/Profile.ts"
import { ask } from "./Ask.ts"
import { type Actor, type Stage, whose } from "./Stage.ts"

/** Verified are those for whom a person or a ticket spoke, and they stay it; blocked ones stay blocked. */
const checkTrust = Effect.fnUntraced(function* (stage: Stage, actor: Actor) {
  const known = yield* ask(
    stage,
    actor,
    "peers",
    PeerRegistry.use((registry) => registry.list)
  )
  if (known === undefined) return
  const { name } = actor.peer
  for (const { id, trust } of known) {
    const other = whose(stage, id)
    if (other === undefined) {
      stage.failures.push(`${name} knows ${id}, which nobody is`)
      continue
    }
    if (trust === "verified" && !actor.vouched.has(other.number)) {
      stage.failures.push(`${name} has ${other.peer.name} as verified, for which nobody spoke`)
    }
    if (actor.blocks.has(other.number) && trust !== "blocked") {
      stage.failures.push(`${name} has ${other.peer.name} as ${trust}, which it blocks`)
    }
    if (trust === "verified") actor.verified.add(other.number)
  }
  const trusted = new Set(known.filter(({ trust }) => trust === "verified").map(({ id }) => id))
  for (const number of actor.verified) {
    const other = stage.actors[number]
    if (other === undefined || trusted.has(other.peer.id)) continue
    stage.failures.push(`${name} forgot that it verified ${other.peer.name}`)
  }
})

/** What a person set is there after any restart. */
const checkPolicy = Effect.fnUntraced(function* (stage: Stage, actor: Actor) {
  const profile = yield* ask(
    stage,
    actor,
    "profile",
    Profile.use(({ current }) => current)
  )
  if (profile === undefined || actor.accept === null || profile.accept === actor.accept) return
  stage.failures.push(`${actor.peer.name} takes offers by "${profile.accept}", and "${actor.accept}" was said`)
})

/** No two nodes here have one identity or one address, so only a name can be a reason; what was put away is gone. */
const checkAlarms = Effect.fnUntraced(function* (stage: Stage, actor: Actor) {
  const open = yield* ask(
    stage,
    actor,
    "alarms",
    Alarms.use((alarms) => alarms.list)
  )
  for (const { id, kind, text } of open ?? []) {
    if (kind === "clonedIdentity" || !text.startsWith("a peer with another key")) {
      stage.failures.push(`${actor.peer.name} is alarmed without a reason: ${text}`)
    }
    if (actor.dismissed.has(id)) stage.failures.push(`${actor.peer.name} shows an alarm that was put away: ${text}`)
  }
})

export const always = Effect.fnUntraced(function* (stage: Stage) {
  for (const actor of stage.actors) {
    if (!stage.isUsable(actor.number)) continue
    yield* checkTrust(stage, actor)
    yield* checkPolicy(stage, actor)
    yield* checkAlarms(stage, actor)
  }
})

/** What must be true of who has a session with whom, who dials whom, and who announces itself. */
import * as Effect from "effect/Effect"
import { Connection } from "../../src/services/Connection.ts"
import { ask, hasFrom } from "./Ask.ts"
import { type Actor, now, pairOf, type Stage } from "./Stage.ts"

/** Whether the two may be without a session for good: one of them said so. */
const isParted = (one: Actor, other: Actor): boolean =>
  [one.blocks, one.removed].some((each) => each.has(other.number)) ||
  [other.blocks, other.removed].some((each) => each.has(one.number))

/** Whether they must come to have a session, on a network that is whole. */
export const mustMeet = (stage: Stage, one: Actor, other: Actor): boolean => {
  if (one === other || isParted(one, other)) return false
  const isNear = one.segments.some((segment) => other.segments.includes(segment))
  return (isNear && one.isFound && other.isFound) || stage.met.has(pairOf(one.number, other.number))
}

const connectedOf = (stage: Stage, actor: Actor) =>
  ask(
    stage,
    actor,
    "connected",
    Connection.use(({ connected }) => Effect.map(connected, (ids) => new Set<string>(ids)))
  )

/** Nothing of a blocked peer comes through. */
const checkBlocked = Effect.fnUntraced(function* (stage: Stage, actor: Actor, connected: ReadonlySet<string>) {
  for (const [number, before] of actor.blocks) {
    const other = stage.actors[number]
    if (other === undefined) continue
    const has = yield* hasFrom(stage, actor, other)
    if (has !== undefined && (has.messages > before.messages || has.transfers > before.transfers)) {
      stage.failures.push(`${actor.peer.name} got something from ${other.peer.name}, which it blocks`)
    }
    if (connected.has(other.peer.id)) {
      stage.failures.push(`${actor.peer.name} is connected to ${other.peer.name}, which it blocks`)
    }
  }
})

/** The node at this address, if it has it now. */
const atAddress = (stage: Stage, address: string): Actor | undefined =>
  stage.actors.find(({ peer }) =>
    peer.host.addresses().some((each) => address.startsWith(each) || address.startsWith(`[${each}`))
  )

/** Nobody dials whom he removed or blocks, and who is hidden says nothing by UDP. */
const checkWire = (stage: Stage) => {
  if (stage.actors.every(({ blocks, isFound, removed }) => isFound && blocks.size + removed.size === 0)) return
  for (const { at, detail, from, kind, to } of stage.network.history()) {
    const actor = stage.actors.find(({ peer }) => from.startsWith(`${peer.name}:`))
    if (actor === undefined) continue
    if ((kind === "datagram" || kind === "lost") && !actor.isFound && at > actor.hiddenSince + datagramLate) {
      stage.failures.push(`${actor.peer.name} announces itself though that is switched off`)
    }
    if (kind !== "dial" || detail !== "kith/1" || (actor.removed.size === 0 && actor.blocks.size === 0)) continue
    const other = atAddress(stage, to)
    const since = other === undefined ? undefined : actor.removed.get(other.number)
    if (other === undefined || since === undefined || at <= since) continue
    stage.failures.push(`${actor.peer.name} dials ${other.peer.name}, which it removed`)
  }
}

/** A datagram is on its way for at most this long, in microseconds. */
const datagramLate = 5_000_000

export const always = Effect.fnUntraced(function* (stage: Stage) {
  for (const actor of stage.actors) {
    if (!stage.isUsable(actor.number)) continue
    const connected = (yield* connectedOf(stage, actor)) ?? new Set()
    for (const other of stage.actors) {
      const pair = pairOf(actor.number, other.number)
      if (connected.has(other.peer.id) && !stage.met.has(pair)) stage.met.set(pair, now(stage))
    }
    yield* checkBlocked(stage, actor, connected)
  }
  checkWire(stage)
})

/** Pairs that should have a session and have none. */
export const strangers = Effect.fnUntraced(function* (stage: Stage) {
  const missing: Array<string> = []
  for (const actor of stage.actors) {
    const connected = yield* connectedOf(stage, actor)
    for (const other of stage.actors) {
      if (!mustMeet(stage, actor, other) || connected?.has(other.peer.id) === true) continue
      missing.push(`${actor.peer.name} is not connected to ${other.peer.name}`)
    }
  }
  return missing
})

/** What people decide about each other, and what must be true at once where they hear that it is done. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { AcceptPolicy } from "../../src/schema/Peer.ts"
import * as Verification from "../../src/schema/Verification.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Connection } from "../../src/services/Connection.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Profile } from "../../src/services/Profile.ts"
import { Trust } from "../../src/services/Trust.ts"
import { ask, hasFrom } from "./Ask.ts"
import { type Actor, now, pairOf, type Stage } from "./Stage.ts"

export const recordOf = (stage: Stage, actor: Actor, of: Actor) =>
  Effect.map(
    ask(
      stage,
      actor,
      "peer",
      PeerRegistry.use((registry) => registry.get(of.peer.id))
    ),
    (found) => (found === undefined ? undefined : Option.getOrUndefined(found))
  )

/** A person acts: whom they removed may be dialled again, and is if it comes to something. */
const mayWant = (actor: Actor, other: Actor) => {
  if (actor.removed.has(other.number)) actor.removed.set(other.number, Number.POSITIVE_INFINITY)
}

export const block = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  stage.estranged.add(pairOf(actor.number, other.number))
  actor.verified.delete(other.number)
  actor.vouched.delete(other.number)
  const done = yield* ask(
    stage,
    actor,
    "block",
    Effect.as(
      Trust.use((trust) => trust.block(other.peer.id)),
      true
    )
  )
  const has = yield* hasFrom(stage, actor, other)
  if (done !== undefined && has !== undefined && !actor.blocks.has(other.number)) actor.blocks.set(other.number, has)
})

export const unblock = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  actor.blocks.delete(other.number)
  yield* ask(
    stage,
    actor,
    "unblock",
    Trust.use((trust) => trust.unblock(other.peer.id))
  )
})

export const verify = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  const begun = yield* ask(
    stage,
    actor,
    "verify",
    Trust.use((trust) => trust.verify(other.peer.id))
  )
  if (begun === undefined || Verification.isOver(begun.state)) return
  yield* confirm(stage, actor, other, begun)
  // People need a moment to look, and the words one to come.
  yield* Effect.sleep("1 second")
  if (!stage.isUsable(other.number)) return
  const theirs = yield* ask(
    stage,
    other,
    "verifications",
    Trust.use((trust) => trust.verifications)
  )
  for (const each of theirs ?? []) {
    if (each.peer !== actor.peer.id || Verification.isOver(each.state)) continue
    const shown = [each.words.join(" "), begun.words.join(" ")]
    if (each.id === begun.id && !shown.includes("") && shown[0] !== shown[1]) {
      stage.failures.push(`the words differ: ${shown.join(" / ")}`)
    }
    yield* confirm(stage, other, actor, each)
  }
})

const confirm = (stage: Stage, actor: Actor, other: Actor, { id }: Verification.Verification) => {
  if (!actor.blocks.has(other.number)) actor.vouched.add(other.number)
  mayWant(actor, other)
  return ask(
    stage,
    actor,
    "answer",
    Trust.use((trust) => trust.answer(id, true))
  )
}

export const remove = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  // What is blocked is not removed: it would be forgotten, and come back.
  if (actor.blocks.has(other.number) || (yield* recordOf(stage, actor, other))?.trust === "blocked") return
  stage.estranged.add(pairOf(actor.number, other.number))
  actor.verified.delete(other.number)
  const done = yield* ask(
    stage,
    actor,
    "remove",
    Effect.as(
      Connection.use((connection) => connection.remove(other.peer.id)),
      true
    )
  )
  if (done === undefined) return
  actor.vouched.delete(other.number)
  actor.acceptOf.delete(other.number)
  actor.removed.set(other.number, now(stage))
  const left = yield* recordOf(stage, actor, other)
  // It may have come by itself in this very moment, as a stranger.
  const isStranger = left === undefined || (left.trust === "unverified" && left.accept === null)
  if (!isStranger) stage.failures.push(`${actor.peer.name} knows ${other.peer.name} as ${left.trust}, which it removed`)
})

export const add = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  mayWant(actor, other)
  const id = yield* ask(
    stage,
    actor,
    "add",
    Connection.use((connection) => connection.add(`${other.peer.name}:9090`))
  )
  if (id === undefined) return
  actor.removed.delete(other.number)
  if (id !== other.peer.id) stage.failures.push(`${other.peer.name} is not who answered there`)
})

export const policy = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  of: Actor | null,
  accept: AcceptPolicy | null
) {
  if (of === null) {
    if (accept === null) return
    // Whether it was kept nobody knows before it says so.
    actor.accept = null
    const done = yield* ask(
      stage,
      actor,
      "policy",
      Profile.use((profile) => profile.change({ accept }))
    )
    if (done !== undefined) actor.accept = done.accept
    return
  }
  if ((yield* recordOf(stage, actor, of)) === undefined) return
  actor.acceptOf.set(of.number, "everyone")
  const done = yield* ask(
    stage,
    actor,
    "policy",
    PeerRegistry.use((registry) => registry.update(of.peer.id, (record) => ({ ...record, accept })))
  )
  if (done !== undefined) actor.acceptOf.set(of.number, accept)
})

/** Whether offers of it may be taken without asking. */
const takes = (actor: Actor, from: Actor): boolean => {
  const policy = actor.acceptOf.get(from.number) ?? actor.accept
  return policy === null || policy === "everyone" || (policy === "verified" && actor.vouched.has(from.number))
}

/** Writes down since when nothing of whom is taken unasked. */
export const noteConsent = (stage: Stage): void => {
  for (const actor of stage.actors) {
    for (const other of stage.actors) {
      if (other === actor || takes(actor, other)) actor.strictSince.delete(other.number)
      else if (!actor.strictSince.has(other.number)) actor.strictSince.set(other.number, now(stage))
    }
  }
}

export const invite = Effect.fnUntraced(function* (stage: Stage, actor: Actor, lasts: number) {
  const made = yield* ask(
    stage,
    actor,
    "invite",
    Trust.use((trust) => trust.invite({ expires: `${lasts} seconds` }))
  )
  if (made === undefined) return
  const expires = now(stage) + lasts * 1_000_000
  stage.tickets.push({ by: actor.number, text: made.ticket, run: actor.runs, expires, usedBy: null })
})

export const join = Effect.fnUntraced(function* (stage: Stage, actor: Actor, number: number) {
  const ticket = stage.tickets[number % Math.max(1, stage.tickets.length)]
  const inviter = ticket === undefined ? undefined : stage.actors[ticket.by]
  if (ticket === undefined || inviter === undefined) return
  const problem = badness(stage, actor, inviter, ticket)
  mayWant(actor, inviter)
  if (problem === undefined) {
    // It may be taken although the joiner does not hear so.
    for (const [one, other] of [
      [actor, inviter],
      [inviter, actor]
    ] as const) {
      one.vouched.add(other.number)
      mayWant(one, other)
    }
  }
  const joined = yield* ask(
    stage,
    actor,
    "join",
    Trust.use((trust) => trust.join(ticket.text))
  )
  if (joined === undefined) return
  const who = `${actor.peer.name} joined ${inviter.peer.name}`
  if (problem !== undefined) return void stage.failures.push(`${who} by a ticket that ${problem}`)
  ticket.usedBy = actor.number
  actor.removed.delete(inviter.number)
  inviter.removed.delete(actor.number)
  yield* checkJoined(stage, actor, inviter, who)
})

/** Why nobody may get in by it, if so. */
const badness = (stage: Stage, actor: Actor, inviter: Actor, ticket: Stage["tickets"][number]): string | undefined => {
  if (inviter === actor) return "is its own"
  if (ticket.run !== inviter.runs) return "its maker has forgotten"
  if (now(stage) > ticket.expires) return "has expired"
  if (ticket.usedBy !== null && ticket.usedBy !== actor.number) return "is used"
  if (actor.blocks.has(inviter.number)) return "is of a peer it blocks"
  return inviter.blocks.has(actor.number) ? "is of a peer that blocks it" : undefined
}

/** Each has verified the other when it is said to be done. */
const checkJoined = Effect.fnUntraced(function* (stage: Stage, actor: Actor, inviter: Actor, who: string) {
  const sides = [
    [actor, inviter],
    [inviter, actor]
  ] as const
  for (const [one, other] of sides) {
    if (!stage.isUsable(one.number) || one.blocks.has(other.number)) continue
    const record = yield* recordOf(stage, one, other)
    if (record !== undefined && record.trust !== "verified") {
      stage.failures.push(`${who}, and ${one.peer.name} has ${other.peer.name} as ${record.trust}`)
    }
  }
})

export const dismiss = Effect.fnUntraced(function* (stage: Stage, actor: Actor, which: number) {
  const open = yield* ask(
    stage,
    actor,
    "alarms",
    Alarms.use((alarms) => alarms.list)
  )
  const alarm = open?.[which % Math.max(1, open.length)]
  if (alarm === undefined) return
  const done = yield* ask(
    stage,
    actor,
    "dismiss",
    Effect.as(
      Alarms.use((alarms) => alarms.dismiss(alarm.id)),
      true
    )
  )
  if (done !== undefined) actor.dismissed.add(alarm.id)
})

/** What must be true of transfers: nobody's consent is passed over, what is held stands still, and all of them end. */
import * as Effect from "effect/Effect"
import { isOver, type Transfer as View } from "../../src/schema/Offer.ts"
import { reservedTop } from "../../src/schema/RelativePath.ts"
import { transfersOf } from "./Ask.ts"
import { checkDisk, checkPublished } from "./DiskChecks.ts"
import { mustMeet } from "./MeetingChecks.ts"
import { type Actor, pairOf, type Sent, type Stage } from "./Stage.ts"

/** Nothing is taken that was offered where the policy says to ask, and nobody answered. */
const checkConsent = (stage: Stage, actor: Actor, list: ReadonlyArray<View>) => {
  for (const view of list) {
    const offer = stage.sent.find(({ id }) => id === view.id)
    if (view.direction !== "receive" || offer === undefined || stage.taken.has(view.id)) continue
    const since = actor.strictSince.get(offer.from)
    if (since === undefined || offer.at <= since) continue
    const isTaken = view.state === "done" || view.state === "partial" || view.bytes > 0
    if (isTaken) stage.failures.push(`${actor.peer.name} took ${stage.trace.readable(view.id)} unasked`)
  }
}

/** What is paused does not move, for as long as nobody lets it go on. */
const checkHeld = (stage: Stage, actor: Actor, list: ReadonlyArray<View>) => {
  for (const { bytes, id, pausedBy, state } of list) {
    const key = `${actor.number} ${actor.runs} ${id}`
    const before = stage.held.get(key)
    if (state !== "paused" || pausedBy === null || pausedBy === undefined) {
      stage.held.delete(key)
      continue
    }
    stage.held.set(key, bytes)
    if (before !== undefined && bytes > before) {
      stage.failures.push(`${actor.peer.name} goes on with ${stage.trace.readable(id)}, which is paused`)
    }
  }
}

export const always = Effect.fnUntraced(function* (stage: Stage) {
  for (const actor of stage.actors) {
    checkDisk(stage, actor)
    if (!stage.isUsable(actor.number)) continue
    const list = yield* transfersOf(stage, actor)
    checkConsent(stage, actor, list)
    checkHeld(stage, actor, list)
    checkPublished(stage, actor, list)
  }
})

/** Whether a transfer may have come to this end. */
const mayEnd = (stage: Stage, { from, id, to, tree }: Sent, { state }: View): boolean => {
  if (state === "done") return true
  const isEstranged = stage.estranged.has(pairOf(from, to))
  if (isEstranged || stage.cancelled.has(id)) return isOver(state)
  if (state === "declined") {
    return stage.full.has(to) || stage.declined.has(id) || stage.actors[to]?.strictSince.has(from) === true
  }
  return isOver(state) && stage.sources.isChanged(from, tree)
}

/** What should have come to an end, or to another end. */
export const unfinished = Effect.fnUntraced(function* (stage: Stage) {
  const missing: Array<string> = []
  const views = new Map<Actor, ReadonlyMap<string, View>>()
  for (const actor of stage.actors) {
    views.set(actor, new Map((yield* transfersOf(stage, actor)).map((view) => [view.id, view])))
  }
  for (const sent of stage.sent) {
    const [sender, receiver] = [stage.actors[sent.from], stage.actors[sent.to]]
    if (sender === undefined || receiver === undefined || !mustMeet(stage, sender, receiver)) continue
    const view = views.get(sender)?.get(sent.id)
    const there = views.get(receiver)?.get(sent.id)
    const what = stage.trace.readable(sent.id)
    if (view === undefined) {
      const isForgotten = stage.estranged.has(pairOf(sent.from, sent.to))
      if (!isForgotten) missing.push(`${what} is forgotten by its sender`)
    } else if (!mayEnd(stage, sent, view)) {
      missing.push(`${what} is ${view.state} (${sent.id} ${view.error ?? ""})`)
    } else if (there !== undefined && !isOver(there.state)) {
      missing.push(`${what} is ${view.state} at its sender, and ${there.state} at its receiver`)
    }
  }
  return missing
})

const countBy = (numbers: ReadonlyArray<number>): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>()
  for (const each of numbers) counts.set(each, (counts.get(each) ?? 0) + 1)
  return counts
}

/** After that: what is done is there as often as it was sent, and nothing is left of what is over. */
export const afterwards = Effect.fnUntraced(function* (stage: Stage) {
  const done = new Map<string, View>()
  for (const actor of stage.actors) {
    for (const view of yield* transfersOf(stage, actor)) {
      if (view.direction === "send" && view.state === "done") done.set(view.id, view)
    }
  }
  for (const actor of stage.actors) {
    const { disk, name, received } = actor.peer
    const copies = checkDisk(stage, actor)
    const finished = stage.sent.filter(({ id, to }) => to === actor.number && done.has(id))
    for (const [tree, count] of countBy(finished.map((sent) => sent.tree))) {
      const has = copies.get(tree) ?? 0
      if (has >= count || stage.merged.has(`${actor.number} ${tree}`)) continue
      stage.failures.push(`${name} has ${has} copies of tree ${tree}, of ${count} that are done`)
    }
    const list = yield* transfersOf(stage, actor)
    for (const { digest, id } of list) {
      const sent = done.get(id)?.digest
      if (digest === undefined || sent === undefined || digest === sent) continue
      stage.failures.push(`the two ends of ${stage.trace.readable(id)} come to different digests`)
    }
    const open = list.filter(({ direction, state }) => direction === "receive" && !isOver(state)).length
    // What was begun when its node died, before anything came, is nobody's: that is cleaned away days later.
    const isSome = (id: string) => !actor.hasDied || disk.list(`${received}/${reservedTop}/${id}/data`).length > 0
    const staged = disk.list(`${received}/${reservedTop}`).filter(isSome).length
    if (staged > open) stage.failures.push(`${name} kept ${staged} staging directories for ${open} transfers`)
  }
})

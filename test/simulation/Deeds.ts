/**
 * Carries out one act of a scenario on the nodes, and writes down what they promised. An act that makes no sense at its
 * time is passed over; one that a node refuses with a reason is fine; a defect in a node is a failure.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isOver } from "../../src/schema/Offer.ts"
import * as Verification from "../../src/schema/Verification.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Profile } from "../../src/services/Profile.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { Trust } from "../../src/services/Trust.ts"
import type { PeerServices } from "../../src/testing/SimulatedPeer.ts"
import { type Act, describe, nameOf } from "./Scenario.ts"
import { type Actor, pairOf, type Stage, treePath } from "./Stage.ts"

/** What a person would wait for at most. */
const patience = Duration.seconds(10)

/** A stop takes no longer; a slow disk may add to it. */
const stopMax = Duration.seconds(5)

/** Asks something of a running node: undefined where it refused, or did not answer in time. */
export const ask = <A, E>(stage: Stage, actor: Actor, what: string, effect: Effect.Effect<A, E, PeerServices>) =>
  actor.peer.run(effect).pipe(
    Effect.timeoutOption(patience),
    Effect.exit,
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return exit.value._tag === "Some" ? exit.value.value : undefined
      const { cause } = exit
      if (!cause.reasons.some(Cause.isDieReason)) return undefined
      stage.failures.push(`${actor.peer.name} had a defect at "${what}": ${Cause.pretty(cause)}`)
      return undefined
    })
  )

const say = Effect.fnUntraced(function* (stage: Stage, actor: Actor, to: Actor | null) {
  const number = actor.saidCount++
  const text = `${actor.number}#${number}`
  const message = yield* ask(
    stage,
    actor,
    "say",
    Chat.use((chat) => chat.say(text, to?.peer.id ?? null))
  )
  if (message !== undefined) actor.said.push({ number, id: message.id })
})

const send = Effect.fnUntraced(function* (stage: Stage, actor: Actor, to: ReadonlyArray<Actor>, tree: number) {
  const ids = to.map(({ peer }) => peer.id)
  const views = yield* ask(
    stage,
    actor,
    "send",
    Transfer.use((transfer) => transfer.send([treePath(tree)], ids))
  )
  if (views === undefined) stage.unsure.push(...ids.map(() => tree))
  for (const { id, peer } of views ?? []) {
    const receiver = to.find((each) => each.peer.id === peer)
    if (receiver !== undefined) stage.sent.push({ id, from: actor.number, to: receiver.number, tree })
  }
})

const control = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  verb: "pause" | "resume" | "cancel",
  which: number
) {
  const list = yield* ask(
    stage,
    actor,
    "list",
    Transfer.use((transfer) => transfer.list)
  )
  const open = (list ?? []).filter(({ state }) => !isOver(state))
  const chosen = open[which % Math.max(1, open.length)]
  if (chosen === undefined) return
  // Written down first: it may be done although we do not hear so.
  if (verb === "cancel") stage.cancelled.add(chosen.id)
  yield* ask(
    stage,
    actor,
    verb,
    Transfer.use((transfer) => transfer[verb](chosen.id))
  )
})

/** What it has from a peer: messages, and transfers. */
export const hasFrom = Effect.fnUntraced(function* (stage: Stage, actor: Actor, from: Actor) {
  const messages = yield* ask(
    stage,
    actor,
    "history",
    Chat.use((chat) => chat.history({ limit: 1000 }))
  )
  const list = yield* ask(
    stage,
    actor,
    "list",
    Transfer.use((transfer) => transfer.list)
  )
  if (messages === undefined || list === undefined) return undefined
  return {
    messages: messages.filter((message) => message.from === from.peer.id).length,
    transfers: list.filter(({ direction, peer }) => direction === "receive" && peer === from.peer.id).length
  }
})

const block = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  stage.estranged.add(pairOf(actor.number, other.number))
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

const verify = Effect.fnUntraced(function* (stage: Stage, actor: Actor, other: Actor) {
  const begun = yield* ask(
    stage,
    actor,
    "verify",
    Trust.use((trust) => trust.verify(other.peer.id))
  )
  if (begun === undefined || Verification.isOver(begun.state)) return
  yield* ask(
    stage,
    actor,
    "answer",
    Trust.use((trust) => trust.answer(begun.id, true))
  )
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
    yield* ask(
      stage,
      other,
      "answer",
      Trust.use((trust) => trust.answer(each.id, true))
    )
  }
})

export const stop = Effect.fnUntraced(function* (stage: Stage, actor: Actor) {
  if (!actor.peer.isRunning()) return
  thaw(actor)
  const ended = yield* Effect.timeoutOption(actor.peer.stop, stopMax)
  if (ended._tag === "None") stage.failures.push(`${actor.peer.name} did not stop within ${Duration.format(stopMax)}`)
})

export const start = Effect.fnUntraced(function* (stage: Stage, actor: Actor) {
  if (actor.peer.isRunning()) return
  const exit = yield* Effect.exit(actor.peer.start.pipe(Effect.annotateLogs({ node: actor.peer.name })))
  if (Exit.isFailure(exit)) stage.failures.push(`${actor.peer.name} did not start: ${Cause.pretty(exit.cause)}`)
})

export const thaw = (actor: Actor): void => {
  actor.frozen = false
  actor.peer.thaw()
}

/** Does it. */
export const perform = Effect.fnUntraced(function* (stage: Stage, act: Act) {
  const { actors, isUsable, network } = stage
  const at = (node: number): Actor | undefined => actors[node]
  stage.trace.add("", `--- ${describe(act)}`)
  const node = "node" in act ? at(act.node) : undefined
  const other = "peer" in act ? at(act.peer) : undefined
  switch (act._tag) {
    case "heal":
      return network.heal()
    case "conditions":
      return network.conditions(act.settings)
    case "partition":
      return network.partition(act.group.filter((each) => at(each) !== undefined).map(nameOf))
    case "oneWay":
      if (at(act.from) !== undefined && at(act.to) !== undefined) network.oneWay([nameOf(act.from)], [nameOf(act.to)])
      return
  }
  if (node === undefined) return
  const { name } = node.peer
  switch (act._tag) {
    case "start":
      return yield* start(stage, node)
    case "stop":
      return yield* stop(stage, node)
    case "restart":
      yield* stop(stage, node)
      return yield* start(stage, node)
    case "kill":
      node.frozen = false
      return yield* node.peer.kill
    case "freeze":
      if (!node.peer.isRunning()) return
      node.frozen = true
      return node.peer.freeze()
    case "thaw":
      return thaw(node)
    case "slowDisk":
      return node.peer.slowDisk(act.millis)
    case "fillDisk":
      stage.full.add(node.number)
      return node.peer.fillDisk(act.left)
    case "skewClock":
      return node.peer.skewClock(Duration.seconds(act.seconds))
    case "renumber":
      return network.renumber(name, "lan")
    case "plug":
      return network.plug(name, "lan")
    case "unplug":
      return network.unplug(name, "lan")
    case "cut":
    case "halfOpen":
      if (other !== undefined) network[act._tag](name, other.peer.name)
      return
  }
  if (!isUsable(node.number)) return
  switch (act._tag) {
    case "say": {
      const to = act.to === null ? null : at(act.to)
      return to === undefined ? undefined : yield* say(stage, node, to)
    }
    case "send":
      return yield* send(
        stage,
        node,
        act.to.flatMap((each) => at(each) ?? []),
        act.tree
      )
    case "pause":
    case "resume":
    case "cancel":
      return yield* control(stage, node, act._tag, act.which)
    case "rename":
      return void (yield* ask(
        stage,
        node,
        "rename",
        Profile.use((profile) => profile.change({ name: act.name }))
      ))
    case "block":
      return other === undefined ? undefined : yield* block(stage, node, other)
    case "unblock": {
      if (other === undefined) return
      node.blocks.delete(other.number)
      return void (yield* ask(
        stage,
        node,
        "unblock",
        Trust.use((trust) => trust.unblock(other.peer.id))
      ))
    }
    case "verify":
      return other === undefined ? undefined : yield* verify(stage, node, other)
  }
})

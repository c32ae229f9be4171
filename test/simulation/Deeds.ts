/**
 * Carries out one act of a scenario on the nodes, and writes down what they promised. An act that makes no sense at its
 * time is passed over; one that a node refuses with a reason is fine; a defect in a node is a failure.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Chat } from "../../src/services/Chat.ts"
import { Profile } from "../../src/services/Profile.ts"
import { ask } from "./Ask.ts"
import { type Act, describe, type DieAct, nameOf } from "./Scenario.ts"
import { type Actor, now, type Stage } from "./Stage.ts"
import * as Transfers from "./TransferDeeds.ts"
import * as Trusts from "./TrustDeeds.ts"

/** A stop takes no longer; a slow disk may add to it. */
const stopMax = Duration.seconds(5)

/** What was learned of a peer is written down within this, in microseconds. */
const writtenWithin = 1_000_000

const say = Effect.fnUntraced(function* (stage: Stage, actor: Actor, to: Actor | null) {
  const number = actor.saidCount++
  const text = `${actor.number}#${number}`
  const message = yield* ask(
    stage,
    actor,
    "say",
    Chat.use((chat) => chat.say(text, to?.peer.id ?? null))
  )
  if (message === undefined) return
  actor.said.push({ number, id: message.id })
  for (const blocked of actor.blocks.keys()) {
    const name = stage.actors[blocked]?.peer
    if (name === undefined || !message.recipients.some(({ peer }) => peer === name.id)) continue
    stage.failures.push(`${actor.peer.name} says something to ${name.name}, which it blocks`)
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
  actor.runs++
  const exit = yield* Effect.exit(actor.peer.start.pipe(Effect.annotateLogs({ node: actor.peer.name })))
  if (Exit.isFailure(exit)) stage.failures.push(`${actor.peer.name} did not start: ${Cause.pretty(exit.cause)}`)
})

/** It dies: what it met a moment ago it may not have written down. */
const noteDeath = (stage: Stage, actor: Actor) => {
  actor.hasDied = true
  for (const [pair, since] of stage.met) {
    if (pair.split(" ").includes(String(actor.number)) && now(stage) - since < writtenWithin) stage.met.delete(pair)
  }
}

const die = (stage: Stage, actor: Actor, { after, at }: DieAct) => {
  let left = after
  actor.peer.disk.onWork = (action) => {
    if (action !== at || --left > 0 || !actor.peer.isRunning()) return
    actor.peer.disk.onWork = undefined
    stage.trace.add(actor.peer.name, `dies before the next is ${at}`)
    noteDeath(stage, actor)
    actor.frozen = false
    actor.peer.pull()
  }
}

const kill = (stage: Stage, actor: Actor) => {
  actor.frozen = false
  noteDeath(stage, actor)
  return actor.peer.kill
}

export const thaw = (actor: Actor): void => {
  actor.frozen = false
  actor.peer.thaw()
}

const discovery = Effect.fnUntraced(function* (stage: Stage, actor: Actor, on: boolean) {
  const isRunning = actor.peer.isRunning()
  yield* stop(stage, actor)
  actor.peer.configure({ discovery: on })
  if (!on && actor.isFound) actor.hiddenSince = now(stage)
  actor.isFound = on
  if (isRunning) yield* start(stage, actor)
})

/** New addresses: who had only the old ones may not find it any more. */
const renumber = (stage: Stage, actor: Actor, segment: string) => {
  for (const pair of stage.met.keys()) if (pair.split(" ").includes(String(actor.number))) stage.met.delete(pair)
  stage.network.renumber(actor.peer.name, segment)
}

const rename = (stage: Stage, actor: Actor, name: string) =>
  ask(
    stage,
    actor,
    "rename",
    Profile.use((profile) => profile.change({ name }))
  )

/** What is done to the network or to a machine, whatever runs there; false where it is neither. */
const toMachines = Effect.fnUntraced(function* (stage: Stage, act: Act) {
  const { actors, network } = stage
  const at = (node: number): Actor | undefined => actors[node]
  switch (act._tag) {
    case "heal":
      network.heal()
      return true
    case "conditions":
      network.conditions(act.settings)
      return true
    case "partition":
      network.partition(act.group.filter((each) => at(each) !== undefined).map(nameOf))
      return true
    case "oneWay":
      if (at(act.from) !== undefined && at(act.to) !== undefined) network.oneWay([nameOf(act.from)], [nameOf(act.to)])
      return true
  }
  const node = at(act.node)
  if (node === undefined) return true
  const { name } = node.peer
  switch (act._tag) {
    case "start":
      yield* start(stage, node)
      return true
    case "stop":
      yield* stop(stage, node)
      return true
    case "restart":
      yield* stop(stage, node)
      yield* start(stage, node)
      return true
    case "discovery":
      yield* discovery(stage, node, act.on)
      return true
    case "kill":
      yield* kill(stage, node)
      return true
    case "die":
      die(stage, node, act)
      return true
    case "freeze":
      if (!node.peer.isRunning()) return true
      node.frozen = true
      node.peer.freeze()
      return true
    case "thaw":
      thaw(node)
      return true
    case "slowDisk":
      node.peer.slowDisk(act.millis)
      return true
    case "fillDisk":
      stage.full.add(node.number)
      node.peer.fillDisk(act.left)
      return true
    case "skewClock":
      node.peer.skewClock(Duration.seconds(act.seconds))
      return true
    case "source":
      stage.sources.change(node.number, node.peer, act)
      return true
    case "renumber":
    case "plug":
    case "unplug": {
      const segment = node.segments[act.card ?? 0]
      if (segment === undefined) return true
      if (act._tag === "renumber") renumber(stage, node, segment)
      else network[act._tag](name, segment)
      return true
    }
    case "cut":
    case "halfOpen": {
      const other = at(act.peer)
      if (other !== undefined) network[act._tag](name, other.peer.name)
      return true
    }
  }
  return false
})

/** What people do with a node that runs. */
const toNodes = Effect.fnUntraced(function* (stage: Stage, act: Act) {
  if (!("node" in act) || !stage.isUsable(act.node)) return
  const node = stage.actors[act.node]
  const other = "peer" in act ? stage.actors[act.peer] : undefined
  if (node === undefined) return
  switch (act._tag) {
    case "say": {
      const to = act.to === null ? null : stage.actors[act.to]
      return to === undefined ? undefined : yield* say(stage, node, to)
    }
    case "send": {
      const to = act.to.flatMap((each) => stage.actors[each] ?? [])
      return yield* Transfers.send(stage, node, to, act.tree, act.priority ?? "normal")
    }
    case "pause":
    case "resume":
    case "cancel":
      return yield* Transfers.control(stage, node, act._tag, act.which)
    case "again":
      return yield* Transfers.again(stage, node, act.which)
    case "prioritise":
      return yield* Transfers.prioritise(stage, node, act.which, act.priority)
    case "answer":
      return yield* Transfers.answer(stage, node, act)
    case "rename":
      return void (yield* rename(stage, node, act.name))
    case "dismiss":
      return yield* Trusts.dismiss(stage, node, act.which)
    case "invite":
      return yield* Trusts.invite(stage, node, act.lasts)
    case "join":
      return yield* Trusts.join(stage, node, act.ticket)
    case "policy": {
      const of = act.of === null ? null : stage.actors[act.of]
      return of === undefined ? undefined : yield* Trusts.policy(stage, node, of, act.accept)
    }
  }
  if (other === undefined || other === node) return
  switch (act._tag) {
    case "block":
      return yield* Trusts.block(stage, node, other)
    case "unblock":
      return yield* Trusts.unblock(stage, node, other)
    case "verify":
      return yield* Trusts.verify(stage, node, other)
    case "remove":
      return yield* Trusts.remove(stage, node, other)
    case "add":
      return yield* Trusts.add(stage, node, other)
  }
})

/** Does it. */
export const perform = Effect.fnUntraced(function* (stage: Stage, act: Act) {
  stage.trace.add("", `--- ${describe(act)}`)
  if (!(yield* toMachines(stage, act))) yield* toNodes(stage, act)
  Trusts.noteConsent(stage)
})

/**
 * What must be true of the nodes of a run: some of it always, some of it once everything was made whole again and they
 * had time. Each check adds what it finds to the stage's failures.
 */
import * as Effect from "effect/Effect"
import { isOver, type Transfer as View } from "../../src/schema/Offer.ts"
import type { Message } from "../../src/schema/Message.ts"
import { reservedTop } from "../../src/schema/RelativePath.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { ask, hasFrom } from "./Deeds.ts"
import { type Actor, pairOf, type Stage, treeOf, treePath } from "./Stage.ts"

const messagesOf = (stage: Stage, actor: Actor) =>
  ask(
    stage,
    actor,
    "history",
    Chat.use((chat) => chat.history({ limit: 5000 }))
  )

const transfersOf = (stage: Stage, actor: Actor) =>
  ask(
    stage,
    actor,
    "list",
    Transfer.use((transfer) => transfer.list)
  )

const numbersFrom = (messages: ReadonlyArray<Message>, from: Actor): ReadonlyArray<number> =>
  messages.filter((message) => message.from === from.peer.id).map(({ text }) => Number(text.split("#")[1]))

const isReceived = ({ state }: Message["recipients"][number]) => state === "delivered" || state === "read"

/** Exactly once and in the order of the sender; what counts as delivered is there. */
const checkChat = (stage: Stage, histories: ReadonlyMap<Actor, ReadonlyArray<Message>>) => {
  for (const [actor, messages] of histories) {
    for (const from of stage.actors) {
      if (from === actor) continue
      const numbers = numbersFrom(messages, from)
      const wrong = numbers.findIndex((number, at) => at > 0 && number <= (numbers[at - 1] ?? -1))
      if (wrong >= 0) {
        stage.failures.push(`${actor.peer.name} shows what ${from.peer.name} said as ${numbers.join(" ")}`)
      }
      for (const message of histories.get(from) ?? []) {
        const received = message.recipients.some((each) => each.peer === actor.peer.id && isReceived(each))
        if (!received || messages.some(({ id }) => id === message.id)) continue
        stage.failures.push(`${from.peer.name} was told that ${actor.peer.name} has ${message.text}, which it has not`)
      }
    }
  }
}

const isEqual = (one: Uint8Array | null, other: Uint8Array | null | undefined): boolean =>
  one === null || other === null || other === undefined ? one === other : Buffer.compare(one, other) === 0

const isSameTree = (actor: Actor, at: string, as: string): boolean => {
  const [one, other] = [actor.peer.disk.find(at), actor.peer.disk.find(as)]
  if (one === undefined || other === undefined || one.kind !== other.kind) return false
  if (one.kind === "f") return isEqual(actor.peer.disk.read(at) ?? null, actor.peer.disk.read(as))
  const [tree, source] = [actor.peer.disk.tree(at), actor.peer.disk.tree(as)]
  return (
    tree.size === source.size &&
    [...tree].every(([path, bytes]) => source.has(path) && isEqual(bytes, source.get(path)))
  )
}

/** What is published, by tree: how many copies. Nothing else may be visible, and nothing partial. */
export const checkDisk = (stage: Stage, actor: Actor): ReadonlyMap<number, number> => {
  const { disk, name, received } = actor.peer
  const copies = new Map<number, number>()
  for (const visible of disk.list(received)) {
    if (visible === reservedTop) continue
    const tree = treeOf(visible)
    if (tree === undefined || !isSameTree(actor, `${received}/${visible}`, treePath(tree))) {
      stage.failures.push(`${name} shows ${visible}, which is not as it was sent`)
      continue
    }
    copies.set(tree, (copies.get(tree) ?? 0) + 1)
  }
  for (const [tree, count] of copies) {
    const offered = stage.sent.filter((sent) => sent.to === actor.number && sent.tree === tree).length
    if (count > offered + stage.unsure.filter((each) => each === tree).length)
      stage.failures.push(`${name} has ${count} copies of tree ${tree}, of ${offered} sent`)
  }
  const outside = [
    ...disk.list("/").filter((each) => each !== "home" && each !== "src"),
    ...disk.list("/home").filter((each) => each !== name),
    ...disk.list(`/home/${name}`).filter((each) => each !== ".kith" && each !== "received_files")
  ]
  if (outside.length > 0) stage.failures.push(`${name} wrote outside of where it may: ${outside.join(" ")}`)
  return copies
}

const checkBlocks = Effect.fnUntraced(function* (stage: Stage, actor: Actor) {
  const connected = yield* connectedOf(stage, actor)
  for (const [number, before] of actor.blocks) {
    const other = stage.actors[number]
    if (other === undefined) continue
    const has = yield* hasFrom(stage, actor, other)
    if (has !== undefined && (has.messages > before.messages || has.transfers > before.transfers)) {
      stage.failures.push(`${actor.peer.name} got something from ${other.peer.name}, which it blocks`)
    }
    if (connected?.has(other.peer.id) === true) {
      stage.failures.push(`${actor.peer.name} is connected to ${other.peer.name}, which it blocks`)
    }
  }
})

export const connectedOf = (stage: Stage, actor: Actor) =>
  ask(
    stage,
    actor,
    "connected",
    Connection.use(({ connected }) => Effect.map(connected, (ids) => new Set<string>(ids)))
  )

/** What is true at any time. */
export const always = Effect.fnUntraced(function* (stage: Stage) {
  const histories = new Map<Actor, ReadonlyArray<Message>>()
  // Receivers first: what arrives meanwhile is news to nobody's disadvantage.
  for (const actor of stage.actors) {
    checkDisk(stage, actor)
    if (!stage.isUsable(actor.number)) continue
    yield* checkBlocks(stage, actor)
    const messages = yield* messagesOf(stage, actor)
    if (messages !== undefined) histories.set(actor, messages)
  }
  checkChat(stage, histories)
  stage.failures.push(...stage.trace.errors)
})

const isBlocked = (one: Actor, other: Actor) => one.blocks.has(other.number) || other.blocks.has(one.number)

/** Pairs that should have a session and have none. */
export const strangers = Effect.fnUntraced(function* (stage: Stage) {
  const missing: Array<string> = []
  for (const actor of stage.actors) {
    const connected = yield* connectedOf(stage, actor)
    for (const other of stage.actors) {
      if (other === actor || isBlocked(actor, other) || connected?.has(other.peer.id) === true) continue
      missing.push(`${actor.peer.name} is not connected to ${other.peer.name}`)
    }
  }
  return missing
})

/** What should have arrived, and has not. */
export const unfinished = Effect.fnUntraced(function* (stage: Stage) {
  const missing: Array<string> = []
  const views = new Map<Actor, ReadonlyArray<View>>()
  for (const actor of stage.actors) {
    views.set(actor, (yield* transfersOf(stage, actor)) ?? [])
    const messages = yield* messagesOf(stage, actor)
    for (const { id, number } of actor.said) {
      const message = messages?.find((each) => each.id === id)
      if (message === undefined) missing.push(`${actor.peer.name} forgot its ${number}`)
      for (const { peer, state } of message?.recipients ?? []) {
        const other = stage.actors.find((each) => each.peer.id === peer)
        if (other === undefined || isBlocked(actor, other) || isReceived({ peer, state })) continue
        missing.push(`${actor.peer.name}'s ${number} is ${state} for ${other.peer.name}`)
      }
    }
  }
  for (const { from, id, to, tree } of stage.sent) {
    const [sender, receiver] = [stage.actors[from], stage.actors[to]]
    if (sender === undefined || receiver === undefined) continue
    const state = views.get(sender)?.find((view) => view.id === id)
    if (state?.state === "done") continue
    const isEnded = stage.cancelled.has(id) || stage.estranged.has(pairOf(from, to))
    if (isEnded && (state === undefined || isOver(state.state) || isBlocked(sender, receiver))) continue
    if (state?.state === "declined" && stage.full.has(to)) continue
    const what = `${sender.peer.name}'s tree ${tree} to ${receiver.peer.name}`
    missing.push(`${what} is ${state?.state ?? "forgotten"} (${id} ${state?.error ?? ""})`)
  }
  return missing
})

/** After that: what is done is there as often as it was sent, and nothing is left of what is over. */
export const afterwards = Effect.fnUntraced(function* (stage: Stage) {
  const done = new Set<string>()
  for (const actor of stage.actors) {
    for (const { id, state } of (yield* transfersOf(stage, actor)) ?? []) if (state === "done") done.add(id)
  }
  for (const actor of stage.actors) {
    const { disk, name, received } = actor.peer
    const copies = checkDisk(stage, actor)
    const finished = stage.sent.filter(({ id, to }) => to === actor.number && done.has(id))
    for (const [tree, count] of countBy(finished.map((sent) => sent.tree))) {
      const has = copies.get(tree) ?? 0
      if (has < count) stage.failures.push(`${name} has ${has} copies of tree ${tree}, of ${count} that are done`)
    }
    const list = (yield* transfersOf(stage, actor)) ?? []
    const open = list.filter(({ direction, state }) => direction === "receive" && !isOver(state)).length
    const staged = disk.list(`${received}/${reservedTop}`).length
    if (staged > open) stage.failures.push(`${name} kept ${staged} staging directories for ${open} transfers`)
  }
})

const countBy = (numbers: ReadonlyArray<number>): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>()
  for (const each of numbers) counts.set(each, (counts.get(each) ?? 0) + 1)
  return counts
}

/** What people do about transfers, and what they wrote down of it. */
import * as Effect from "effect/Effect"
import type { TransferId } from "../../src/schema/Id.ts"
import { isOver, type Transfer as View, type TransferPriority } from "../../src/schema/Offer.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { ask, transfersOf } from "./Ask.ts"
import type { AnswerAct } from "./Scenario.ts"
import { treeOf, treePath } from "./Sources.ts"
import { type Actor, now, type Stage, whose } from "./Stage.ts"

/** Entries of an offer that a person looks at. */
const entriesMax = 100

const sent = (stage: Stage, actor: Actor, views: ReadonlyArray<View>, tree: number, at: number) => {
  for (const { id, peer } of views) {
    const receiver = whose(stage, peer)
    if (receiver === undefined) continue
    stage.sent.push({ id, from: actor.number, to: receiver.number, tree, at })
    stage.trace.call(id, `<${stage.sent.length}: ${actor.peer.name} to ${receiver.peer.name}, t${tree}>`)
  }
}

export const send = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  to: ReadonlyArray<Actor>,
  tree: number,
  priority: TransferPriority
) {
  const ids = to.map(({ peer }) => peer.id)
  const at = now(stage)
  const views = yield* ask(
    stage,
    actor,
    "send",
    Transfer.use((transfer) => transfer.send([treePath(tree)], ids, { priority }))
  )
  if (views === undefined) stage.unsure.push(...to.map(({ number }) => ({ to: number, tree })))
  else sent(stage, actor, views, tree, at)
})

const chosen = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  which: number,
  isMeant: (view: View) => boolean
) {
  const list = (yield* transfersOf(stage, actor)).filter(isMeant)
  return list[which % Math.max(1, list.length)]
})

export const control = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  verb: "pause" | "resume" | "cancel",
  which: number
) {
  const view = yield* chosen(stage, actor, which, ({ state }) => !isOver(state))
  if (view === undefined) return
  // Written down first: it may be done although we do not hear so.
  if (verb === "cancel") stage.cancelled.add(view.id)
  stage.held.clear()
  yield* ask(
    stage,
    actor,
    verb,
    Transfer.use((transfer) => transfer[verb](view.id))
  )
})

export const prioritise = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  which: number,
  priority: TransferPriority
) {
  const view = yield* chosen(stage, actor, which, ({ state }) => !isOver(state))
  if (view === undefined) return
  const after = yield* ask(
    stage,
    actor,
    "prioritise",
    Transfer.use((transfer) => transfer.prioritise(view.id, priority))
  )
  if (after === undefined || (after.priority ?? "normal") === priority) return
  stage.failures.push(`${actor.peer.name} shows ${after.priority} where ${priority} was said`)
})

/** Sends what is over once more. */
export const again = Effect.fnUntraced(function* (stage: Stage, actor: Actor, which: number) {
  const view = yield* chosen(stage, actor, which, ({ direction, state }) => direction === "send" && isOver(state))
  const before = stage.sent.find(({ id }) => id === view?.id)
  if (view === undefined || before === undefined) return
  const at = now(stage)
  const views = yield* ask(
    stage,
    actor,
    "again",
    Transfer.use((transfer) => transfer.again(view.id))
  )
  if (views === undefined) stage.unsure.push({ to: before.to, tree: before.tree })
  else sent(stage, actor, views, before.tree, at)
})

const entriesOf = (stage: Stage, actor: Actor, id: TransferId) =>
  ask(
    stage,
    actor,
    "entries",
    Transfer.use((transfer) => transfer.entries(id, { from: 0, limit: entriesMax }))
  )

/** What is taken with these: the directories they are in too. Paths from the top of the tree. */
const withParents = (paths: ReadonlyArray<string>): ReadonlySet<string> => {
  const all = new Set<string>()
  for (const path of paths) {
    const parts = path.split("/").slice(1)
    for (let length = 1; length <= parts.length; length++) all.add(parts.slice(0, length).join("/"))
    if (!path.includes("/")) all.add("")
  }
  return all
}

export const waitsForAnswer = ({ direction, listed, state }: View): boolean =>
  direction === "receive" && state === "offered" && listed === true

export const answer = Effect.fnUntraced(function* (
  stage: Stage,
  actor: Actor,
  { conflict = "rename", part, which }: Pick<AnswerAct, "conflict" | "part" | "which">
) {
  const view = yield* chosen(stage, actor, which, waitsForAnswer)
  if (view === undefined) return
  const { id } = view
  if (part === "none") {
    stage.declined.add(id)
    return void (yield* ask(
      stage,
      actor,
      "decline",
      Transfer.use((transfer) => transfer.decline(id))
    ))
  }
  const tree = treeOf(view.name)
  if (tree !== undefined && conflict !== "rename") stage.merged.add(`${actor.number} ${tree}`)
  const answers = stage.taken.get(id) ?? []
  stage.taken.set(id, answers)
  if (part === "all") {
    answers.push(null)
    return void (yield* ask(
      stage,
      actor,
      "accept",
      Transfer.use((transfer) => transfer.accept(id, { conflict }))
    ))
  }
  const entries = yield* entriesOf(stage, actor, id)
  if (entries === undefined || entries.length === 0) return
  const first = Math.floor(part[0] * entries.length)
  const count = Math.max(1, Math.floor((part[1] - part[0]) * entries.length))
  const paths = entries.slice(first, first + count).map(({ path }) => path)
  stage.trace.add(actor.peer.name, `takes ${paths.join(" ")}`)
  answers.push(withParents(paths))
  yield* ask(
    stage,
    actor,
    "accept",
    Transfer.use((transfer) => transfer.accept(id, { conflict, ranges: [[first, paths.length]] }))
  )
})

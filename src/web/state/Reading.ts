/** What a person has seen, told to the node, which tells those who wrote it; and how much waits in each conversation. */
import * as Atom from "effect/reactivity/Atom"
import { ask } from "./Client.ts"
import { registry } from "./atoms.ts"
import { model } from "./Live.ts"
import { type Conversation, conversationOf } from "./Model.ts"

const nothing: ReadonlyMap<Conversation, number> = new Map()

/** Messages that nobody here has read, by conversation. */
export const unread = Atom.keepAlive(Atom.make((get) => get(model)?.unread ?? nothing))

/** Conversations of which the node is being told, and whether more was seen meanwhile, which is told after it. */
const telling = new Map<Conversation, boolean>()

/** The person looks at the end of this conversation. */
export const see = (to: Conversation): void => {
  const known = registry.get(model)
  if (known === null || (known.unread.get(to) ?? 0) === 0) return
  if (telling.has(to)) return void telling.set(to, true)
  const newest = known.messages.findLast(
    (message) => message.from !== known.node.id && conversationOf(message, known.node.id) === to
  )
  if (newest === undefined) return
  telling.set(to, false)
  const peer = to === "everyone" ? null : to
  void ask((client) => client.messages.read({ payload: { peer, upTo: newest.id } })).then(() => {
    const more = telling.get(to) === true
    telling.delete(to)
    if (more) see(to)
  })
}

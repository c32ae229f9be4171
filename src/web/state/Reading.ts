/**
 * Which messages a person has seen, and so how many wait in each conversation. It is of this browser: the last message
 * seen in each conversation, in localStorage. What was there before the page first opened counts as seen.
 */
import * as Atom from "effect/reactivity/Atom"
import { registry } from "./atoms.ts"
import { model } from "./Live.ts"
import { type Conversation, conversationOf, type Model } from "./Model.ts"

const key = "kith.seen"

type Seen = Readonly<Record<string, string>>

const load = (): Seen | null => {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? "null")
    if (typeof value !== "object" || value === null) return null
    return Object.fromEntries(
      Object.entries(value).flatMap(([to, id]): ReadonlyArray<readonly [string, string]> =>
        typeof id === "string" ? [[to, id]] : []
      )
    )
  } catch {
    return null
  }
}

const seen = Atom.keepAlive(Atom.make<Seen | null>(load()))

const keep = (next: Seen): void => {
  registry.set(seen, next)
  localStorage.setItem(key, JSON.stringify(next))
}

const newest = (known: Model, to: Conversation): string | undefined =>
  known.messages.findLast((message) => conversationOf(message, known.node.id) === to)?.id

/** The person looks at this conversation. */
export const see = (to: Conversation): void => {
  const known = registry.get(model)
  if (known === null) return
  const id = newest(known, to)
  const before = registry.get(seen) ?? {}
  if (id !== undefined && before[to] !== id) keep({ ...before, [to]: id })
}

/** Where nothing was ever seen, the history is not news. */
export const begin = (known: Model): void => {
  if (registry.get(seen) !== null) return
  const all: Record<string, string> = {}
  for (const message of known.messages) all[conversationOf(message, known.node.id)] = message.id
  keep(all)
}

/** Messages from others that nobody has seen, by conversation. */
export const unread = Atom.keepAlive(
  Atom.make((get): ReadonlyMap<Conversation, number> => {
    const known = get(model)
    const until = get(seen)
    const counts = new Map<Conversation, number>()
    if (known === null || until === null) return counts
    const over = new Set<Conversation>()
    for (let at = known.messages.length - 1; at >= 0; at--) {
      const message = known.messages[at]
      if (message === undefined) continue
      const to = conversationOf(message, known.node.id)
      if (over.has(to)) continue
      // What a person writes is an answer: everything before it was seen.
      if (until[to] === message.id || message.from === known.node.id) over.add(to)
      else counts.set(to, (counts.get(to) ?? 0) + 1)
    }
    return counts
  })
)

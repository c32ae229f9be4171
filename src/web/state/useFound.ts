/** Messages of a conversation that hold some words, found by the node in all that was ever said. */
import { useCallback, useEffect, useState } from "react"
import type { Message } from "../../schema/Message.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { ask } from "./Client.ts"
import { type Conversation, conversationOf } from "./Model.ts"

const partMax = 200

/** Nothing is asked while a person still types. */
const pauseMillis = 180

export interface Found {
  /** Oldest first. */
  readonly messages: ReadonlyArray<Message>
  readonly before: number | null
  readonly problem: string | null
}

/** null: not searching, or not answered yet. */
export const useFound = (to: Conversation, text: string, me: PeerId | undefined) => {
  const [found, setFound] = useState<Found | null>(null)
  const wanted = text.trim()
  const search = useCallback(
    async (before: number | null) => {
      const answer = await ask((client) =>
        client.messages.search({
          query: {
            text: wanted,
            limit: partMax,
            ...(to === "everyone" ? { to: "everyone" as const } : { peer: to }),
            ...(before !== null && { before })
          }
        })
      )
      if (!answer.ok) return { messages: [], before: null, problem: answer.problem }
      const here = answer.value.items.filter((message) => me !== undefined && conversationOf(message, me) === to)
      return { messages: here.toReversed(), before: answer.value.before, problem: null }
    },
    [to, wanted, me]
  )
  useEffect(() => {
    setFound(null)
    if (wanted === "") return
    let isCurrent = true
    const timer = setTimeout(() => void search(null).then((first) => isCurrent && setFound(first)), pauseMillis)
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [search, wanted])
  const more = useCallback(async () => {
    if (found === null || found.before === null) return
    const next = await search(found.before)
    setFound((now) => (now === found ? { ...next, messages: [...next.messages, ...found.messages] } : now))
  }, [found, search])
  return { found, more }
}

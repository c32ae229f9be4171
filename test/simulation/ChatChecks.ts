/** What must be true of what is said: exactly once and in order, and nothing acknowledged is lost. */
import * as Effect from "effect/Effect"
import type { Message } from "../../src/schema/Message.ts"
import { messagesOf } from "./Ask.ts"
import { mustMeet } from "./MeetingChecks.ts"
import { type Actor, type Stage, whose } from "./Stage.ts"

const numbersFrom = (messages: ReadonlyArray<Message>, from: Actor): ReadonlyArray<number> =>
  messages.filter((message) => message.from === from.peer.id).map(({ text }) => Number(text.split("#")[1]))

const isReceived = ({ state }: Message["recipients"][number]) => state === "delivered" || state === "read"

/** Of those that answer. Receivers first: what arrives meanwhile is news to nobody's disadvantage. */
export const always = Effect.fnUntraced(function* (stage: Stage) {
  const histories = new Map<Actor, ReadonlyArray<Message>>()
  for (const actor of stage.actors) {
    if (!stage.isUsable(actor.number)) continue
    const messages = yield* messagesOf(stage, actor)
    if (messages !== undefined) histories.set(actor, messages)
  }
  for (const [actor, messages] of histories) {
    const known = new Set<string>(messages.map(({ id }) => id))
    for (const { id, number } of actor.said) {
      if (!known.has(id)) stage.failures.push(`${actor.peer.name} forgot its ${number}`)
    }
    for (const from of stage.actors) {
      if (from === actor) continue
      const numbers = numbersFrom(messages, from)
      const wrong = numbers.findIndex((number, at) => at > 0 && number <= (numbers[at - 1] ?? -1))
      if (wrong >= 0) {
        stage.failures.push(`${actor.peer.name} shows what ${from.peer.name} said as ${numbers.join(" ")}`)
      }
      for (const message of histories.get(from) ?? []) {
        const received = message.recipients.some((each) => each.peer === actor.peer.id && isReceived(each))
        if (!received || known.has(message.id)) continue
        stage.failures.push(`${from.peer.name} was told that ${actor.peer.name} has ${message.text}, which it has not`)
      }
    }
  }
})

/** What was said to those that can be reached, and has not arrived. */
export const unfinished = Effect.fnUntraced(function* (stage: Stage) {
  const missing: Array<string> = []
  for (const actor of stage.actors) {
    const messages = yield* messagesOf(stage, actor)
    for (const { id, number } of actor.said) {
      for (const recipient of messages?.find((each) => each.id === id)?.recipients ?? []) {
        const other = whose(stage, recipient.peer)
        if (other === undefined || isReceived(recipient) || !mustMeet(stage, actor, other)) continue
        missing.push(`${actor.peer.name}'s ${number} is ${recipient.state} for ${other.peer.name}`)
      }
    }
  }
  return missing
})

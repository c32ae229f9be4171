/** Asks something of a running node, as a person would: with a little patience. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Message } from "../../src/schema/Message.ts"
import type { Transfer as View } from "../../src/schema/Offer.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import type { PeerServices } from "../../src/testing/SimulatedPeer.ts"
import type { Actor, Stage } from "./Stage.ts"

/** What a person would wait for at most. */
const patience = Duration.seconds(10)

/** Undefined where it refused, or did not answer in time; a defect in a node is a failure. */
export const ask = <A, E>(stage: Stage, actor: Actor, what: string, effect: Effect.Effect<A, E, PeerServices>) =>
  actor.peer.run(effect).pipe(
    Effect.timeoutOption(patience),
    Effect.annotateLogs({ node: actor.peer.name }),
    Effect.exit,
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return exit.value._tag === "Some" ? exit.value.value : undefined
      const { cause } = exit
      const error = cause.reasons.find(Cause.isFailReason)?.error
      if (error instanceof Error) stage.trace.add(actor.peer.name, `refuses "${what}": ${error.message}`)
      if (!cause.reasons.some(Cause.isDieReason)) return undefined
      stage.failures.push(`${actor.peer.name} had a defect at "${what}": ${Cause.pretty(cause)}`)
      return undefined
    })
  )

const transfers = Transfer.use((transfer) => transfer.list)
const history = Chat.use((chat) => chat.history({ limit: 5000 }))

/** The newest first; none where it does not answer. */
export const transfersOf = (stage: Stage, actor: Actor): Effect.Effect<ReadonlyArray<View>> =>
  Effect.map(ask(stage, actor, "list", transfers), (list) => list ?? [])

export const messagesOf = (stage: Stage, actor: Actor): Effect.Effect<ReadonlyArray<Message> | undefined> =>
  ask(stage, actor, "history", history)

/** What it has from a peer: messages, and transfers. */
export const hasFrom = Effect.fnUntraced(function* (stage: Stage, actor: Actor, from: Actor) {
  const messages = yield* messagesOf(stage, actor)
  const list = yield* ask(stage, actor, "list", transfers)
  if (messages === undefined || list === undefined) return undefined
  return {
    messages: messages.filter((message) => message.from === from.peer.id).length,
    transfers: list.filter(({ direction, peer }) => direction === "receive" && peer === from.peer.id).length
  }
})

/**
 * What is written to the peers that are connected: receipts, and what waits in the outbox. A part of Chat.
 *
 * Each session has one fiber that writes to it, so that a peer that reads slowly delays nobody else. It starts when
 * the session comes up and is interrupted when it goes down, or with the scope.
 */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Latch from "effect/Latch"
import { limits } from "../../config.ts"
import type { Frame, FrameOf } from "../../schema/Frame.ts"
import type { Message } from "../../schema/Message.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import * as State from "./ChatState.ts"
import type { Connection } from "../Connection.ts"
import type { DatabaseError } from "../Database.ts"
import type { MessageStore, Waiting } from "../MessageStore.ts"

export interface ChatSessions {
  readonly up: (peer: PeerId) => Effect.Effect<void>
  readonly down: (peer: PeerId) => Effect.Effect<void>
  /** Something new waits for this peer. */
  readonly wake: (peer: PeerId) => void
  /** This is to be acknowledged, as soon as there is a session. */
  readonly owe: (peer: PeerId, receipt: Omit<FrameOf<"ChatReceipt">, "_tag">) => void
  /** The peer has everything up to this number. */
  readonly acknowledged: (peer: PeerId, item: State.Item) => void
  /** Where there is a session, everything that waits is written to it again. */
  readonly restart: (peer: PeerId) => Effect.Effect<void>
}

/** What goes on with one peer. */
interface Conversation {
  readonly peer: PeerId
  session: State.Session
  /** Receipts to write: the last number of each epoch. */
  readonly owed: Map<string, FrameOf<"ChatReceipt">>
  isUp: boolean
  /** Open while there may be something to write. */
  readonly wake: Latch.Latch
  /** The greatest number of this session that was noted as sent, and whether it is time to note more. */
  noted: number
  mayNote: boolean
  /** The outbox may hold something that was not written to this session: it has to be read. */
  mayWait: boolean
}

export const makeSessions = Effect.fnUntraced(function* (options: {
  readonly connection: Connection["Service"]
  readonly store: MessageStore["Service"]
  /** Does what may fail for the disk's sake; undefined, and a word about it, where it did. */
  readonly orLog: <A>(effect: Effect.Effect<A, DatabaseError>) => Effect.Effect<A | undefined>
  /** Tells that these messages got further, or did not. */
  readonly tell: (changed: ReadonlyArray<Message>) => Effect.Effect<void>
}) {
  const { connection, orLog, store, tell } = options
  /** Of peers that are connected, and of a few that were or will be in a moment. */
  const conversations = new Map<PeerId, Conversation>()
  const writers = yield* FiberMap.make<PeerId>()

  const converse = (peer: PeerId): Conversation => {
    const known = conversations.get(peer)
    if (known !== undefined) return known
    const made: Conversation = {
      peer,
      session: State.newSession,
      owed: new Map(),
      isUp: false,
      wake: Latch.makeUnsafe(false),
      noted: 0,
      mayNote: false,
      mayWait: true
    }
    conversations.set(peer, made)
    // A frame may overtake the word that its session is up. One that comes after the word of its end would stay.
    for (const one of conversations.values()) {
      if (conversations.size <= limits.peersMax) break
      if (!one.isUp) conversations.delete(one.peer)
    }
    return made
  }

  const owe: ChatSessions["owe"] = (peer, receipt) => {
    if (receipt.seq === 0) return
    const conversation = converse(peer)
    // Later ones of an epoch stand for earlier ones, and old epochs make room.
    conversation.owed.set(`${receipt.epoch} ${receipt.state}`, { _tag: "ChatReceipt", ...receipt })
    for (const oldest of conversation.owed.keys()) {
      if (conversation.owed.size <= 2 * State.epochsMax) break
      conversation.owed.delete(oldest)
    }
    conversation.wake.openUnsafe()
  }

  /** Writes some of what waits; false where there was nothing more. */
  const writeSome = Effect.fnUntraced(function* (conversation: Conversation) {
    if (!conversation.mayWait) return false
    const { peer } = conversation
    conversation.mayWait = false
    const some = yield* store.outbox(peer, {
      after: conversation.session.written,
      limit: limits.outboxAtOnce,
      bytes: limits.outboxBytesAtOnce
    })
    if (some.length === 0) return false
    conversation.mayWait = true
    const frames = some.flatMap((item) => {
      const session = State.writing(conversation.session, item)
      // Counted before it is written: its receipt may be here before the write is known to be over.
      conversation.session = session ?? { ...conversation.session, written: item.seq }
      return session === undefined ? [] : [frameOf(item, session.first)]
    })
    if (frames.length > 0) yield* connection.send(peer, ...frames)
    return true
  })

  /** Sessions to which something was written that is neither acknowledged nor noted as sent. */
  const unnoted = new Set<Conversation>()
  const someUnnoted = Latch.makeUnsafe(false)

  /** Receipts are mostly quicker than the reminder to note it: then a commit is spared, and nobody waits for it. */
  const remember = (conversation: Conversation): void => {
    unnoted.add(conversation)
    someUnnoted.openUnsafe()
  }

  /** Notes as sent what was written and is not acknowledged. */
  const note = Effect.fnUntraced(function* (conversation: Conversation) {
    const { epoch, written } = conversation.session
    conversation.noted = written
    if (epoch === null) return
    const advanced = yield* orLog(store.advance(conversation.peer, { epoch, seq: written, state: "sent" }))
    if (advanced !== undefined) yield* tell(advanced.changed)
  })

  /** Writes to one session what there is to write, for as long as it is not interrupted. */
  const write = Effect.fnUntraced(
    function* (conversation: Conversation) {
      const { owed, peer, wake } = conversation
      for (;;) {
        yield* wake.await
        // Whatever else is kept or comes in this turn goes with it.
        yield* Effect.yieldNow
        yield* wake.close
        do {
          for (const [key, receipt] of owed) {
            yield* connection.send(peer, receipt)
            if (owed.get(key) === receipt) owed.delete(key)
          }
        } while (yield* writeSome(conversation))
        if (!isNoted(conversation)) {
          if (conversation.mayNote) yield* note(conversation)
          else remember(conversation)
        }
        conversation.mayNote = false
      }
    },
    // The session ended a moment ago; the word of it, which makes everything unacknowledged wait again, is on its way.
    Effect.catchTag("NotConnected", () => Effect.void),
    orLog
  )

  const remind = Effect.gen(function* () {
    yield* someUnnoted.await
    yield* someUnnoted.close
    yield* Effect.sleep(limits.sentNoted)
    for (const conversation of unnoted) {
      conversation.mayNote = true
      conversation.wake.openUnsafe()
    }
    unnoted.clear()
  })
  yield* Effect.forkScoped(Effect.forever(remind))

  const begin = Effect.fnUntraced(function* (conversation: Conversation) {
    yield* FiberMap.remove(writers, conversation.peer)
    conversation.session = State.newSession
    conversation.noted = 0
    conversation.mayNote = false
    conversation.mayWait = true
    yield* conversation.wake.open
    yield* FiberMap.run(writers, conversation.peer, write(conversation))
  })

  const up: ChatSessions["up"] = Effect.fnUntraced(function* (peer: PeerId) {
    const conversation = converse(peer)
    conversation.isUp = true
    // One that wrote to a session before this.
    yield* FiberMap.remove(writers, peer)
    // What was read while the peer was away; told again each time, since nobody acknowledges it.
    const read = (yield* orLog(store.readUpTo(peer))) ?? []
    for (const { epoch, seq } of read) owe(peer, { epoch, seq, state: "read" })
    yield* begin(conversation)
  })

  const down: ChatSessions["down"] = Effect.fnUntraced(function* (peer: PeerId) {
    // Its writer first: what it wrote last must not be marked as sent after it was marked as waiting.
    yield* FiberMap.remove(writers, peer)
    conversations.delete(peer)
    yield* tell((yield* orLog(store.requeue(peer))) ?? [])
  })

  const sessions: ChatSessions = {
    up,
    down,
    owe,
    wake: (peer) => {
      const conversation = conversations.get(peer)
      if (conversation === undefined) return
      conversation.mayWait = true
      conversation.wake.openUnsafe()
    },
    acknowledged: (peer, item) => {
      const conversation = conversations.get(peer)
      if (conversation !== undefined) conversation.session = State.acknowledged(conversation.session, item)
    },
    restart: (peer) =>
      Effect.suspend(() => {
        const conversation = conversations.get(peer)
        return conversation?.isUp === true ? begin(conversation) : Effect.void
      })
  }
  return sessions
})

/** Whether all that was written to this session is noted as sent, or acknowledged. */
const isNoted = ({ noted, session }: Conversation): boolean => session.written <= Math.max(noted, session.first - 1)

const frameOf = (item: Waiting, first: number): Frame => {
  const { epoch, id, sentAt, seq, text, toEveryone } = item
  return { _tag: "Chat", id, epoch, first, seq, toEveryone, sentAt, text }
}

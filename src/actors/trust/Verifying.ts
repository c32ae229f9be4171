/**
 * Comparisons of words, acted on: one VerifyState for each peer that there was one with, the deadlines, and whoever
 * waits for an outcome. Changes are made one at a time. Deadlines end with the scope it was made in.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import { limits } from "../../config.ts"
import type { FrameOf } from "../../schema/Frame.ts"
import { idBytes, VerificationId } from "../../schema/Id.ts"
import { base32, type PeerId, short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { UnknownVerification, VerifyRefused } from "../../schema/TrustFailure.ts"
import { isOver, type Verification } from "../../schema/Verification.ts"
import { bindingLabel, bytes32, nonceBytes } from "../../schema/Verify.ts"
import { makePeerReport } from "../../services/peers/PeerReport.ts"
import type { TrustTools } from "./TrustTools.ts"
import * as State from "./VerifyState.ts"

export const frameTags = ["VerifyCommit", "VerifyNonce", "VerifyReveal", "VerifyConfirm", "VerifyCancel"] as const

interface Entry {
  state: State.VerifyState
  /** The latest that is over. */
  last: Verification | undefined
}

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

export const make = Effect.fnUntraced(function* (tools: TrustTools) {
  const { connection, events, random, registry, self, words } = tools
  const entries = new Map<PeerId, Entry>()
  // A peer may ask a few times, but strangers have as many keys as they like.
  const asks = makePeerReport({ atOnce: limits.verifyPromptsMax })
  const ends = makePeerReport({ atOnce: limits.verifyPromptsMax })
  const turn = yield* Semaphore.make(1)
  /** Of each peer that a comparison is under way with: a new one takes the place of what is left of the last. */
  const deadlines = yield* FiberMap.make<PeerId>()
  const runDeadline = yield* FiberMap.runtime(deadlines)<never>()
  /** Done and replaced at each change. */
  let news = Deferred.makeUnsafe<void>()

  const entryOf = (peer: PeerId): Entry => {
    const entry = entries.get(peer) ?? { state: State.initial(self, peer), last: undefined }
    entries.set(peer, entry)
    return entry
  }

  /** Beyond the bound, those with whom nothing goes on make room, the oldest first. */
  const makeRoom = () => {
    for (const [peer, entry] of entries) {
      if (entries.size <= limits.peersMax) return
      if (entry.state.underway === null) entries.delete(peer)
    }
  }

  /** Those that peers began do not keep a person from beginning one: keys that ask cost nothing. */
  const underwayCount = (begunBy: Verification["begunBy"]) => {
    let count = 0
    for (const { state } of entries.values()) if (state.underway?.begunBy === begunBy) count++
    return count
  }

  const fresh = Effect.fnUntraced(function* (peer: PeerId) {
    const binding = bytes32(yield* connection.exportKey(peer, bindingLabel, nonceBytes))
    return { nonce: bytes32(yield* random.randomBytes(nonceBytes)), binding }
  })

  const nameOf = (peer: PeerId) =>
    Effect.map(registry.get(peer), (record) =>
      inert(Option.match(record, { onNone: () => "", onSome: (one) => one.name }))
    )

  const show = Effect.fnUntraced(function* (entry: Entry, verification: Verification) {
    const { begunBy, peer, state } = verification
    if (isOver(state)) entry.last = verification
    Deferred.doneUnsafe(news, Effect.void)
    news = Deferred.makeUnsafe()
    if (state === "waiting" && begunBy === "peer") {
      const line = Effect.logInfo(`A peer asks to compare words: kith verify ${short(peer)}`)
      yield* asks(peer, Effect.annotateLogs(line, { name: yield* nameOf(peer) }))
    }
    if (state === "mismatch") yield* Effect.logWarning(`Words were compared: ${verification.reason}.`)
    if (state === "cancelled" || state === "expired") {
      yield* ends(peer, Effect.logInfo(`A comparison of words is over: ${verification.reason}.`))
    }
    yield* events.publish({ _tag: "VerificationChanged", verification })
  })

  const act = Effect.fnUntraced(function* (entry: Entry, peer: PeerId, action: State.VerifyAction) {
    switch (action._tag) {
      case "Send":
        // A session that is over says so by itself.
        return yield* words.say(peer, action.frame)
      case "Show":
        return yield* show(entry, action.verification)
      case "Verified":
        return yield* tools.verified(peer, "words")
      case "Wait": {
        const { verification } = action
        runDeadline(
          peer,
          Effect.sleep(limits.verifyDeadline).pipe(Effect.andThen(step(peer, { _tag: "Deadline", verification })))
        )
      }
    }
  })

  /** Call it in turn. */
  const take = Effect.fnUntraced(
    function* (peer: PeerId, message: State.VerifyMessage) {
      const entry = entryOf(peer)
      const [next, actions] = State.transition(entry.state, message, yield* millis)
      entry.state = next
      for (const action of actions) yield* act(entry, peer, action)
      // Not waited for: it may stand in line behind this very change, and is about nothing any more.
      const isMoot = next.underway === null && message._tag !== "Deadline"
      const deadline = isMoot ? FiberMap.getUnsafe(deadlines, peer) : Option.none()
      if (Option.isSome(deadline)) deadline.value.interruptUnsafe()
      makeRoom()
    },
    (effect, peer) => Effect.annotateLogs(effect, { peer })
  )

  const inTurn = <A, E>(change: Effect.Effect<A, E>) => Effect.uninterruptible(turn.withPermit(change))

  const step = (peer: PeerId, message: State.VerifyMessage): Effect.Effect<void> => inTurn(take(peer, message))

  const asked = Effect.fnUntraced(
    function* (peer: PeerId, frame: FrameOf<"VerifyCommit">) {
      const hasRoom = underwayCount("peer") < limits.verifyMax
      yield* step(peer, { _tag: "Asked", frame, fresh: yield* fresh(peer), hasRoom })
    },
    // The session in which it was asked is over.
    Effect.catchTag("NotConnected", () => Effect.void)
  )

  /** Looks again at each change until there is something. */
  const until = Effect.fnUntraced(function* <A>(look: () => A | undefined) {
    while (true) {
      const next = news
      const found = look()
      if (found !== undefined) return found
      yield* Deferred.await(next)
    }
  })

  const find = (id: VerificationId): Entry | undefined => {
    for (const entry of entries.values()) {
      if (State.shown(entry.state)?.id === id || entry.last?.id === id) return entry
    }
    return undefined
  }

  const begin = Effect.fnUntraced(function* (peer: PeerId) {
    const entry = entryOf(peer)
    if (entry.state.underway !== null) return
    const problem = State.mayBegin(entry.state, yield* millis)
    if (problem !== null) return yield* new VerifyRefused({ problem })
    if (underwayCount("here") >= limits.verifyMax) {
      return yield* new VerifyRefused({ problem: `${limits.verifyMax} comparisons are under way. Finish one of them` })
    }
    const verification = VerificationId.make(base32(yield* random.randomBytes(idBytes)))
    yield* take(peer, { _tag: "Begin", verification, fresh: yield* fresh(peer) })
  }, inTurn)

  const verify = Effect.fn("Trust.verify")(function* (peer: PeerId) {
    const record = Option.getOrUndefined(yield* registry.get(peer))
    if (record?.trust === "blocked") return yield* new VerifyRefused({ problem: "this peer is blocked" })
    yield* begin(peer)
    return yield* until(() => {
      const entry = entryOf(peer)
      const shown = State.shown(entry.state) ?? entry.last
      return shown?.state === "waiting" ? undefined : shown
    })
  })

  /** What a person says about a comparison that is under way. */
  const say = Effect.fnUntraced(function* (id: VerificationId, message: State.VerifyMessage) {
    const entry = find(id)
    if (entry === undefined || State.shown(entry.state)?.id !== id) return yield* new UnknownVerification()
    yield* take(entry.state.peer, message)
    const shown = State.shown(entry.state) ?? entry.last
    return shown ?? (yield* new UnknownVerification())
  }, inTurn)

  const settled = Effect.fn("Trust.settled")(function* (id: VerificationId) {
    const over = yield* until(() => {
      const entry = find(id)
      if (entry === undefined) return null
      return entry.last?.id === id ? entry.last : undefined
    })
    return over ?? (yield* new UnknownVerification())
  })

  return {
    asked,
    step,
    verify,
    settled,
    answer: Effect.fn("Trust.answer")((id: VerificationId, same: boolean) =>
      say(id, { _tag: "Answer", verification: id, same })
    ),
    cancel: Effect.fn("Trust.cancel")((id: VerificationId) => say(id, { _tag: "Cancel", verification: id })),
    /** Comparisons whose deadline is waited for. */
    held: FiberMap.size(deadlines),
    all: Effect.sync(() => [...entries.values()].flatMap(({ state }) => State.shown(state) ?? []))
  }
})

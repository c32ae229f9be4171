/**
 * The live `Trust`: it reads Connection's inbox for words and tickets, writes what comes of them to the registry, and
 * watches for keys that change. Everything it owns ends with the layer.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { isOver } from "../../schema/Offer.ts"
import type { TrustHow } from "../../schema/Peer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { Connection, type Inbound, type SessionChange } from "../../services/Connection.ts"
import { Events } from "../../services/Events.ts"
import { Identity } from "../../services/Identity.ts"
import { PeerRegistry } from "../../services/PeerRegistry.ts"
import { makePeerWords } from "../../services/peers/PeerWords.ts"
import { Transfer } from "../../services/Transfer.ts"
import { Transport } from "../../services/Transport.ts"
import { Trust } from "../../services/Trust.ts"
import * as KeyAlarms from "./KeyAlarms.ts"
import * as Ticketing from "./Ticketing.ts"
import type { TrustTools } from "./TrustTools.ts"
import * as Verifying from "./Verifying.ts"

/** How long a blocked peer may take to be told that its transfers are over, before its links are cut. */
const wordPatience = Duration.millis(200)

type Tag = (typeof Verifying.frameTags)[number] | (typeof Ticketing.frameTags)[number]

const make = Effect.gen(function* () {
  const connection = yield* Connection
  const registry = yield* PeerRegistry
  const transfers = yield* Transfer
  const runLater = yield* FiberSet.makeRuntime<never>()

  const verified = Effect.fnUntraced(function* (peer: PeerId, how: TrustHow) {
    const trustAt = yield* Clock.currentTimeMillis
    const record = yield* registry.update(peer, (record) =>
      record.trust === "blocked" ? record : { ...record, trust: "verified", trustAt, trustHow: how }
    )
    if (record.trust === "blocked") return
    yield* Effect.logInfo("A peer is verified.").pipe(Effect.annotateLogs({ peer, how }))
    // Its actor may be busy with a link, and nobody here has to wait for it.
    runLater(connection.want(peer))
  })

  const tools: TrustTools = {
    self: (yield* Identity).id,
    connection,
    events: yield* Events,
    random: yield* SecureRandom.SecureRandom,
    registry,
    words: yield* makePeerWords(connection),
    verified
  }
  yield* KeyAlarms.watch(tools)
  const verifying = yield* Verifying.make(tools)
  const ticketing = Ticketing.make(tools, yield* Transport)

  const hear = (next: Inbound<Tag> | SessionChange): Effect.Effect<void> => {
    if ("_tag" in next) {
      if (next._tag === "Up") return Effect.void
      return Effect.andThen(verifying.step(next.peer, { _tag: "Down" }), ticketing.down(next.peer))
    }
    const { frame, peer } = next
    switch (frame._tag) {
      case "VerifyCommit":
        return verifying.asked(peer, frame)
      case "VerifyNonce":
      case "VerifyReveal":
      case "VerifyConfirm":
      case "VerifyCancel":
        return verifying.step(peer, { _tag: "Frame", frame })
      default:
        return ticketing.hear(peer, frame)
    }
  }

  const inbox = yield* connection.inbox(...Verifying.frameTags, ...Ticketing.frameTags)
  yield* Queue.take(inbox).pipe(
    Effect.flatMap((next) =>
      hear(next).pipe(
        Effect.catchCauseIf(
          (cause) => !Cause.hasInterruptsOnly(cause),
          (cause) => Effect.logError("What a peer sent about trust could not be handled", cause)
        ),
        Effect.annotateLogs("peer", next.peer)
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )

  const endTransfers = Effect.fnUntraced(function* (peer: PeerId) {
    const unfinished = (yield* transfers.list).filter((one) => one.peer === peer && !isOver(one.state))
    // One that ended meanwhile is what was wanted.
    yield* Effect.forEach(unfinished, (one) => Effect.ignore(transfers.cancel(one.id)), {
      concurrency: "unbounded",
      discard: true
    })
  })

  const block = Effect.fn("Trust.block")(function* (peer: PeerId) {
    const trustAt = yield* Clock.currentTimeMillis
    yield* registry.update(peer, (record) =>
      record.trust === "blocked" ? record : { ...record, trust: "blocked", trustAt, trustHow: "person" }
    )
    yield* Effect.logInfo("A peer is blocked.").pipe(Effect.annotateLogs({ peer }))
    // While there still is a session it can carry the word; a peer that does not listen is not waited for.
    // Whoever asked may have gone meanwhile, but a block is never left half done.
    yield* Effect.exit(Effect.interruptible(Effect.timeoutOption(endTransfers(peer), wordPatience)))
    yield* connection.expel(peer)
    // What it offered in between.
    yield* endTransfers(peer)
  }, Effect.uninterruptible)

  const unblock = Effect.fn("Trust.unblock")(function* (peer: PeerId) {
    const trustAt = yield* Clock.currentTimeMillis
    yield* registry.update(peer, (record) =>
      record.trust === "blocked" ? { ...record, trust: "unverified", trustAt, trustHow: "person" } : record
    )
  })

  return Trust.of({
    verify: verifying.verify,
    verifications: verifying.all,
    answer: verifying.answer,
    cancel: verifying.cancel,
    settled: verifying.settled,
    invite: ticketing.invite,
    join: ticketing.join,
    block,
    unblock
  })
})

export const layer: Layer.Layer<
  Trust,
  never,
  Connection | PeerRegistry | Events | Identity | Transport | Transfer | SecureRandom.SecureRandom
> = Layer.effect(Trust, make)

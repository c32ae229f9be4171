/**
 * Tickets, acted on: making them, checking the proofs of peers that join, and joining by the ticket of another node.
 * It owns the book of tickets that are out, which nothing survives: after a restart they are unknown.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { limits } from "../../config.ts"
import { tcp } from "../../schema/Address.ts"
import { SessionError } from "../../schema/Failure.ts"
import type { FrameOf } from "../../schema/Frame.ts"
import type { Bytes32, TicketId } from "../../schema/Id.ts"
import { base32, type PeerId, short } from "../../schema/PeerId.ts"
import * as Ticket from "../../schema/Ticket.ts"
import * as Failure from "../../schema/TrustFailure.ts"
import { bytes32, nonceBytes } from "../../schema/Verify.ts"
import type { NotConnected } from "../../services/Connection.ts"
import type { Transport } from "../../services/Transport.ts"
import type { JoinError } from "../../services/Trust.ts"
import { TicketBook } from "./TicketBook.ts"
import { makePeerReport } from "../../services/peers/PeerReport.ts"
import type { TrustTools } from "./TrustTools.ts"

export const frameTags = ["TicketProof", "TicketAccepted", "TicketRefused"] as const
type TicketFrame = FrameOf<(typeof frameTags)[number]>

/** Tickets this node has joined by, remembered to say that they are used. */
const joinedMax = 256

/** A session may be replaced by another just when the proof is made for it. */
const attemptsMax = 3

/** The word of the other side, or that the session ended before it came. */
type Answer = Exclude<TicketFrame, { readonly _tag: "TicketProof" }> | { readonly _tag: "Down" }

interface Joining {
  readonly peer: PeerId
  answer: Deferred.Deferred<Answer>
}

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

export const make = (tools: TrustTools, transport: Transport["Service"]) => {
  const { connection, random, registry, self, words } = tools
  const book = new TicketBook()
  const joining = new Map<TicketId, Joining>()
  const refusals = makePeerReport({ atOnce: limits.ticketTriesMax })
  const joined = new Set<TicketId>()

  const bindingOf = (peer: PeerId): Effect.Effect<Bytes32, NotConnected> =>
    Effect.map(connection.exportKey(peer, Ticket.bindingLabel, nonceBytes), bytes32)

  const invite = Effect.fn("Trust.invite")(function* (options: { readonly expires?: Duration.Input }) {
    const lasts = Duration.fromInputUnsafe(options.expires ?? limits.ticketExpires)
    if (Duration.toSeconds(lasts) < 1 || Duration.isGreaterThan(lasts, limits.ticketExpiresMax)) {
      const most = Duration.format(limits.ticketExpiresMax)
      return yield* new Failure.InviteRefused({ problem: `it can last from a second to ${most}` })
    }
    const now = yield* millis
    const secret = Redacted.make(base32(yield* random.randomBytes(Ticket.secretBytes)))
    if (!book.add(Ticket.keyOf(secret), now + Duration.toMillis(lasts), now)) {
      return yield* new Failure.InviteRefused({
        problem: `${limits.ticketsMax} tickets are out. Wait until one expires`
      })
    }
    const expires = Math.ceil(((yield* Clock.currentTimeMillis) + Duration.toMillis(lasts)) / 1000) * 1000
    const reachable = yield* transport.addresses
    // On a machine without a network another node of the same machine may still join.
    const addresses = reachable.length > 0 ? reachable : [tcp("127.0.0.1", transport.port)]
    return { ticket: Redacted.make(Ticket.format({ id: self, addresses, secret, expires })), expires }
  })

  /** A peer says that it holds a ticket of ours. */
  const proven = Effect.fnUntraced(
    function* (peer: PeerId, { proof, ticket }: FrameOf<"TicketProof">) {
      const meeting = { inviter: self, joiner: peer, binding: yield* bindingOf(peer) }
      const verdict = book.redeem(ticket, peer, yield* millis, (key) =>
        Ticket.equal(Ticket.prove(key, "joiner", meeting), proof)
      )
      if (verdict._tag === "Refused") {
        const { isNews, reason } = verdict
        const line = Effect.logWarning("A peer's ticket was refused.")
        if (isNews) yield* refusals(peer, Effect.annotateLogs(line, { reason }))
        return yield* words.say(peer, { _tag: "TicketRefused", ticket, reason })
      }
      yield* tools.verified(peer, "ticket")
      const accepted = Ticket.prove(verdict.key, "inviter", meeting)
      yield* words.say(peer, { _tag: "TicketAccepted", ticket, proof: accepted })
    },
    // It left; it may come again with the same ticket.
    Effect.catchTag("NotConnected", () => Effect.void)
  )

  const hear = Effect.fnUntraced(function* (peer: PeerId, frame: TicketFrame) {
    if (frame._tag === "TicketProof") return yield* proven(peer, frame)
    const waiting = joining.get(frame.ticket)
    if (waiting?.peer === peer) yield* Deferred.succeed(waiting.answer, frame)
  })

  const down = (peer: PeerId) =>
    Effect.forEach(
      [...joining.values()].filter((one) => one.peer === peer),
      (one) => Deferred.succeed(one.answer, { _tag: "Down" }),
      { discard: true }
    )

  /** The other side's answer, and for which session it was given. */
  const ask = Effect.fnUntraced(function* (key: Ticket.TicketKey, waiting: Joining) {
    waiting.answer = Deferred.makeUnsafe()
    const { peer } = waiting
    const meeting = { inviter: peer, joiner: self, binding: yield* bindingOf(peer) }
    const proof = Ticket.prove(key, "joiner", meeting)
    yield* connection.send(peer, { _tag: "TicketProof", ticket: key.ticket, proof })
    const answer = yield* Deferred.await(waiting.answer).pipe(
      Effect.timeoutOrElse({ duration: limits.ticketAnswer, orElse: () => Effect.succeed(null) })
    )
    return { answer, meeting }
  })

  /** Proves it on the session as it is, again if that was replaced meanwhile. */
  const redeem = Effect.fnUntraced(function* (ticket: Ticket.Ticket, key: Ticket.TicketKey, waiting: Joining) {
    for (let attempt = 1; ; attempt++) {
      yield* connection.reach(ticket.id, ticket.addresses)
      const { answer, meeting } = yield* ask(key, waiting)
      if (answer === null) return yield* new Failure.TicketRejected({ reason: "the other side did not answer" })
      if (answer._tag === "TicketAccepted") {
        if (Ticket.equal(answer.proof, Ticket.prove(key, "inviter", meeting))) return
        return yield* new Failure.TicketRejected({ reason: "the other side did not prove that it made it" })
      }
      const isOver = answer._tag === "Down"
      if (attempt < attemptsMax && (isOver || (answer.reason === "wrong" && (yield* isReplaced(meeting))))) continue
      return yield* isOver ? lost(ticket) : refusalOf(answer.reason)
    }
  })

  const isReplaced = (meeting: Ticket.Meeting) =>
    Effect.map(Effect.option(bindingOf(meeting.inviter)), (now) => Option.getOrNull(now) !== meeting.binding)

  const join = Effect.fn("Trust.join")(function* (text: Redacted.Redacted): Effect.fn.Return<PeerId, JoinError> {
    const ticket = yield* Effect.fromResult(Ticket.parse(Redacted.value(text)))
    const key = Ticket.keyOf(ticket.secret)
    const { id } = ticket
    if (id === self) return yield* new Failure.TicketOwn()
    if (joined.has(key.ticket)) return yield* new Failure.TicketUsed()
    const known = Option.getOrUndefined(yield* registry.get(id))
    if (known?.trust === "blocked") return yield* new Failure.PeerBlocked({ peer: id })
    if (joining.has(key.ticket)) return yield* new Failure.TicketRejected({ reason: "it is being used at this moment" })
    const waiting: Joining = { peer: id, answer: Deferred.makeUnsafe() }
    joining.set(key.ticket, waiting)
    // Clocks differ, so the node that made it judges its time; this one's clock only explains why nobody answers.
    const isLate = (yield* Clock.currentTimeMillis) >= ticket.expires
    yield* redeem(ticket, key, waiting).pipe(
      Effect.catchTag("NotConnected", () => lost(ticket)),
      Effect.mapError((error) =>
        isLate && (error._tag === "DialError" || error._tag === "SessionError") ? new Failure.TicketExpired() : error
      ),
      Effect.ensuring(Effect.sync(() => joining.delete(key.ticket))),
      Effect.annotateLogs({ peer: id })
    )
    remember(key.ticket)
    yield* tools.verified(id, "ticket")
    return id
  })

  const remember = (ticket: TicketId) => {
    joined.add(ticket)
    const [oldest] = joined
    if (joined.size > joinedMax && oldest !== undefined) joined.delete(oldest)
  }

  return { invite, join, hear, down }
}

const lost = (ticket: Ticket.Ticket) =>
  Effect.fail(new SessionError({ address: short(ticket.id), reason: "closed", detail: "it left before it answered" }))

const refusalOf = (
  reason: string
): Effect.Effect<
  never,
  Failure.TicketUsed | Failure.TicketExpired | Failure.TicketUnknown | Failure.TicketRejected
> => {
  switch (reason) {
    case "used":
      return Effect.fail(new Failure.TicketUsed())
    case "expired":
      return Effect.fail(new Failure.TicketExpired())
    case "unknown":
      return Effect.fail(new Failure.TicketUnknown())
    case "tooMany":
      return Effect.fail(new Failure.TicketRejected({ reason: "wrong ones were tried too often" }))
    default:
      return Effect.fail(new Failure.TicketRejected({ reason: "the other side says that it is not right" }))
  }
}

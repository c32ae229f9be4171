/**
 * The links with one peer, from the handshake of the transport to the end. Each runs in the fiber and scope of whoever
 * opened it: the actor's dial, a dial by hand, or the transport's handler of an inbound link. It tells the actor what
 * happens to it and waits for the decision. Here is the table of them, by which the actor reaches them.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type Address, format, tcp } from "../../schema/Address.ts"
import type { Frame, FrameOf, GoodbyeReason } from "../../schema/Frame.ts"
import { Availability } from "../../schema/Peer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { SessionError } from "../../services/Connection.ts"
import { networkOf } from "../../services/transport/NetworkOf.ts"
import type { PeerRegistry } from "../../services/PeerRegistry.ts"
import { DialError, type Link } from "../../services/Transport.ts"
import { greet, type Opened, turnAway } from "./Greeting.ts"
import type { Watch } from "./Heartbeats.ts"
import type { Inboxes } from "./Inboxes.ts"
import { businessAtOnce, makePeerReport, type PeerReport } from "../../services/peers/PeerReport.ts"
import type { PeerMessage } from "./PeerState.ts"
import * as Session from "./Session.ts"

/** What all links of a node say in the log. */
export interface LinkReports {
  readonly began: PeerReport
  readonly ended: PeerReport
  readonly complaint: PeerReport
}

export const makeReports = (): LinkReports => ({
  began: makePeerReport({ atOnce: businessAtOnce }),
  ended: makePeerReport({ atOnce: businessAtOnce }),
  complaint: makePeerReport({ atOnce: 1 })
})

type Decision =
  /** Be the session, after nothing more comes from the one before. */
  | { readonly _tag: "Adopt"; readonly after: Effect.Effect<void> }
  | { readonly _tag: "Close"; readonly reason: GoodbyeReason }

/** One link in the table. */
export interface LinkHandle {
  readonly link: number
  /** Answers `Reached`: whether to say Hello. */
  readonly answer: Deferred.Deferred<boolean>
  /** Answers `Established`. */
  readonly decision: Deferred.Deferred<Decision>
  /** Nothing of its session is heard any more. */
  readonly silent: Deferred.Deferred<void>
  /** Its fiber has nothing left to do. */
  readonly finished: Deferred.Deferred<void>
  session: Session.Session | undefined
  /** The actor was told, or will be before anything else, that it is over. */
  isOver: boolean
}

interface LinksOptions {
  readonly peer: PeerId
  readonly hello: FrameOf<"Hello">
  readonly inboxes: Inboxes
  readonly registry: PeerRegistry["Service"]
  readonly reports: LinkReports
  readonly watch: Watch
  /** Waits while the actor is busy; false when it is gone. */
  readonly tell: (message: PeerMessage) => Effect.Effect<boolean>
  /** The same for what may be said again: it never waits, and says false where there was no room. */
  readonly hint: (message: PeerMessage) => boolean
  /** `takeOver` has something. Never waits. */
  readonly look: () => void
}

export type PeerLinks = ReturnType<typeof make>

export const make = (options: LinksOptions) => {
  const { hello: ours, inboxes, look, peer, registry, reports, tell } = options
  const table = new Map<number, LinkHandle>()
  let overs: Array<Extract<PeerMessage, { readonly _tag: "Over" }>> = []

  /** Kept apart from the mailbox, so that the end of a link neither waits for the actor nor gets lost. */
  const over = (handle: LinkHandle, reason: string) => {
    if (handle.isOver) return
    handle.isOver = true
    overs.push({ _tag: "Over", link: handle.link, reason })
    look()
  }

  /** A stranger has as many keys as it likes, so it is known by its network. */
  const offender = (link: Link) =>
    Effect.map(
      registry.get(peer),
      Option.match({
        onNone: () => networkOf(link.remote.host),
        onSome: ({ trust }) => (trust === "verified" ? peer : networkOf(link.remote.host))
      })
    )

  const report = (one: PeerReport, link: Link, line: Effect.Effect<void>) =>
    Effect.flatMap(offender(link), (who) => one(who, line))

  const complaint = (link: Link) => (text: string) =>
    report(
      reports.complaint,
      link,
      Effect.annotateLogs(Effect.logWarning("The peer and this node do not understand each other."), { detail: text })
    )

  const frame = Effect.fnUntraced(function* (frame: Frame) {
    const isTaken = yield* inboxes.deliver(peer, frame)
    if (frame._tag !== "Profile") return isTaken
    yield* registry.update(peer, (record) => ({ ...record, ...profileOf(frame) }))
    return true
  })

  /** The session, from its beginning to the last that is said. */
  const converse = Effect.fnUntraced(
    function* (handle: LinkHandle, session: Session.Session, after: Effect.Effect<void>) {
      const begin = Effect.andThen(after, inboxes.up(peer))
      const silent = () => options.hint({ _tag: "Doubtful", link: handle.link })
      const exit = yield* Effect.exit(
        Effect.interruptible(session.run({ begin, frame, silent, complaint: complaint(session.link) }))
      )
      const end = Exit.isSuccess(exit) ? exit.value : broken(exit.cause)
      yield* inboxes.down(peer, end.reason)
      yield* Deferred.succeed(handle.silent, undefined)
      over(handle, end.reason)
      const line = Effect.logInfo("A session ended.")
      yield* report(reports.ended, session.link, Effect.annotateLogs(line, { reason: end.reason, detail: end.detail }))
      yield* session.part(end)
      // A defect is its finder's to log: the transport's, or the actor's.
      if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
    },
    Effect.uninterruptible,
    Effect.withSpan("PeerLinks.session")
  )

  const serve = Effect.fnUntraced(function* (
    handle: LinkHandle,
    opened: Opened,
    address: Address,
    up: Effect.Effect<unknown>
  ) {
    const { hello, link } = opened
    const isAccepted = link.side === "accepted"
    const session = yield* Session.make(opened, isAccepted ? [ours] : [], options.watch)
    handle.session = session
    const facts = { link: handle.link, side: link.side, instance: hello.instance, address }
    if (!(yield* tell({ _tag: "Established", ...facts }))) return yield* turnAway(link, "shutdown")
    const decision = yield* Deferred.await(handle.decision)
    if (decision._tag === "Close") {
      over(handle, decision.reason)
      return yield* turnAway(link, decision.reason)
    }
    const line = Effect.logInfo("A session began.")
    yield* report(reports.began, link, Effect.annotateLogs(line, { name: inert(hello.name), side: link.side }))
    yield* up
    yield* converse(handle, session, decision.after)
  })

  return {
    /** Runs a link, or a dial that may become one, under this number in the table; tells the actor when it is over. */
    use: <E, R>(link: number, body: (handle: LinkHandle) => Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
      Effect.suspend(() => {
        const handle: LinkHandle = {
          link,
          answer: Deferred.makeUnsafe(),
          decision: Deferred.makeUnsafe(),
          silent: Deferred.makeUnsafe(),
          finished: Deferred.makeUnsafe(),
          session: undefined,
          isOver: false
        }
        table.set(link, handle)
        return Effect.onExit(body(handle), (exit) =>
          Effect.sync(() => {
            over(handle, reasonOf(exit))
            table.delete(link)
            Deferred.doneUnsafe(handle.silent, Effect.void)
            Deferred.doneUnsafe(handle.finished, Effect.void)
          })
        )
      }),

    /** The effect's result, or undefined as soon as the actor wants the link no more. */
    unlessDropped:
      (handle: LinkHandle) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | undefined, E, R> =>
        Effect.raceFirst(effect, Effect.as(Deferred.await(handle.answer), undefined)),

    /** From the handshake of a link that we dialled to its end. `up` runs when it has become the session. */
    dialled: Effect.fnUntraced(
      function* (handle: LinkHandle, link: Link, address: Address, up: Effect.Effect<unknown>) {
        if (!(yield* tell({ _tag: "Reached", link: handle.link }))) return
        if (!(yield* Deferred.await(handle.answer))) return
        const opened = yield* Effect.raceFirst(greet(link, ours), Deferred.await(handle.decision))
        if ("_tag" in opened) {
          if (opened._tag === "Close") yield* turnAway(link, opened.reason)
          return
        }
        yield* serve(handle, opened, address, up)
      },
      (effect, _handle, _link, address) => Effect.annotateLogs(effect, { peer, address: format(address) })
    ),

    /** From the peer's Hello on a link that it dialled to its end. */
    accepted: (handle: LinkHandle, opened: Opened) =>
      serve(handle, opened, tcp(opened.link.remote.host, opened.hello.port), Effect.void),

    get: (link: number) => table.get(link),

    /** Ends of links that the actor was not told of yet, oldest first. */
    takeOver: () => {
      const taken = overs
      overs = []
      return taken
    },

    answer: (link: number, greet: boolean): void => {
      const handle = table.get(link)
      if (handle !== undefined) Deferred.doneUnsafe(handle.answer, Effect.succeed(greet))
    },

    /** Makes it the session, in place of the one before. */
    adopt: (link: number, before: LinkHandle | undefined): void => {
      const handle = table.get(link)
      const after = before === undefined ? Effect.void : Deferred.await(before.silent)
      if (handle !== undefined) Deferred.doneUnsafe(handle.decision, Effect.succeed({ _tag: "Adopt", after }))
    },

    close: (link: number, reason: GoodbyeReason) => closeOne(table.get(link), reason),

    /** Whatever stage they are in. */
    closeAll: (reason: GoodbyeReason) =>
      Effect.forEach([...table.values()], (handle) => closeOne(handle, reason), { discard: true }),

    allFinished: Effect.suspend(() =>
      Effect.forEach([...table.values()], (handle) => Deferred.await(handle.finished), { discard: true })
    ),

    size: () => table.size
  }
}

/** What a Profile says of its sender. A status that is not known here may come from a newer peer. */
const profileOf = (frame: FrameOf<"Profile">) => ({
  name: frame.name,
  status: Availability.literals.find((known) => known === frame.status) ?? ("available" as const),
  statusText: frame.statusText ?? ""
})

const closeOne = (handle: LinkHandle | undefined, reason: GoodbyeReason) =>
  Effect.suspend(() => {
    if (handle === undefined) return Effect.void
    Deferred.doneUnsafe(handle.answer, Effect.succeed(false))
    if (Deferred.doneUnsafe(handle.decision, Effect.succeed({ _tag: "Close", reason }))) return Effect.void
    return handle.session?.close(reason) ?? Effect.void
  })

const broken = (cause: Cause.Cause<never>): Session.End =>
  Cause.hasInterruptsOnly(cause)
    ? { reason: "interrupted", detail: "", goodbye: null }
    : { reason: "defect", detail: "", goodbye: null }

/** Why a link that never was a session is over. */
const reasonOf = (exit: Exit.Exit<void, unknown>): string => {
  if (Exit.isSuccess(exit)) return "dropped"
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  if (error instanceof SessionError) return error.reason
  return error instanceof DialError ? error.problem : "interrupted"
}

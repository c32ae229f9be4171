/**
 * One peer, alive: a fiber with a mailbox that carries out what PeerState decides. It owns its dials and timers; every
 * link with this peer, accepted or dialled, runs in a fiber of its own that asks here what to do (PeerLink), and is
 * told to go when the actor goes. A defect ends one life of the actor: it is logged, all links are closed, and after
 * a while the next life begins. It ends with `stop`, or by interruption.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Semaphore from "effect/Semaphore"
import { limits } from "../../config.ts"
import { type Address, format } from "../../schema/Address.ts"
import type { FrameOf, GoodbyeReason } from "../../schema/Frame.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import type { ChangedKey } from "../../services/Connection.ts"
import type { Events } from "../../services/Events.ts"
import type { PeerRecord, PeerRegistry } from "../../services/PeerRegistry.ts"
import type { Transport } from "../../services/Transport.ts"
import { dialAny } from "./Dialling.ts"
import type { Watch } from "./Heartbeats.ts"
import type { Inboxes } from "./Inboxes.ts"
import * as PeerLinks from "./PeerLinks.ts"
import * as PeerState from "./PeerState.ts"
import type { Session } from "./Session.ts"

/** What actors share. */
export interface Surroundings {
  readonly hello: FrameOf<"Hello">
  readonly transport: Transport["Service"]
  readonly registry: PeerRegistry["Service"]
  readonly events: Events["Service"]
  readonly inboxes: Inboxes
  readonly reports: PeerLinks.LinkReports
  readonly watch: Watch
  /** One permit for each dial under way; peers that were only heard of do not make the others wait. */
  readonly turns: { readonly met: Semaphore.Semaphore; readonly heard: Semaphore.Semaphore }
  /** Another key answered where this peer was reached before. */
  readonly changedKey: (change: ChangedKey) => Effect.Effect<void>
}

export interface PeerActor {
  readonly id: PeerId
  readonly links: PeerLinks.PeerLinks
  /** Lives until `stop`; to be run once. */
  readonly run: Effect.Effect<void>
  /** A suggestion; lost when the actor is busy, since there will be others. */
  readonly suggest: (address: Address) => void
  /** A person wants this peer, and found it there if anywhere; returns when the registry knows. */
  readonly want: (address: Address | null) => Effect.Effect<void>
  /** Says Goodbye, ends every link and then the actor; `forget` takes it out of the registry too. */
  readonly stop: (reason: GoodbyeReason, options: { readonly forget: boolean }) => Effect.Effect<void>
  readonly session: () => Session | undefined
  /** Waits until there is a session. */
  readonly connected: Effect.Effect<unknown>
  readonly addresses: () => ReadonlyArray<Address>
  /** This machine has lost an address; its links that spoke from there are doubted. */
  readonly strand: (host: string) => void
  /** There is a session, this address is known, and a suggestion of it would change nothing. */
  readonly isAt: (address: Address) => boolean
  /** There was a session once. */
  readonly isMet: () => boolean
  /** A person asked for this peer, in this run or, having decided about it, in an earlier one. */
  readonly isKept: () => boolean
}

type Letter =
  | PeerState.PeerMessage
  /** A link is over. */
  | { readonly _tag: "Look" }
  /** Tells the sender that everything it sent before was dealt with. */
  | { readonly _tag: "Acknowledge"; readonly done: Deferred.Deferred<void> }

/** Dials of the side that would lose a crossed dial start up to this much later, which spares most of them. */
const courtesy = Duration.millis(50)

const millis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** 200 ms to 30 s, by a fifth more or less. */
const jittered = (attempt: number) =>
  Effect.map(Random.nextBetween(0.8, 1.2), (factor) =>
    Duration.millis(
      factor *
        PeerState.backoff(attempt, Duration.toMillis(limits.redialFirst), Duration.toMillis(limits.redialMax) / 1.2)
    )
  )

export const make = Effect.fnUntraced(function* (id: PeerId, node: Surroundings) {
  const { events, registry, transport } = node
  const self = node.hello.id
  const mailbox = yield* Queue.bounded<Letter>(limits.mailboxMax)
  const ended = yield* Deferred.make<void>()
  const stopAsked = yield* Deferred.make<void>()
  const isConnected = Latch.makeUnsafe(false)
  const known = Option.getOrUndefined(yield* registry.get(id))
  let state = PeerState.initial({
    self,
    peer: id,
    wanted: known?.wanted ?? false,
    met: (known?.lastSeen ?? null) !== null,
    addresses: known?.addresses ?? []
  })
  const remembered = state.met ? (known?.addresses ?? []) : []
  let current: PeerLinks.LinkHandle | undefined
  let isKept = known?.trust === "verified" || (known?.accept ?? null) !== null || known?.added === true
  let isForgotten = false
  let told: Pick<PeerRecord, "state" | "wanted" | "addresses"> | undefined

  const tell = (letter: Letter) => Queue.offer(mailbox, letter)
  const links = PeerLinks.make({
    peer: id,
    hello: node.hello,
    inboxes: node.inboxes,
    registry,
    reports: node.reports,
    watch: node.watch,
    tell,
    hint: (message) => Queue.offerUnsafe(mailbox, message),
    // When it is full the actor has something to do, and looks anyway.
    look: () => void Queue.offerUnsafe(mailbox, { _tag: "Look" })
  })

  /** What the registry should know, if it does not yet. */
  const publish = Effect.fnUntraced(function* (news: Partial<PeerRecord>) {
    const now = {
      state: PeerState.shown(state),
      wanted: state.wanted,
      addresses: PeerState.addresses(state).slice(0, limits.addressesMax)
    }
    const isOld =
      told !== undefined &&
      told.state === now.state &&
      told.wanted === now.wanted &&
      told.addresses.map(format).join() === now.addresses.map(format).join()
    if (isOld && Object.keys(news).length === 0) return
    told = now
    yield* registry.update(id, (peer) => ({ ...peer, ...now, ...news }))
  })

  /** One dial of ours, from the first address to the end of its session. */
  const dial = (action: Extract<PeerState.PeerAction, { readonly _tag: "Dial" }>) =>
    links.use(action.link, (handle) =>
      Effect.gen(function* () {
        const reached = yield* reach(action.attempt, action.addresses).pipe(links.unlessDropped(handle))
        if (reached !== undefined) yield* links.dialled(handle, reached.link, reached.address, Effect.void)
      })
    )

  /** What was only heard of it may be anyone's; where it was reached before is worth a word. */
  const other = (address: Address, found: PeerId) =>
    [...remembered, ...state.candidates.proven].some((each) => format(each) === format(address))
      ? node.changedKey({ peer: id, found, address })
      : Effect.void

  const reach = Effect.fnUntraced(function* (attempt: number, addresses: ReadonlyArray<Address>) {
    if (attempt === 0 && self > id) yield* Effect.sleep(Duration.times(courtesy, yield* Random.next))
    yield* Effect.logDebug("Dialling.").pipe(
      Effect.annotateLogs({ addresses: addresses.map(format).join(" "), attempt })
    )
    const each = addresses.length > 1 ? limits.dialEach : limits.dial
    const turns = state.met ? node.turns.met : node.turns.heard
    return yield* turns.withPermit(dialAny(transport, addresses, { protocol: "kith/1", expect: id, each, other }))
  }, Effect.withSpan("PeerActor.dial"))

  /** Until something is heard on a link, or it is over. */
  const heard = ({ session, silent }: PeerLinks.LinkHandle) =>
    Effect.raceFirst(session?.heard ?? Effect.never, Deferred.await(silent))

  /** Asks, and waits for the answer in two halves: between them an answer that is here can be read, however busy we are. */
  const probe = Effect.fnUntraced(function* (link: number) {
    const handle = links.get(link)
    if (handle === undefined) return
    const answer = yield* Effect.forkChild(heard(handle), { startImmediately: true })
    yield* handle.session?.ping ?? Effect.void
    for (const _half of [1, 2]) yield* Effect.timeoutOption(Fiber.join(answer), Duration.times(limits.probe, 0.5))
    if (answer.pollUnsafe() === undefined) yield* tell({ _tag: "Doubtful", link })
  })

  const listen = Effect.fnUntraced(function* (link: number) {
    const handle = links.get(link)
    if (handle !== undefined) yield* heard(handle)
    yield* tell({ _tag: "Answered", link })
  })

  const act = Effect.fnUntraced(function* (action: PeerState.PeerAction, life: Life) {
    switch (action._tag) {
      case "Dial":
        yield* FiberMap.run(
          life.tasks,
          `dial ${action.link}`,
          // Its end was told to this actor, and why was logged where it was decided.
          dial(action).pipe(Effect.scoped, Effect.ignore)
        )
        return
      case "Adopt": {
        const before = current
        current = links.get(action.link) ?? current
        links.adopt(action.link, before)
        yield* isConnected.open
        return
      }
      case "Greet":
        return links.answer(action.link, true)
      case "Drop":
      case "CancelDial":
        return links.answer(action.link, false)
      case "Close":
        return yield* links.close(action.link, action.reason)
      case "Probe":
        yield* FiberMap.run(life.tasks, `probe ${action.link}`, probe(action.link), { onlyIfMissing: true })
        return
      case "Listen":
        yield* FiberMap.run(life.tasks, `listen ${action.link}`, listen(action.link))
        return
      case "Wait":
        yield* FiberMap.run(
          life.tasks,
          "wait",
          Effect.flatMap(jittered(action.attempt), Effect.sleep).pipe(Effect.andThen(tell({ _tag: "Retry" })))
        )
        return
      case "StopWaiting":
        return yield* FiberMap.remove(life.tasks, "wait")
      case "Alarm": {
        const text = `another node runs with the identity of this one: ${short(id)} now talks to it. Was the data directory copied?`
        yield* Effect.logError("Another node runs with our identity; this peer is not dialled any more.")
        yield* events.publish({ _tag: "Alarm", kind: "clonedIdentity", peer: self, text })
      }
    }
  })

  /** Takes a step: first what others may know of it, then what is to be done. */
  const follow = Effect.fnUntraced(function* ([next, actions]: PeerState.Step, life: Life) {
    const had = state.current
    state = next
    const seen = { lastSeen: yield* Clock.currentTimeMillis }
    const adopted = actions.find((action) => action._tag === "Adopt")
    if (state.current === null) yield* isConnected.close
    if (adopted !== undefined) {
      const name = links.get(adopted.link)?.session?.hello.name
      yield* publish(name === undefined ? seen : { ...seen, name })
    } else {
      yield* publish(had !== null && state.current === null ? seen : {})
    }
    for (const action of actions) yield* act(action, life)
  })

  /** What a letter means to the machine. A link that is over has overtaken what it told before. */
  const asMessage = (letter: Letter): ReadonlyArray<PeerState.PeerMessage> => {
    if (letter._tag === "Look" || letter._tag === "Acknowledge") return []
    const isAboutLink = letter._tag === "Reached" || letter._tag === "Established"
    return isAboutLink && links.get(letter.link)?.isOver !== false ? [] : [letter]
  }

  const life = Effect.gen(function* () {
    const life: Life = { tasks: yield* FiberMap.make<string>() }
    // When a life ends nobody decides about its links any more. Runs before the fibers above are interrupted.
    yield* Effect.addFinalizer(() => links.closeAll("shutdown"))
    yield* follow(PeerState.begin(state), life)
    while (state.stopped === null) {
      const letter = yield* Queue.take(mailbox)
      for (const message of [...links.takeOver(), ...asMessage(letter)]) {
        yield* follow(PeerState.transition(state, message, yield* millis), life)
      }
      // A person asked for it, who would miss it if it were forgotten.
      if (letter._tag === "Wanted") yield* publish({ added: true })
      if (letter._tag === "Acknowledge") yield* Deferred.succeed(letter.done, undefined)
    }
    // Whoever writes to it now is told at once that nobody reads.
    yield* Queue.shutdown(mailbox)
    yield* links.closeAll(state.stopped)
    yield* links.allFinished.pipe(Effect.timeoutOption(Duration.times(limits.farewell, 1.5)))
  }).pipe(Effect.scoped)

  /** Lives again after each defect, later and later while they come quickly. */
  const lives = Effect.gen(function* () {
    let attempt = 0
    while (true) {
      const began = yield* millis
      const exit = yield* Effect.exit(life)
      if (Exit.isSuccess(exit)) return
      if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.failCause(exit.cause)
      attempt = (yield* millis) - began >= PeerState.steadyAfter ? 1 : attempt + 1
      yield* Effect.logError("An actor failed and starts again.", exit.cause)
      state = PeerState.bereave(state)
      told = undefined
      yield* Effect.flatMap(jittered(attempt), Effect.sleep).pipe(Effect.raceFirst(Deferred.await(stopAsked)))
    }
  })

  const run = lives.pipe(
    Effect.andThen(Effect.suspend(() => (isForgotten ? registry.remove(id) : Effect.void))),
    Effect.ensuring(
      Effect.suspend(() => Queue.shutdown(mailbox)).pipe(
        Effect.andThen(links.closeAll("shutdown")),
        Effect.andThen(Deferred.succeed(ended, undefined))
      )
    ),
    Effect.annotateLogs({ peer: id })
  )

  const actor: PeerActor = {
    id,
    links,
    run,
    suggest: (address) => void Queue.offerUnsafe(mailbox, { _tag: "Suggested", address }),
    want: Effect.fnUntraced(function* (address) {
      isKept = true
      const done = yield* Deferred.make<void>()
      yield* tell({ _tag: "Wanted", address })
      yield* tell({ _tag: "Acknowledge", done })
      yield* Effect.raceFirst(Deferred.await(done), Deferred.await(ended))
    }),
    stop: Effect.fnUntraced(function* (reason, { forget }) {
      if (forget) isForgotten = true
      yield* Deferred.succeed(stopAsked, undefined)
      yield* tell({ _tag: "Stop", reason })
      yield* Deferred.await(ended)
    }),
    session: () => (current?.session?.isOpen() === true ? current.session : undefined),
    connected: isConnected.await,
    addresses: () => PeerState.addresses(state),
    strand: (host) => {
      if (current === undefined || current.session?.link.local !== host) return
      // Lost when the actor is busy: then the silence of the link tells.
      Queue.offerUnsafe(mailbox, { _tag: "Doubtful", link: current.link })
    },
    isAt: (address) => current?.session?.isOpen() === true && PeerState.isAt(state, address),
    isMet: () => state.met,
    isKept: () => isKept
  }
  return actor
})

/** What one life owns: its dials, its wait for the next one, and its questions whether a session lives. */
interface Life {
  readonly tasks: FiberMap.FiberMap<string>
}

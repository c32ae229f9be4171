/**
 * Keeps the model true: reads the lists, then follows the events, and starts again whenever the stream breaks (the node
 * stopped, the machine slept). How that stands is `link`, which the page shows. The loop runs while the page is open.
 */
import * as Atom from "effect/reactivity/Atom"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientError from "effect/http/HttpClientError"
import * as Stream from "effect/Stream"
import type { Event } from "../../schema/Event.ts"
import { historyMax } from "../../schema/ApiMessages.ts"
import { registry } from "./atoms.ts"
import * as Client from "./Client.ts"
import * as Model from "./Model.ts"
import { proves } from "./Proof.ts"
import { refuse, session } from "./Session.ts"

/**
 * Loading: not there yet. Live: what is shown is what is. Lost: the node does not answer. Stranger: something answers
 * that cannot prove to be the node of this page, so it is told nothing.
 */
export type Link = "Loading" | "Live" | "Lost" | "Stranger"

export const link = Atom.keepAlive(Atom.make<Link>("Loading"))
export const model = Atom.keepAlive(Atom.make<Model.Model | null>(null))

/** Called with what has just happened, once the lists are read. */
export type Listener = (events: ReadonlyArray<Event>) => void
const listeners = new Set<Listener>()
export const listen = (listener: Listener): (() => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const askEvery = Duration.seconds(10)
const answerWithin = Duration.seconds(4)
const waitMin = 300
const waitMax = 3_000

class Silent extends Data.TaggedError("Silent") {}
class Stranger extends Data.TaggedError("Stranger") {}
class Behind extends Data.TaggedError("Behind") {}

/** Something that may have changed whether the node can be reached: then nobody waits for the next try. */
const nudge = Effect.callback<void>((resume) => {
  const wake = () => resume(Effect.void)
  const seen = () => {
    if (document.visibilityState === "visible") wake()
  }
  addEventListener("online", wake)
  document.addEventListener("visibilitychange", seen)
  return Effect.sync(() => {
    removeEventListener("online", wake)
    document.removeEventListener("visibilitychange", seen)
  })
})

/** Fails once the node does not answer: a stream alone would not tell a frozen node from a quiet one. */
const watch = (client: Client.Client) =>
  Effect.forever(
    nudge.pipe(
      Effect.timeoutOrElse({ duration: askEvery, orElse: () => Effect.void }),
      Effect.andThen(client.health({ query: {} })),
      Effect.timeoutOrElse({ duration: Duration.sum(askEvery, answerWithin), orElse: () => Effect.fail(new Silent()) })
    )
  )

const lists = Effect.fn("Live.lists")(function* (client: Client.Client) {
  return Model.make(
    yield* Effect.all(
      {
        node: client.node.info(),
        peers: client.peers.list(),
        messages: client.messages.page({ query: { limit: historyMax } }),
        unread: Effect.map(client.messages.unread(), ({ items }) => items),
        transfers: client.transfers.list(),
        verifications: client.trust.verifications(),
        alarms: client.alarms.list()
      },
      { concurrency: 4 }
    )
  )
})

/** One stretch of being connected; it only ever ends by failing. */
const follow = Effect.fn("Live.follow")(function* (token: string) {
  // The token is shown only to who can prove to know it: after a crash a stranger may listen on this port.
  if (!(yield* Effect.promise(() => proves(token)))) return yield* new Stranger()
  const client = yield* Client.make(token)
  // The events are subscribed to before the lists are read, so that nothing falls between the two.
  const events = yield* client.node.events({ headers: {} })
  const first = yield* lists(client)
  registry.set(model, first)
  registry.set(link, "Live")
  const following = Stream.runForEachArray(events, (batch) =>
    Effect.suspend(() => {
      const happened = batch.map((numbered) => numbered.data)
      if (happened.some((event) => event._tag === "Missed")) return Effect.fail(new Behind())
      registry.update(model, (known) => (known === null ? known : happened.reduce(Model.apply, known)))
      for (const listener of listeners) listener(happened)
      return Effect.void
    })
  )
  return yield* following.pipe(Effect.andThen(Effect.fail(new Silent())), Effect.raceFirst(watch(client)))
})

const isRefused = (error: unknown): boolean =>
  HttpClientError.isHttpClientError(error) && error.response?.status === 401

/** Follows the node for as long as the page is open. */
const loop = Effect.gen(function* () {
  let wait = waitMin
  while (true) {
    const current = registry.get(session)
    if (current._tag !== "Open") {
      yield* opened
      continue
    }
    const error = yield* Effect.flip(follow(current.token)).pipe(Effect.catchDefect((defect) => Effect.succeed(defect)))
    if (isRefused(error)) {
      refuse()
      continue
    }
    if (registry.get(link) === "Live") wait = waitMin
    if (!(error instanceof Behind)) registry.set(link, error instanceof Stranger ? "Stranger" : "Lost")
    yield* nudge.pipe(Effect.timeoutOrElse({ duration: Duration.millis(wait), orElse: () => Effect.void }))
    wait = Math.min(wait * 1.6, waitMax)
  }
})

/** Waits until there is a session. */
const opened = Effect.callback<void>((resume) => {
  const stop = registry.subscribe(session, (next) => {
    if (next._tag === "Open") resume(Effect.void)
  })
  return Effect.sync(stop)
})

export const start = (): void => void Effect.runFork(loop)

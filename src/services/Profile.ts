/**
 * What a person may change while the node runs: its name, its status (available, busy, or away, with a text), and what
 * happens to offers. It owns these values. Everything above it reads name and policy from `NodeConfig` as before, which
 * this layer replaces by one that always says what they are now.
 *
 * `share` tells connected peers by the Profile frame, and ends with its scope.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { NodeConfig } from "../config.ts"
import type { FrameOf } from "../schema/Frame.ts"
import { defaultStatus, type Profile as Values, type ProfileChange } from "../schema/Profile.ts"
import { Connection } from "./Connection.ts"

/** Where the values survive the node; the settings and flags of its start come first where nothing is kept. */
export interface Keeping<E = never, R = never> {
  readonly load: Effect.Effect<ProfileChange, E, R>
  /** Returns once they are safe. What it fails with is for it to log: the change stands while the node runs. */
  readonly save: (values: Values) => Effect.Effect<void>
}

const nowhere: Keeping = { load: Effect.succeed({}), save: () => Effect.void }

export class Profile extends Context.Service<
  Profile,
  {
    readonly current: Effect.Effect<Values>
    /** Changes what is given, and returns everything as it is then. */
    readonly change: (change: ProfileChange) => Effect.Effect<Values>
    /** Every change from now on. */
    readonly changes: Stream.Stream<Values>
  }
>()("kith/services/Profile") {
  /** Kept by `keeping`; the settings that are provided are what a person chose at the start. */
  static readonly layerKept = <E, R>(
    keeping: Effect.Effect<Keeping<E, R>, never, R>
  ): Layer.Layer<Profile | NodeConfig, E, NodeConfig | R> =>
    Layer.effectContext(Effect.flatMap(keeping, (kept) => make(kept)))

  /** Kept nowhere: it lasts as long as the node. */
  static readonly layer: Layer.Layer<Profile | NodeConfig, never, NodeConfig> = Profile.layerKept(
    Effect.succeed(nowhere)
  )
}

/** Changes that nobody has read yet: only the newest matters. */
const changesMax = 16

const make = Effect.fnUntraced(function* <E, R>(keeping: Keeping<E, R>) {
  const config = yield* NodeConfig
  const kept = yield* keeping.load
  let values: Values = apply({ name: config.name, ...defaultStatus, accept: config.accept }, kept)
  const changes = yield* Effect.acquireRelease(PubSub.sliding<Values>(changesMax), PubSub.shutdown)
  const turn = yield* Semaphore.make(1)

  const change = Effect.fn("Profile.change")(function* (change: ProfileChange) {
    const next = apply(values, change)
    if (isSame(values, next)) return next
    values = next
    yield* PubSub.publish(changes, next)
    yield* keeping.save(next)
    return next
  }, turn.withPermit)

  const profile = Profile.of({
    current: Effect.sync(() => values),
    change,
    changes: Stream.fromPubSub(changes)
  })
  const live = {
    ...config,
    get name() {
      return values.name
    },
    get accept() {
      return values.accept
    }
  }
  return Context.make(Profile, profile).pipe(Context.add(NodeConfig, live))
})

const apply = (values: Values, change: ProfileChange): Values => {
  const status = change.status ?? values.status
  // A text belongs to the status it was given with.
  const text = change.statusText ?? (change.status === undefined ? values.statusText : "")
  return { name: change.name ?? values.name, status, statusText: text, accept: change.accept ?? values.accept }
}

const isSame = (a: Values, b: Values): boolean =>
  a.name === b.name && a.status === b.status && a.statusText === b.statusText && a.accept === b.accept

/** How the profile looks to a peer. */
const frameOf = (values: Values): FrameOf<"Profile"> => ({
  _tag: "Profile",
  name: values.name,
  status: values.status,
  statusText: values.statusText
})

/** Tells each peer when its session begins, and all of them when it changes. */
export const share: Layer.Layer<never, never, Profile | Connection> = Layer.effectDiscard(
  Effect.gen(function* () {
    const profile = yield* Profile
    const connection = yield* Connection
    const tell = Effect.fnUntraced(function* (peer: Parameters<typeof connection.send>[0], values: Values) {
      // A peer that left meanwhile is told when it comes back.
      yield* Effect.ignore(connection.send(peer, frameOf(values))).pipe(Effect.annotateLogs({ peer }))
    })
    const inbox = yield* connection.inbox()
    yield* Queue.take(inbox).pipe(
      Effect.flatMap((change) => {
        if (!("_tag" in change) || change._tag === "Down") return Effect.void
        return Effect.flatMap(profile.current, (values) => tell(change.peer, values))
      }),
      Effect.forever,
      Effect.forkScoped
    )
    yield* profile.changes.pipe(
      Stream.runForEach((values) =>
        Effect.flatMap(connection.connected, (peers) =>
          Effect.forEach(peers, (peer) => tell(peer, values), { concurrency: "unbounded", discard: true })
        )
      ),
      Effect.forkScoped({ startImmediately: true })
    )
  })
)

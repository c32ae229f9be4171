/**
 * What a person may change while the node runs: its name, its status (available, busy, or away, with a text), and what
 * happens to offers. It owns these values, and keeps what was changed for the next run. Everything above it reads name
 * and policy from `NodeConfig` as before, which this layer replaces by one that always says what they are now.
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
import { defaultStatus, type Profile as Values, ProfileChange } from "../schema/Profile.ts"
import { Connection } from "./Connection.ts"
import { makePeerWords } from "./peers/PeerWords.ts"
import { kept, type Kept, keptNowhere, type SettingsStore } from "./SettingsStore.ts"

/** Everything that was changed while a node ran on this data directory. */
const setting = { key: "profile", schema: ProfileChange }

export class Profile extends Context.Service<
  Profile,
  {
    readonly current: Effect.Effect<Values>
    /** Changes what is given, and returns everything as it is then, once that is safe. */
    readonly change: (change: ProfileChange) => Effect.Effect<Values>
    /** Every change from now on. */
    readonly changes: Stream.Stream<Values>
  }
>()("kith/services/Profile") {
  /** What was changed is there after a restart, where the start itself does not say otherwise (`NodeSettings`). */
  static readonly layer: Layer.Layer<Profile | NodeConfig, never, NodeConfig | SettingsStore> = Layer.effectContext(
    Effect.suspend(() => Effect.flatMap(kept<ProfileChange>(setting, {}), make))
  )

  /** Kept nowhere: it lasts as long as the node. */
  static readonly layerMemory: Layer.Layer<Profile | NodeConfig, never, NodeConfig> = Layer.effectContext(
    Effect.suspend(() => make(keptNowhere({})))
  )
}

/** Changes that nobody has read yet: only the newest matters. */
const changesMax = 16

const make = Effect.fnUntraced(function* (keeping: Kept<ProfileChange>) {
  const config = yield* NodeConfig
  /** What was changed in this run and earlier ones, whether or not this start overrules it. */
  let changed = yield* keeping.load
  let values: Values = apply(
    { name: config.name, ...defaultStatus, accept: config.accept },
    overruled(changed, config.fallbacks ?? [])
  )
  const changes = yield* Effect.acquireRelease(PubSub.sliding<Values>(changesMax), PubSub.shutdown)
  const turn = yield* Semaphore.make(1)

  const change = Effect.fn("Profile.change")(
    function* (change: ProfileChange) {
      const next = apply(values, change)
      const isNews = !isSame(values, next)
      values = next
      if (isNews) yield* PubSub.publish(changes, next)
      // Kept even if it was so before: the disk may have refused it then, or only this start may have chosen it.
      changed = { ...changed, ...said(change, next) }
      yield* keeping.save(changed)
      return next
    },
    // What stands is kept, though whoever changed it may have gone.
    (changing) => Effect.uninterruptible(turn.withPermit(changing))
  )

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

/** What was changed earlier, but for what this start chose. */
const overruled = ({ accept, name, ...rest }: ProfileChange, fallbacks: ReadonlyArray<string>): ProfileChange => ({
  ...rest,
  ...(name !== undefined && fallbacks.includes("name") && { name }),
  ...(accept !== undefined && fallbacks.includes("accept") && { accept })
})

/** What a person said of it; a status goes with its text. */
const said = (change: ProfileChange, { accept, name, status, statusText }: Values): ProfileChange => ({
  ...(change.name !== undefined && { name }),
  ...(change.accept !== undefined && { accept }),
  ...((change.status !== undefined || change.statusText !== undefined) && { status, statusText })
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
    // A peer that left meanwhile is told when it comes back.
    const { say } = yield* makePeerWords(connection)
    const inbox = yield* connection.inbox()
    yield* Queue.take(inbox).pipe(
      Effect.flatMap((change) => {
        if (!("_tag" in change) || change._tag === "Down") return Effect.void
        return Effect.flatMap(profile.current, (values) => say(change.peer, frameOf(values)))
      }),
      Effect.forever,
      Effect.forkScoped
    )
    yield* profile.changes.pipe(
      Stream.runForEach((values) =>
        Effect.flatMap(connection.connected, (peers) =>
          Effect.forEach(peers, (peer) => say(peer, frameOf(values)), { discard: true })
        )
      ),
      Effect.forkScoped({ startImmediately: true })
    )
  })
)

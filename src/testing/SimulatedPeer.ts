/**
 * A whole node on a simulated network: the real services and actors over simulated transport, datagrams, disk, clock
 * and chance. It can be stopped, killed and started again; its identity, its disk and its database stay.
 *
 * Each run of it has a scope of its own below the one it was made in, which ends the last run.
 *
 * @example
 * ```ts
 * it.effect("three peers on one segment", () =>
 *   Effect.gen(function* () {
 *     const network = yield* SimulatedNetwork.make({ seed: 42 })
 *     const alice = yield* SimulatedPeer.start(network, "alice")
 *     const bob = yield* SimulatedPeer.start(network, "bob")
 *     const carol = yield* SimulatedPeer.start(network, "carol")
 *     yield* elapse(alice.meets(bob, carol))
 *     yield* elapse(alice.run(Chat.use((chat) => chat.say("hello", null))))
 *     yield* TestClock.adjust("1 second")
 *     const heard = yield* bob.run(Chat.use((chat) => chat.history({ limit: 10 })))
 *     assert.deepStrictEqual(heard.map((message) => message.text), ["hello"])
 *   })
 * )
 * ```
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { layerOn, type Machine, type NodeServices } from "../app.ts"
import { NodeConfig, type NodeSettings } from "../config.ts"
import type { PeerId } from "../schema/PeerId.ts"
import { Connection } from "../services/Connection.ts"
import { type DatabaseError, makeMemory } from "../services/Database.ts"
import type { ListenError } from "../services/Transport.ts"
import * as SimulatedClock from "./SimulatedClock.ts"
import { SimulatedDisk } from "./SimulatedDisk.ts"
import * as SimulatedFileStore from "./SimulatedFileStore.ts"
import type { SimulatedHost, SimulatedNetwork } from "./SimulatedNetwork.ts"

/** What runs on a simulated peer, and may be used by what a test runs there. */
export type PeerServices = NodeServices | Machine

export interface PeerSettings extends Partial<Omit<NodeSettings, "name" | "dataDir" | "received">> {
  /** Where its host is; "lan" unless told otherwise. */
  readonly segments?: ReadonlyArray<string>
}

export interface SimulatedPeer {
  readonly name: string
  readonly id: PeerId
  readonly host: SimulatedHost
  /** Its files, over all its runs. What it receives is in `received`. */
  readonly disk: SimulatedDisk
  readonly received: string
  /** Runs an effect with the services of the node as it runs now; a defect while it does not run. */
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, PeerServices>>
  /** Waits until it has a session with each of these; they need not know it yet. */
  readonly meets: (...others: ReadonlyArray<{ readonly id: PeerId }>) => Effect.Effect<void>
  readonly isRunning: () => boolean
  /** Starts it where it does not run; after a kill its machine is booted first. */
  readonly start: Effect.Effect<void, ListenError | DatabaseError>
  /** Stops it in order, with all its goodbyes: simulated time has to pass meanwhile. */
  readonly stop: Effect.Effect<void>
  /** The machine stops at once, as when its plug is pulled: no goodbye, and what the disk had not synced is lost. */
  readonly kill: Effect.Effect<void>
  /** The same within a piece of work, as from `disk.onWork`. What is left of it in memory goes a moment later. */
  readonly pull: () => void
  /** Stops it in order and starts it again. */
  readonly restart: Effect.Effect<void, ListenError | DatabaseError>
  /** It stands still as by SIGSTOP until it is thawed: nothing is sent, read or noticed. Ask nothing of it meanwhile. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** From now on its time of day is this much later than the network's (earlier, if negative); deadlines do not notice. */
  readonly skewClock: (by: Duration.Input) => void
  /** Changes its settings from its next start on. */
  readonly configure: (settings: Omit<PeerSettings, "segments">) => void
  /** From now on each piece of work on its disk takes this many milliseconds. */
  readonly slowDisk: (millis: number) => void
  /** From now on its disk takes this many bytes more, and no others; infinity is as at the beginning. */
  readonly fillDisk: (left: number) => void
}

/** How often `meets` looks. */
const lookEvery = Duration.millis(10)

interface Run {
  readonly scope: Scope.Closeable
  readonly context: Context.Context<PeerServices>
  readonly clock: SimulatedClock.SimulatedClock
}

/** A peer that does not run yet. Its last run ends with the scope. */
export const make = Effect.fnUntraced(function* (
  network: SimulatedNetwork,
  name: string,
  settings: PeerSettings = {}
): Effect.fn.Return<SimulatedPeer, never, Scope.Scope> {
  const { segments, ...first } = settings
  let rest = first
  const parent = yield* Effect.scope
  const host = network.host(name, segments)
  const disk = new SimulatedDisk()
  let skew = 0
  const received = `/home/${name}/received_files`
  const dataDir = `/home/${name}/.kith`
  // What is committed is safe on any disk, so it is there after a crash too.
  const database = yield* Effect.orDie(makeMemory)
  const files = SimulatedFileStore.layer(disk, received, dataDir)
  const machine = Layer.mergeAll(host.layer, files, database.layer)
  const whole = (clock: Clock.Clock) =>
    layerOn(machine).pipe(
      Layer.provideMerge(NodeConfig.layer({ ...rest, name, dataDir, received })),
      Layer.provideMerge(Layer.succeed(Clock.Clock, clock)),
      Layer.fresh
    )
  let current: Run | undefined
  let isDead = false

  /** Nothing more goes out or comes in, and nobody waits for time. */
  const cutOff = ({ clock }: Run) => {
    network.kill(name)
    clock.halt()
    database.cut()
  }

  const start = Effect.gen(function* () {
    // It may have been pulled in this very moment.
    if (isDead) yield* stop
    if (current !== undefined) return
    if (isDead) network.boot(name)
    isDead = false
    const clock = SimulatedClock.make(
      network.timeline,
      () => skew,
      (wake) => network.notice(name, wake)
    )
    const scope = yield* Scope.fork(parent)
    const context = yield* Layer.buildWithScope(whole(clock), scope).pipe(
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    const run = { scope, context, clock }
    current = run
    // At the end of a test no time passes that a farewell could take: without `stop` it is a pulled plug.
    yield* Scope.addFinalizer(
      scope,
      Effect.sync(() => {
        if (current === run) cutOff(run)
      })
    )
  })

  const stop = Effect.suspend(() => {
    const run = current
    current = undefined
    return run === undefined ? Effect.void : Scope.close(run.scope, Exit.void)
  })

  const die = () => {
    if (current === undefined || isDead) return
    isDead = true
    network.kill(name)
    database.cut()
    disk.crash()
  }

  const kill = Effect.suspend(() => {
    die()
    current?.clock.halt()
    return isDead ? stop : Effect.void
  })

  const pulled = yield* Latch.make(false)
  const pull = () => {
    die()
    pulled.openUnsafe()
  }
  yield* pulled.await.pipe(
    Effect.andThen(pulled.close),
    Effect.andThen(kill),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  const run: SimulatedPeer["run"] = (effect) =>
    Effect.suspend(() =>
      current === undefined
        ? Effect.die(new Error(`${name} does not run: start it first`))
        : Effect.provideContext(effect, current.context)
    )

  return {
    name,
    id: host.id,
    host,
    disk,
    received,
    run,
    meets: (...others) =>
      run(Connection.use((connection) => connection.connected)).pipe(
        Effect.repeat({
          until: (ids) => others.every((other) => ids.includes(other.id)),
          schedule: Schedule.spaced(lookEvery)
        }),
        Effect.asVoid
      ),
    isRunning: () => current !== undefined && !isDead,
    start,
    stop,
    kill,
    pull,
    restart: Effect.andThen(stop, start),
    freeze: () => network.freeze(name),
    thaw: () => network.thaw(name),
    skewClock: (by) => {
      skew = Math.round(Duration.toMillis(Duration.fromInputUnsafe(by)))
    },
    configure: (changed) => {
      rest = { ...rest, ...changed }
    },
    slowDisk: (millis) => {
      disk.latency = millis
    },
    fillDisk: (left) => {
      disk.capacity = disk.used + left
    }
  }
})

/** A peer that runs. */
export const start = Effect.fnUntraced(function* (network: SimulatedNetwork, name: string, settings?: PeerSettings) {
  const peer = yield* make(network, name, settings)
  yield* peer.start
  return peer
})

/** One running Discovery with everything it needs, and what it said: for tests over any Datagrams. */
import * as Context from "effect/Context"
import type * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { NodeConfig, type NodeSettings } from "../../src/config.ts"
import type { Event } from "../../src/schema/Event.ts"
import { Instance } from "../../src/schema/Id.ts"
import { base32, type PeerId } from "../../src/schema/PeerId.ts"
import type { Datagrams } from "../../src/services/Datagrams.ts"
import { Discovery, type Sighting } from "../../src/services/Discovery.ts"
import { Events } from "../../src/services/Events.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"

/** A run of a node: the same number is the same instance. */
export const someInstance = (n: number): Instance =>
  Instance.make(base32(Uint8Array.from({ length: 16 }, (_, index) => (index < 4 ? n >>> (index * 8) : 7))))

export const identityOf = (id: PeerId, instance: Instance): Layer.Layer<Identity> =>
  Layer.succeed(Identity, { id, instance, certificate: "none", privateKey: Redacted.make("none") })

/** A listener that only has a port. */
const transportOf = (port: number): Layer.Layer<Transport> =>
  Layer.succeed(Transport, {
    port,
    addresses: Effect.succeed([]),
    dial: () => Effect.die("Discovery dials nobody"),
    accept: () => Effect.void
  })

export interface NodeOptions {
  readonly datagrams: Layer.Layer<Datagrams>
  readonly identity: Layer.Layer<Identity>
  /** TCP port that is announced. */
  readonly port?: number
  readonly settings?: Partial<NodeSettings>
  /** Where its chances come from; effect's own unless told otherwise. */
  readonly random?: Layer.Layer<SecureRandom.SecureRandom>
}

/** Runs until `stop`, or the end of the scope. `heard` and `events` grow; `sightings` is the same, to wait on. */
export const startNode = Effect.fnUntraced(function* (options: NodeOptions) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const layer = Discovery.layer.pipe(
    Layer.provideMerge(Events.layer),
    Layer.provide([
      options.datagrams,
      options.identity,
      transportOf(options.port ?? 7000),
      options.random ?? Layer.empty,
      NodeConfig.layer({ name: "test", dataDir: "/nowhere", ...options.settings })
    ])
  )
  const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
  const discovery = Context.get(context, Discovery)
  const sightings = yield* Queue.sliding<Sighting>(1000)
  const heard: Array<Sighting> = []
  const events: Array<Event> = []
  const hear = (sighting: Sighting) => {
    heard.push(sighting)
    Queue.offerUnsafe(sightings, sighting)
  }
  yield* Scope.provide(discovery.watch(hear), scope)
  yield* Stream.runForEach(Context.get(context, Events).stream, (event) => Effect.sync(() => events.push(event))).pipe(
    Effect.forkIn(scope, { startImmediately: true })
  )
  return { discovery, sightings, heard, events, stop: Scope.close(scope, Exit.void) }
})

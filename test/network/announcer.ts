/**
 * A process that runs Discovery alone over this machine's network: `node announcer.ts '{"name": ..., "port": ...}'`.
 * It prints a JSON line when it is up, one for each sighting, and a last one with its report when its input ends.
 * With `loopback` it speaks on no other interface.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { Instance } from "../../src/schema/Id.ts"
import { base32, fromDigest } from "../../src/schema/PeerId.ts"
import { Datagrams } from "../../src/services/Datagrams.ts"
import * as DatagramsUdp from "../../src/services/discovery/DatagramsUdp.ts"
import { identityOf, startNode } from "../services/DiscoveryNode.ts"

const Options = Schema.Struct({
  name: Schema.String,
  port: Schema.Int,
  discoveryPort: Schema.Int,
  loopback: Schema.Boolean
})

const onlyLoopback = Layer.effect(
  Datagrams,
  Effect.map(Datagrams, (datagrams) => ({
    ...datagrams,
    interfaces: Effect.map(datagrams.interfaces, (all) => all.filter(({ loopback }) => loopback))
  }))
)

/** Milliseconds, comparable between the processes of one machine. */
const now = () => performance.timeOrigin + performance.now()

/** Each line says when it was written, so that delays are not those of the reader. */
const print = (line: object) => Effect.suspend(() => Console.log(JSON.stringify({ at: now(), ...line })))

const inputEnds = Effect.callback<void>((resume) => {
  process.stdin.once("end", () => resume(Effect.void)).resume()
})

const main = Effect.gen(function* () {
  const options = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Options))(process.argv[2])
  const { name, port, discoveryPort, loopback } = options
  const id = fromDigest(randomBytes(32))
  const node = yield* startNode({
    datagrams: loopback ? onlyLoopback.pipe(Layer.provide(DatagramsUdp.layer)) : DatagramsUdp.layer,
    identity: identityOf(id, Instance.make(base32(randomBytes(16)))),
    port,
    settings: { name, discoveryPort }
  })
  yield* print({ up: id })
  yield* Queue.take(node.sightings).pipe(
    Effect.flatMap((sighting) => print({ sighting })),
    Effect.forever,
    Effect.forkScoped
  )
  yield* inputEnds
  yield* print({ report: yield* node.discovery.report })
})

NodeRuntime.runMain(Effect.scoped(main))

/**
 * Two whole nodes in one process that reach each other through memory-transport.ts: no port is opened.
 *
 *     node examples/own-transport.ts DATA_DIR
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Chat, Connection, Kith, NodeConfig } from "kith"
import { join } from "node:path"
import * as MemoryTransport from "./memory-transport.ts"

const [, , dataDir = "own-transport"] = process.argv
const board = new MemoryTransport.Switchboard()

const node = (name: string, port: number) =>
  Kith.layerOn(Kith.machineWith(MemoryTransport.layer(board, port))).pipe(
    Layer.provideMerge(NodeConfig.layer({ name, dataDir: join(dataDir, name), discovery: false })),
    // Each has its own of everything.
    Layer.fresh
  )

const program = Effect.gen(function* () {
  const alice = yield* Layer.build(node("alice", 1))
  yield* Layer.build(node("bob", 2))
  const said = Effect.gen(function* () {
    const bob = yield* (yield* Connection).add("memory:2")
    const chat = yield* Chat
    const { id } = yield* chat.say("no port was opened for this", bob)
    return yield* chat.settled(id, "5 seconds")
  })
  const { state, text } = yield* Effect.provide(said, alice)
  yield* Console.log(`${state}: ${text}`)
})

NodeRuntime.runMain(Effect.scoped(program))

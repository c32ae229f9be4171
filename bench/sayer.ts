/**
 * One node, embedded: says so much to the peer at an address, and prints, below what the node logs, how many messages a second were acknowledged.
 * Usage: node bench/sayer.ts DATA_DIR ADDRESS COUNT
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { Chat, Connection, Events, Kith } from "../dist/index.js"

const [, , dataDir = "", address = "", count = "0"] = process.argv

/** As many as the outbox holds of one peer, less some: more would be refused. */
const window = 900

const program = Effect.gen(function* () {
  const connection = yield* Connection
  const chat = yield* Chat
  const { stream } = yield* Events
  const peer = yield* connection.add(address)
  const room = yield* Semaphore.make(window)
  const delivered = yield* stream.pipe(
    Stream.filter((event) => event._tag === "MessageChanged" && event.message.state === "delivered"),
    Stream.tap(() => room.release(1)),
    Stream.take(Number(count)),
    Stream.runDrain,
    Effect.forkScoped({ startImmediately: true })
  )
  const begun = performance.now()
  for (let at = 0; at < Number(count); at++) {
    yield* room.take(1)
    yield* Effect.forkScoped(chat.say(`message ${at} ${"x".repeat(32)}`.slice(0, 32), peer))
  }
  yield* Fiber.join(delivered)
  return (Number(count) * 1000) / (performance.now() - begun)
}).pipe(Effect.scoped)

const rate = await Effect.runPromise(
  Effect.provide(program, Kith.layer({ name: "alice", dataDir, host: "127.0.0.1", port: 0, discovery: false }))
)
process.stdout.write(`${rate}\n`)
process.exit(0)

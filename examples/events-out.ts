/**
 * Everything that happens in a node, into another system: each event as a line of JSON to whoever connects to a Unix
 * socket. The stream waits for a reader that is slow; one that is too slow is told how much it missed.
 *
 *     node examples/events-out.ts DATA_DIR SOCKET
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Stream from "effect/Stream"
import { Events, Kith, Transport } from "kith"
import { createServer, type Socket } from "node:net"

const [, , dataDir = "events-out", path = "events.sock"] = process.argv

const write = (socket: Socket, line: string) =>
  Effect.callback<void, Error>((resume) => {
    socket.write(line, (error) => resume(error == null ? Effect.void : Effect.fail(error)))
  })

const program = Effect.gen(function* () {
  const events = yield* Events
  const run = yield* FiberSet.makeRuntime<never, void, void>()
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        const lines = Stream.map(events.stream, (event) => `${JSON.stringify(event)}\n`)
        // Ends with the first line that could not be written.
        run(Effect.ignore(Stream.runForEach(lines, (line) => write(socket, line))))
      })
      server.listen(path, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  )
  yield* Console.log(`listening on ${(yield* Transport).port}, events on ${path}`)
  return yield* Effect.never
}).pipe(Effect.scoped)

NodeRuntime.runMain(Effect.provide(program, Kith.layer({ name: "events-out", dataDir })))

/**
 * A headless drop box: takes what verified peers send, declines everyone else, and runs a command for each thing that
 * arrived, with its path as the last argument.
 *
 *     node examples/drop-box.ts DATA_DIR COMMAND [ARGUMENT...]
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Events, Kith, type PeerId, PeerRegistry, Transfer, Transport, Trust } from "kith"
import { spawn } from "node:child_process"
import { join } from "node:path"

const [, , dataDir = "drop-box", command = "echo", ...first] = process.argv

/** Succeeds with the exit code; whatever the command does, the box goes on. */
const hook = (path: string) =>
  Effect.callback<number | null>((resume) => {
    const child = spawn(command, [...first, path], { stdio: "inherit" })
    child.on("error", () => resume(Effect.succeed(null)))
    child.on("exit", (code) => resume(Effect.succeed(code)))
    return Effect.sync(() => child.kill())
  })

const isVerified = (id: PeerId) =>
  PeerRegistry.use((registry) =>
    Effect.map(
      registry.get(id),
      Option.exists(({ trust }) => trust === "verified")
    )
  )

const box = Effect.gen(function* () {
  const events = yield* Events
  const transfer = yield* Transfer
  const { ticket } = yield* (yield* Trust).invite({ expires: "1 hour" })
  yield* Console.log(`listening on ${(yield* Transport).port}`)
  yield* Console.log(`to become a verified peer: kith join ${Redacted.value(ticket)}`)
  yield* Stream.runForEach(events.stream, (event) =>
    Effect.gen(function* () {
      if (event._tag !== "TransferChanged" || event.transfer.direction !== "receive") return
      const { id, peer, published, state } = event.transfer
      // What the policy does not take by itself would wait for a person, and there is none.
      if (state === "offered" && !(yield* isVerified(peer))) yield* Effect.ignore(transfer.decline(id))
      if (state !== "done" && state !== "partial") return
      yield* Effect.forEach(published, (path) => Effect.flatMap(hook(path), (code) => Console.log(`${path}: ${code}`)))
    })
  )
})

const node = Kith.layer({ name: "drop-box", dataDir, received: join(dataDir, "received"), accept: "verified" })
NodeRuntime.runMain(Effect.provide(box, node))

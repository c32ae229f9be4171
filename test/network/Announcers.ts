/** Processes that run announcer.ts, here or in a network namespace, and what they print. Killed with the scope. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("announcer.ts", import.meta.url))

const Seen = Schema.Struct({
  kind: Schema.String,
  id: Schema.String,
  name: Schema.String,
  address: Schema.Struct({ host: Schema.String, port: Schema.Int })
})

const Report = Schema.Struct({
  interfaces: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      address: Schema.String,
      sent: Schema.Array(Schema.Struct({ to: Schema.String, count: Schema.Int, error: Schema.NullOr(Schema.String) })),
      heard: Schema.Int
    })
  ),
  deaf: Schema.NullOr(Schema.String)
})

const Line = Schema.Union([
  Schema.Struct({ at: Schema.Finite, up: Schema.String }),
  Schema.Struct({ at: Schema.Finite, sighting: Seen }),
  Schema.Struct({ at: Schema.Finite, report: Report })
])
const decodeLine = Schema.decodeUnknownEffect(Schema.fromJsonString(Line))

export interface AnnouncerOptions {
  readonly name: string
  readonly port: number
  readonly discoveryPort: number
  /** Speaks on loopback only. */
  readonly loopback: boolean
  /** The network namespace it runs in. */
  readonly namespace?: string
}

/** Starts one; returns when it is up. */
export const announcer = Effect.fnUntraced(function* ({ namespace, ...options }: AnnouncerOptions) {
  const lines = yield* Queue.bounded<string, Cause.Done>(10_000)
  const command = [process.execPath, script, JSON.stringify(options)]
  const [program = "", ...args] = namespace === undefined ? command : ["ip", "netns", "exec", namespace, ...command]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  createInterface({ input: child.stdout })
    .on("line", (line) => Queue.offerUnsafe(lines, line))
    .on("close", () => Queue.endUnsafe(lines))
  const line = Effect.flatMap(Queue.take(lines), decodeLine)

  const first = yield* line
  if (!("up" in first)) return yield* Effect.die(new Error("the announcer did not say that it is up"))
  const upAt = first.at

  /** The next sighting like that which came after `since`, and how many milliseconds after the start it was. */
  const sees = (wanted: (seen: typeof Seen.Type) => boolean, since = 0) =>
    Effect.gen(function* () {
      while (true) {
        const next = yield* line
        if (!("sighting" in next) || next.at < since || !wanted(next.sighting)) continue
        return { ...next.sighting, at: next.at, after: next.at - upAt }
      }
    })

  /** Ends it, and returns its last word. */
  const finish = Effect.gen(function* () {
    child.stdin.end()
    while (true) {
      const next = yield* line
      if ("report" in next) return next.report
    }
  })

  return { id: first.up, sees, finish, interrupt: Effect.sync(() => child.kill("SIGINT")) }
})

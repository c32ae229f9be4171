/** The second implementation as a child process: what a test tells it to do, and what it says has happened. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import { createSocket } from "node:dgram"
import { fileURLToPath } from "node:url"
import { Running } from "../cli/Run.ts"

const main = fileURLToPath(new URL("main.js", import.meta.url))

/** A line that it printed; which fields stand beside `event` depends on the event. */
const Event = Schema.Struct({
  event: Schema.String,
  id: Schema.optionalKey(Schema.String),
  kind: Schema.optionalKey(Schema.String),
  name: Schema.optionalKey(Schema.String),
  port: Schema.optionalKey(Schema.Finite),
  peer: Schema.optionalKey(Schema.String),
  dialled: Schema.optionalKey(Schema.Boolean),
  text: Schema.optionalKey(Schema.String),
  seq: Schema.optionalKey(Schema.Finite),
  nonce: Schema.optionalKey(Schema.Finite),
  state: Schema.optionalKey(Schema.String),
  frame: Schema.optionalKey(Schema.String),
  transfer: Schema.optionalKey(Schema.String),
  root: Schema.optionalKey(Schema.String),
  outcome: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String)
})
export type Event = typeof Event.Type
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Event))

/** Starts one; it is killed with the scope, if it still runs then. */
export const startOther = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const running = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [main, ...args], { stdio: ["pipe", "pipe", "pipe"] })
      return { child, process: new Running(child) }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  const events = (): ReadonlyArray<Event> =>
    running.process.out
      .split("\n")
      .slice(0, -1)
      .map((line) => decode(line))
  /** The first event of this name, after the first `from` events, that fits; waits for it. */
  const heard = (name: string, fits: (event: Event) => boolean = () => true, from = 0) => {
    const find = () =>
      events()
        .slice(from)
        .find((event) => event.event === name && fits(event))
    return running.process.until(() => find() !== undefined).pipe(Effect.map(() => find() ?? { event: name }))
  }
  const tell = (command: string, fields: object = {}) =>
    Effect.sync(() => void running.child.stdin.write(`${JSON.stringify({ command, ...fields })}\n`))
  const { id = "", port = 0 } = yield* heard("ready")
  return { id, port, events, heard, tell, ended: running.process.ended }
})

/** A UDP port that nobody listens on. */
export const freeUdpPort = Effect.callback<number>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "127.0.0.1", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(port)))
  })
})

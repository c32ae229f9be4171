/**
 * The program: parses the command and runs it. The only runMain.
 *
 * The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) interrupts the command, which ends as its scopes say,
 * within `limits.shutdown`; a second one exits at once. A node that was told to stop and did has done its work: `up`
 * ends with 0.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { withVerb } from "./cli/DefaultVerb.ts"
import * as Kith from "./cli/Kith.ts"
import { presenter, report } from "./cli/Report.ts"
import { limits } from "./config.ts"

const { args, verb } = withVerb(process.argv.slice(2))

/** Whether errors are told in full. Read by hand, since the parser itself may be what fails. */
const details = [process.env["KITH_LOG_LEVEL"], ...args.map((arg) => arg.replace(/^--log-level=/, ""))].some(
  (word) => word === "debug" || word === "trace"
)

// What a verb printed and nobody took is told where it is printed (cli/Output). A node goes on without its terminal, and
// with a log that has no room.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
const interrupted = (signal: keyof typeof signals) => 128 + signals[signal]

/** Milliseconds in which a signal may come twice though it was sent once: from the terminal, and passed on by npm. */
const echo = 150

const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  let code: number | undefined
  let since = 0
  const stop = (signal: keyof typeof signals) => {
    if (code !== undefined) {
      if (performance.now() - since > echo) process.exit(interrupted(signal))
      return
    }
    since = performance.now()
    code = verb === "up" ? 0 : interrupted(signal)
    fiber.interruptUnsafe(fiber.id)
    setTimeout(() => {
      process.stderr.write("kith: did not end in time; ended by force\n")
      process.exit(1)
    }, Duration.toMillis(limits.shutdown)).unref()
  }
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, stop)
  fiber.addObserver((exit) =>
    teardown(exit, (ended) => {
      // Connections that are kept alive would hold the process for seconds.
      process.exit(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? (code ?? ended) : ended)
    })
  )
})

const program = Kith.run(args).pipe(
  Effect.as(0),
  Effect.catchCauseIf(
    (cause) => !Cause.hasInterruptsOnly(cause),
    (cause) => report(cause, details)
  ),
  Effect.provide(Layer.mergeAll(NodeServices.layer, Kith.config, presenter))
)

runMain(program, {
  disableErrorReporting: true,
  teardown: (exit, onExit) =>
    Exit.isSuccess(exit) && typeof exit.value === "number" ? onExit(exit.value) : Runtime.defaultTeardown(exit, onExit)
})

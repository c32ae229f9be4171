/**
 * Faults put into processes that run, by strace: it is attached at the chosen moment, so that only the calls of that
 * moment are counted, and taken away again, which mends what it broke.
 */
import * as Effect from "effect/Effect"
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"

/** Whether strace is there and may look at a process that it did not start. */
export const mayAttach = (() => {
  if (spawnSync("strace", ["-V"]).status !== 0) return false
  const sleeper = spawn("sleep", ["20"], { stdio: "ignore" })
  try {
    const tried = spawnSync("timeout", ["-s", "INT", "1", "strace", "-p", String(sleeper.pid)], { encoding: "utf8" })
    return /attached/.test(tried.stderr)
  } finally {
    sleeper.kill("SIGKILL")
  }
})()

export const skipped = (what: string) => {
  if (!mayAttach) console.log(`strace is not installed or not allowed: ${what} is not tested`)
  return !mayAttach
}

/** Attached to a node with these options until `mend`, or the scope, ends it. `output`: where the calls are written. */
export const attach = Effect.fnUntraced(function* (
  to: ChildProcess,
  options: ReadonlyArray<string>,
  output = "/dev/null"
) {
  const strace = yield* Effect.acquireRelease(
    Effect.sync(() => spawn("strace", ["-f", "-y", "-o", output, ...options, "-p", String(to.pid)], { stdio: "pipe" })),
    (strace) => Effect.sync(() => void strace.kill("SIGINT"))
  )
  const gone = new Promise<void>((resolve) => strace.once("exit", () => resolve()))
  yield* Effect.callback<void>((resume) => {
    let said = ""
    strace.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text
      if (said.includes("attached")) resume(Effect.void)
    })
    strace.once("exit", () => resume(Effect.die(new Error(`strace ended: ${said}`))))
  })
  const mend = Effect.andThen(
    Effect.sync(() => void strace.kill("SIGINT")),
    Effect.promise(() => gone)
  )
  return { mend, gone: Effect.promise(() => gone) }
})

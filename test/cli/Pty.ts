/** Runs the command on a terminal of its own, which util-linux' `script` makes: what a person sees, and types. */
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { environment, main, nodeFlags, Running } from "./Run.ts"

/** Whether there is a `script` that runs a command and passes its exit code on. */
export const hasPty = spawnSync("script", ["-qec", "true", "/dev/null"]).status === 0

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/** A command on a terminal. */
export interface OnTerminal {
  readonly running: Running
  readonly type: (text: string) => Effect.Effect<void>
  /** What is on the screen by now, without what only moves the cursor. */
  readonly seen: () => string
}

/** Starts the command on a terminal of 100 columns; it is hung up on with the scope. */
export const onTerminal = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): OnTerminal => {
      const command = [process.execPath, ...nodeFlags, main, ...args].map(quoted).join(" ")
      const child = spawn("script", ["-qec", `stty cols 100 rows 30; exec ${command}`, "/dev/null"], {
        stdio: ["pipe", "pipe", "pipe"],
        env: environment({ TERM: "xterm", SHELL: "/bin/sh" })
      })
      const running = new Running(child)
      return {
        running,
        type: (text) => Effect.sync(() => void child.stdin.write(text)),
        // oxlint-disable-next-line no-control-regex -- what moves a cursor is meant
        seen: () => running.out.replaceAll(/\u001b\[[\d;?]*[A-Za-z]/g, "").replaceAll("\r", "")
      }
    }),
    ({ running }) => Effect.sync(() => void running.child.kill("SIGKILL"))
  )

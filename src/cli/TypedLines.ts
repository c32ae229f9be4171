/**
 * What is typed on the terminal while a node runs in the foreground. A process in the background that reads its terminal
 * is stopped by the system, the node with it: so it is asked whose turn it is, before the first read and each time the
 * process is continued.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"

/** Lines that nobody has read yet: a person types slowly. */
const linesMax = 16

/** Whether the terminal is this process's to read. Where that cannot be told, it is not. */
const isForeground = (): boolean => {
  try {
    if (process.platform === "linux") {
      // After the name, which may hold anything: state, parent, group, session, terminal, its foreground group.
      const fields = readFileSync("/proc/self/stat", "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
      return fields[2] === fields[5]
    }
    if (process.platform === "win32") return true
    return execFileSync("ps", ["-o", "stat=", "-p", String(process.pid)], { encoding: "utf8" }).includes("+")
  } catch {
    return false
  }
}

/** Lines as they are typed; the effect has begun to read when it returns. */
export const typedLines = Effect.gen(function* () {
  const lines = yield* Effect.acquireRelease(Queue.dropping<string>(linesMax), Queue.shutdown)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const reader = createInterface({ input: process.stdin, terminal: false })
      reader.on("line", (line) => void Queue.offerUnsafe(lines, line))
      const look = () => {
        if (isForeground()) reader.resume()
        else reader.pause()
      }
      look()
      process.on("SIGCONT", look)
      return { reader, look }
    }),
    ({ look, reader }) =>
      Effect.sync(() => {
        process.off("SIGCONT", look)
        reader.close()
        process.stdin.destroy()
      })
  )
  return Stream.fromQueue(lines)
})

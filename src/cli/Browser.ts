/**
 * Opens a link in the person's browser. The link is a secret for its minute, and arguments of programs can be read by
 * every user of a machine: so the browser is given a private file that leads there.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { dataDirectory } from "./Verb.ts"

const openers: Record<string, ReadonlyArray<string>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""]
}

/** Starts the opener; false where there is none, or it says no within a moment. */
const start = (command: ReadonlyArray<string>): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const [program = "", ...args] = command
    const child = spawn(program, args, { stdio: "ignore", detached: true })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("exit", (code) => resume(Effect.succeed(code === 0)))
    child.unref()
  })

/** Most openers end as soon as they have handed over; some become the browser. */
const patience = "3 seconds"

export const browse = Effect.fn("Browser.browse")(function* (url: string) {
  const isWithoutScreen =
    process.platform === "linux" && process.env["DISPLAY"] === undefined && process.env["WAYLAND_DISPLAY"] === undefined
  if (isWithoutScreen) return false
  const file = join(yield* dataDirectory, "open.html")
  const page = `<!doctype html><meta http-equiv="refresh" content="0; url=${url}"><title>Kith</title>\n`
  const written = yield* Effect.promise(() =>
    writeFile(file, page, { mode: 0o600 }).then(
      () => true,
      () => false
    )
  )
  if (!written) return false
  return yield* start([...(openers[process.platform] ?? ["xdg-open"]), file]).pipe(
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(true) })
  )
})

/** Runs the command as a person does: another process, its output and its exit code. */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, globSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** The bundle where it is newer than every source, since it starts thrice as fast; else the sources. */
export const main = (() => {
  const bundle = at("dist/bundle/main.js")
  const sources = globSync("**/*.ts", { cwd: at("src") }).map((path) => statSync(join(at("src"), path)).mtimeMs)
  return existsSync(bundle) && statSync(bundle).mtimeMs > Math.max(...sources) ? bundle : at("src/main.ts")
})()

/** Dozens of processes load the same modules: compiling them once saves most of the time. */
const compileCache = join(tmpdir(), "kith-test-compile-cache")

export const nodeFlags = ["--disable-warning=ExperimentalWarning"]

/** This process's environment, but for settings of the command. */
export const environment = (more: Record<string, string> = {}): Record<string, string | undefined> => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("KITH_"))),
  NODE_COMPILE_CACHE: compileCache,
  ...more
})

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** A pipe that can be written to; without it the input is empty. */
  readonly stdin?: "pipe"
  /** The descriptor of a file to print into; without it, what is printed is kept. */
  readonly stdout?: number
  /** Another user, which only root may choose. */
  readonly uid?: number
  readonly gid?: number
  /** Another build of the program. */
  readonly main?: string
  /** The network namespace it runs in, which only root may choose. */
  readonly namespace?: string
}

/** Starts the command; it is killed with the scope, if it still runs then. */
export const start = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const command = [process.execPath, ...nodeFlags, options.main ?? main, ...args]
      const [program = "", ...rest] =
        options.namespace === undefined ? command : ["ip", "netns", "exec", options.namespace, ...command]
      const child = spawn(program, rest, {
        stdio: [options.stdin ?? "ignore", options.stdout ?? "pipe", "pipe"],
        env: environment(options.env),
        ...(options.cwd !== undefined && { cwd: options.cwd }),
        ...(options.uid !== undefined && { uid: options.uid }),
        ...(options.gid !== undefined && { gid: options.gid })
      })
      return new Running(child)
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** A command that runs, and what it has printed so far. */
export class Running {
  readonly child: ChildProcess
  out = ""
  err = ""
  readonly ended: Promise<Ran>
  private readonly waiting = new Set<() => void>()

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      this.out += chunk
      this.waiting.forEach((look) => look())
    })
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      this.err += chunk
      this.waiting.forEach((look) => look())
    })
    this.ended = new Promise((resolve) =>
      child.on("close", (code) => {
        resolve({ code, out: this.out, err: this.err })
        this.waiting.forEach((look) => look())
      })
    )
  }

  /** Waits until what it printed satisfies; dies when it ends before. */
  until(satisfied: (printed: string) => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const look = () => {
        if (satisfied(this.out + this.err)) resume(Effect.void)
        else if (this.child.exitCode !== null) resume(Effect.die(`ended: ${this.out}${this.err}`))
      }
      this.waiting.add(look)
      look()
      return Effect.sync(() => this.waiting.delete(look))
    })
  }
}

/** Runs the command to its end. */
export const run = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.scoped(Effect.flatMap(start(args, options), (running) => Effect.promise(() => running.ended)))

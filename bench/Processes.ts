/**
 * Processes as benches measure them, by what Linux says of them in /proc: CPU seconds with those of the children that
 * were waited for, and the most memory one ever had. `run` runs a command to its end; what `Home` started or made is
 * gone when it is closed.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Clock ticks a second, in /proc: the same on every Linux that Node runs on. */
const ticks = 100

/** CPU seconds of a process so far, with those of its children that have ended. */
export const cpuOf = (pid: number): number => cpuIn(readFileSync(`/proc/${pid}/stat`, "utf8"))

/** From the text of a stat file; its second field is a name in brackets, which may hold anything. */
const cpuIn = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / ticks
}

/** Most resident memory of a process so far, in MiB. */
export const peakOf = (pid: number): number => statusOf(pid, "VmHWM")

/** Resident memory of a process now, in MiB. */
export const residentOf = (pid: number): number => statusOf(pid, "VmRSS")

const statusOf = (pid: number, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** How long a command took, and the CPU of it and all its children, in seconds. */
export interface Ran {
  readonly seconds: number
  readonly cpu: number
  readonly out: string
}

/** Runs a command; a shell around it tells its CPU. Fails with what it said if it does not end with 0. */
export const run = async (command: string, ...args: ReadonlyArray<string>): Promise<Ran> => {
  const script = '"$@"; code=$?; cat /proc/$$/stat >&3; exit $code'
  const begun = performance.now()
  const child = spawn("sh", ["-c", script, "sh", command, ...args], { stdio: ["ignore", "pipe", "pipe", "pipe"] })
  const [out, err, stat] = [collect(child.stdio[1]), collect(child.stdio[2]), collect(child.stdio[3])]
  const [code] = await once(child, "close")
  const seconds = (performance.now() - begun) / 1000
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${String(code)}: ${err()}${out()}`)
  return { seconds, cpu: cpuIn(stat()), out: out() }
}

const collect = (stream: ChildProcess["stdio"][number] | undefined): (() => string) => {
  let text = ""
  stream?.on("data", (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}

/** A directory of its own, in memory where there is such a place with room, and the processes that live there. */
export class Home {
  readonly path: string
  private readonly children: Array<ChildProcess> = []

  /** `room`: bytes that what is put there claims to be. */
  constructor(name: string, room = 0) {
    const place = freeIn(inMemory) > room ? inMemory : tmpdir()
    this.path = mkdtempSync(join(place, `kith-bench-${name}-`))
  }

  at(...parts: ReadonlyArray<string>): string {
    return join(this.path, ...parts)
  }

  start(command: string, ...args: ReadonlyArray<string>): ChildProcess {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    this.children.push(child)
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.children.flatMap((child) =>
      child.exitCode === null && child.signalCode === null ? [once(child, "exit")] : []
    )
    for (const child of this.children) child.kill("SIGTERM")
    await Promise.all(ended)
    rmSync(this.path, { recursive: true, force: true })
  }
}

const freeIn = (path: string): number => {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

/** The most that a file here may claim to be, in bytes: a receiver refuses what it has no room for. */
export const roomiest = (): number => 0.9 * Math.max(freeIn(inMemory), freeIn(tmpdir()))

/** Where files cost no disk. */
const inMemory = (() => {
  try {
    return readFileSync("/proc/mounts", "utf8").includes(" /dev/shm tmpfs ") ? "/dev/shm" : tmpdir()
  } catch {
    return tmpdir()
  }
})()

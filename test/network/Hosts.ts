/**
 * Whole nodes on the machines of a lab, run as a person runs them. What they do is read from their logs, which say when
 * it was; what they know is asked of their API. Nodes and directories end with the scope.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { start } from "../cli/Run.ts"
import type { Lab } from "./Namespaces.ts"

const script = fileURLToPath(new URL("asker.ts", import.meta.url))

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-host-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** What has to come is waited for, for this long at most: only a figure that a test asserts is a bound. */
const patience = "90 seconds"

/** A line of a node's log, and when it was written in milliseconds, on the clock of `Date.now`. */
export interface Line {
  readonly at: number
  readonly message: string
  readonly peer?: string
  readonly address?: string
  readonly addresses?: string
  readonly reason?: string
}

interface Peer {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly addresses: ReadonlyArray<string>
}

interface Shown {
  readonly id: string
  readonly direction: "send" | "receive"
  readonly state: string
  readonly bytes: number
  readonly error: string | null
}

interface Answer {
  readonly number: number
  readonly status: number
  readonly body: unknown
}

/** A process that asks a node's API inside its namespace. */
const asker = Effect.fnUntraced(function* (namespace: string, dataDir: string) {
  const waiting = new Map<number, (answer: Answer) => void>()
  let number = 0
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("ip", ["netns", "exec", namespace, process.execPath, script, dataDir], {
        stdio: ["pipe", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer: Answer = JSON.parse(line)
    waiting.get(answer.number)?.(answer)
    waiting.delete(answer.number)
  })
  return (method: string, path: string, body?: unknown) =>
    Effect.callback<Answer>((resume) => {
      const mine = number++
      waiting.set(mine, (answer) => resume(Effect.succeed(answer)))
      child.stdin.write(`${JSON.stringify({ number: mine, method, path, body })}\n`)
    })
})

/** A node on machine `n`, called `m<n>`, which takes what it is offered; returns when it is up. */
export const host = Effect.fnUntraced(function* (network: Lab, n: number, ...flags: ReadonlyArray<string>) {
  const dir = yield* temporaryDirectory
  const [dataDir, received] = [join(dir, "data"), join(dir, "received")]
  const namespace = network.machine(n)
  const name = `m${n}`
  const lines: Array<Line> = []
  const ask = yield* asker(namespace, dataDir)

  const up = Effect.gen(function* () {
    const said = lines.length
    const where = ["--data-dir", dataDir, "--received", received, "--log-format", "json", "--log-level", "debug"]
    const node = yield* start(["up", "--name", `m${n}`, "--accept", "everyone", ...where, ...flags], { namespace })
    if (node.child.stdout === null) return yield* Effect.die("a node without an output")
    createInterface({ input: node.child.stdout }).on("line", (text) => {
      const { time, ...line } = JSON.parse(text)
      lines.push({ ...line, at: Date.parse(time) })
    })
    yield* within(
      `m${n} is up`,
      Effect.sync(() => lines.slice(said).some(({ message }) => message === "The node is up.")),
      (isUp) => isUp
    )
    return node
  })
  let node = yield* up

  const list = <A>(path: string) =>
    Effect.map(ask("GET", path), ({ body }) => (Array.isArray(body) ? (body as ReadonlyArray<A>) : []))
  const peers = list<Peer>("/api/peers")
  const transfers = list<Shown>("/api/transfers")
  const texts = Effect.map(list<{ readonly text: string }>("/api/messages?limit=1000"), (all) =>
    all.map(({ text }) => text)
  )

  const done = Effect.fnUntraced(function* (method: string, path: string, body?: unknown) {
    const answer = yield* ask(method, path, body)
    assert.isBelow(answer.status, 300, `m${n}: ${method} ${path}: ${JSON.stringify(answer.body)}`)
    return answer.body
  })

  return {
    name,
    id: lines.flatMap((line) => ("id" in line && typeof line.id === "string" ? [line.id] : []))[0] ?? "",
    received,
    lines,
    peers,
    transfers,
    texts,
    done,
    /** Kills it and starts it again; it has the directories that it had. */
    restart: Effect.suspend(() => {
      node.child.kill("SIGKILL")
      return Effect.andThen(
        Effect.promise(() => node.ended),
        Effect.map(up, (next) => void (node = next))
      )
    }),

    /** When it first said such a thing, at `since` or after it. */
    says: (what: string, wanted: (line: Line) => boolean, since = 0) =>
      Effect.map(
        within(
          `m${n} says ${what}`,
          Effect.sync(() => lines.find((line) => line.at >= since && wanted(line))),
          (line) => line !== undefined
        ),
        (line) => line?.at ?? 0
      ),

    /** Waits until this peer is in that state. */
    sees: (peer: string, state: string) =>
      within(`m${n} sees ${peer} ${state}`, peers, (all) =>
        all.some((one) => one.name === peer && one.state === state)
      ),

    /** Waits until it knows that the peer may be there. */
    knows: (peer: string, address: string) =>
      within(`m${n} knows ${peer} at ${address}`, peers, (all) =>
        all.some((one) => one.name === peer && one.addresses.includes(address))
      ),

    /** Waits until all of these came. */
    reads: (...wanted: ReadonlyArray<string>) =>
      within(`m${n} reads ${wanted.join(", ")}`, texts, (all) => wanted.every((text) => all.includes(text))),

    say: (text: string, to: string | null) => done("POST", "/api/messages", { text, to }),

    /** Waits until so many bytes of what it sends have been sent. */
    hasSent: (bytes: number) =>
      within(`m${n} has sent ${bytes} bytes`, transfers, (all) =>
        all.some((one) => one.direction === "send" && one.bytes >= bytes)
      ),

    /** Waits until so many bytes of what it is sent are there. */
    hasReceived: (bytes: number) =>
      within(`m${n} has ${bytes} bytes`, transfers, (all) =>
        all.some((one) => one.direction === "receive" && one.bytes >= bytes)
      ),

    /** What the doctor says of the subject that begins so, or has this in it. */
    finding: (subject: string) =>
      Effect.map(
        list<{ readonly check: string; readonly subject: string; readonly text: string }>("/api/doctor"),
        (all) => all.find((one) => one.check === "interface" && one.subject.includes(subject))?.text ?? ""
      ),

    /** Sends a file of random bytes; what is returned waits until it is there, whole. */
    sends: Effect.fnUntraced(function* (to: Known, bytes: number) {
      const cargo = `cargo ${files++}`
      const path = join(dir, cargo)
      const content = randomBytes(bytes)
      writeFileSync(path, content)
      yield* done("POST", "/api/transfers", { paths: [path], to: [to.name] })
      return within(
        `${to.name} has ${cargo} of m${n}`,
        Effect.sync(() => existsSync(join(to.received, cargo))),
        (isThere) => isThere
      ).pipe(Effect.tap(() => Effect.sync(() => assert.isTrue(content.equals(readFileSync(join(to.received, cargo)))))))
    })
  }
})

let files = 0

export type Host = Effect.Success<ReturnType<typeof host>>

/** What one host knows of another. */
interface Known {
  readonly name: string
  readonly received: string
}

/** Asks until it is so. */
const within = <A>(what: string, ask: Effect.Effect<A>, isSo: (answer: A) => boolean) =>
  Effect.repeat(ask, { until: isSo, schedule: Schedule.spaced("20 millis") }).pipe(
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.die(new Error(`not within ${patience}: ${what}`)) })
  )

/** `one` hears of `other`: it dials it, or has a session with it. */
export const hears = (one: Host, other: Host) =>
  one.says(
    `that it heard of ${other.name}`,
    ({ message, peer }) => peer === other.id && (message === "Dialling." || message === "A session began.")
  )

/** When a session with `other` began at `one`, at `since` or after it. */
export const begins = (one: Host, other: Host, since = 0) =>
  one.says(
    `that it meets ${other.name}`,
    (line) => line.message === "A session began." && line.peer === other.id,
    since
  )

/** When the session with `other` ended. */
export const ends = (one: Host, other: Host, since = 0) =>
  one.says(`that it lost ${other.name}`, (line) => line.message === "A session ended." && line.peer === other.id, since)

/** Both see the other connected. */
export const meet = (one: Host, other: Host) =>
  Effect.andThen(one.sees(other.name, "connected"), other.sees(one.name, "connected"))

/** A message and a file arrive, in both directions. */
export const talk = Effect.fnUntraced(function* (one: Host, other: Host, bytes = 1_000_000) {
  const [there, back] = [yield* one.sends(other, bytes), yield* other.sends(one, bytes)]
  yield* one.say(`from ${one.name} to ${other.name}`, other.name)
  yield* other.say(`from ${other.name} to ${one.name}`, one.name)
  yield* other.reads(`from ${one.name} to ${other.name}`)
  yield* one.reads(`from ${other.name} to ${one.name}`)
  yield* there
  yield* back
})

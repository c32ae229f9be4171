/**
 * Whole nodes, run as a person runs them, on the machines of a lab. Each is asked by the command line in its own
 * namespace; nodes, commands and directories end with the scope.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "../cli/Run.ts"
import type { Lab } from "./Namespaces.ts"

const Peers = Schema.Array(
  Schema.Struct({ name: Schema.String, state: Schema.String, addresses: Schema.Array(Schema.String) })
)
const Findings = Schema.Array(Schema.Struct({ check: Schema.String, subject: Schema.String, text: Schema.String }))

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-host-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** In milliseconds, from any beginning. */
export const now = () => performance.now()

/** A node on machine `n`, called `m<n>`, which takes what it is offered; returns when it is up. */
export const host = Effect.fnUntraced(function* (network: Lab, n: number, ...flags: ReadonlyArray<string>) {
  const dir = yield* temporaryDirectory
  const received = join(dir, "received")
  const kith = (verb: string, ...args: ReadonlyArray<string>) =>
    start([verb, "--data-dir", join(dir, "data"), ...args], { namespace: network.machine(n) })
  const run = (verb: string, ...args: ReadonlyArray<string>) =>
    Effect.scoped(Effect.flatMap(kith(verb, ...args), ({ ended }) => Effect.promise(() => ended)))
  const node = yield* kith("up", "--name", `m${n}`, "--received", received, "--accept", "everyone", ...flags)
  yield* node.until((printed) => printed.includes("API "))

  const answer = <S extends Schema.Codec<unknown, unknown>>(schema: S, verb: string) =>
    Effect.flatMap(run(verb, "--json"), ({ out }) => Schema.decodeEffect(Schema.fromJsonString(schema))(out))

  const peers = answer(Peers, "peers")
  const doctor = answer(Findings, "doctor")

  /** Waits until that is so of its peers, told as they change. */
  const follow = (verb: "peers" | "transfers", wanted: (line: string) => boolean) =>
    Effect.gen(function* () {
      const watching = yield* kith(verb, "--watch", "--json")
      yield* watching.until((printed) => printed.split("\n").some(wanted))
    }).pipe(Effect.timeout("60 seconds"), Effect.scoped)

  /** Waits until this peer is in that state, or in one of those a pattern names. */
  const sees = (peer: string, state: string) =>
    follow("peers", (line) => new RegExp(`"name":"${peer}","state":"${state}"`).test(line))

  /** Waits until it has that message. */
  const reads = (text: string) =>
    run("history").pipe(Effect.repeat({ until: ({ out }) => out.includes(text) }), Effect.timeout("60 seconds"))

  /** Waits until a transfer of this node is on its way. */
  const moves = follow("transfers", (line) => /"state":"running".*"bytes":[1-9]/.test(line))

  /** A file of random bytes to send, and whether another host has it. */
  const file = (megabytes: number) => {
    const cargo = `cargo of m${n}`
    const path = join(dir, cargo)
    const bytes = randomBytes(megabytes * 1_000_000)
    writeFileSync(path, bytes)
    return { path, isIn: (folder: string) => bytes.equals(readFileSync(join(folder, cargo))) }
  }

  return { doctor, file, kith, moves, name: `m${n}`, node, peers, reads, received, run, sees }
})

export type Host = Effect.Success<ReturnType<typeof host>>

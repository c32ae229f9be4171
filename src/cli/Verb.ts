/**
 * What verbs share: flags and arguments that mean the same in each, and the way to the node they ask. The client is
 * loaded only when a verb asks, so that `up` and `--help` start without it.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { SchemaError } from "effect/Schema"
import type * as Scope from "effect/Scope"
import { homedir, hostname } from "node:os"
import type { Client } from "./Client.ts"
import { Failed } from "./Ending.ts"
import { type Flag, logLevels, readDataDir, type Surroundings, variable } from "./Settings.ts"

/** A flag whose text Settings reads, so that the environment can stand in for it. */
export const text = (flag: Flag, metavar: string, description: string) =>
  CliFlag.String(flag).pipe(
    CliFlag.withMetavar(metavar),
    CliFlag.withDescription(`${description} (${variable(flag)})`),
    CliFlag.optional
  )

export const json = CliFlag.Boolean("json").pipe(
  CliFlag.withoutNegation,
  CliFlag.withDescription("Print one JSON document"),
  CliFlag.withDefault(false)
)

/** For verbs that can go on telling. */
export const watch = CliFlag.Boolean("watch").pipe(
  CliFlag.withoutNegation,
  CliFlag.withDescription("Go on telling what changes; with --json one event a line"),
  CliFlag.withDefault(false)
)

export const root = Command.make("kith").pipe(
  Command.withSharedFlags({
    dataDir: text("data-dir", "DIR", "Where the node keeps its identity and state"),
    logLevel: text("log-level", "LEVEL", `How much is logged: ${logLevels.join(", ")}`)
  }),
  Command.withDescription(
    "Talk and send files between machines, with no server anywhere. `kith` alone is `kith up`. PEER is a name, a short id or an id. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no node running, 4 refused by the peer."
  ),
  Command.withExamples([
    { command: "kith up" },
    { command: "kith peers" },
    { command: `kith say "hello" --to bob` },
    { command: "kith send ./photos --to bob" },
    { command: "kith send --help" }
  ])
)

/** Of a text that names something: nothing cannot. */
const isSomething = (text: string): boolean => text.trim() !== ""
const expected = (what: string) => () => `${what} is empty`

/** A peer, as an argument. */
export const peer = Argument.String("PEER").pipe(
  Argument.withDescription("A name, a short id or an id"),
  Argument.filter(isSomething, expected("PEER"))
)

/** A peer, as a flag. */
export const peerFlag = (flag: "to" | "peer", description: string) =>
  CliFlag.String(flag).pipe(
    CliFlag.withMetavar("PEER"),
    CliFlag.withDescription(description),
    CliFlag.filter(isSomething, expected("PEER"))
  )

/** A transfer, as an argument. */
export const transfer = (description: string) =>
  Argument.String("ID").pipe(Argument.withDescription(description), Argument.filter(isSomething, expected("ID")))

/** This process's surroundings. */
export const surroundings = (): Surroundings => ({
  env: process.env,
  platform: process.platform,
  home: homedir(),
  hostname: hostname(),
  cwd: process.cwd()
})

/** The data directory that was typed or set, or the platform's. */
export const dataDirectory = Effect.gen(function* () {
  const { dataDir } = yield* root
  return yield* Effect.fromResult(readDataDir({ "data-dir": Option.getOrUndefined(dataDir) }, surroundings()))
})

/** Asks the node of the data directory; the connection ends with the asking. */
export const withNode = <A, E>(
  ask: (client: Client) => Effect.Effect<A, E | HttpClientError | SchemaError, Scope.Scope>
) =>
  Effect.gen(function* () {
    const { dataDir } = yield* root
    const typed = Option.getOrUndefined(dataDir)
    const around = surroundings()
    const path = yield* Effect.fromResult(readDataDir({ "data-dir": typed }, around))
    const standard = Result.getOrUndefined(readDataDir({}, { ...around, env: {} }))
    const { connect, unforeseen } = yield* Effect.promise(() => import("./Client.ts"))
    const client = yield* connect(path, path === standard)
    return yield* ask(client).pipe(
      Effect.catchIf(isHttpClientError, (error) => Effect.fail(unforeseen(error))),
      Effect.catchIf(isSchemaError, () =>
        Effect.fail(new Failed({ problem: "the node answered in a way this version does not understand" }))
      )
    )
  }).pipe(Effect.scoped)

const tagged = (error: unknown, tag: string): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === tag
const isHttpClientError = (error: unknown): error is HttpClientError => tagged(error, "HttpClientError")
const isSchemaError = (error: unknown): error is SchemaError => tagged(error, "SchemaError")

/**
 * `kith up`: runs a node until it is told to stop. It owns nothing of the node but the wiring and what it prints: who
 * the node is once it is up, and on a terminal the messages and offers that come in. Loads the node itself only here.
 */
import * as Command from "effect/cli/Command"
import * as CliFlag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Logs from "../Logs.ts"
import { readCollector, readSettings, type Typed, variable } from "../Settings.ts"
import { root, surroundings, text } from "../Verb.ts"

const flags = {
  name: text("name", "NAME", "What the node calls itself; the default is the host name"),
  received: text("received", "DIR", "Where received files go; the default is ./received_files"),
  host: text("host", "ADDRESS", "The address to listen on; the default is all of them"),
  port: text("port", "PORT", "The port to listen on; the default is 9090, or any free one when that is taken"),
  discoveryPort: text("discovery-port", "PORT", "The UDP port of announcements; the default is 9090"),
  noDiscovery: CliFlag.Boolean("no-discovery").pipe(
    CliFlag.withoutNegation,
    CliFlag.withDescription("Neither announce nor listen for others (KITH_NO_DISCOVERY)"),
    CliFlag.withDefault(false)
  ),
  peer: CliFlag.String("peer").pipe(
    CliFlag.withMetavar("HOST:PORT"),
    CliFlag.withDescription("A peer to connect to and keep; may be given several times (KITH_PEER, with commas)"),
    CliFlag.atLeast(0)
  ),
  accept: text("accept", "POLICY", "What happens to offers: ask, verified, everyone or nobody; the default is ask"),
  conflict: text(
    "conflict",
    "POLICY",
    "What to do about names that exist: rename, skip or overwrite; the default is rename"
  ),
  sendCap: text("send-cap", "SPEED", "How fast to send at most, such as 5MiB a second; the default is none"),
  receiveCap: text("receive-cap", "SPEED", "How fast to receive at most; the default is none"),
  apiPort: text("api-port", "PORT", "The loopback port of the API; the default is 9091, or any free one"),
  logFormat: text("log-format", "FORMAT", "pretty or json; the default is pretty")
}

export const up = Command.make(
  "up",
  flags,
  Effect.fn("cli.up")(function* (given) {
    const { dataDir, logLevel } = yield* root
    const typed: Typed = {
      name: Option.getOrUndefined(given.name),
      "data-dir": Option.getOrUndefined(dataDir),
      received: Option.getOrUndefined(given.received),
      host: Option.getOrUndefined(given.host),
      port: Option.getOrUndefined(given.port),
      "discovery-port": Option.getOrUndefined(given.discoveryPort),
      "no-discovery": given.noDiscovery ? "true" : undefined,
      peer: given.peer.length === 0 ? undefined : given.peer.join(","),
      accept: Option.getOrUndefined(given.accept),
      conflict: Option.getOrUndefined(given.conflict),
      "send-cap": Option.getOrUndefined(given.sendCap),
      "receive-cap": Option.getOrUndefined(given.receiveCap),
      "api-port": Option.getOrUndefined(given.apiPort),
      "log-format": Option.getOrUndefined(given.logFormat),
      "log-level": Option.getOrUndefined(logLevel)
    }
    const settings = yield* Effect.fromResult(readSettings(typed, surroundings()))
    const collector = yield* Effect.fromResult(readCollector({ env: process.env }))
    const telemetry = collector === null ? undefined : yield* Effect.promise(() => import("../Telemetry.ts"))
    const { attend, greet } = yield* Effect.promise(() => import("../Console.ts"))
    const node = yield* Effect.promise(() => import("../Node.ts"))
    const isOnTerminal = settings.logFormat === "pretty" && process.stdout.isTTY
    // A person at a terminal is told what happens, in words, and of the log what needs them, unless they asked for more.
    const isLevelChosen = typed["log-level"] !== undefined || (process.env[variable("log-level")] ?? "") !== ""
    const level = isOnTerminal && !isLevelChosen ? "warn" : settings.logLevel
    const run = Effect.gen(function* () {
      const services = yield* Layer.build(node.layer(settings.node))
      yield* Effect.provideContext(greet(settings.logFormat), services)
      if (telemetry !== undefined) yield* Effect.provideContext(telemetry.metrics(process.env), services)
      if (isOnTerminal) yield* Effect.provideContext(attend, services)
      return yield* Effect.never
    })
    const logs = Logs.layer(settings.logFormat, level)
    const watched = telemetry === undefined ? logs : Layer.provideMerge(telemetry.layer(process.env), logs)
    return yield* run.pipe(Effect.scoped, Effect.provide(watched))
  })
).pipe(
  Command.withDescription("Run a node until it is stopped; every flag can also be set in the environment"),
  Command.withShortDescription("Run a node (the default)"),
  Command.withExamples([
    { command: "kith up" },
    { command: "kith up --name alice --received ~/Downloads --accept everyone" },
    { command: "kith up --no-discovery --peer 192.0.2.7:9090" }
  ])
)

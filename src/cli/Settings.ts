/**
 * The settings of `up`: what was typed, else the environment, else the default. Every bad value is an error that names
 * the flag or variable, what was given and what is allowed. Pure.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isAbsolute, join, resolve } from "node:path"
import { NodeConfig, type NodeSettings } from "../config.ts"
import { type Address, parse } from "../schema/Address.ts"
import { ConflictPolicy } from "../schema/Offer.ts"
import { AcceptPolicy } from "../schema/Peer.ts"
import { byteLength, inert, Name, nameMaxBytes } from "../schema/Text.ts"
import { capAllowed, speedOf } from "./Speeds.ts"

/** What is known of the machine and the shell that runs the command. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: string
  readonly home: string
  readonly hostname: string
  readonly cwd: string
}

/** What was typed, as typed; absent where it was not. */
export interface Typed {
  readonly name?: string | undefined
  readonly "data-dir"?: string | undefined
  readonly received?: string | undefined
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly "discovery-port"?: string | undefined
  readonly "no-discovery"?: string | undefined
  readonly peer?: string | undefined
  readonly accept?: string | undefined
  readonly conflict?: string | undefined
  readonly "send-cap"?: string | undefined
  readonly "receive-cap"?: string | undefined
  readonly "api-port"?: string | undefined
  readonly "log-format"?: string | undefined
  readonly "log-level"?: string | undefined
}
export type Flag = keyof Typed

const logFormats = ["pretty", "json"] as const
export const logLevels = ["trace", "debug", "info", "warn", "error", "none"] as const
export type LogFormat = (typeof logFormats)[number]
export type LogLevel = (typeof logLevels)[number]

export interface Settings {
  readonly node: NodeSettings
  readonly logFormat: LogFormat
  readonly logLevel: LogLevel
}

/** A value of a flag or a variable that cannot be used. */
export class BadSetting extends Schema.TaggedError<BadSetting>()("BadSetting", {
  /** `--port` or `KITH_PORT`. */
  source: Schema.String,
  given: Schema.String,
  allowed: Schema.String
}) {
  override get message(): string {
    return `${this.source} is "${this.given}"; allowed is ${this.allowed}`
  }
}

/** The variable that stands in for a flag: `--data-dir` is `KITH_DATA_DIR`. */
export const variable = (flag: Flag): string => `KITH_${flag.toUpperCase().replaceAll("-", "_")}`

/** What a flag was given, or its variable. An empty variable is as good as none. */
const givenTo = (typed: Typed, env: Surroundings["env"], flag: Flag): string | undefined => {
  const fromEnv = env[variable(flag)]
  return typed[flag] ?? (fromEnv === "" ? undefined : fromEnv)
}

/** Reads one setting, or its default where it was neither typed nor set. */
const setting = <A>(
  typed: Typed,
  env: Surroundings["env"],
  flag: Flag,
  fallback: A,
  allowed: string,
  read: (text: string) => A | undefined
): Result.Result<A, BadSetting> => {
  const given = givenTo(typed, env, flag)
  if (given === undefined) return Result.succeed(fallback)
  const value = read(given)
  if (value !== undefined) return Result.succeed(value)
  const source = typed[flag] === undefined ? variable(flag) : `--${flag}`
  return Result.fail(new BadSetting({ source, given, allowed }))
}

const port =
  (minimum: number) =>
  (text: string): number | undefined =>
    /^\d{1,5}$/.test(text) && Number(text) >= minimum && Number(text) <= 65535 ? Number(text) : undefined

const oneOf =
  <A extends string>(choices: ReadonlyArray<A>) =>
  (text: string): A | undefined =>
    choices.find((choice) => choice === text)

const nonEmpty = (text: string): string | undefined => (text === "" || text.includes("\0") ? undefined : text)

const decodeName = Schema.decodeOption(Name)

/** The host name, made fit to be a node's name. */
const nameOf = (hostname: string): string => {
  let name = ""
  for (const char of inert(hostname.trim())) if (byteLength(name + char) <= nameMaxBytes) name += char
  return name === "" ? "kith" : name
}

/** Where the platform keeps an application's data. */
const platformDataDir = ({ env, home, platform }: Surroundings): string => {
  if (platform === "win32") return join(env["LOCALAPPDATA"] ?? join(home, "AppData", "Local"), "kith")
  if (platform === "darwin") return join(home, "Library", "Application Support", "kith")
  const xdg = env["XDG_DATA_HOME"]
  // The XDG specification says that a relative path is to be ignored.
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(home, ".local", "share"), "kith")
}

/** The data directory, absolute. */
export const readDataDir = (typed: Typed, around: Surroundings): Result.Result<string, BadSetting> =>
  setting(typed, around.env, "data-dir", platformDataDir(around), "the path of a directory", (text) =>
    nonEmpty(text) === undefined ? undefined : resolve(around.cwd, text)
  )

const readLogLevel = (typed: Typed, { env }: Pick<Surroundings, "env">): Result.Result<LogLevel, BadSetting> =>
  setting(typed, env, "log-level", "info", logLevels.join(", "), oneOf(logLevels))

const readPeers = (text: string): ReadonlyArray<Address> | undefined => {
  const addresses: Array<Address> = []
  for (const part of text.split(",")) {
    const address = Result.getOrUndefined(parse(part))
    if (address === undefined) return undefined
    addresses.push(address)
  }
  return addresses
}

const yes = ["1", "true", "yes", "on"]
const no = ["0", "false", "no", "off"]
const readSwitch = (text: string): boolean | undefined =>
  yes.includes(text.toLowerCase()) ? true : no.includes(text.toLowerCase()) ? false : undefined

/** Where a collector of traces, logs and metrics is, by OpenTelemetry's own variable; null: nowhere. */
export const readCollector = ({ env }: Pick<Surroundings, "env">): Result.Result<string | null, BadSetting> => {
  const source = "OTEL_EXPORTER_OTLP_ENDPOINT"
  const given = env[source]
  if (given === undefined || given === "") return Result.succeed(null)
  return /^https?:$/.test(URL.parse(given)?.protocol ?? "")
    ? Result.succeed(given)
    : Result.fail(new BadSetting({ source, given, allowed: "an http or https URL, such as http://127.0.0.1:4318" }))
}

const defaults = NodeConfig.defaults

/** Flags of what a running node is told too, and remembers. */
const remembered = [
  ["name", "name"],
  ["accept", "accept"],
  ["send-cap", "sendCap"],
  ["receive-cap", "receiveCap"]
] as const satisfies ReadonlyArray<readonly [Flag, keyof NodeSettings]>

/** All settings of `up`. */
export const readSettings = (typed: Typed, around: Surroundings): Result.Result<Settings, BadSetting> =>
  Result.gen(function* () {
    const read = <A>(flag: Flag, fallback: A, allowed: string, from: (text: string) => A | undefined) =>
      setting<A>(typed, around.env, flag, fallback, allowed, from)
    const cap = (flag: "send-cap" | "receive-cap") =>
      read<number | null>(flag, null, capAllowed, (text) => Option.getOrUndefined(speedOf(text)))
    const wholePort = "a port from 1 to 65535, or 0 for any free one"
    const chosenPort = yield* read<number | null>("port", null, wholePort, port(0))
    const node: NodeSettings = {
      name: yield* read("name", nameOf(around.hostname), `1 to ${nameMaxBytes} bytes of text`, (text) =>
        Option.getOrUndefined(decodeName(text))
      ),
      dataDir: yield* readDataDir(typed, around),
      received: resolve(
        around.cwd,
        yield* read<string>("received", defaults.received, "the path of a directory", nonEmpty)
      ),
      host: yield* read<string>("host", defaults.host, "an IP address of this machine, or :: for all of them", (text) =>
        /^[\da-fA-F:.]+(%.+)?$/.test(text) ? text : undefined
      ),
      port: chosenPort ?? defaults.port,
      portIsFixed: chosenPort !== null,
      discovery: !(yield* read("no-discovery", false, "true or false", readSwitch)),
      discoveryPort: yield* read<number>("discovery-port", defaults.discoveryPort, "a port from 1 to 65535", port(1)),
      peers: yield* read<ReadonlyArray<Address>>(
        "peer",
        defaults.peers,
        "HOST:PORT, such as 192.0.2.7:9090 or [fe80::1]:9090",
        readPeers
      ),
      accept: yield* read<AcceptPolicy>(
        "accept",
        defaults.accept,
        AcceptPolicy.literals.join(", "),
        oneOf(AcceptPolicy.literals)
      ),
      conflict: yield* read<ConflictPolicy>(
        "conflict",
        defaults.conflict,
        ConflictPolicy.literals.join(", "),
        oneOf(ConflictPolicy.literals)
      ),
      sendCap: yield* cap("send-cap"),
      receiveCap: yield* cap("receive-cap"),
      apiPort: yield* read<number>("api-port", defaults.apiPort, wholePort, port(0)),
      fallbacks: remembered.filter(([flag]) => givenTo(typed, around.env, flag) === undefined).map(([, key]) => key)
    }
    const logFormat = yield* read<LogFormat>("log-format", "pretty", logFormats.join(" or "), oneOf(logFormats))
    return { node, logFormat, logLevel: yield* readLogLevel(typed, around) }
  })

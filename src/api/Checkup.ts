/**
 * Gathers the facts that services/Doctor judges: from the services of a running node, and from the machine itself.
 * Nothing is changed by looking; ports and sockets that are tried are closed at once.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constants, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { createServer } from "node:net"
import { networkInterfaces } from "node:os"
import { dirname, join } from "node:path"
import { limits, NodeConfig } from "../config.ts"
import { format } from "../schema/Address.ts"
import type { Alarm } from "../schema/Alarm.ts"
import type { Finding } from "../schema/Finding.ts"
import { short } from "../schema/PeerId.ts"
import { inert } from "../schema/Text.ts"
import { Alarms } from "../services/Alarms.ts"
import { Discovery, type InterfaceReport, type Sighting } from "../services/Discovery.ts"
import { diagnoseNode } from "../services/Doctor.ts"
import { type InterfaceFacts, kindOf } from "../services/doctor/DoctorInterfaces.ts"
import { diagnoseMachine, type PlaceFacts, type PortFacts } from "../services/doctor/DoctorMachine.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Transport } from "../services/Transport.ts"

const oldestRuntime = [22, 19] as const

const isOld = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major < oldestRuntime[0] || (major === oldestRuntime[0] && minor < oldestRuntime[1])
}

/** The system's code of an error. */
const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : String(cause)

const isMissing = (code: string) => code === "ENOENT" || code === "ENOTDIR"

const freeOf = async (path: string): Promise<Pick<PlaceFacts, "freeBytes" | "freeFiles">> => {
  try {
    const { bavail, bsize, ffree, files } = await fs.statfs(path)
    return { freeBytes: bavail * bsize, freeFiles: files === 0 ? null : ffree }
  } catch {
    // Not every file system tells.
    return { freeBytes: null, freeFiles: null }
  }
}

const canAccess = (path: string, mode: number): Promise<boolean> =>
  fs.access(path, mode).then(
    () => true,
    () => false
  )

/** Directories from here up, to the first that exists: there the missing ones would be made. */
const nearest = async (path: string): Promise<string> => {
  const above = dirname(path)
  return (await canAccess(path, constants.F_OK)) || above === path ? path : nearest(above)
}

const placeOf = async (what: PlaceFacts["what"], path: string): Promise<PlaceFacts> => {
  const facts = { what, path, mode: null, freeBytes: null, freeFiles: null }
  const isFolder = what === "data directory" || what === "receive folder"
  let stat: Awaited<ReturnType<typeof fs.stat>>
  try {
    stat = await fs.stat(path)
  } catch (cause) {
    if (!isMissing(codeOf(cause))) return { ...facts, problem: "unreadable" }
    if (!isFolder) return { ...facts, problem: "missing" }
    const above = await nearest(dirname(path))
    const problem = (await canAccess(above, constants.W_OK)) ? ("missing" as const) : ("unwritable" as const)
    return { ...facts, ...(await freeOf(above)), problem }
  }
  const mode = process.platform === "win32" ? null : (stat.mode & 0o777).toString(8)
  const known = { ...facts, mode }
  if (isFolder && !stat.isDirectory()) return { ...known, problem: "noDirectory" }
  if (!(await canAccess(path, constants.R_OK))) return { ...known, problem: "unreadable" }
  if (isFolder && !(await canAccess(path, constants.W_OK | constants.X_OK))) return { ...known, problem: "unwritable" }
  const isExposed = mode !== null && (stat.mode & 0o077) !== 0 && what !== "receive folder"
  const free = isFolder ? await freeOf(path) : {}
  return { ...known, ...free, problem: isExposed ? "exposed" : null }
}

/** Everything about the machine that needs no node: `ports` are those to be tried. */
export const ofMachine = Effect.fn("Checkup.ofMachine")(function* (options: {
  readonly dataDir: string
  readonly received: string
  readonly ports: ReadonlyArray<PortFacts>
}) {
  const { dataDir, ports, received } = options
  const places = yield* Effect.promise(() =>
    Promise.all([
      placeOf("data directory", dataDir),
      placeOf("key", join(dataDir, "identity.pem")),
      placeOf("control file", join(dataDir, "control.json")),
      placeOf("receive folder", received)
    ])
  )
  const runtime = process.versions.node
  return diagnoseMachine({
    runtime,
    isRuntimeOld: isOld(runtime),
    now: yield* Clock.currentTimeMillis,
    places,
    ports
  })
})

/** Whether a TCP port can be listened on: the system's code, or null. */
export const tryPort = (host: string, port: number): Effect.Effect<string | null> =>
  Effect.callback((resume) => {
    const server = createServer()
    server.once("error", (error) => resume(Effect.succeed(codeOf(error))))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resume(Effect.succeed(null))))
    return Effect.sync(() => void server.close())
  })

const pointToPoint = 0x10

/** What Linux says of an interface beyond its addresses. */
const flagsOf = (name: string): { readonly isPointToPoint: boolean; readonly isTunnel: boolean } => {
  const read = (file: string): string | undefined => {
    try {
      return readFileSync(`/sys/class/net/${name}/${file}`, "utf8").trim()
    } catch {
      // Another system, or an interface that has gone.
      return undefined
    }
  }
  return {
    isPointToPoint: (Number(read("flags") ?? 0) & pointToPoint) !== 0,
    isTunnel: read("tun_flags") !== undefined
  }
}

/** The reports of discovery with what is known of their interfaces. */
export const describe = (reports: ReadonlyArray<InterfaceReport>): ReadonlyArray<InterfaceFacts> => {
  const system = networkInterfaces()
  return reports.map((report) => {
    const addresses = system[report.name] ?? []
    const isLoopback = addresses.some((address) => address.internal) || /^(127\.|::1$)/.test(report.address)
    return {
      ...report,
      kind: kindOf({ name: report.name, isLoopback, ...flagsOf(report.name) }),
      isIpv6Only: addresses.length > 0 && addresses.every((address) => address.family === "IPv6")
    }
  })
}

/** What must be seen and nobody has put away. Pure. */
const alarming = (alarms: ReadonlyArray<Alarm>): ReadonlyArray<Finding> =>
  alarms.map(({ id, peer, text }) => ({
    check: "alarm",
    subject: short(peer),
    severity: "problem",
    text,
    remedy: `Once it is understood: kith alarms --dismiss ${id.slice(0, 8)}`
  }))

/** A peer that was heard this recently is there. */
const recent = Duration.toSeconds(limits.announce) * 3

/** A connection takes no longer than this where nothing is in its way. */
const unreachedAfter = 15

/** The check-up of the node whose services these are. It listens to discovery for as long as its scope lives. */
export const ofNode = Effect.gen(function* () {
  const config = yield* NodeConfig
  const discovery = yield* Discovery
  const registry = yield* PeerRegistry
  const transport = yield* Transport
  const { list: open } = yield* Alarms
  const clock = yield* Clock.Clock
  const seconds = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e9
  const began = seconds()
  /** Since when, and when last, each was heard; the one heard longest ago first. */
  const heard = new Map<string, { readonly sighting: Sighting; readonly since: number; readonly last: number }>()
  yield* discovery.watch((sighting) => {
    const now = seconds()
    const known = heard.get(sighting.id)
    heard.delete(sighting.id)
    if (sighting.kind === "goodbye") return
    const since = known !== undefined && now - known.last < recent ? known.since : now
    heard.set(sighting.id, { sighting, since, last: now })
    const [oldest] = heard.keys()
    if (heard.size > limits.discoveredMax && oldest !== undefined) heard.delete(oldest)
  })

  /** Heard for a while, and still not connected though it is dialled. */
  const unreached = Effect.gen(function* () {
    const now = seconds()
    const peers = yield* registry.list
    return peers
      .filter((peer) => peer.state === "connecting" || peer.state === "away")
      .flatMap((peer) => {
        const known = heard.get(peer.id)
        if (known === undefined || now - known.last > recent || now - known.since < unreachedAfter) return []
        const name = inert(peer.name)
        return [{ name, address: format(known.sighting.address), seconds: now - known.since }]
      })
  })

  const findings = Effect.gen(function* (): Effect.fn.Return<ReadonlyArray<Finding>> {
    const report = yield* discovery.report
    const node = diagnoseNode({
      uptimeSeconds: seconds() - began,
      port: transport.port,
      wantedPort: config.port,
      discoveryPort: config.discoveryPort,
      isDiscovering: config.discovery,
      deaf: report.deaf,
      interfaces: describe(report.interfaces),
      unreached: yield* unreached
    })
    const { dataDir, received } = config
    const alarms = alarming(yield* open)
    return [...node, ...alarms, ...(yield* ofMachine({ dataDir, received, ports: [] }))]
  })
  return { findings }
})

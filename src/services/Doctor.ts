/**
 * Judges what was found out about a node and its machine: what is as it should be, what is worth knowing, what does
 * not work, and what to do about it, each in a line. Pure: others gather the facts (api/Checkup). It claims only what
 * follows from them; where a cause is likely and no more, it says so.
 */
import type { Finding, Severity } from "../schema/Finding.ts"
import type { InterfaceReport } from "./Discovery.ts"

/** Why networks of this kind behave as they do. */
export type InterfaceKind = "ordinary" | "loopback" | "vpn" | "virtual"

export interface InterfaceFacts extends InterfaceReport {
  readonly kind: InterfaceKind
  /** The interface has no IPv4 address at all. */
  readonly isIpv6Only: boolean
}

/** A peer that announces itself and is not connected though it should be. */
export interface UnreachedFacts {
  readonly name: string
  readonly address: string
  readonly seconds: number
}

/** What only a running node can tell. */
export interface NodeFacts {
  readonly uptimeSeconds: number
  readonly port: number
  /** The port that was asked for. */
  readonly wantedPort: number
  readonly discoveryPort: number
  readonly isDiscovering: boolean
  readonly deaf: string | null
  readonly interfaces: ReadonlyArray<InterfaceFacts>
  readonly unreached: ReadonlyArray<UnreachedFacts>
}

/** A file or directory, and what keeps it from being used. */
export interface PlaceFacts {
  readonly what: "data directory" | "key" | "control file" | "receive folder"
  readonly path: string
  readonly problem: null | "missing" | "noDirectory" | "unreadable" | "unwritable" | "exposed"
  /** Permissions, in octal, where the system has them. */
  readonly mode: string | null
  /** Of the disk below it, or null where it is not known. */
  readonly freeBytes: number | null
  readonly freeFiles: number | null
}

/** A port that a node would take. */
export interface PortFacts {
  readonly what: "TCP" | "UDP"
  readonly port: number
  /** The flag by which another is chosen. */
  readonly flag: "--port" | "--discovery-port"
  /** The system's code, or null: it can be had. */
  readonly code: string | null
}

export interface MachineFacts {
  readonly runtime: string
  readonly isRuntimeOld: boolean
  /** Milliseconds since 1970, by the machine's clock. */
  readonly now: number
  readonly places: ReadonlyArray<PlaceFacts>
  /** Empty while a node runs, which holds them. */
  readonly ports: ReadonlyArray<PortFacts>
}

const finding = (
  severity: Severity,
  check: string,
  subject: string,
  text: string,
  remedy: string | null = null
): Finding => ({ check, subject, severity, text, remedy })

/** Before this a node has not had time to be heard by others and to hear them. */
const settledSeconds = 20

const mebibyte = 1024 * 1024

/** This program is younger than that. */
const earliest = Date.UTC(2025, 0, 1)
const latest = Date.UTC(2100, 0, 1)

export const diagnoseMachine = (facts: MachineFacts): ReadonlyArray<Finding> => [
  facts.isRuntimeOld
    ? finding("problem", "runtime", "", `this is Node ${facts.runtime}`, "Install Node 22.19 or newer")
    : finding("ok", "runtime", "", `Node ${facts.runtime}`),
  ...clock(facts.now),
  ...facts.places.flatMap(place),
  ...facts.ports.map(port)
]

const clock = (now: number): ReadonlyArray<Finding> =>
  now >= earliest && now <= latest
    ? [finding("ok", "clock", "", new Date(now).toISOString())]
    : [
        finding(
          "problem",
          "clock",
          "",
          `the clock of this machine says ${new Date(now).toISOString()}`,
          "Set it: messages and files carry its time"
        )
      ]

const checks = {
  "data directory": "folder",
  "receive folder": "folder",
  key: "key",
  "control file": "control"
} as const

const place = (facts: PlaceFacts): ReadonlyArray<Finding> => {
  const { mode, path, problem, what } = facts
  const about = (severity: Severity, text: string, remedy: string | null = null) =>
    finding(severity, checks[what], path, checks[what] === "folder" ? `${what}, ${text}` : text, remedy)
  const elsewhere = what === "receive folder" ? "--received" : "--data-dir"
  switch (problem) {
    case "missing":
      return [
        about("ok", what === "receive folder" ? "is made when something comes" : "is made at the first start"),
        ...disk(facts)
      ]
    case "noDirectory":
      return [about("problem", "is not a directory", `Move it away, or choose another with ${elsewhere}`)]
    case "unreadable":
      return [about("problem", "cannot be read", "Make it readable for the user who runs the node")]
    case "unwritable":
      return [
        about("problem", "cannot be written", `Make it writable for this user, or choose another with ${elsewhere}`)
      ]
    case "exposed":
      return [
        what === "data directory"
          ? about("note", `others may look into it (mode ${mode})`, `Run: chmod 700 '${path}'`)
          : about("problem", `others may read it (mode ${mode})`, `Run: chmod 600 '${path}'`)
      ]
    case null:
      return [about("ok", "can be used"), ...disk(facts)]
  }
}

const disk = ({ freeBytes, freeFiles, path, what }: PlaceFacts): ReadonlyArray<Finding> => {
  if (what !== "data directory" && what !== "receive folder") return []
  const remedy = "Make room, or choose a directory on another disk"
  if (freeFiles !== null && freeFiles < 1000) {
    return [finding("problem", "disk", path, `there is room for ${freeFiles} more files only`, remedy)]
  }
  if (freeBytes === null) return []
  const free = `${Math.floor(freeBytes / mebibyte)} MiB free`
  if (freeBytes < 100 * mebibyte) return [finding("problem", "disk", path, free, remedy)]
  return [finding(freeBytes < 1024 * mebibyte ? "note" : "ok", "disk", path, free)]
}

const port = ({ code, flag, port, what }: PortFacts): Finding => {
  const subject = `${what} ${port}`
  if (code === null) return finding("ok", "port", subject, "is free")
  const taken = code === "EADDRINUSE"
  return finding(
    // Without a wish of a person, a node takes any other TCP port; announcements have only this one.
    taken && flag === "--port" ? "note" : "problem",
    "port",
    subject,
    taken ? "is taken by another program" : `cannot be had (${code})`,
    `Stop what uses it (ss -lnp shows it), or choose another with ${flag}`
  )
}

export const diagnoseNode = (facts: NodeFacts): ReadonlyArray<Finding> => [
  finding("ok", "node", "", `is running, for ${Math.floor(facts.uptimeSeconds)} s`),
  facts.wantedPort === facts.port || facts.wantedPort === 0
    ? finding("ok", "port", `TCP ${facts.port}`, "is listened on")
    : finding(
        "note",
        "port",
        `TCP ${facts.port}`,
        `is listened on, since ${facts.wantedPort} was taken by another program`,
        `Whoever adds this node by address must use ${facts.port}; to keep one port: kith up --port PORT`
      ),
  ...discovery(facts),
  ...facts.unreached.map((peer) =>
    finding(
      "problem",
      "peer",
      peer.name,
      `is heard at ${peer.address}, but no connection comes about for ${Math.floor(peer.seconds)} s`,
      "A firewall there, or between, most likely refuses its TCP port: allow it there"
    )
  )
]

const discovery = (facts: NodeFacts): ReadonlyArray<Finding> => {
  if (!facts.isDiscovering) {
    return [
      finding(
        "note",
        "discovery",
        "",
        "is off: nobody is found, and nobody finds this node",
        "Add peers by address: kith add HOST:PORT"
      )
    ]
  }
  const outward = facts.interfaces.filter((one) => one.kind !== "loopback")
  return [
    ...(facts.deaf === null
      ? []
      : [
          finding(
            "problem",
            "discovery",
            `UDP ${facts.discoveryPort}`,
            `announcements cannot be heard: ${facts.deaf}`,
            "Stop what uses the port, or choose another with --discovery-port, the same on all nodes"
          )
        ]),
    ...(outward.length === 0
      ? [finding("problem", "interface", "", "this machine is on no network", "Connect it: cable, Wi-Fi or VPN")]
      : outward.map((one) => outlet(one, facts)))
  ]
}

/** What is known of interfaces while nobody announces anything. */
export const diagnoseInterfaces = (
  interfaces: ReadonlyArray<InterfaceFacts>,
  discoveryPort: number
): ReadonlyArray<Finding> => {
  const outward = interfaces.filter((one) => one.kind !== "loopback")
  if (outward.length === 0) {
    return [finding("problem", "interface", "", "this machine is on no network", "Connect it: cable, Wi-Fi or VPN")]
  }
  return outward.map((one) => {
    const [failed] = one.sent
    const subject = `${one.name} ${one.address}`
    const what = `${kinds[one.kind]}${one.isIpv6Only ? "IPv6 only, " : ""}`
    return failed === undefined || failed.error === null
      ? finding("ok", "interface", subject, `${what}a node can announce itself here`)
      : finding(
          severityOf(one),
          "interface",
          subject,
          `${what}nothing can be sent: ${failed.error}`,
          refusalRemedy(failed.error, discoveryPort)
        )
  })
}

const kinds: Record<InterfaceKind, string> = {
  ordinary: "",
  loopback: "",
  vpn: "VPN or tunnel, ",
  virtual: "virtual, of containers or machines, "
}

/** What one interface did. */
const outlet = (one: InterfaceFacts, { discoveryPort, uptimeSeconds }: NodeFacts): Finding => {
  const subject = `${one.name} ${one.address}`
  const what = `${kinds[one.kind]}${one.isIpv6Only ? "IPv6 only, " : ""}`
  const about = (severity: Severity, text: string, remedy: string | null = null) =>
    finding(severity, "interface", subject, `${what}${text}`, remedy)
  const errors = one.sent.filter((each) => each.error !== null)
  const sent = one.sent.reduce((sum, each) => sum + each.count, 0)
  const [error] = errors
  if (error !== undefined && errors.length === one.sent.length) {
    return about(
      sent > 0 ? "note" : severityOf(one),
      `nothing can be sent: ${error.error}`,
      refusalRemedy(error.error ?? "", discoveryPort)
    )
  }
  const counts = `announced ${sent} times, heard ${one.heard} announcements of others`
  const partly = error === undefined ? "" : `; ${error.error}`
  if (uptimeSeconds < settledSeconds && one.heard === 0) return about("ok", `${counts} so far${partly}`)
  if (one.heard > 0 && one.heard === one.answered && uptimeSeconds >= settledSeconds) {
    return about(
      "problem",
      `${counts}, all of them answers to its own: others hear this node, but what they announce does not arrive`,
      `A firewall of this machine most likely drops it: allow incoming UDP port ${discoveryPort}`
    )
  }
  if (one.heard > 0) return about("ok", `${counts}${partly}`)
  return about(severityOf(one) === "problem" ? "note" : "ok", `${counts}${partly}`, silenceRemedy(one, discoveryPort))
}

/** Nobody expects other nodes on a network of containers, or announcements through a VPN. */
const severityOf = (one: InterfaceFacts): Severity => (one.kind === "ordinary" ? "problem" : "note")

const silenceRemedy = (one: InterfaceFacts, discoveryPort: number): string | null => {
  switch (one.kind) {
    case "vpn":
      return "Most VPNs carry no announcements: add peers behind it by address: kith add HOST:PORT"
    case "virtual":
      return null
    default:
      return `If a node runs on this network: allow UDP port ${discoveryPort} in its firewall and here; guest Wi-Fi may separate devices: kith add HOST:PORT`
  }
}

const refusalRemedy = (error: string, discoveryPort: number): string => {
  if (/EPERM|EACCES/.test(error))
    return `A firewall of this machine forbids it: allow outgoing UDP to port ${discoveryPort}`
  if (/ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|ENODEV/.test(error))
    return "The interface has no network now: check cable, Wi-Fi or VPN"
  return "Add peers by address: kith add HOST:PORT"
}

/** What a name and what the system says of an interface tell of its kind. */
export const kindOf = (one: {
  readonly name: string
  readonly isLoopback: boolean
  readonly isPointToPoint: boolean
  readonly isTunnel: boolean
}): InterfaceKind => {
  if (one.isLoopback) return "loopback"
  if (
    /^(docker|br-|veth|virbr|vmnet|vboxnet|podman|cni|flannel|cali|lxc|lxd|incus|kube|vEthernet|bridge\d)/i.test(
      one.name
    )
  ) {
    return "virtual"
  }
  const isNamedSo =
    /^(tun|tap|wg|utun|ppp|ipsec|gpd|nordlynx|proton|mullvad|tailscale|ts\d|zt|ham\d|wt\d|netbird|nebula)/i
  return one.isTunnel || one.isPointToPoint || isNamedSo.test(one.name) ? "vpn" : "ordinary"
}

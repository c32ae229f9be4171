/**
 * Judges what one network interface did: what was announced and heard, what that says about firewalls, VPNs and the
 * like, and what to do. Pure. A part of Doctor.
 */
import { finding, type Finding, type Severity } from "../../schema/Finding.ts"
import type { InterfaceReport } from "../Discovery.ts"

/** Why networks of this kind behave as they do. */
type InterfaceKind = "ordinary" | "loopback" | "vpn" | "virtual"

export interface InterfaceFacts extends InterfaceReport {
  readonly kind: InterfaceKind
  /** The interface has no IPv4 address at all. */
  readonly isIpv6Only: boolean
}

/** Before this a node has not had time to be heard by others and to hear them. */
const settledSeconds = 20

export const noNetwork = finding(
  "problem",
  "interface",
  "",
  "this machine is on no network",
  "Connect it: cable, Wi-Fi or VPN"
)

/** What is known of interfaces while nobody announces anything. */
export const diagnoseInterfaces = (
  interfaces: ReadonlyArray<InterfaceFacts>,
  discoveryPort: number
): ReadonlyArray<Finding> => {
  const outward = interfaces.filter((one) => one.kind !== "loopback")
  if (outward.length === 0) {
    return [noNetwork]
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
export const outlet = (
  one: InterfaceFacts,
  { discoveryPort, uptimeSeconds }: { readonly discoveryPort: number; readonly uptimeSeconds: number }
): Finding => {
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

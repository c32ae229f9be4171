/**
 * Machines that are network namespaces, joined by a bridge in a namespace of its own: nothing outside is touched.
 * All of them are gone when the scope ends. Needs root and iproute2; `unavailable` says what is missing.
 */
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"

const ip = (...args: ReadonlyArray<string>): void =>
  void execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] })

let made = 0

/** Why there can be no namespaces here, or null. */
export const unavailable = (() => {
  const probe = `kith-probe-${process.pid}`
  try {
    ip("netns", "add", probe)
    ip("netns", "del", probe)
    return null
  } catch {
    return "needs root and iproute2 (ip netns)"
  }
})()

export interface LabOptions {
  readonly machines: number
  readonly families: ReadonlyArray<"IPv4" | "IPv6">
  readonly defaultRoute: boolean
}

export interface Lab {
  /** The namespace of machine `n`, from 1. Its addresses are 10.77.0.n/24, fe80::n and fd77::n/64 on eth0. */
  readonly machine: (n: number) => string
  /** Gives machine `n` its eth0, joined to the others. */
  readonly plug: (n: number) => void
  readonly unplug: (n: number) => void
  /** Cuts the cable, or mends it: the machine notices nothing. */
  readonly cut: (n: number) => void
  readonly mend: (n: number) => void
}

/** Machines with loopback only; `plug` joins them. */
export const lab = Effect.fnUntraced(function* ({ machines, families, defaultRoute }: LabOptions) {
  const run = `kith${process.pid}-${made++}`
  const bridge = `${run}-sw`
  const machine = (n: number) => `${run}-${n}`
  const names = [bridge, ...Array.from({ length: machines }, (_, index) => machine(index + 1))]

  for (const name of names) {
    yield* Effect.acquireRelease(
      Effect.sync(() => ip("netns", "add", name)),
      () => Effect.sync(() => ip("netns", "del", name))
    )
    ip("-n", name, "link", "set", "lo", "up")
  }
  ip("-n", bridge, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
  ip("-n", bridge, "link", "set", "br0", "up")

  const plug = (n: number) => {
    const own = (...args: ReadonlyArray<string>) => ip("-n", machine(n), ...args)
    ip("link", "add", `port${n}`, "netns", bridge, "type", "veth", "peer", "name", "eth0", "netns", machine(n))
    ip("-n", bridge, "link", "set", `port${n}`, "master", "br0", "up")
    // No automatic addresses: they would be in doubt for the first seconds.
    own("link", "set", "eth0", "addrgenmode", "none")
    own("link", "set", "eth0", "up")
    if (families.includes("IPv4")) own("addr", "add", `10.77.0.${n}/24`, "brd", "+", "dev", "eth0")
    if (families.includes("IPv6")) {
      own("addr", "add", `fe80::${n}/64`, "dev", "eth0", "nodad")
      own("addr", "add", `fd77::${n}/64`, "dev", "eth0", "nodad")
    }
    if (defaultRoute) own("route", "add", "default", "via", "10.77.0.254")
  }

  const handle: Lab = {
    machine,
    plug,
    unplug: (n) => ip("-n", machine(n), "link", "del", "eth0"),
    cut: (n) => ip("-n", bridge, "link", "set", `port${n}`, "nomaster"),
    mend: (n) => ip("-n", bridge, "link", "set", `port${n}`, "master", "br0")
  }
  return handle
})

/**
 * Machines that are network namespaces, joined by a bridge in a namespace of its own: nothing outside is touched.
 * All of them are gone when the scope ends. Needs root and iproute2; `unavailable` says what is missing.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const ip = (...args: ReadonlyArray<string>): void =>
  void execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] })

/** Whether this command runs in a new namespace: what it does there, its kernel can do. */
export const able = (command: string, ...args: ReadonlyArray<string>): boolean => {
  const probe = `kith-able-${process.pid}`
  try {
    ip("netns", "add", probe)
    ip("netns", "exec", probe, command, ...args)
    return true
  } catch {
    return false
  } finally {
    try {
      ip("netns", "del", probe)
    } catch {
      // It was never made.
    }
  }
}

let made = 0

const delay = fileURLToPath(new URL("delay.py", import.meta.url))

/** Two interfaces in a namespace, until the scope ends; what comes in at the one leaves the other later. */
const relay = Effect.fnUntraced(function* (namespace: string, one: string, other: string, millis: number) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("ip", ["netns", "exec", namespace, "python3", delay, one, other, String(millis)], {
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
  yield* Effect.callback<void>((resume) => {
    child.stdout.once("data", () => resume(Effect.void))
    child.once("exit", () => resume(Effect.die(new Error("the cable that takes its time ended"))))
  })
})

/** Whether there can be a cable that takes its time. */
export const canDelay = () => able("python3", "-c", "open('/dev/net/tun', 'rb')")

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
  /** The longest frame of every cable; 1500 unless told otherwise. */
  readonly mtu?: number
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
  /** A cable of its own from `n` to `other`, outside the bridge: an interface `name` at both ends, with these addresses. */
  readonly join: (name: string, n: number, address: string, other: number, otherAddress: string) => void
  /** From now on what machine `n` sends and gets takes so many milliseconds in each direction. */
  readonly slow: (n: number, millis: number) => Effect.Effect<void, never, Scope.Scope>
  /** Runs a command of the machine's system in it, such as `ip`, `nft` or `tc`. */
  readonly on: (n: number, command: string, ...args: ReadonlyArray<string>) => void
}

/** Machines with loopback only; `plug` joins them. */
export const lab = Effect.fnUntraced(function* ({ machines, families, defaultRoute, mtu = 1500 }: LabOptions) {
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
    ip("-n", bridge, "link", "set", `port${n}`, "mtu", String(mtu))
    own("link", "set", "eth0", "mtu", String(mtu), "up")
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
    mend: (n) => ip("-n", bridge, "link", "set", `port${n}`, "master", "br0"),
    join: (name, n, address, other, otherAddress) => {
      ip("link", "add", name, "netns", machine(n), "type", "veth", "peer", "name", name, "netns", machine(other))
      for (const [end, own] of [
        [n, address],
        [other, otherAddress]
      ] as const) {
        ip("-n", machine(end), "link", "set", name, "addrgenmode", "none")
        ip("-n", machine(end), "link", "set", name, "up")
        ip("-n", machine(end), "addr", "add", own, "brd", "+", "dev", name)
      }
    },
    slow: Effect.fnUntraced(function* (n, millis) {
      const [near, far, away] = [`near${n}`, `far${n}`, `away${n}`]
      yield* relay(bridge, near, far, millis)
      ip("-n", bridge, "link", "add", away, "type", "bridge", "mcast_snooping", "0")
      for (const own of [near, far, away]) ip("-n", bridge, "link", "set", own, "mtu", "9000", "up")
      ip("-n", bridge, "link", "set", near, "master", "br0")
      ip("-n", bridge, "link", "set", far, "master", away)
      ip("-n", bridge, "link", "set", `port${n}`, "master", away)
    }),
    on: (n, command, ...args) => ip("netns", "exec", machine(n), command, ...args)
  }
  return handle
})

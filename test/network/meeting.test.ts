/** Whole nodes on machines of their own: who finds whom on which network, and that they can talk then. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { begins, hears, type Host, host, meet, talk } from "./Hosts.ts"
import { lab, unavailable } from "./Namespaces.ts"
import { bridge, drop, nft, opening } from "./Wires.ts"

if (unavailable !== null) console.warn(`Skipped: nodes between machines ${unavailable}`)
else if (!nft) console.warn("Skipped: firewalls between machines, which need nft")

const isUp = (one: Host) => one.says("that it is up", ({ message }) => message === "The node is up.")

/** Each hears of each other within a second of the time when both are up. */
const withinASecond = Effect.fnUntraced(function* (hosts: ReadonlyArray<Host>) {
  for (const one of hosts) {
    for (const other of hosts) {
      if (one === other) continue
      const heard = (yield* hears(one, other)) - Math.max(yield* isUp(one), yield* isUp(other))
      assert.isBelow(heard, 1000, `${one.name} hears of ${other.name}`)
    }
  }
})

describe.skipIf(unavailable !== null)("nodes", { timeout: 120_000, concurrent: true }, () => {
  it.live("five on one bridge without a default route hear of each other within 1 s, and all can talk", () =>
    Effect.gen(function* () {
      const network = yield* bridge(5)
      const hosts = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => host(network, n), { concurrency: 2 })
      yield* withinASecond(hosts)
      for (const one of hosts) for (const other of hosts) if (one !== other) yield* one.sees(other.name, "connected")
      for (const one of hosts) {
        assert.strictEqual((yield* one.peers).length, 4)
        yield* one.say(`all hear ${one.name}`, null)
      }
      for (const one of hosts) yield* one.reads(...hosts.map(({ name }) => `all hear ${name}`))
      const [one, , , , five] = hosts
      if (one !== undefined && five !== undefined) yield* talk(one, five)
    })
  )

  it.live("with IPv6 alone hear of each other within 1 s, talk, and send", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 2, families: ["IPv6"], defaultRoute: false })
      for (const n of [1, 2]) network.plug(n)
      const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
      yield* withinASecond([one, two])
      yield* meet(one, two)
      yield* talk(one, two)
      const addresses = (yield* one.peers).flatMap((peer) => peer.addresses)
      assert.isNotEmpty(addresses)
      for (const address of addresses) assert.match(address, /^\[(fe80::2%eth0|fd77::2)\]:9090$/)
    })
  )

  it.live("one with two interfaces hears of the machines of both within 1 s, which do not meet each other", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4"], defaultRoute: false })
      for (const n of [1, 2]) network.plug(n)
      network.join("side", 1, "10.78.1.1/24", 3, "10.78.1.3/24")
      const [one, two, three] = [yield* host(network, 1), yield* host(network, 2), yield* host(network, 3)]
      for (const other of [two, three]) {
        yield* withinASecond([one, other])
        yield* meet(one, other)
        yield* talk(one, other)
        assert.strictEqual((yield* other.peers).length, 1)
      }
    })
  )

  it.live("in two subnets with a router between do not meet, say so, and are added by hand", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4"], defaultRoute: false })
      network.join("left", 1, "10.78.1.1/24", 3, "10.78.1.254/24")
      network.join("right", 2, "10.78.2.1/24", 3, "10.78.2.254/24")
      network.on(1, "ip", "route", "add", "default", "via", "10.78.1.254")
      network.on(2, "ip", "route", "add", "default", "via", "10.78.2.254")
      network.on(3, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
      const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
      for (const side of [one, two]) {
        assert.deepStrictEqual(yield* side.peers, [])
        assert.match(yield* side.finding("10.78."), /announced [1-9]\d* times, heard 0 announcements/)
      }
      yield* one.done("POST", "/api/peers", { address: "10.78.2.1:9090" })
      yield* meet(one, two)
      yield* talk(one, two)
    })
  )

  it.live.skipIf(!nft)(
    "behind firewalls that drop UDP alone meet by address, by ticket, and again after a restart",
    () =>
      Effect.gen(function* () {
        const network = yield* bridge(3)
        for (const n of [1, 2, 3]) {
          network.on(n, "nft", drop("in", `iifname "eth0" meta l4proto udp`))
          network.on(n, "nft", drop("out", `oifname "eth0" meta l4proto udp`))
        }
        const [one, two, three] = [yield* host(network, 1), yield* host(network, 2), yield* host(network, 3)]
        assert.deepStrictEqual(yield* one.peers, [])
        yield* one.done("POST", "/api/peers", { address: "10.77.0.2:9090" })
        yield* meet(one, two)
        yield* talk(one, two)
        const { ticket } = (yield* three.done("POST", "/api/tickets", {})) as { readonly ticket: string }
        yield* one.done("POST", "/api/tickets/join", { ticket })
        yield* meet(one, three)
        yield* talk(one, three)
        assert.match(yield* one.finding("eth0 10.77.0.1"), /nothing can be sent/)
        const again = Date.now()
        yield* one.restart
        yield* begins(one, two, again)
        yield* begins(one, three, again)
      })
  )

  for (const [what, way] of [
    ["may not be dialled dials itself", "in"],
    ["may not dial is dialled", "out"]
  ] as const) {
    it.live.skipIf(!nft)(`of which one ${what}, and both send`, () =>
      Effect.gen(function* () {
        const network = yield* bridge(2)
        network.on(2, "nft", drop(way, `${way === "in" ? "iifname" : "oifname"} "eth0" ${opening}`))
        const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
        yield* meet(one, two)
        yield* talk(one, two)
      })
    )
  }
})

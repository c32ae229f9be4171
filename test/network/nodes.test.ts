/** Whole nodes on machines of their own: what cables, routers, firewalls and slow lines do to them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Host, host, now } from "./Hosts.ts"
import { able, lab, unavailable } from "./Namespaces.ts"

const nft = able("nft", "list", "ruleset")
const tbf = able("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "20mbit", "burst", "32kb", "latency", "50ms")

if (unavailable !== null) console.warn(`Skipped: nodes between machines ${unavailable}`)
else if (!nft || !tbf) console.warn("Skipped: firewalls or slow lines between machines, which need nft and tc with tbf")

const bridge = Effect.fnUntraced(function* (machines: number) {
  const network = yield* lab({ machines, families: ["IPv4"], defaultRoute: false })
  for (let n = 1; n <= machines; n++) network.plug(n)
  return network
})

const within = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.timeout(effect, "60 seconds")

/** Sends a file of so many megabytes, and has it arrive whole. */
const delivers = Effect.fnUntraced(function* (from: Host, to: Host, megabytes: number) {
  const file = from.file(megabytes)
  const sent = yield* within(from.run("send", file.path, "--to", to.name))
  assert.strictEqual(sent.code, 0, sent.err)
  assert.isTrue(file.isIn(to.received))
})

/** The same, with something that happens while it is under way. */
const deliversThrough = Effect.fnUntraced(function* <A, E, R>(from: Host, to: Host, event: Effect.Effect<A, E, R>) {
  const file = from.file(8)
  const sending = yield* Effect.forkScoped(within(from.run("send", file.path, "--to", to.name)))
  yield* from.moves
  yield* event
  const sent = yield* Fiber.join(sending)
  assert.strictEqual(sent.code, 0, sent.err)
  assert.isTrue(file.isIn(to.received))
})

const drop = (...rule: ReadonlyArray<string>) =>
  `add table inet wall; add chain inet wall in { type filter hook input priority 0; }; \
add chain inet wall out { type filter hook output priority 0; }; add rule inet wall ${rule.join(" ")} drop`

// Nearly all of their time is waiting, for a silent link to be given up or for what was lost.
describe.skipIf(unavailable !== null)("nodes on bad cables", { timeout: 120_000, concurrent: true }, () => {
  it.live("notice within 15 s that a cable is cut, meet within 2 s of its mending, and a transfer goes on", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      const [one, two] = [yield* host(network, 1, "--send-cap", "2MiB"), yield* host(network, 2)]
      yield* one.sees("m2", "connected")
      yield* deliversThrough(
        one,
        two,
        Effect.gen(function* () {
          const cut = now()
          network.cut(2)
          yield* one.sees("m2", "away")
          const away = now() - cut
          yield* two.sees("m1", "away")
          const mended = now()
          network.mend(2)
          yield* one.sees("m2", "connected")
          const back = now() - mended
          // Silence counts from what was heard last, which is before the cut; telling of it takes a moment.
          assert.isBelow(away, 15_500)
          assert.isBelow(back, 2000)
        })
      )
    })
  )

  it.live("go on with a transfer when the address of one changes", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      const [one, two] = [yield* host(network, 1, "--send-cap", "2MiB"), yield* host(network, 2)]
      yield* one.sees("m2", "connected")
      yield* deliversThrough(
        one,
        two,
        Effect.sync(() => {
          network.on(2, "ip", "addr", "del", "10.77.0.2/24", "dev", "eth0")
          network.on(2, "ip", "addr", "add", "10.77.0.22/24", "brd", "+", "dev", "eth0")
        })
      )
      const peer = (yield* one.peers).find(({ name }) => name === "m2")
      assert.include(peer?.addresses ?? [], "10.77.0.22:9090")
    })
  )

  it.live.skipIf(!nft)("hear of each other within 5 s though three packets of ten are lost, and send", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      for (const n of [1, 2]) network.on(n, "nft", drop("in", `iifname "eth0" numgen random mod 100 < 30`))
      const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
      const up = now()
      yield* one.sees("m2", "(discovered|connecting|connected|away)")
      assert.isBelow(now() - up, 5000)
      yield* one.sees("m2", "connected")
      // Lost in both directions, half of all round trips fail, and TCP itself waits for minutes.
      network.on(1, "nft", "flush ruleset")
      yield* delivers(one, two, 0.1)
    })
  )
})

describe.skipIf(unavailable !== null)("nodes", { timeout: 120_000 }, () => {
  it.live.skipIf(!nft)("behind firewalls that drop UDP are added by hand, and the doctor says nothing was heard", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      network.on(1, "nft", drop("in", `iifname "eth0" meta l4proto udp`))
      network.on(2, "nft", drop("in", `iifname "eth0" meta l4proto udp`))
      const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
      assert.deepStrictEqual(yield* one.peers, [])
      assert.strictEqual((yield* one.run("add", "10.77.0.2:9090")).code, 0)
      yield* one.sees("m2", "connected")
      const finding = (yield* one.doctor).find(({ subject }) => subject.startsWith("eth0 10.77.0.1"))
      assert.match(finding?.text ?? "", /heard 0 announcements|heard nothing/)
      yield* delivers(two, one, 1)
    })
  )

  it.live.skipIf(!nft)("of which one may only be dialled send both ways", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      network.on(2, "nft", drop("out", `oifname "eth0" tcp flags & (syn | ack) == syn`))
      const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
      yield* one.sees("m2", "connected")
      yield* delivers(one, two, 1)
      yield* delivers(two, one, 1)
    })
  )

  it.live("in two networks with a router between do not meet, and are added by hand", () =>
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
        const finding = (yield* side.doctor).find(
          ({ check, subject }) => check === "interface" && subject.includes("10.78.")
        )
        assert.match(finding?.text ?? "", /announced [1-9]\d* times, heard 0 announcements/)
      }
      assert.strictEqual((yield* one.run("add", "10.78.2.1:9090")).code, 0)
      yield* two.sees("m1", "connected")
      yield* delivers(one, two, 1)
    })
  )

  it.live("five on one network all meet", () =>
    Effect.gen(function* () {
      const network = yield* bridge(5)
      const hosts = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => host(network, n), { concurrency: 5 })
      for (const one of hosts) {
        for (const other of hosts) if (one !== other) yield* one.sees(other.name, "connected")
        assert.strictEqual((yield* one.peers).length, 4)
      }
    })
  )

  it.live("with two interfaces meet the machines of both", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4"], defaultRoute: false })
      for (const n of [1, 2]) network.plug(n)
      network.join("side", 1, "10.78.1.1/24", 3, "10.78.1.3/24")
      const [one, two, three] = [yield* host(network, 1), yield* host(network, 2), yield* host(network, 3)]
      for (const other of [two, three]) {
        yield* one.sees(other.name, "connected")
        yield* delivers(other, one, 1)
        yield* one.run("remove", other.name)
      }
    })
  )

  it.live.skipIf(!tbf)("fill a line of 20 Mbit/s, and talk beside that", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      const limit = ["root", "tbf", "rate", "20mbit", "burst", "64kb", "latency", "50ms"]
      network.on(1, "tc", "qdisc", "add", "dev", "eth0", ...limit)
      const [one, two] = [yield* host(network, 1), yield* host(network, 2)]
      yield* one.sees("m2", "connected")
      const file = one.file(15)
      const began = now()
      const sending = yield* Effect.forkScoped(within(one.run("send", file.path, "--to", "m2")))
      yield* one.moves
      assert.strictEqual((yield* one.run("say", "beside", "--to", "m2")).code, 0)
      yield* two.reads("beside")
      assert.isUndefined(sending.pollUnsafe(), "the file is still under way")
      assert.strictEqual((yield* Fiber.join(sending)).code, 0)
      const rate = (15 * 8) / ((now() - began) / 1000)
      assert.isAbove(rate, 0.85 * 20)
      assert.isTrue(file.isIn(two.received))
    })
  )
})

/** What slow and long lines between machines do to transfers, and to chat beside them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { host, meet } from "./Hosts.ts"
import { able, canDelay, lab, unavailable } from "./Namespaces.ts"
import { bridge } from "./Wires.ts"

const tbf = able("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "20mbit", "burst", "32kb", "latency", "50ms")
const isSlow = unavailable === null && tbf
const isLong = isSlow && canDelay()

if (unavailable !== null) console.warn(`Skipped: lines between machines ${unavailable}`)
else if (!isSlow) console.warn("Skipped: slow lines between machines, which need tc with tbf")
else if (!isLong) console.warn("Skipped: long lines between machines, which need python3 and /dev/net/tun")

/** Fills a line, and has what is said meanwhile arrive first. `rate`: megabits a second of all but the beginning. */
const fill = Effect.fnUntraced(function* (options: {
  readonly network: Effect.Success<ReturnType<typeof bridge>>
  readonly bytes: number
  readonly skipped: number
}) {
  const { bytes, network, skipped } = options
  const [one, two] = yield* Effect.all([host(network, 1), host(network, 2)], { concurrency: 2 })
  yield* meet(one, two)
  const arrived = yield* one.sends(two, bytes)
  yield* two.hasReceived(skipped)
  const began = Date.now()
  const [before = 0] = (yield* two.transfers).map((transfer) => transfer.bytes)
  for (const text of ["one", "two", "three"]) {
    yield* one.say(text, "m2")
    yield* two.reads(text)
    yield* two.say(`${text} too`, "m1")
    yield* one.reads(`${text} too`)
  }
  const [after] = yield* two.transfers
  yield* arrived
  return { rate: ((bytes - before) * 8) / 1000 / (Date.now() - began), after }
})

describe("a line", { timeout: 120_000, concurrent: true }, () => {
  it.live.skipIf(!isSlow)("of 20 Mbit/s is filled, and three messages each way wait for none of it", () =>
    Effect.gen(function* () {
      const network = yield* bridge(2)
      const limit = ["root", "tbf", "rate", "20mbit", "burst", "64kb", "latency", "50ms"]
      network.on(1, "tc", "qdisc", "add", "dev", "eth0", ...limit)
      const { after, rate } = yield* fill({ network, bytes: 20_000_000, skipped: 2_000_000 })
      assert.isAbove(rate, 0.85 * 20)
      assert.strictEqual(after?.state, "running", "the file is still under way")
    })
  )

  it.live.skipIf(!isLong)("of 100 Mbit/s and 100 ms there and back is filled: as much is under way as it holds", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 2, families: ["IPv4"], defaultRoute: false, mtu: 9000 })
      for (const n of [1, 2]) network.plug(n)
      yield* network.slow(2, 50)
      const limit = ["root", "tbf", "rate", "100mbit", "burst", "256kb", "latency", "100ms"]
      network.on(1, "tc", "qdisc", "add", "dev", "eth0", ...limit)
      const { after, rate } = yield* fill({ network, bytes: 60_000_000, skipped: 10_000_000 })
      assert.isAbove(rate, 0.6 * 100)
      assert.strictEqual(after?.state, "running", "the file is still under way")
    })
  )
})

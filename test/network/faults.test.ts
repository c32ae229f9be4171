/**
 * What happens to whole nodes while they run: cut cables, loss, interfaces and addresses that change, always with a
 * transfer under way, which goes on by itself and is compared at its end. Nearly all of the time is waiting.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { begins, ends, hears, type Host, host, meet } from "./Hosts.ts"
import { lab, unavailable } from "./Namespaces.ts"
import { bridge, drop, nft, opening } from "./Wires.ts"

if (unavailable !== null) console.warn(`Skipped: faults between machines ${unavailable}`)
else if (!nft) console.warn("Skipped: loss and firewalls between machines, which need nft")

/** Two that are connected, the first of which sends the other what takes a few seconds; its beginning has arrived. */
const sending = Effect.fnUntraced(function* (from: Host, to: Host) {
  yield* meet(from, to)
  yield* from.done("PATCH", "/api/caps", { send: 2_000_000, receive: null })
  const arrived = yield* from.sends(to, 8_000_000)
  yield* from.hasSent(1_000_000)
  return arrived
})

const pair = Effect.gen(function* () {
  const network = yield* bridge(2)
  const [one, two] = yield* Effect.all([host(network, 1), host(network, 2)], { concurrency: 2 })
  return { network, one, two }
})

describe.skipIf(unavailable !== null)("nodes", { timeout: 120_000, concurrent: true }, () => {
  it.live("notice within 15 s that a cable is cut, and meet within 2 s of its mending", () =>
    Effect.gen(function* () {
      const { network, one, two } = yield* pair
      const arrived = yield* sending(one, two)
      const cut = Date.now()
      network.cut(2)
      // Shown as lost at the same moment.
      assert.isBelow((yield* ends(one, two, cut)) - cut, 15_000)
      assert.isBelow((yield* ends(two, one, cut)) - cut, 15_000)
      yield* one.sees("m2", "away")
      yield* one.say("said to the other end of a cut cable", "m2")
      const mended = Date.now()
      network.mend(2)
      assert.isBelow((yield* begins(one, two, mended)) - mended, 2000)
      assert.isBelow((yield* begins(two, one, mended)) - mended, 2000)
      yield* two.reads("said to the other end of a cut cable")
      yield* arrived
    })
  )

  it.live("meet within 2 s of the mending of a cable that was cut for 11 s, which nobody had noticed", () =>
    Effect.gen(function* () {
      const { network, one, two } = yield* pair
      const arrived = yield* sending(one, two)
      // With nothing to say the silence is noticed latest; TCP alone would ask again after 12 s or 25 s.
      yield* one.done("PATCH", "/api/caps", { send: 1_000_000, receive: null })
      const cut = Date.now()
      network.cut(2)
      yield* Effect.sleep("11 seconds")
      assert.isEmpty(one.lines.filter(({ at, message }) => at > cut && message === "A session ended."))
      const mended = Date.now()
      network.mend(2)
      yield* one.say("after a cut that nobody noticed", "m2")
      yield* two.reads("after a cut that nobody noticed")
      assert.isBelow(Date.now() - mended, 2000)
      yield* arrived
    })
  )

  for (const who of ["receiver", "sender"] as const) {
    it.live(`go on with a transfer within 2 s of noticing that the address of the ${who} changed`, () =>
      Effect.gen(function* () {
        const { network, one, two } = yield* pair
        const [from, to] = who === "receiver" ? [one, two] : [two, one]
        const arrived = yield* sending(from, to)
        const changed = Date.now()
        network.on(2, "ip", "addr", "del", "10.77.0.2/24", "dev", "eth0")
        network.on(2, "ip", "addr", "add", "10.77.0.22/24", "brd", "+", "dev", "eth0")
        const [met, back] = [yield* begins(one, two, changed), yield* begins(two, one, changed)]
        // Its own addresses are looked at every second.
        assert.isBelow(Math.max(met, back) - changed, 3000)
        yield* arrived
        const peer = (yield* one.peers).find(({ name }) => name === "m2")
        assert.include(peer?.addresses ?? [], "10.77.0.22:9090")
      })
    )
  }

  it.live.skipIf(!nft)("do so when the one that moved may not dial: it is heard, does not answer, and is dialled", () =>
    Effect.gen(function* () {
      const { network, one, two } = yield* pair
      const arrived = yield* sending(one, two)
      network.on(2, "nft", drop("out", `oifname "eth0" ${opening}`))
      const changed = Date.now()
      network.on(2, "ip", "addr", "del", "10.77.0.2/24", "dev", "eth0")
      network.on(2, "ip", "addr", "add", "10.77.0.22/24", "brd", "+", "dev", "eth0")
      const announced = yield* two.says(
        "that it announces its new address",
        ({ address, message }) => message === "Announcing" && address === "10.77.0.22",
        changed
      )
      assert.isBelow((yield* begins(one, two, changed)) - announced, 2000)
      yield* arrived
    })
  )

  it.live("go on within 5 s of an interface's coming back, and within 5 s meet the machines of one that is new", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4"], defaultRoute: false })
      for (const n of [1, 2]) network.plug(n)
      const [one, two] = yield* Effect.all([host(network, 1), host(network, 2)], { concurrency: 2 })
      const arrived = yield* sending(one, two)
      network.unplug(2)
      const three = yield* host(network, 3)
      const plugged = Date.now()
      network.plug(2)
      // The link may have survived, since the address is the same.
      yield* one.say("back again", "m2")
      yield* two.reads("back again")
      assert.isBelow(Date.now() - plugged, 5000)
      const joined = Date.now()
      network.join("side", 2, "10.78.1.2/24", 3, "10.78.1.3/24")
      assert.isBelow((yield* hears(three, two)) - joined, 5000)
      yield* meet(two, three)
      yield* arrived
      yield* yield* three.sends(two, 100_000)
    })
  )

  it.live(
    "with two cables go on by the other within 2 s of noticing that an interface is gone, and are never away",
    () =>
      Effect.gen(function* () {
        const { network, one, two } = yield* pair
        network.join("side", 1, "10.78.1.1/24", 2, "10.78.1.2/24")
        for (const host of [one, two]) {
          yield* host.says("that it announces there", ({ address }) => address?.startsWith("10.78.1.") === true)
        }
        const arrived = yield* sending(one, two)
        yield* two.knows("m1", "10.78.1.1:9090")
        const gone = Date.now()
        // The session began before there was the other.
        network.unplug(2)
        const [met, back] = [yield* begins(one, two, gone), yield* begins(two, one, gone)]
        assert.isBelow(Math.max(met, back) - gone, 3000)
        yield* arrived
        // The one was there before the other was given up.
        const ended = [one, two].flatMap(({ lines }) => lines.filter(({ message }) => message === "A session ended."))
        assert.deepStrictEqual(
          ended.map(({ reason }) => reason),
          ["duplicate", "duplicate"]
        )
      })
  )

  it.live.skipIf(!nft)(
    "hear of each other within 5 s though three packets of ten are lost each way, and all arrives",
    () =>
      Effect.gen(function* () {
        const network = yield* bridge(2)
        for (const n of [1, 2]) network.on(n, "nft", drop("in", `iifname "eth0" numgen random mod 100 < 30`))
        const [one, two] = yield* Effect.all([host(network, 1), host(network, 2)], { concurrency: 2 })
        const up = Math.max(
          ...[one, two].map(({ lines }) => lines.find(({ message }) => message === "The node is up.")?.at ?? 0)
        )
        assert.isBelow((yield* hears(one, two)) - up, 5000)
        assert.isBelow((yield* hears(two, one)) - up, 5000)
        const texts = Array.from({ length: 20 }, (_, n) => `through the noise ${n}`)
        yield* meet(one, two)
        const arrived = yield* one.sends(two, 50_000)
        for (const text of texts) yield* one.say(text, "m2")
        yield* two.reads(...texts)
        assert.deepStrictEqual(yield* two.texts, texts)
        yield* arrived
      })
  )
})

/** Discovery between machines: real interfaces, real routes and real multicast, in network namespaces. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { announcer } from "./Announcers.ts"
import { lab, type Lab, unavailable } from "./Namespaces.ts"

if (unavailable !== null) console.warn(`Skipped: discovery between machines ${unavailable}`)

const discoveryPort = 9090

const start = (network: Lab, n: number) =>
  announcer({ name: `m${n}`, port: 7000 + n, discoveryPort, loopback: false, namespace: network.machine(n) })

/** On the clock of the announcers' lines. */
const now = () => performance.timeOrigin + performance.now()

const within = <A, E>(effect: Effect.Effect<A, E>) => Effect.timeout(effect, "30 seconds")

/** Three machines started one after the other: each newcomer knows all, and all know it, within a second. */
const meet = (network: Lab) =>
  Effect.gen(function* () {
    const running: Array<Effect.Success<ReturnType<typeof start>>> = []
    for (const n of [1, 2, 3]) {
      const newcomer = yield* start(network, n)
      for (const [index, other] of running.entries()) {
        const seen = yield* within(newcomer.sees(({ id }) => id === other.id))
        assert.isBelow(seen.after, 1000, `m${n} hears m${index + 1}`)
        assert.strictEqual(seen.address.port, 7001 + index)
        // On its side it took no longer, or the answer could not have been there.
        yield* within(other.sees(({ id }) => id === newcomer.id))
      }
      running.push(newcomer)
    }
    return running
  })

describe.skipIf(unavailable !== null)("machines on one network", () => {
  it.live("hear each other within a second", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4", "IPv6"], defaultRoute: true })
      for (const n of [1, 2, 3]) network.plug(n)
      const [first] = yield* meet(network)
      const report = yield* within(first?.finish ?? Effect.never)
      for (const one of report.interfaces.filter(({ name }) => name === "eth0")) {
        assert.isAbove(one.heard, 0, one.address)
        assert.isTrue(
          one.sent.every(({ count, error }) => count > 0 && error === null),
          one.address
        )
      }
    })
  )

  it.live("do so without any default route", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4", "IPv6"], defaultRoute: false })
      for (const n of [1, 2, 3]) network.plug(n)
      yield* meet(network)
    })
  )

  it.live("do so by IPv4 alone", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4"], defaultRoute: false })
      for (const n of [1, 2, 3]) network.plug(n)
      yield* meet(network)
    })
  )

  it.live("do so by IPv6 alone, by addresses that can be dialled", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv6"], defaultRoute: false })
      for (const n of [1, 2, 3]) network.plug(n)
      const [, second, third] = yield* meet(network)
      assert.exists(second)
      assert.exists(third)
      yield* within(second.sees(({ id, address }) => id === third.id && address.host === "fe80::3%eth0"))
      yield* within(second.sees(({ id, address }) => id === third.id && address.host === "fd77::3"))
    })
  )

  it.live("hear nothing where the cable is cut, and meet within 5 s of its mending", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4", "IPv6"], defaultRoute: false })
      for (const n of [1, 2, 3]) network.plug(n)
      network.cut(3)
      const lonely = yield* start(network, 3)
      const [first, second] = [yield* start(network, 1), yield* start(network, 2)]
      yield* within(first.sees(({ id }) => id === second.id))
      const mended = now()
      network.mend(3)
      const [seen, heard] = [
        yield* within(first.sees(({ id }) => id === lonely.id)),
        yield* within(lonely.sees(() => true))
      ]
      assert.isAbove(Math.min(seen.at, heard.at), mended)
      assert.isBelow(Math.max(seen.at, heard.at) - mended, 5000)
    })
  )

  it.live("that never meet report that nobody was heard", () =>
    Effect.gen(function* () {
      const network = yield* lab({ machines: 3, families: ["IPv4", "IPv6"], defaultRoute: false })
      for (const n of [1, 2, 3]) network.plug(n)
      network.cut(3)
      const lonely = yield* start(network, 3)
      const [first, second] = [yield* start(network, 1), yield* start(network, 2)]
      yield* within(second.sees(({ id }) => id === first.id))
      const report = yield* within(lonely.finish)
      assert.strictEqual(report.interfaces.length, 4)
      assert.isTrue(report.interfaces.every(({ heard }) => heard === 0))
    })
  )

  for (const families of [["IPv4"], ["IPv6"]] as const) {
    it.live(
      `are announced to within 5 s of an interface's coming by ${families[0]}, and found again when it is replaced`,
      () =>
        Effect.gen(function* () {
          const network = yield* lab({ machines: 2, families, defaultRoute: false })
          network.plug(1)
          const [first, late] = [yield* start(network, 1), yield* start(network, 2)]
          const meetAgain = Effect.fnUntraced(function* (limit: number) {
            const plugged = now()
            network.plug(2)
            const [one, other] = [
              yield* within(first.sees(({ id }) => id === late.id, plugged)),
              yield* within(late.sees(({ id }) => id === first.id, plugged))
            ]
            assert.isBelow(Math.max(one.at, other.at) - plugged, limit)
          })
          yield* meetAgain(5000)
          // Replaced at once, under the same name and addresses, it looks as if nothing had happened: until nothing of
          // an announcement can be sent, which takes up to one round of them, and then one look.
          network.unplug(2)
          yield* meetAgain(8000)
        })
    )
  }
})

/** The gate keeps its limits whatever comes, and one greedy address delays hardly anyone but itself. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { HandshakeGate, type Ticket } from "../../src/services/transport/HandshakeGate.ts"
import { LinkQuota } from "../../src/services/transport/LinkQuota.ts"
import { networkOf } from "../../src/services/transport/NetworkOf.ts"
import { OffenceLog } from "../../src/services/peers/OffenceLog.ts"

const make = () => new HandshakeGate({ max: 6, perAddressMax: 2, waitingMax: 10 })

/** Enters, and keeps what was decided. */
const enter = (gate: HandshakeGate, address: string) => {
  const decisions: Array<boolean> = []
  const ticket = gate.enter(address, (admitted) => decisions.push(admitted))
  return { ticket, decisions, address }
}

const Step = Schema.Union([
  Schema.TaggedStruct("Enter", { address: Schema.Literals(["a", "b", "c", "d", "e"]) }),
  Schema.TaggedStruct("Leave", { which: Schema.Natural })
])

describe("HandshakeGate", () => {
  it.prop("keeps its limits, and leaves nobody waiting who could begin", [Schema.Array(Step)], ([steps]) => {
    const gate = make()
    const all: Array<ReturnType<typeof enter>> = []
    for (const step of steps) {
      if (step._tag === "Enter") all.push(enter(gate, step.address))
      else if (all.length > 0) {
        const left = all[step.which % all.length]
        if (left !== undefined) gate.leave(left.ticket)
      }
      const working = all.filter(({ ticket }) => ticket.state === "working")
      const waiting = all.filter(({ ticket }) => ticket.state === "waiting")
      assert.strictEqual(gate.working, working.length)
      assert.strictEqual(gate.waiting, waiting.length)
      assert.isAtMost(working.length, 6)
      assert.isAtMost(waiting.length, 10)
      const ofAddress = (address: string) => working.filter((one) => one.address === address).length
      for (const one of all) assert.isAtMost(ofAddress(one.address), 2)
      if (working.length < 6) for (const one of waiting) assert.strictEqual(ofAddress(one.address), 2)
      for (const one of all) assert.isAtMost(one.decisions.length, 1)
      for (const one of waiting) assert.deepStrictEqual(one.decisions, [])
      for (const one of working) assert.deepStrictEqual(one.decisions, [true])
    }
    for (const { ticket } of all) gate.leave(ticket)
    assert.strictEqual(gate.working + gate.waiting, 0)
  })

  it("lets the other addresses pass one that floods", () => {
    const gate = make()
    for (let count = 0; count < 100; count++) enter(gate, "greedy")
    const other = enter(gate, "other")
    assert.deepStrictEqual(other.decisions, [true])
    assert.strictEqual(gate.working, 3)
  })

  it("takes the addresses of an IPv6 /64 for one network, and leaves room for the others", () => {
    const gate = new HandshakeGate({ max: 6, perNetworkMax: 3, perAddressMax: 2, waitingMax: 10 })
    const many = Array.from({ length: 100 }, (_, n) => enter(gate, `2001:db8::${(n + 1).toString(16)}`))
    assert.strictEqual(gate.working, 3)
    assert.strictEqual(gate.waiting, 10)
    const others = ["2001:db8:0:1::1", "192.0.2.1"].map((address) => enter(gate, address))
    for (const { decisions } of others) assert.deepStrictEqual(decisions, [true])
    for (const { ticket } of many) gate.leave(ticket)
    for (const { ticket } of others) gate.leave(ticket)
    assert.strictEqual(gate.working + gate.waiting, 0)
  })

  it("takes turns by address, not by arrival", () => {
    const gate = new HandshakeGate({ max: 1, perAddressMax: 1, waitingMax: 10 })
    const first = enter(gate, "a")
    const rest = [enter(gate, "a"), enter(gate, "a"), enter(gate, "b"), enter(gate, "b")]
    const order: Array<string> = []
    let working = first
    for (let round = 0; round < rest.length; round++) {
      gate.leave(working.ticket)
      working = rest.find(({ ticket }) => ticket.state === "working") ?? first
      order.push(working.address)
    }
    assert.deepStrictEqual(order, ["a", "b", "a", "b"])
  })

  it("turns away the newest of the address that has most waiting", () => {
    const gate = new HandshakeGate({ max: 1, perAddressMax: 1, waitingMax: 4 })
    enter(gate, "working")
    const greedy = Array.from({ length: 4 }, () => enter(gate, "greedy"))
    const other = enter(gate, "other")
    assert.deepStrictEqual(other.decisions, [])
    assert.deepStrictEqual(
      greedy.map(({ decisions }) => decisions),
      [[], [], [], [false]]
    )
    assert.strictEqual(gate.waiting, 4)
  })

  it("bears someone who leaves while being let in", () => {
    const gate = new HandshakeGate({ max: 1, perAddressMax: 1, waitingMax: 4 })
    const first = enter(gate, "a")
    let ticket: Ticket | undefined
    ticket = gate.enter("b", () => ticket !== undefined && gate.leave(ticket))
    const last = enter(gate, "c")
    gate.leave(first.ticket)
    assert.deepStrictEqual(last.decisions, [true])
    assert.strictEqual(gate.working, 1)
  })
})

describe("OffenceLog", () => {
  const second = 1_000_000_000n

  it("writes one line for an address in a minute, and says what it left out", () => {
    const log = new OffenceLog({ every: Duration.minutes(1), addressesMax: 2 })
    assert.strictEqual(log.note("a", 0n), 0)
    assert.isUndefined(log.note("a", second))
    assert.isUndefined(log.note("a", 59n * second))
    assert.strictEqual(log.note("b", 59n * second), 0)
    assert.strictEqual(log.note("a", 60n * second), 2)
    assert.isUndefined(log.note("a", 61n * second))
  })

  it("counts what it has no room for, and tells it with the next line", () => {
    const log = new OffenceLog({ every: Duration.minutes(1), addressesMax: 2 })
    assert.strictEqual(log.note("a", 0n), 0)
    assert.strictEqual(log.note("b", 0n), 0)
    for (let count = 0; count < 1000; count++) assert.isUndefined(log.note(`other ${count}`, second))
    assert.strictEqual(log.note("c", 60n * second), 1000)
    assert.strictEqual(log.note("d", 60n * second), 0)
  })
})

describe("networkOf", () => {
  it("is the address of IPv4, the first 64 bits of IPv6 with its zone, and any other text itself", () => {
    const cases: Record<string, ReadonlyArray<string>> = {
      "192.0.2.1": ["192.0.2.1"],
      "192.0.2.2": ["192.0.2.2"],
      "host.example": ["host.example"],
      "2001:db8:0:0::/64%": ["2001:db8::", "2001:db8::1", "2001:DB8::ffff:1", "2001:0db8:0:0:1:2:3:4"],
      "2001:db8:1:2::/64%": ["2001:db8:1:2::", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3::"],
      "0:0:0:0::/64%": ["::1", "::"],
      "fe80:0:0:0::/64%eth0": ["fe80::1%eth0", "fe80::abcd:1%eth0"],
      "fe80:0:0:0::/64%eth1": ["fe80::1%eth1"]
    }
    for (const [network, addresses] of Object.entries(cases)) {
      for (const address of addresses) assert.strictEqual(networkOf(address), network, address)
    }
  })
})

describe("LinkQuota", () => {
  it("counts by peer, by network and in all, and gives back what leaves", () => {
    const quota = new LinkQuota({ max: 4, perNetworkMax: 3, perPeerMax: 2 })
    assert.isUndefined(quota.enter("a", "192.0.2.1"))
    assert.isUndefined(quota.enter("a", "192.0.2.2"))
    assert.match(quota.enter("a", "192.0.2.3") ?? "", /2 links of this peer/)
    assert.isUndefined(quota.enter("b", "192.0.2.1"))
    assert.isUndefined(quota.enter("c", "192.0.2.1"))
    assert.match(quota.enter("d", "192.0.2.1") ?? "", /3 links from its network/)
    assert.match(quota.enter("d", "192.0.2.9") ?? "", /4 links are open/)
    quota.leave("a", "192.0.2.1")
    assert.isUndefined(quota.enter("d", "192.0.2.9"))
    for (const [peer, address] of [
      ["a", "192.0.2.2"],
      ["b", "192.0.2.1"],
      ["c", "192.0.2.1"],
      ["d", "192.0.2.9"]
    ] as const) {
      quota.leave(peer, address)
    }
    assert.strictEqual(quota.open, 0)
    assert.isUndefined(quota.enter("a", "192.0.2.1"))
  })
})

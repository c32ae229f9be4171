/** The pure part of Discovery: which addresses to speak from, whose network a source is on, who is answered. */
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { type Announcement, decode, encode } from "../../src/schema/Announcement.ts"
import { Name } from "../../src/schema/Text.ts"
import type { Interface } from "../../src/services/Datagrams.ts"
import * as State from "../../src/services/discovery/DiscoveryState.ts"
import { someId } from "../Some.ts"
import { someInstance } from "./DiscoveryNode.ts"

const at = (name: string, address: string, prefix: number): Interface => ({
  name,
  address,
  prefix,
  family: address.includes(":") ? "IPv6" : "IPv4",
  loopback: name === "lo"
})

const laptop = [
  at("lo", "127.0.0.1", 8),
  at("lo", "::1", 128),
  at("wlan0", "192.168.1.7", 24),
  at("wlan0", "2001:db8::7", 64),
  at("wlan0", "2001:db8::a1b2", 64),
  at("wlan0", "fe80::7", 64),
  at("tun0", "10.8.0.2", 32),
  at("eth0", "192.168.0.7", 16)
]

const addresses = (interfaces: ReadonlyArray<Interface>) => interfaces.map(({ address }) => address)

const announcement = (n: number, fields: Partial<Announcement> = {}): Announcement => ({
  kith: 1,
  kind: "announce",
  id: someId(n),
  instance: someInstance(n),
  name: "x",
  port: 7001,
  reply: 50_001,
  ...fields
})

describe("outlets", () => {
  it("are every IPv4 address, and of each interface's IPv6 ones a link-local and one other", () => {
    assert.sameMembers(addresses(State.outlets(laptop)), [
      "127.0.0.1",
      "192.168.1.7",
      "2001:db8::7",
      "fe80::7",
      "10.8.0.2",
      "192.168.0.7"
    ])
  })
  it("take ::1 only where there is no 127.0.0.1", () => {
    assert.deepStrictEqual(addresses(State.outlets([at("lo", "::1", 128)])), ["::1"])
  })
  it("are at most so many, and those with automatic addresses give way", () => {
    const containers = Array.from({ length: 500 }, (_, n) => at(`veth${n}`, `fe80::${n.toString(16)}`, 64))
    const chosen = State.outlets([...containers, ...laptop])
    assert.strictEqual(chosen.length, State.outletsMax)
    assert.includeMembers(addresses(chosen), ["127.0.0.1", "192.168.1.7", "2001:db8::7", "10.8.0.2", "192.168.0.7"])
  })
})

const found = (host: string) => State.networkOf(laptop, host)?.address

describe("networkOf", () => {
  it("is the interface whose network the source is on", () => {
    assert.strictEqual(found("127.0.0.1"), "127.0.0.1")
    assert.strictEqual(found("192.168.1.200"), "192.168.1.7", "the longer prefix")
    assert.strictEqual(found("192.168.77.1"), "192.168.0.7")
    assert.strictEqual(found("2001:db8::1234"), "2001:db8::7")
    assert.strictEqual(found("fe80::99%wlan0"), "fe80::7")
    assert.strictEqual(found("fe80::99%eth9"), undefined)
    assert.strictEqual(found("198.51.100.1"), undefined)
    assert.strictEqual(found("router.lan"), undefined)
  })
})

describe("announcedName", () => {
  it.prop("makes any name fit its datagram", [Name], ([name]) => {
    const announced = announcement(1, { name: State.announcedName(name), port: 65_535, reply: 65_535 })
    assert.deepStrictEqual(Option.getOrThrow(decode(encode(announced))), announced)
  })
  it("is so for the worst of them", () => {
    for (const name of ["\u0001".repeat(64), '"'.repeat(64), "\\".repeat(64), "😀".repeat(16), "\u007f".repeat(64)]) {
      assert.strictEqual(decode(encode(announcement(1, { name: State.announcedName(name) })))._tag, "Some")
    }
  })
})

describe("Newcomers", () => {
  const source = "192.0.2.9"

  it("answers each announcement of the first five seconds, but not its copies, and nothing after", () => {
    const newcomers = new State.Newcomers(10)
    const answered = [0, 1, 2, 200, 201, 700, 1500, 4500, 4501, 5000, 9000, 14_000].filter((time) =>
      newcomers.hear(announcement(1), source, 1000 + time)
    )
    assert.deepStrictEqual(answered, [0, 200, 700, 1500, 4500])
  })

  it("answers again: another instance, another path, and after half a minute of silence", () => {
    const newcomers = new State.Newcomers(10)
    assert.isTrue(newcomers.hear(announcement(1), source, 0))
    assert.isFalse(newcomers.hear(announcement(1), source, 10_000))
    assert.isTrue(newcomers.hear(announcement(1, { instance: someInstance(2) }), source, 10_000))
    assert.isTrue(newcomers.hear(announcement(1), "fe80::9%eth0", 10_000))
    assert.isFalse(newcomers.hear(announcement(1), source, 39_999))
    assert.isTrue(newcomers.hear(announcement(1), source, 69_999))
  })

  it("never answers an answer, so that two nodes do not answer each other for ever, nor a goodbye", () => {
    const newcomers = new State.Newcomers(10)
    assert.isFalse(newcomers.hear(announcement(1, { kind: "answer" }), source, 0))
    assert.isFalse(newcomers.hear(announcement(2, { kind: "goodbye" }), source, 0))
    assert.strictEqual(newcomers.size, 1)
  })

  it("keeps the newest of 50,000, and those who go on announcing", () => {
    const newcomers = new State.Newcomers(1024)
    let answers = 0
    for (let n = 1; n <= 50_000; n++) {
      if (newcomers.hear(announcement(n), source, n)) answers++
      if (n % 1000 === 0) newcomers.hear(announcement(0), source, n)
      assert.isAtMost(newcomers.size, 1024)
    }
    assert.strictEqual(newcomers.size, 1024)
    // Known through it all: it is not new now, though nobody was answered any more than 50 times a second.
    assert.isFalse(newcomers.hear(announcement(0), source, 51_000))
    assert.isAtMost(answers, 100 + 50 * 50)
    assert.isAtLeast(answers, 50 * 50)
  })
})

describe("Meanings", () => {
  it("are what they would be without memory, of each source, and as few as allowed", () => {
    const self = { id: someId(0), instance: someInstance(0) }
    const meanings = new State.Meanings(self, 8)
    for (let n = 0; n < 100; n++) {
      const payload = encode(announcement(n % 12, { port: 7000 + (n % 5) }))
      for (const host of ["192.0.2.1", "192.0.2.2", "224.0.0.1", "no address"]) {
        const datagram = { payload, from: { host, port: 50_001 } }
        assert.deepStrictEqual(meanings.of(datagram), State.meaning(self, datagram))
        assert.deepStrictEqual(meanings.of({ ...datagram, payload: payload.slice() }), State.meaning(self, datagram))
        assert.isAtMost(meanings.size, 8)
      }
    }
    assert.strictEqual(
      meanings.of({ payload: new Uint8Array(512), from: { host: "192.0.2.1", port: 1 } })._tag,
      "Nothing"
    )
  })
})

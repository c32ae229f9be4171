/** Trust between nodes on a simulated network: words, tickets, blocking, and keys that change. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { limits } from "../../src/config.ts"
import { tcp } from "../../src/schema/Address.ts"
import type { Frame } from "../../src/schema/Frame.ts"
import { GroupId, TransferId, VerificationId } from "../../src/schema/Id.ts"
import type { Transfer as View } from "../../src/schema/Offer.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import * as Ticket from "../../src/schema/Ticket.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { someBytes32 } from "../Some.ts"
import { hello, puppet } from "./Nodes.ts"
import { start, type TrustNode } from "./TrustNodes.ts"

/** Alice and bob with a session between them. */
const together = Effect.fnUntraced(function* () {
  const network = yield* SimulatedNetwork.make({ seed: 7 })
  const alice = yield* start(network.host("alice"))
  const bob = yield* start(network.host("bob"))
  yield* elapse(alice.connection.add(bob.at))
  return { network, alice, bob }
})

const answer = (node: TrustNode, peer: TrustNode, same: boolean) =>
  Effect.suspend(() => {
    const shown = node.shown(peer.id)
    return shown === undefined ? Effect.die("nothing is shown") : node.trust.answer(shown.id, same)
  })

const soon = TestClock.adjust("1 second")

const view = (n: number, peer: View["peer"], state: View["state"]): View => ({
  id: TransferId.make(base32(new Uint8Array(16).fill(n))),
  direction: "send",
  state,
  group: GroupId.make(base32(new Uint8Array(16).fill(n))),
  peer,
  name: "it",
  files: 1,
  directories: 0,
  bytes: 0,
  totalBytes: 1,
  bytesPerSecond: 0,
  error: null,
  published: [],
  problems: [],
  problemCount: 0,
  startedAt: 0
})

const invited = (node: TrustNode) => Effect.map(node.trust.invite({}), ({ ticket }) => ticket)

describe("words", () => {
  it.effect("are the same on both sides, and both are verified once both people said so", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      const shown = yield* elapse(alice.trust.verify(bob.id))
      yield* soon
      assert.lengthOf(shown.words, 4)
      assert.deepInclude(bob.shown(alice.id), { state: "comparing", begunBy: "peer", words: shown.words })
      yield* answer(bob, alice, true)
      yield* soon
      assert.deepStrictEqual([yield* alice.trusts(bob.id), yield* bob.trusts(alice.id)], ["unverified", "unverified"])
      const settled = yield* Effect.forkChild(alice.trust.settled(shown.id), { startImmediately: true })
      yield* answer(alice, bob, true)
      yield* soon
      assert.strictEqual((yield* Fiber.join(settled)).state, "verified")
      for (const [one, other] of [
        [alice, bob],
        [bob, alice]
      ] as const) {
        const record = Option.getOrThrow(yield* one.registry.get(other.id))
        assert.deepInclude(record, { trust: "verified", trustHow: "words", wanted: true })
        assert.isAtLeast(record.trustAt ?? -1, 0)
        const last = one.events.findLast((event) => event._tag === "PeerChanged")
        assert.isTrue(last?._tag === "PeerChanged" && last.peer.trustHow === "words")
      }
    })
  )

  it.effect("that differ, says one side: both hear it, nobody is verified, and both have to wait", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      yield* elapse(alice.trust.verify(bob.id))
      yield* soon
      yield* answer(alice, bob, true)
      yield* answer(bob, alice, false)
      yield* soon
      for (const [one, other] of [
        [alice, bob],
        [bob, alice]
      ] as const) {
        assert.deepInclude(one.shown(other.id), { state: "mismatch", words: [] })
        assert.strictEqual(yield* one.trusts(other.id), "unverified")
        assert.match((yield* Effect.flip(one.trust.verify(other.id))).message, /differed the last time.*in \d+ s/)
      }
      yield* TestClock.adjust("10 seconds")
      yield* elapse(alice.trust.verify(bob.id))
    })
  )

  it.effect("asked for on both sides at one moment are compared once", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      const [one, other] = yield* elapse(
        Effect.all([alice.trust.verify(bob.id), bob.trust.verify(alice.id)], { concurrency: "unbounded" })
      )
      assert.strictEqual(one.id, other.id)
      assert.deepStrictEqual(one.words, other.words)
      assert.deepStrictEqual(yield* alice.trust.verifications, [one])
    })
  )

  it.effect("expire after two minutes, and end with the session", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      const { id } = yield* elapse(alice.trust.verify(bob.id))
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual(alice.shown(bob.id)?.state, "comparing")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([alice.shown(bob.id)?.state, bob.shown(alice.id)?.state], ["expired", "expired"])
      assert.strictEqual((yield* Effect.flip(alice.trust.answer(id, true)))._tag, "UnknownVerification")
      yield* elapse(alice.trust.verify(bob.id))
      yield* answer(alice, bob, true)
      network.cut("alice", "bob")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([alice.shown(bob.id)?.state, bob.shown(alice.id)?.state], ["cancelled", "cancelled"])
      assert.match(bob.shown(alice.id)?.reason ?? "", /connection was lost/)
      assert.deepStrictEqual([yield* alice.trusts(bob.id), yield* bob.trusts(alice.id)], ["unverified", "unverified"])
    })
  )

  it.effect("need a session, and are not compared with who is blocked", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      yield* elapse(bob.stop)
      yield* soon
      assert.strictEqual((yield* Effect.flip(alice.trust.verify(bob.id)))._tag, "NotConnected")
      yield* elapse(alice.trust.block(bob.id))
      assert.strictEqual((yield* Effect.flip(alice.trust.verify(bob.id)))._tag, "VerifyRefused")
    })
  )
})

describe("a ticket", () => {
  it.effect("connects and verifies both sides, once", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const alice = yield* start(network.host("alice"))
      const bob = yield* start(network.host("bob"))
      const carol = yield* start(network.host("carol"))
      const ticket = yield* invited(alice)
      assert.strictEqual(yield* elapse(bob.trust.join(ticket)), alice.id)
      yield* soon
      for (const [one, other] of [
        [alice, bob],
        [bob, alice]
      ] as const) {
        const record = Option.getOrThrow(yield* one.registry.get(other.id))
        assert.deepInclude(record, { trust: "verified", trustHow: "ticket", state: "connected", wanted: true })
      }
      assert.strictEqual((yield* Effect.flip(elapse(carol.trust.join(ticket))))._tag, "TicketUsed")
      assert.strictEqual((yield* Effect.flip(elapse(bob.trust.join(ticket))))._tag, "TicketUsed")
      assert.strictEqual(yield* alice.trusts(carol.id), "unverified")
      assert.strictEqual(yield* carol.trusts(alice.id), "unverified")
    })
  )

  it.effect("that is mistyped, cut, foreign, one's own, expired or unknown is refused, each in its own words", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      const join = (text: string) =>
        Effect.map(Effect.flip(elapse(bob.trust.join(Redacted.make(text)))), (error) => error._tag)
      const text = Redacted.value(yield* invited(alice))
      assert.strictEqual(yield* join("hello"), "TicketForeign")
      assert.strictEqual(yield* join(text.replace("kith1", "kith3")), "TicketVersion")
      assert.strictEqual(yield* join(text.slice(0, -1)), "TicketTruncated")
      assert.strictEqual(
        yield* join(`${text.slice(0, 50)}${text[50] === "a" ? "b" : "a"}${text.slice(51)}`),
        "TicketMistyped"
      )
      const own = Redacted.value(yield* invited(bob))
      assert.strictEqual(yield* join(own), "TicketOwn")
      const parsed = yield* Effect.fromResult(Ticket.parse(text))
      const unknown = Ticket.format({ ...parsed, secret: Redacted.make("aaaaaaaaaaaaaaaaaaaaaaaaaa") })
      assert.strictEqual(yield* join(unknown), "TicketUnknown")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* join(text), "TicketExpired")
      // Expired, and the node that made it is not there any more.
      yield* elapse(alice.stop)
      yield* soon
      assert.strictEqual(yield* join(text), "TicketExpired")
      assert.strictEqual(yield* bob.trusts(alice.id), "unverified")
    })
  )

  it.effect("is judged by the clock of who made it", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      const parsed = yield* Effect.fromResult(Ticket.parse(Redacted.value(yield* invited(alice))))
      // As if bob's clock were an hour ahead.
      const early = Ticket.format({ ...parsed, expires: 1000 })
      assert.isAbove(yield* Clock.currentTimeMillis, 1000 - 1001)
      yield* TestClock.adjust("2 seconds")
      yield* elapse(bob.trust.join(Redacted.make(early)))
      assert.strictEqual(yield* bob.trusts(alice.id), "verified")
    })
  )

  it.effect("lasts as long as it was told to, at most a week, and only so many are out", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* together()
      const { ticket } = yield* alice.trust.invite({ expires: "1 minute" })
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* Effect.flip(elapse(bob.trust.join(ticket))))._tag, "TicketExpired")
      for (const expires of ["0 millis", "8 days"] as const) {
        assert.strictEqual((yield* Effect.flip(alice.trust.invite({ expires })))._tag, "InviteRefused")
      }
      for (let n = 0; n < 64; n++) yield* invited(alice)
      assert.match((yield* Effect.flip(alice.trust.invite({}))).message, /64 tickets are out/)
      yield* TestClock.adjust("10 minutes")
      yield* invited(alice)
    })
  )

  it.effect("whose addresses lead to another key, or nowhere, verifies nobody", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const alice = yield* start(network.host("alice"))
      const bob = yield* start(network.host("bob"))
      const mallory = yield* start(network.host("mallory"))
      const parsed = yield* Effect.fromResult(Ticket.parse(Redacted.value(yield* invited(alice))))
      const hijacked = Redacted.make(Ticket.format({ ...parsed, addresses: [mallory.address] }))
      assert.deepInclude(yield* Effect.flip(elapse(bob.trust.join(hijacked))), {
        _tag: "DialError",
        problem: "wrongPeer"
      })
      const nowhere = Redacted.make(Ticket.format({ ...parsed, addresses: [tcp("192.0.2.1", 9090)] }))
      assert.deepInclude(yield* Effect.flip(elapse(bob.trust.join(nowhere))), {
        _tag: "DialError",
        problem: "unreachable"
      })
      assert.deepStrictEqual(
        [yield* bob.trusts(mallory.id), yield* bob.trusts(alice.id), yield* alice.trusts(bob.id)].includes("verified"),
        false
      )
    })
  )

  it.effect("is taken from nobody who does not prove that it made it", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const bob = yield* start(network.host("bob"))
      const mallory = network.host("mallory")
      yield* Effect.gen(function* () {
        const transport = yield* Transport
        const identity = yield* Identity
        const secret = Redacted.make(base32(new Uint8Array(Ticket.secretBytes)))
        const { ticket } = Ticket.keyOf(secret)
        // It has the key that the ticket names, and says yes without knowing what is in it.
        yield* transport.accept("kith/1", (link) =>
          Effect.gen(function* () {
            const self = puppet(link)
            yield* self.next
            yield* self.say(hello(identity))
            while ((yield* self.next)._tag !== "TicketProof");
            yield* self.say({ _tag: "TicketAccepted", ticket, proof: someBytes32(1) })
            return yield* Effect.never
          }).pipe(Effect.ignore)
        )
        const addresses = [tcp("mallory", transport.port)]
        const expires = (yield* Clock.currentTimeMillis) + 60_000
        const text = Redacted.make(Ticket.format({ id: identity.id, addresses, secret, expires }))
        assert.deepInclude(yield* Effect.flip(elapse(bob.trust.join(text))), { _tag: "TicketRejected" })
        assert.strictEqual(yield* bob.trusts(identity.id), "unverified")
      }).pipe(Effect.provide(mallory.layer), Effect.scoped)
    })
  )

  it.effect("is void after three wrong proofs, and so is a peer's fourth try", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const alice = yield* start(network.host("alice"))
      const bob = yield* start(network.host("bob"))
      const mallory = network.host("mallory")
      const text = yield* invited(alice)
      const { secret } = yield* Effect.fromResult(Ticket.parse(Redacted.value(text)))
      const { ticket } = Ticket.keyOf(secret)
      const reasons = yield* Effect.gen(function* () {
        const transport = yield* Transport
        const self = puppet(yield* elapse(transport.dial(alice.address, { protocol: "kith/1" })))
        yield* self.say(hello(yield* Identity))
        yield* elapse(self.next)
        const reasons: Array<string> = []
        const meeting = { inviter: alice.id, joiner: mallory.id, binding: someBytes32(1) }
        for (let n = 0; n < 5; n++) {
          // The right secret, for another session.
          const proof = Ticket.prove(Ticket.keyOf(secret), "joiner", meeting)
          yield* self.say({ _tag: "TicketProof", ticket, proof })
          for (;;) {
            const frame = yield* elapse(self.next)
            if (frame._tag !== "TicketRefused") continue
            reasons.push(frame.reason)
            break
          }
        }
        return reasons
      }).pipe(Effect.provide(mallory.layer), Effect.scoped)
      assert.deepStrictEqual(reasons, ["wrong", "wrong", "wrong", "tooMany", "tooMany"])
      assert.deepInclude(yield* Effect.flip(elapse(bob.trust.join(text))), { _tag: "TicketRejected" })
      assert.strictEqual(yield* alice.trusts(mallory.id), "unverified")
    })
  )
})

describe("strangers without number", () => {
  it.effect("that ask to compare words do not keep a person from beginning to", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      const strangers = yield* Effect.forEach(Array(limits.verifyMax + 2).keys(), (n) =>
        start(network.host(`stranger ${n}`), { name: `stranger ${n}` })
      )
      for (const stranger of strangers) {
        yield* elapse(stranger.connection.add(alice.at))
        yield* elapse(stranger.trust.verify(alice.id))
      }
      assert.lengthOf(yield* alice.trust.verifications, limits.verifyMax)
      const { words } = yield* elapse(alice.trust.verify(bob.id))
      assert.lengthOf(words, 4)
    })
  )
})

describe("a peer that reads nothing", () => {
  it.effect("delays nobody else's words and tickets", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      const mallory = network.host("mallory")
      yield* Effect.gen(function* () {
        const transport = yield* Transport
        const self = puppet(yield* elapse(transport.dial(alice.address, { protocol: "kith/1" })))
        yield* self.say(hello(yield* Identity))
        yield* elapse(self.next)
        // The answers fill the link, and then what waits to be written to it.
        for (let round = 0; round < 100; round++) {
          for (let nonce = 0; nonce < 200; nonce++) yield* self.say({ _tag: "Ping", nonce })
          yield* TestClock.adjust("20 millis")
        }
        const ticket = Ticket.keyOf(Redacted.make("a".repeat(26))).ticket
        const many = Array.from({ length: 100 }, (_, n) => n)
        const verifications = many.map((n) => VerificationId.make(base32(new Uint8Array(16).fill(n))))
        const asks: ReadonlyArray<Frame> = [
          ...many.map((n) => ({ _tag: "TicketProof" as const, ticket, proof: someBytes32(n) })),
          ...verifications.map((verification, n) => ({
            _tag: "VerifyCommit" as const,
            verification,
            commitment: someBytes32(n)
          }))
        ]
        yield* elapse(Effect.forEach(asks, self.say))
        const { words } = yield* elapse(bob.trust.verify(alice.id), { within: "1 second" })
        assert.lengthOf(words, 4)
        yield* elapse(bob.trust.join(yield* invited(alice)), { within: "1 second" })
        assert.deepStrictEqual([yield* alice.trusts(bob.id), yield* bob.trusts(alice.id)], ["verified", "verified"])
      }).pipe(Effect.provide(mallory.layer), Effect.scoped)
    })
  )
})

describe("a blocked peer", () => {
  it.effect("loses its links and transfers at once, is refused before its Hello, and is not heard", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const bob = yield* start(network.host("bob"))
      const running = view(1, bob.id, "running")
      const other = view(2, network.host("carol").id, "running")
      const over = view(3, bob.id, "done")
      const alice = yield* start(network.host("alice"), { transfers: [running, other, over] })
      yield* elapse(alice.connection.add(bob.at))
      yield* elapse(alice.trust.block(bob.id))
      assert.deepStrictEqual(yield* alice.connection.connected, [])
      assert.deepStrictEqual(alice.cancelled, [running.id])
      assert.deepInclude(Option.getOrThrow(yield* alice.registry.get(bob.id)), {
        trust: "blocked",
        trustHow: "person",
        wanted: false,
        state: "away"
      })
      yield* soon
      // Bob comes by himself, is heard of, is dialled by hand: nothing makes a session.
      assert.deepInclude(yield* Effect.flip(elapse(bob.connection.add(alice.at))), { reason: "blocked" })
      yield* alice.connection.suggest(bob.id, bob.address)
      yield* TestClock.adjust("1 minute")
      assert.deepInclude(yield* Effect.flip(elapse(alice.connection.add(bob.at))), { reason: "blocked" })
      assert.deepStrictEqual(yield* alice.connection.connected, [])
      assert.deepStrictEqual(yield* bob.connection.connected, [])
      // A ticket of hers does not bring him back.
      const { ticket } = yield* alice.trust.invite({})
      assert.strictEqual((yield* Effect.flip(elapse(bob.trust.join(ticket))))._tag, "SessionError")
      const his = yield* bob.trust.invite({})
      assert.strictEqual((yield* Effect.flip(elapse(alice.trust.join(his.ticket))))._tag, "PeerBlocked")
      yield* alice.trust.unblock(bob.id)
      assert.strictEqual(yield* alice.trusts(bob.id), "unverified")
      yield* elapse(alice.connection.add(bob.at))
    })
  )

  it.effect("is told nothing but goodbye, before it has said who it is", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      yield* elapse(bob.stop)
      yield* elapse(alice.trust.block(bob.id))
      yield* Effect.gen(function* () {
        const transport = yield* Transport
        const link = puppet(yield* elapse(transport.dial(alice.address, { protocol: "kith/1" })))
        assert.deepStrictEqual(yield* elapse(link.next), { _tag: "Goodbye", reason: "blocked" })
        yield* Effect.flip(elapse(link.next))
      }).pipe(Effect.provide(network.host("bob").layer), Effect.scoped)
    })
  )

  it.effect("stays blocked under another name, and after a restart", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      yield* elapse(alice.trust.block(bob.id))
      yield* elapse(Effect.all([alice.stop, bob.stop]))
      const renamed = yield* start(network.host("bob"), { name: "carol" })
      const again = yield* start(network.host("alice"), { remembered: alice.registry })
      assert.strictEqual(renamed.id, bob.id)
      assert.deepInclude(yield* Effect.flip(elapse(renamed.connection.add(again.at))), { reason: "blocked" })
      yield* again.connection.suggest(renamed.id, renamed.address)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* again.connection.connected, [])
    })
  )

  it.effect("has no session, even if it was let in a moment before it was blocked", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      yield* elapse(Effect.all([alice.stop, bob.stop]))
      let looks = 0
      let then: Effect.Effect<void> = Effect.void
      // After his Hello was read she looks whether he is blocked, for the second time; right then she blocks him.
      const registry: TrustNode["registry"] = {
        ...alice.registry,
        get: (id) =>
          Effect.tap(alice.registry.get(id), () => Effect.suspend(() => (++looks === 2 ? then : Effect.void)))
      }
      const again = yield* start(network.host("alice"), { remembered: registry })
      const late = yield* start(network.host("bob"))
      looks = 0
      then = again.trust.block(late.id)
      yield* Effect.ignore(elapse(late.connection.add(again.at)))
      yield* soon
      assert.isAbove(looks, 2)
      assert.strictEqual(yield* again.trusts(late.id), "blocked")
      assert.deepStrictEqual(yield* again.connection.connected, [])
    })
  )

  it.effect("that connects in the very moment it is blocked has no session afterwards", () =>
    Effect.gen(function* () {
      const network = yield* SimulatedNetwork.make({ seed: 7 })
      const alice = yield* start(network.host("alice"))
      const bob = yield* start(network.host("bob"))
      for (let n = 0; n < 12; n++) {
        const adding = yield* Effect.forkChild(Effect.exit(bob.connection.add(alice.at)), { startImmediately: true })
        yield* TestClock.adjust(n)
        yield* elapse(alice.trust.block(bob.id))
        yield* elapse(Fiber.join(adding))
        yield* soon
        assert.deepStrictEqual(yield* alice.connection.connected, [], `after ${n} ms`)
        yield* alice.trust.unblock(bob.id)
      }
    })
  )
})

describe("a changed key", () => {
  it.effect("behind a known name is an alarm, once an hour, and the newcomer is a stranger", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      const imposter = yield* start(network.host("mallory"), { name: "BOB" })
      yield* elapse(imposter.connection.add(alice.at))
      yield* soon
      assert.lengthOf(alice.alarms(), 1)
      assert.deepInclude(alice.alarms()[0], { kind: "changedKey", peer: bob.id })
      assert.include(alice.alarms()[0]?.text, imposter.id.slice(0, 8))
      assert.deepInclude(Option.getOrThrow(yield* alice.registry.get(imposter.id)), {
        trust: "unverified",
        state: "connected"
      })
      assert.deepStrictEqual(imposter.alarms(), [])
      // A reconnection is no news.
      network.cut("alice", "mallory")
      yield* TestClock.adjust("30 seconds")
      assert.lengthOf(alice.alarms(), 1)
    })
  )

  it.effect("behind the address of a remembered peer is an alarm, and the newcomer connects as itself", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      yield* elapse(bob.stop)
      // The same machine with another identity, such as after a new installation.
      const newcomer = yield* start(network.host("bob").node("second"), { name: "second" })
      assert.strictEqual(newcomer.at.split(":")[1], bob.at.split(":")[1])
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(alice.alarms(), 1)
      assert.deepInclude(alice.alarms()[0], { kind: "changedKey", peer: bob.id })
      assert.include(alice.alarms()[0]?.text, bob.at)
      assert.deepInclude(Option.getOrThrow(yield* alice.registry.get(newcomer.id)), {
        trust: "unverified",
        state: "connected"
      })
      yield* TestClock.adjust("58 minutes")
      assert.lengthOf(alice.alarms(), 1)
      yield* TestClock.adjust("3 minutes")
      assert.lengthOf(alice.alarms(), 2)
    })
  )

  it.effect("at an address that was only announced is none: anyone can announce", () =>
    Effect.gen(function* () {
      const { network, alice, bob } = yield* together()
      const mallory = yield* start(network.host("mallory"))
      yield* elapse(bob.stop)
      yield* alice.connection.suggest(bob.id, mallory.address)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(alice.alarms(), [])
      assert.strictEqual(yield* alice.trusts(bob.id), "unverified")
    })
  )
})

/**
 * Someone stands between two nodes that want to compare words: mallory, whom each takes for the other. He has a session
 * with either, under his own key, and does what he likes: relays, reorders, repeats, mixes, makes up nonces of his own.
 * The people confirm only what is the same on both screens. Nobody is ever verified.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import type { Frame } from "../../src/schema/Frame.ts"
import type { Bytes32 } from "../../src/schema/Id.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import { bindingLabel, bytes32, commit, words } from "../../src/schema/Verify.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type Link, Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { someVerification } from "../Some.ts"
import { hello, puppet } from "./Nodes.ts"
import { start, type TrustNode } from "./TrustNodes.ts"

type VerifyFrame = Extract<Frame, { readonly verification: unknown }>
const isVerify = (frame: Frame): frame is VerifyFrame => frame._tag.startsWith("Verify")

/** Mallory's end of one session: what came in, and a way to say anything. */
const end = Effect.fnUntraced(function* (link: Link) {
  const side = puppet(link)
  const inbox = yield* Queue.bounded<VerifyFrame>(1024)
  const read = Effect.forever(
    Effect.flatMap(side.next, (frame) => {
      if (frame._tag === "Ping") return side.say({ _tag: "Pong", nonce: frame.nonce })
      return isVerify(frame) ? Effect.asVoid(Queue.offer(inbox, frame)) : Effect.void
    })
  )
  return {
    peer: link.peer,
    say: (frame: Frame) => Effect.ignore(side.say(frame)),
    read,
    inbox,
    /** What has come so far. */
    heard: Effect.suspend(() => Queue.clear(inbox)),
    binding: Effect.map(link.exportKey(bindingLabel, 32), bytes32)
  }
})
type End = Effect.Success<ReturnType<typeof end>>

/** Alice and bob with mallory between them: he dialled alice, and bob. */
const between = Effect.fnUntraced(function* (seed: number) {
  const network = yield* SimulatedNetwork.make({ seed })
  const alice = yield* start(network.host("alice"))
  const bob = yield* start(network.host("bob"))
  const mallory = network.host("mallory")
  const context = yield* Effect.gen(function* () {
    const transport = yield* Transport
    const identity = yield* Identity
    const open = Effect.fnUntraced(function* (node: TrustNode, as: string) {
      const link = yield* elapse(transport.dial(node.address, { protocol: "kith/1" }))
      const side = yield* end(link)
      yield* side.say(hello(identity, { name: as }))
      yield* Effect.forkScoped(Effect.ignore(side.read))
      return side
    })
    return { toAlice: yield* open(alice, "bob"), toBob: yield* open(bob, "alice"), id: identity.id, transport }
  }).pipe(Effect.provide(yield* Layer.build(mallory.layer)))
  yield* TestClock.adjust("1 second")
  return { network, alice, bob, ...context }
})

/** The people look at both screens: they confirm what is the same, and else say that it is not. */
const people = Effect.fnUntraced(function* (alice: TrustNode, bob: TrustNode, mallory: PeerId) {
  const screens = [alice.shown(mallory), bob.shown(mallory)]
  const texts = screens.map((one) => one?.words.join(" ") ?? "")
  const same = texts[0] !== "" && texts[0] === texts[1]
  for (const [at, node] of [alice, bob].entries()) {
    const shown = screens[at]
    if (shown?.state === "comparing" && texts.every((text) => text !== "")) {
      yield* Effect.ignore(node.trust.answer(shown.id, same))
    }
  }
  return { same, texts }
})

const nobody = Effect.fnUntraced(function* (alice: TrustNode, bob: TrustNode, mallory: PeerId, why: string) {
  assert.strictEqual(yield* alice.trusts(mallory), "unverified", `${why}: alice`)
  assert.strictEqual(yield* bob.trusts(mallory), "unverified", `${why}: bob`)
})

interface Seen {
  readonly from: End
  readonly frame: VerifyFrame
}

/** What mallory committed to, by comparison. */
const secrets = new WeakMap<End, Map<string, Bytes32>>()

/** His own next move on one side: the one that is due there, or something that is not. */
const play = Effect.fnUntraced(function* (random: SimulatedRandom, to: End, self: PeerId, seen: ReadonlyArray<Seen>) {
  const last = seen.findLast((one) => one.from === to)?.frame
  const mine = secrets.get(to) ?? new Map<string, Bytes32>()
  secrets.set(to, mine)
  const nonce = bytes32(random.bytes(32))
  if (last === undefined || random.chance(0.1)) {
    const verification = random.chance(0.5)
      ? (seen.at(-1)?.frame.verification ?? someVerification(random.uint32() >>> 1))
      : someVerification(random.uint32() >>> 1)
    const comparison = { verification, initiator: self, responder: to.peer, binding: yield* to.binding }
    mine.set(verification, nonce)
    return yield* to.say({ _tag: "VerifyCommit", verification, commitment: commit(comparison, nonce) })
  }
  const { verification } = last
  switch (last._tag) {
    case "VerifyCommit": {
      // Fresh, or the one that the other side sent.
      const copied = seen.flatMap(({ frame }) => (frame._tag === "VerifyNonce" ? [frame.nonce] : [])).at(-1)
      return yield* to.say({ _tag: "VerifyNonce", verification, nonce: random.chance(0.5) ? nonce : (copied ?? nonce) })
    }
    case "VerifyNonce":
      return yield* to.say({ _tag: "VerifyReveal", verification, nonce: mine.get(verification) ?? nonce })
    default:
      return yield* to.say(
        random.chance(0.8)
          ? { _tag: "VerifyConfirm", verification }
          : { _tag: "VerifyCancel", verification, reason: "mismatch" }
      )
  }
})

const pass = TestClock.adjust("50 millis")

describe("a man in the middle", () => {
  it.effect("who relays everything as it is gets nowhere: what is committed to is bound to the session", () =>
    Effect.gen(function* () {
      const { alice, bob, id, toAlice, toBob } = yield* between(1)
      const asking = yield* Effect.forkChild(alice.trust.verify(id), { startImmediately: true })
      for (let round = 0; round < 20; round++) {
        yield* pass
        for (const frame of yield* toAlice.heard) yield* toBob.say(frame)
        for (const frame of yield* toBob.heard) yield* toAlice.say(frame)
        yield* people(alice, bob, id)
      }
      yield* elapse(Fiber.await(asking))
      assert.strictEqual(bob.shown(id)?.state, "cancelled")
      yield* nobody(alice, bob, id, "relay")
    })
  )

  it.effect("who plays the other side of each comparison shows different words on the two screens", () =>
    Effect.gen(function* () {
      const random = SimulatedRandom.make("mallory")
      for (let seed = 0; seed < 8; seed++) {
        const { alice, bob, id, toAlice, toBob } = yield* between(seed)
        yield* Effect.forkChild(Effect.ignore(alice.trust.verify(id)), { startImmediately: true })
        yield* pass
        const [asked] = yield* toAlice.heard
        if (asked?._tag !== "VerifyCommit") return assert.fail("alice did not begin")
        // With bob he begins himself; he sees bob's nonce before he has to choose the one for alice.
        const mine = bytes32(random.bytes(32))
        const comparison = {
          verification: asked.verification,
          initiator: id,
          responder: bob.id,
          binding: yield* toBob.binding
        }
        yield* toBob.say({
          _tag: "VerifyCommit",
          verification: asked.verification,
          commitment: commit(comparison, mine)
        })
        yield* pass
        const [given] = yield* toBob.heard
        if (given?._tag !== "VerifyNonce") return assert.fail("bob did not answer")
        const target = words(comparison, { initiator: mine, responder: given.nonce })
        // The best he can do now is a guess: alice's nonce is still hidden.
        const guess: Bytes32 = seed % 2 === 0 ? given.nonce : bytes32(random.bytes(32))
        yield* toAlice.say({ _tag: "VerifyNonce", verification: asked.verification, nonce: guess })
        yield* toBob.say({ _tag: "VerifyReveal", verification: asked.verification, nonce: mine })
        yield* pass
        assert.deepStrictEqual(bob.shown(id)?.words, target)
        const seen = yield* people(alice, bob, id)
        assert.isFalse(seen.same)
        assert.isTrue(seen.texts.every((text) => text !== ""))
        // He says that both are content, to both.
        for (const side of [toAlice, toBob]) {
          yield* side.say({ _tag: "VerifyConfirm", verification: asked.verification })
        }
        yield* pass
        yield* nobody(alice, bob, id, `seed ${seed}`)
        assert.deepStrictEqual([alice.shown(id)?.state, bob.shown(id)?.state], ["mismatch", "mismatch"])
      }
    })
  )

  it.effect("who says confirmed before the people do, or instead of them, verifies nobody", () =>
    Effect.gen(function* () {
      const { alice, bob, id, toAlice } = yield* between(3)
      yield* Effect.forkChild(Effect.ignore(alice.trust.verify(id)), { startImmediately: true })
      yield* pass
      const [asked] = yield* toAlice.heard
      const verification = asked?.verification ?? someVerification(0)
      yield* toAlice.say({ _tag: "VerifyNonce", verification, nonce: bytes32(new Uint8Array(32)) })
      for (let n = 0; n < 5; n++) yield* toAlice.say({ _tag: "VerifyConfirm", verification })
      yield* TestClock.adjust("1 minute")
      yield* nobody(alice, bob, id, "confirmed alone")
    })
  )

  it.effect("who relays, reorders, repeats, drops and mixes both ways, for as long as he likes, verifies nobody", () =>
    Effect.gen(function* () {
      let compared = 0
      for (let seed = 0; seed < 40; seed++) {
        const random = SimulatedRandom.make(`middle ${seed}`)
        const pick = <A>(list: ReadonlyArray<A>): A | undefined => list[random.between(0, list.length - 1)]
        const { alice, bob, id, toAlice, toBob } = yield* between(seed)
        const noise = random.next() * random.next()
        const seen: Array<Seen> = []
        for (let step = 0; step < 60; step++) {
          for (const from of [toAlice, toBob]) for (const frame of yield* from.heard) seen.push({ from, frame })
          const [from, to] = random.chance(0.5) ? [toAlice, toBob] : [toBob, toAlice]
          const node = random.chance(0.5) ? alice : bob
          // With some seeds he mostly plays his part, with others he mostly makes a mess.
          switch (random.chance(noise) ? random.between(1, 4) : random.between(0, 4) * 5) {
            case 0:
              yield* Effect.forkChild(Effect.ignore(node.trust.verify(id)), { startImmediately: true })
              break
            case 1:
            case 2:
            case 3: {
              // The newest of the other side, as it is.
              const frame = seen.findLast((one) => one.from === from)?.frame
              if (frame !== undefined) yield* to.say(frame)
              break
            }
            case 4: {
              const old = pick(seen)
              if (old !== undefined) yield* (random.chance(0.5) ? toAlice : toBob).say(old.frame)
              break
            }
            case 5:
            case 10:
              yield* play(random, to, id, seen)
              break
            case 15:
              yield* TestClock.adjust(pick(["100 millis", "11 seconds"] as const) ?? "1 second")
              break
            default: {
              const { same, texts } = yield* people(alice, bob, id)
              if (texts.every((text) => text !== "")) compared++
              assert.isFalse(same, `seed ${seed}`)
            }
          }
          yield* TestClock.adjust("5 millis")
        }
        yield* nobody(alice, bob, id, `seed ${seed}`)
      }
      assert.isAbove(compared, 5)
    })
  )
})

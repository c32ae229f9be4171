/**
 * Cases 45 to 52: frames that are JSON and mean harm. Each is refused with a typed answer or shown as what it is; the
 * link lives, and nobody else notices. NaN is no JSON, so it ends the link (DESIGN.md, section 4).
 *
 * All here. What a person sees of case 49 is in config.test.ts.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { framed, type Json, Mallory } from "./Attacker.ts"
import { randomId } from "./Forge.ts"
import { attack, Target, until } from "./Target.ts"
import * as Targets from "./Target.ts"

const chat = (fields: Record<string, unknown> = {}): Json => ({
  _tag: "Chat",
  id: randomId(),
  epoch: randomId(),
  first: 1,
  seq: 1,
  toEveryone: false,
  sentAt: 0,
  text: "hello",
  ...fields
})

const deep = (depth: number): string => "[".repeat(depth) + "]".repeat(depth)

/** A chat whose field is this JSON text. */
const withText = (field: string, json: string): Buffer =>
  framed(JSON.stringify(chat({ [field]: "HERE" })).replace('"HERE"', () => json))

/** [number, what, bytes, whether the answer is Refused]. */
const cases: ReadonlyArray<readonly [number, string, Buffer, "refused" | "taken" | "skipped"]> = [
  [45, "JSON 100,000 deep where text should be", withText("text", deep(100_000)), "refused"],
  [45, "JSON 100,000 deep where nobody looks", withText("extra", deep(100_000)), "taken"],
  [45, "JSON 250,000 deep instead of a frame", framed(deep(250_000)), "refused"],
  [45, "objects 50,000 deep", withText("id", '{"a":'.repeat(50_000) + "1" + "}".repeat(50_000)), "refused"],
  [46, "__proto__ with a tag", framed('{"__proto__":{"_tag":"Goodbye","reason":"shutdown"}}'), "refused"],
  [46, "__proto__ in a frame", withText("__proto__", '{"text":"polluted","toString":1}'), "taken"],
  [46, "constructor as a tag", framed('{"_tag":"constructor"}'), "skipped"],
  [46, "__proto__ as a tag", framed('{"_tag":"__proto__"}'), "skipped"],
  [47, "2^53 + 1", withText("seq", "9007199254740993"), "refused"],
  [47, "a fraction", withText("seq", "1.5"), "refused"],
  [47, "-1", withText("seq", "-1"), "refused"],
  [47, "1e999", withText("seq", "1e999"), "refused"],
  [47, "a number of 100,000 digits", withText("seq", "1".repeat(100_000)), "refused"],
  [47, "-0", withText("first", "-0"), "taken"],
  [48, "half a character", withText("text", '"\\ud800"'), "refused"],
  [48, "half a character in a key", withText("\ud800", "1"), "taken"],
  [49, "a text of 64 KiB and 1", withText("text", JSON.stringify("x".repeat(65_537))), "refused"],
  [49, "no text", withText("text", '""'), "refused"]
]

layer(Targets.layer(), { excludeTestServices: true })("messages:", (it) => {
  for (const [number, what, bytes, verdict] of cases) {
    it.effect(`${number} ${what} is ${verdict}, and the link lives`, () =>
      Effect.gen(function* () {
        const target = yield* Target
        const mallory = yield* attack(() => Mallory.meet(target.port))
        const before = (yield* target.chat.history({ limit: 1000 })).length
        yield* attack(() => mallory.control.write(bytes))
        yield* attack(() => mallory.control.settled())
        const refusals = mallory.control.heard.filter(({ _tag }) => _tag === "Refused")
        assert.strictEqual(refusals.length, verdict === "refused" ? 1 : 0, JSON.stringify(refusals))
        // It may have come before the answer that was waited for.
        const isReceived = mallory.control.heard.some(({ _tag }) => _tag === "ChatReceipt")
        if (verdict === "taken" && !isReceived) yield* attack(() => mallory.control.next("ChatReceipt"))
        const after = (yield* target.chat.history({ limit: 1000 })).length
        assert.isAtMost(after - before, verdict === "taken" ? 1 : 0)
        assert.strictEqual(Reflect.get({}, "polluted"), undefined)
        mallory.end()
        yield* target.wellbeing
      })
    )
  }

  it.effect("47 NaN is no JSON and ends the link", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      yield* attack(() => mallory.control.write(withText("seq", "NaN")))
      assert.strictEqual(yield* attack(() => mallory.control.farewell()), "protocol")
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("49 HTML, escapes and turned text are kept as typed and shown as text", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const text = "<img src=x onerror=alert(1)>\u001b[2J\u001b]0;owned\u0007\u202etxt.exe\u0000"
      yield* attack(() => mallory.control.say(chat({ text })))
      yield* attack(() => mallory.control.next("ChatReceipt"))
      const [message] = (yield* target.chat.history({ limit: 1000 })).filter((each) => each.from === mallory.who.id)
      assert.strictEqual(message?.text, text)
      // Nothing of it is in the log.
      assert.notInclude(target.lines.join("\n"), "onerror")
      mallory.end()
      yield* target.wellbeing
    })
  )

  it.effect("50 one message is shown once, whether the id or the number comes again", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const { control } = mallory
      const message = chat({ text: "only once" })
      yield* attack(async () => {
        for (let count = 0; count < 50; count++) await control.say(message)
        await control.say({ ...message, seq: 2 })
        await control.say({ ...message, epoch: randomId() })
        await control.say({ ...message, id: randomId() })
        await control.settled()
      })
      yield* until("the receipts", () => control.heard.some(({ _tag }) => _tag === "ChatReceipt"))
      yield* target.wellbeing
      const shown = (yield* target.chat.history({ limit: 1000 })).filter(({ text }) => text === "only once")
      assert.strictEqual(shown.length, 1)
      mallory.end()
    })
  )

  it.effect("51 a thousand requests to compare words put at most three questions to a person", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      yield* attack(async () => {
        for (let count = 0; count < 1000; count++) {
          const verification = randomId()
          await mallory.control.say({ _tag: "VerifyCommit", verification, commitment: "a".repeat(52) })
          if (count % 3 === 0) await mallory.control.say({ _tag: "VerifyCancel", verification, reason: "declined" })
        }
        await mallory.control.settled()
      })
      yield* target.wellbeing
      const asked = new Set<string>()
      for (const event of target.events) {
        if (event._tag !== "VerificationChanged" || event.verification.peer !== mallory.who.id) continue
        asked.add(event.verification.id)
      }
      assert.isAtMost(asked.size, 3)
      mallory.end()
    })
  )

  it.effect("52 words, tickets and policies from a peer change nobody's trust", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const trusts = Effect.map(target.registry.list, (peers) => peers.map(({ id, trust }) => `${id} ${trust}`))
      const before = yield* trusts
      const verification = randomId()
      const secret = "a".repeat(52)
      const lies: ReadonlyArray<Json> = [
        { _tag: "VerifyConfirm", verification },
        { _tag: "VerifyReveal", verification, nonce: secret },
        { _tag: "VerifyNonce", verification, nonce: secret },
        { _tag: "TicketProof", ticket: randomId(), proof: secret },
        { _tag: "TicketAccepted", ticket: randomId(), proof: secret },
        { _tag: "Profile", name: "friend", trust: "verified", id: target.friend.id },
        { _tag: "Unpair", id: target.friend.id }
      ]
      yield* attack(async () => {
        for (const lie of lies) await mallory.control.say(lie)
        await mallory.control.settled()
      })
      yield* target.wellbeing
      assert.deepStrictEqual(yield* trusts, before)
      mallory.end()
    })
  )

  it.effect("a flood of refused frames writes one line and holds nobody up", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const mallory = yield* attack(() => Mallory.meet(target.port))
      const before = target.lines.length
      yield* attack(async () => {
        for (let count = 0; count < 5000; count++) void mallory.control.say({ _tag: "Chat" })
      })
      yield* target.wellbeing
      yield* attack(() => mallory.control.settled())
      // One line in a minute, which an earlier attack from this address may have had.
      const told = (from: number) => target.lines.slice(from).filter((line) => line.includes("understand")).length
      assert.isAtMost(told(before), 1)
      assert.isAbove(told(0), 0)
      mallory.end()
    })
  )
})

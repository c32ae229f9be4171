/**
 * What others do again and again does not fill the log: each kind of thing that a peer or a stranger can cause, many
 * times over, against a real node. How many lines a minute, and with what count, is tested in test/services/PeerReport.
 */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect, hello, Mallory } from "./Attacker.ts"
import { persona, randomId } from "./Forge.ts"
import { attack, Target, layer as target, until } from "./Target.ts"

/** At most so many lines with this text are new. */
const few = (lines: ReadonlyArray<string>, before: number, text: string, most: number) => {
  const found = lines.slice(before).filter((line) => line.includes(text))
  assert.isAtMost(found.length, most, found.join("\n"))
  assert.isAbove(found.length, 0, `nothing was told of: ${text}`)
}

layer(target(), { excludeTestServices: true })("the log:", (it) => {
  it.effect("sessions of one key, or of a new key each, that begin and end dozens of times", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const before = node.lines.length
      const same = persona()
      yield* attack(async () => {
        for (let count = 0; count < 48; count++) {
          const who = count % 2 === 0 ? same : persona()
          const link = await connect(node.port, { who })
          await link.say(hello(who))
          await link.next("Hello")
          link.end()
          await link.closed
        }
      })
      yield* node.wellbeing
      few(node.lines, before, "A session began", 16)
      few(node.lines, before, "A session ended", 16)
    })
  )

  it.effect("offers that are made and taken back dozens of times", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const mallory = yield* attack(() => Mallory.meet(node.port))
      const before = node.lines.length
      yield* attack(async () => {
        for (let count = 0; count < 48; count++) {
          const transfer = await mallory.offer()
          await mallory.control.say({ _tag: "TransferControl", transfer, action: "cancel", reason: "" })
          await mallory.control.settled()
        }
      })
      yield* node.wellbeing
      few(node.lines, before, "An offer came", 16)
      few(node.lines, before, "A transfer is over", 16)
      mallory.end()
    })
  )

  it.effect("frames that are refused, by dozens of keys of one machine", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const before = node.lines.length
      yield* attack(async () => {
        for (let count = 0; count < 24; count++) {
          const mallory = await Mallory.meet(node.port)
          await mallory.control.say({ _tag: "Chat" })
          await mallory.control.next("Refused")
          mallory.end()
        }
      })
      yield* node.wellbeing
      few(node.lines, before, "do not understand", 1)
    })
  )

  it.effect("dozens of keys that take each other's names are few alarms, and none about the verified one is lost", () =>
    Effect.gen(function* () {
      const node = yield* Target
      yield* node.registry.update(node.friend.id, (peer) => ({ ...peer, trust: "verified" }))
      const alarms = () => node.events.flatMap((event) => (event._tag === "Alarm" ? [event.peer] : []))
      const [before, lines] = [alarms().length, node.lines.length]
      const meet = (name: string) => attack(async () => (await Mallory.meet(node.port, persona(), { name })).end())
      for (let count = 0; count < 24; count++) yield* meet(`name ${count % 12}`)
      // The second has the name of the first too, but what matters is that it has the friend's.
      yield* meet("friend")
      yield* meet("friend")
      const aboutFriend = () => alarms().filter((peer) => peer === node.friend.id).length
      yield* until("the alarms about the friend", () => aboutFriend() === 2)
      assert.isAtMost(alarms().length - before, 8 + 2)
      few(node.lines, lines, "has the name of the", 8 + 2)
      yield* node.wellbeing
    })
  )

  it.effect("questions to compare words, by dozens of keys", () =>
    Effect.gen(function* () {
      const node = yield* Target
      const before = node.lines.length
      yield* attack(async () => {
        for (let count = 0; count < 24; count++) {
          const mallory = await Mallory.meet(node.port)
          const verification = randomId()
          const commitment = "a".repeat(52)
          await mallory.control.say({ _tag: "VerifyCommit", verification, commitment })
          await mallory.control.settled()
          await mallory.control.say({ _tag: "VerifyCancel", verification, reason: "declined" })
          await mallory.control.settled()
          mallory.end()
        }
      })
      yield* node.wellbeing
      few(node.lines, before, "asks to compare words", 64)
      few(node.lines, before, "comparison of words is over", 64)
    })
  )
})

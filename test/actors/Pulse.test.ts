/** Whether a peer is there: asked, doubted and given up at the right times, whatever happens between. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { Pulse } from "../../src/actors/peers/Pulse.ts"
import { limits } from "../../src/config.ts"

const every = Duration.toMillis(limits.heartbeat)
const doubtful = Duration.toMillis(limits.doubtful)
const dead = Duration.toMillis(limits.dead)
const stalled = Duration.toMillis(limits.stalled)

describe("Pulse", () => {
  it("asks after a heartbeat, doubts, and gives up, each once and at its time", () => {
    const pulse = new Pulse("dialled", 0)
    pulse.listens(0)
    const seen: Array<string> = []
    for (let now = 0; now <= dead;) {
      const { end, isDoubtful, isToAsk, wait } = pulse.beat(now)
      if (isToAsk) seen.push(`ask ${now}`)
      if (isDoubtful) {
        seen.push(`doubt ${now}`)
        pulse.doubt()
      }
      if (end !== null) seen.push(`${end} ${now}`)
      now += Math.max(1, wait)
    }
    assert.deepStrictEqual(
      seen.filter((one) => !one.startsWith("ask")),
      [`doubt ${doubtful}`, `silent ${dead}`]
    )
    assert.deepStrictEqual(
      seen.filter((one) => one.startsWith("ask")),
      Array.from({ length: Math.floor(dead / every) }, (_, n) => `ask ${(n + 1) * every}`)
    )
  })

  it("is doubted until someone was told, and again in the next silence", () => {
    const pulse = new Pulse("accepted", 0)
    pulse.listens(0)
    assert.isTrue(pulse.beat(doubtful).isDoubtful)
    assert.isTrue(pulse.beat(doubtful + 1).isDoubtful)
    pulse.doubt()
    assert.isFalse(pulse.beat(doubtful + 2).isDoubtful)
    pulse.hears(10_000)
    pulse.listens(10_000)
    assert.isFalse(pulse.beat(10_000 + doubtful - 1).isDoubtful)
    assert.isTrue(pulse.beat(10_000 + doubtful).isDoubtful)
  })

  it("does not hold against the peer what this node does meanwhile, and gives up one that takes nothing", () => {
    const pulse = new Pulse("dialled", 0)
    pulse.listens(0)
    pulse.hears(10)
    assert.isNull(pulse.beat(100 * dead).end)
    pulse.writes(0)
    assert.isNull(pulse.beat(stalled - 1).end)
    assert.strictEqual(pulse.beat(stalled).end, "stalled")
    pulse.wrote()
    assert.isNull(pulse.beat(10 * stalled).end)
  })

  const Deed = Schema.Struct({
    what: Schema.Literals(["listens", "hears", "writes", "wrote", "doubt"]),
    after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8000 }))
  })

  it.prop(
    "looked at as it says, it is late for nothing",
    [Schema.Array(Deed).check(Schema.isMaxLength(30)), Schema.Literals(["dialled", "accepted"])],
    ([deeds, side]) => {
      const most = Duration.toMillis(side === "dialled" ? limits.heartbeat : limits.heartbeatAccepted)
      const pulse = new Pulse(side, 0)
      let now = 0
      let at = 0
      let lastWord = 0
      let listening: number | undefined
      let writing: number | undefined
      const look = (until: number) => {
        for (; at <= until;) {
          const { end, isToAsk, wait } = pulse.beat(at)
          assert.isAtMost(wait, most)
          assert.strictEqual(isToAsk, at - lastWord >= most)
          if (isToAsk) lastWord = at
          assert.isAtMost(at - lastWord, most)
          assert.strictEqual(end === "silent", listening !== undefined && at - listening >= dead)
          if (end === "stalled") assert.isAtLeast(at - (writing ?? at), stalled)
          // Nothing comes between this look and the next that would have been due earlier.
          at += Math.max(1, wait)
        }
      }
      for (const { after, what } of deeds) {
        look(now + after)
        now += after
        if (what === "doubt") pulse.doubt()
        else if (what === "wrote") pulse.wrote()
        else pulse[what](now)
        if (what === "listens") listening = now
        if (what === "hears") {
          listening = undefined
          lastWord = Math.max(lastWord, now)
        }
        if (what === "writes") writing = now
        if (what === "wrote") writing = undefined
      }
    }
  )
})

/** Comparing words, decided: in every order of events nobody is verified whom two people have not both confirmed. */
import { assert, describe, it } from "@effect/vitest"
import * as State from "../../src/actors/trust/VerifyState.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import type { Verification } from "../../src/schema/Verification.ts"
import { SimulatedRandom } from "../../src/testing/SimulatedRandom.ts"
import { someBytes32, someId, someVerification } from "../Some.ts"

const ids = [someId(1), someId(2)].toSorted()
const [smaller = someId(1), larger = someId(2)] = ids
const binding = someBytes32(99)

const minutes = (count: number) => count * 60_000

let counter = 1000
const fresh = (): State.Fresh => ({ nonce: someBytes32(counter++), binding })

/** One side: its state, what it sent, what it showed, and whether it verified the other. */
class Side {
  state: State.VerifyState
  readonly sent: Array<State.VerifyFrame> = []
  readonly shows: Array<Verification> = []
  verified = 0

  constructor(self: PeerId, peer: PeerId) {
    this.state = State.initial(self, peer)
  }

  tell(message: State.VerifyMessage, now = 0): void {
    const [next, actions] = State.transition(this.state, message, now)
    this.state = next
    for (const action of actions) {
      if (action._tag === "Send") this.sent.push(action.frame)
      if (action._tag === "Show") this.shows.push(action.verification)
      if (action._tag === "Verified") this.verified++
    }
  }

  hear(frame: State.VerifyFrame, now = 0, hasRoom = true): void {
    if (frame._tag === "VerifyCommit") this.tell({ _tag: "Asked", frame, fresh: fresh(), hasRoom }, now)
    else this.tell({ _tag: "Frame", frame }, now)
  }

  begin(now = 0): void {
    if (State.mayBegin(this.state, now) !== null) return
    this.tell({ _tag: "Begin", verification: someVerification(counter++), fresh: fresh() }, now)
  }

  answer(same: boolean, now = 0): void {
    const shown = State.shown(this.state)
    if (shown !== null) this.tell({ _tag: "Answer", verification: shown.id, same }, now)
  }

  get shown(): Verification | undefined {
    return State.shown(this.state) ?? this.shows.at(-1)
  }
}

const pair = () => {
  const a = new Side(smaller, larger)
  const b = new Side(larger, smaller)
  const deliver = (from: Side, to: Side, now = 0): boolean => {
    const frame = from.sent.shift()
    if (frame !== undefined) to.hear(frame, now)
    return frame !== undefined
  }
  const settle = (now = 0) => {
    while (deliver(a, b, now) || deliver(b, a, now));
  }
  return { a, b, deliver, settle }
}

describe("two honest sides", () => {
  it("show the same four words, and are verified once both people have confirmed", () => {
    for (const beginner of ["a", "b"] as const) {
      const { a, b, settle } = pair()
      const [one, other] = beginner === "a" ? [a, b] : [b, a]
      one.begin()
      assert.deepInclude(one.shown, { state: "waiting", begunBy: "here", words: [] })
      settle()
      assert.deepInclude(other.shown, { state: "comparing", begunBy: "peer" })
      assert.lengthOf(one.shown?.words ?? [], 4)
      assert.deepStrictEqual(one.shown?.words, other.shown?.words)
      one.answer(true)
      settle()
      assert.deepStrictEqual([one.shown?.state, other.shown?.state], ["confirmed", "comparing"])
      assert.deepStrictEqual([a.verified, b.verified], [0, 0])
      other.answer(true)
      settle()
      assert.deepStrictEqual([a.shown?.state, b.shown?.state], ["verified", "verified"])
      assert.deepStrictEqual([a.verified, b.verified], [1, 1])
    }
  })

  it("that both begin at one moment have one comparison, begun by the smaller id", () => {
    const { a, b, settle } = pair()
    a.begin()
    b.begin()
    const id = State.shown(a.state)?.id
    settle()
    assert.deepStrictEqual([State.shown(a.state)?.id, State.shown(b.state)?.id], [id, id])
    assert.deepStrictEqual([a.shown?.begunBy, b.shown?.begunBy], ["here", "here"])
    assert.deepStrictEqual(a.shown?.words, b.shown?.words)
    // Nobody was asked, so nobody has used up a prompt.
    assert.deepStrictEqual([a.state.prompts, b.state.prompts], [[], []])
    a.answer(true)
    b.answer(true)
    settle()
    assert.deepStrictEqual([a.verified, b.verified], [1, 1])
  })

  it("both hear of a mismatch, and wait 10 s, 20 s, and so on to 10 minutes", () => {
    const { a, b, settle } = pair()
    let now = 0
    for (const wait of [10, 20, 40, 80, 160, 320, 600, 600]) {
      // Far enough apart that prompts are no bound.
      now += minutes(30)
      a.begin(now)
      settle(now)
      a.answer(true, now)
      settle(now)
      b.answer(false, now)
      settle(now)
      assert.deepStrictEqual([a.shown?.state, b.shown?.state], ["mismatch", "mismatch"])
      assert.match(a.shown?.reason ?? "", /other side/)
      for (const side of [a, b]) {
        assert.match(State.mayBegin(side.state, now) ?? "", new RegExp(`again in ${wait} s`))
        assert.isNotNull(State.mayBegin(side.state, now + wait * 1000 - 1))
        assert.isNull(State.mayBegin(side.state, now + wait * 1000))
      }
      // A peer that does not keep to it is refused, and not shown.
      const shows = b.shows.length
      b.hear({ _tag: "VerifyCommit", verification: someVerification(counter++), commitment: someBytes32(1) }, now + 1)
      assert.deepInclude(b.sent.shift(), { _tag: "VerifyCancel", reason: "backOff" })
      assert.lengthOf(b.shows, shows)
    }
    assert.deepStrictEqual([a.verified, b.verified], [0, 0])
    now += minutes(30)
    a.begin(now)
    settle(now)
    for (const side of [a, b]) side.answer(true, now)
    settle(now)
    assert.deepStrictEqual([a.verified, b.verified, a.state.mismatches, b.state.mismatches], [1, 1, 0, 0])
  })

  it("end it after the deadline, at the end of the session, and when a person cancels, without being verified", () => {
    for (const stage of [0, 1, 2, 3]) {
      for (const end of ["Deadline", "Cancel", "Down"] as const) {
        const { a, b, deliver, settle } = pair()
        a.begin()
        if (stage > 0) deliver(a, b)
        if (stage > 1) settle()
        if (stage > 2) a.answer(true)
        const id = State.shown(a.state)?.id ?? someVerification(0)
        if (end === "Down") {
          a.sent.length = 0
          b.sent.length = 0
          b.tell({ _tag: "Down" })
          a.tell({ _tag: "Down" })
        } else a.tell({ _tag: end, verification: id })
        settle()
        assert.isNull(State.shown(a.state))
        assert.isNull(State.shown(b.state))
        assert.strictEqual(a.shown?.state, end === "Deadline" ? "expired" : "cancelled")
        b.answer(true)
        settle()
        assert.deepStrictEqual([a.verified, b.verified], [0, 0])
        // It costs nobody a wait.
        assert.isNull(State.mayBegin(a.state, 0))
      }
    }
  })

  it("may not take back a confirmation, and one of them alone verifies nobody", () => {
    const { a, b, settle } = pair()
    a.begin()
    settle()
    a.answer(true)
    a.answer(false)
    settle()
    assert.deepStrictEqual([a.shown?.state, a.verified, b.verified], ["confirmed", 0, 0])
    a.tell({ _tag: "Down" })
    b.tell({ _tag: "Down" })
    b.answer(true)
    assert.deepStrictEqual([a.verified, b.verified], [0, 0])
  })
})

describe("in every order", () => {
  it("of begins, deliveries, answers, cancels and lost sessions: words are equal, and verified means confirmed by both", () => {
    for (let seed = 0; seed < 10_000; seed++) {
      const random = SimulatedRandom.make(seed)
      const { a, b, deliver, settle } = pair()
      const confirmed = new Map<string, Set<Side>>()
      const confirm = (side: Side) => {
        const shown = State.shown(side.state)
        if (shown === null || shown.words.length === 0) return
        const key = `${shown.id} ${shown.words.join(" ")}`
        confirmed.set(key, (confirmed.get(key) ?? new Set()).add(side))
        side.answer(true)
      }
      let troubled = false
      for (let steps = random.between(5, 40); steps > 0; steps--) {
        const side = random.chance(0.5) ? a : b
        const other = side === a ? b : a
        const before = a.verified + b.verified
        switch (random.between(0, 9)) {
          case 0:
            side.begin()
            break
          case 1:
            confirm(side)
            break
          case 2:
            if (random.chance(0.2)) {
              troubled = true
              a.sent.length = 0
              b.sent.length = 0
              a.tell({ _tag: "Down" })
              b.tell({ _tag: "Down" })
            }
            break
          case 3:
            if (random.chance(0.2)) {
              troubled = true
              const shown = State.shown(side.state)
              if (shown !== null) side.tell({ _tag: "Cancel", verification: shown.id })
            }
            break
          default:
            deliver(side, other)
        }
        if (a.verified + b.verified > before) {
          assert.isTrue(
            [...confirmed.values()].some((sides) => sides.size === 2),
            `seed ${seed}`
          )
        }
      }
      settle()
      const shown = [State.shown(a.state), State.shown(b.state)]
      if (!troubled) assert.deepStrictEqual(shown[0]?.id, shown[1]?.id, `seed ${seed}`)
      if (shown[0]?.id === shown[1]?.id) assert.deepStrictEqual(shown[0]?.words, shown[1]?.words, `seed ${seed}`)
      // Nobody waits for an answer that never comes.
      for (const one of shown) assert.notStrictEqual(one?.state, "waiting", `seed ${seed}`)
      if (!troubled && shown[0] !== null) {
        const before = [a.verified, b.verified]
        confirm(a)
        confirm(b)
        settle()
        assert.deepStrictEqual(
          [a.verified, b.verified],
          before.map((count) => count + 1),
          `seed ${seed}`
        )
      }
    }
  })
})

const commitment = someBytes32(5)

const frames = (verification: State.VerifyFrame["verification"]): ReadonlyArray<State.VerifyFrame> => [
  { _tag: "VerifyCommit", verification, commitment },
  { _tag: "VerifyNonce", verification, nonce: someBytes32(1) },
  { _tag: "VerifyReveal", verification, nonce: someBytes32(1) },
  { _tag: "VerifyConfirm", verification }
]

describe("a peer that does not keep to the rules", () => {
  it("shows at most three comparisons in ten minutes, and gets few answers", () => {
    const side = new Side(smaller, larger)
    for (let n = 0; n < 1000; n++) {
      side.hear({ _tag: "VerifyCommit", verification: someVerification(n), commitment }, n)
      side.hear({ _tag: "VerifyCancel", verification: someVerification(n), reason: "cancelled" }, n)
    }
    const shown = new Set(side.shows.map((one) => one.id))
    assert.strictEqual(shown.size, 3)
    assert.isAtMost(side.sent.length, 13)
    assert.isAtMost(side.state.prompts.length + side.state.refusals.length, 13)
    const soon = minutes(10) - 1
    side.hear({ _tag: "VerifyCommit", verification: someVerification(1001), commitment }, soon)
    assert.strictEqual(new Set(side.shows.map((one) => one.id)).size, 3)
    side.hear({ _tag: "VerifyCommit", verification: someVerification(1002), commitment }, soon + 10)
    assert.strictEqual(new Set(side.shows.map((one) => one.id)).size, 4)
  })

  it("is told that there is no room, or that one is under way", () => {
    const side = new Side(smaller, larger)
    side.hear({ _tag: "VerifyCommit", verification: someVerification(1), commitment }, 0, false)
    assert.deepStrictEqual(side.sent.shift(), {
      _tag: "VerifyCancel",
      verification: someVerification(1),
      reason: "busy"
    })
    side.hear({ _tag: "VerifyCommit", verification: someVerification(2), commitment })
    assert.strictEqual(side.sent.shift()?._tag, "VerifyNonce")
    side.hear({ _tag: "VerifyCommit", verification: someVerification(3), commitment })
    assert.deepInclude(side.sent.shift(), { _tag: "VerifyCancel", reason: "busy" })
    assert.strictEqual(State.shown(side.state)?.id, someVerification(2))
  })

  it("cannot reveal anything but what it committed to, and has to wait after trying", () => {
    const { a, b, deliver } = pair()
    a.begin()
    deliver(a, b)
    const verification = State.shown(b.state)?.id ?? someVerification(0)
    b.hear({ _tag: "VerifyReveal", verification, nonce: someBytes32(77) })
    assert.deepInclude(b.shown, { state: "cancelled", words: [] })
    assert.deepInclude(b.sent.at(-1), { _tag: "VerifyCancel", reason: "protocol" })
    assert.isNotNull(State.mayBegin(b.state, 0))
  })

  it("ends it by any frame that is not due, and by none of another comparison", () => {
    const due = new Set(["0 VerifyNonce", "2 VerifyConfirm"])
    for (const stage of [0, 1, 2]) {
      for (const at of [0, 1, 2, 3]) {
        for (const own of [true, false]) {
          const { a, b, deliver, settle } = pair()
          a.begin()
          if (stage === 1) deliver(a, b)
          if (stage === 2) settle()
          const side = stage === 1 ? b : a
          const shown = State.shown(side.state)
          const frame = frames(own ? (shown?.id ?? someVerification(0)) : someVerification(500))[at]
          if (frame === undefined || due.has(`${stage} ${frame._tag}`)) continue
          side.hear(frame)
          // A commitment of the smaller id's peer that crosses is the one thing it does not hear at all.
          if (own) assert.strictEqual(side.shown?.state, "cancelled", `${stage} ${frame._tag}`)
          else assert.deepStrictEqual(State.shown(side.state), shown, `${stage} ${frame._tag}`)
          assert.strictEqual(side.verified, 0)
        }
      }
    }
  })

  it("gets nothing by confirming before there are words, or by sending what was sent to it", () => {
    const side = new Side(larger, smaller)
    side.begin()
    const [commit] = side.sent
    if (commit?._tag !== "VerifyCommit") return assert.fail("no commitment")
    const { verification } = commit
    side.hear({ _tag: "VerifyConfirm", verification })
    assert.strictEqual(side.shown?.state, "cancelled")
    // Its own commitment, under another name, as if both had begun.
    const again = new Side(larger, smaller)
    again.begin()
    const mine = again.sent[0]
    if (mine?._tag !== "VerifyCommit") return assert.fail("no commitment")
    again.hear({ ...mine, verification: someVerification(7) })
    const nonce = again.sent.at(-1)
    assert.strictEqual(nonce?._tag, "VerifyNonce")
    again.hear({ _tag: "VerifyReveal", verification: someVerification(7), nonce: someBytes32(3) })
    assert.strictEqual(again.shown?.state, "cancelled")
    assert.deepStrictEqual([side.verified, again.verified], [0, 0])
  })
})

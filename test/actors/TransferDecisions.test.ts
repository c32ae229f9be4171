/** Single decisions of both machines that whole transfers get over, and would get over if they were wrong. */
import { assert, describe, it } from "@effect/vitest"
import { ReceiveMessage } from "../../src/actors/transfers/receive/ReceiveMessages.ts"
import { receiving, stepReceiving } from "../../src/actors/transfers/receive/ReceiveState.ts"
import { SendMessage, sending, shownSending, stepSending } from "../../src/actors/transfers/send/SendState.ts"
import { Turns } from "../../src/actors/transfers/Turns.ts"
import { TransferId } from "../../src/schema/Id.ts"
import { someId } from "../Some.ts"

const transferOf = (n: number) => TransferId.make("aeim".charAt(n).repeat(26))

const sender = (...messages: ReadonlyArray<SendMessage>) =>
  messages.reduce((state, message) => stepSending(state, message)[0], { ...sending(true), placed: true })

describe("a sender", () => {
  for (const by of ["here", "peer"] as const) {
    it(`that is paused (${by}) serves no lane, however it comes about, until it is resumed`, () => {
      const paused = sender(SendMessage.Listed(), SendMessage.Accepted(), SendMessage.Paused({ by }))
      const [refusing, refused] = stepSending(paused, SendMessage.Attached({ lane: 0, attempt: 1 }))
      assert.deepStrictEqual(
        refused.map(({ _tag }) => _tag),
        ["Refuse"]
      )
      assert.isTrue(refusing.lanes.every(({ attempt }) => attempt === null))
      assert.deepStrictEqual(stepSending(paused, SendMessage.DialWanted({ lane: 0, attempt: 1 }))[1], [])
      const [resumed] = stepSending(refusing, SendMessage.Resumed({ by }))
      const [, served] = stepSending(resumed, SendMessage.Attached({ lane: 0, attempt: 1 }))
      assert.deepStrictEqual(
        served.map(({ _tag }) => _tag),
        ["DropLanes", "Serve"]
      )
    })
  }

  it("offers what is accepted once more when its peer is back: the receiver says how it ended, or begins anew", () => {
    const away = sender(SendMessage.Listed(), SendMessage.Accepted(), SendMessage.PeerDown())
    const [, actions] = stepSending(away, SendMessage.PeerUp())
    assert.deepStrictEqual(
      actions.map(({ _tag }) => _tag),
      ["Offer"]
    )
  })
})

describe("a receiver", () => {
  it("does not expire while its sender is there, or while it publishes", () => {
    const [state, actions] = stepReceiving(receiving({ peerUp: true, unasked: true }), ReceiveMessage.Expired())
    assert.deepStrictEqual([state.outcome, actions.length > 0 && actions[0]?._tag === "TellDone"], [null, false])
    const away = { ...receiving({ peerUp: false, unasked: true, runs: 1 }), listed: true }
    assert.isNull(stepReceiving({ ...away, received: true }, ReceiveMessage.Expired())[0].outcome)
    assert.strictEqual(stepReceiving(away, ReceiveMessage.Expired())[0].outcome?.state, "failed")
  })

  it("begins above every attempt of the runs before, which the sender would not serve again", () => {
    const first = (runs: number) => {
      const [listed] = stepReceiving(
        receiving({ peerUp: true, unasked: true, runs }),
        ReceiveMessage.Listed({ lanes: 2 })
      )
      const [, actions] = stepReceiving(listed, ReceiveMessage.Turn({ given: true }))
      return actions.flatMap((action) => (action._tag === "OpenLane" ? action.attempt : []))
    }
    const [one, two] = [first(1), first(2)]
    assert.strictEqual(one.length, 2)
    assert.strictEqual(two.length, 2)
    for (const attempt of one) assert.isAbove(attempt, 1_000_000)
    for (const attempt of two) assert.isAbove(attempt, Math.max(...one) + 1_000_000)
  })
})

describe("a place among those that may be offered", () => {
  it("is waited for: nothing is offered before, and then what is known by then", () => {
    const [listed, nothing] = stepSending(sending(true), SendMessage.Listed())
    assert.deepStrictEqual(nothing, [])
    assert.strictEqual(shownSending(listed), "queued")
    const [placed, actions] = stepSending(listed, SendMessage.Placed())
    assert.deepStrictEqual(
      actions.map(({ _tag }) => _tag),
      ["Offer"]
    )
    assert.strictEqual(shownSending(placed), "offered")
    assert.deepStrictEqual(stepSending(sending(false), SendMessage.Placed())[1], [])
  })

  it("is kept until its holder leaves, whoever else is more urgent", () => {
    const told: Array<string> = []
    const turns = new Turns({ max: 1, isForGood: true })
    const [first, second, third] = [transferOf(1), transferOf(2), transferOf(3)]
    const enter = (id: typeof first, priority: "normal" | "high", order: number) =>
      turns.enter({ id, peer: someId(1), priority, order, onTurn: (given) => told.push(`${order} ${given}`) })
    enter(first, "normal", 1)
    enter(third, "normal", 3)
    enter(second, "high", 2)
    assert.deepStrictEqual(told, ["1 true", "3 false", "2 false"])
    turns.leave(someId(1), first)
    assert.deepStrictEqual(told.slice(3), ["2 true"])
  })
})

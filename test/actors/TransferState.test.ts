/** The pure machines of a transfer: alone under any messages, and the two against each other whatever comes between. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { corruptMax, failuresMax, helperFailuresMax } from "../../src/actors/transfers/receive/ReceiveLanes.ts"
import { ReceiveAction, ReceiveMessage, type Receiving } from "../../src/actors/transfers/receive/ReceiveMessages.ts"
import { receiving, shownReceiving, stepReceiving } from "../../src/actors/transfers/receive/ReceiveState.ts"
import {
  type SendAction,
  SendMessage,
  type Sending,
  sending,
  shownSending,
  stepSending
} from "../../src/actors/transfers/send/SendState.ts"
import { isHeld, type Outcome } from "../../src/actors/transfers/TransferState.ts"

/** One that has its place among those that may be offered. */
const placed = (peerUp: boolean): Sending => ({ ...sending(peerUp), placed: true })

const done: Outcome = { state: "done", error: null }
const good = "good" as const

/** What ends a transfer comes rarely, or nothing else would be tried. */
const often = <A>(...messages: ReadonlyArray<A>): ReadonlyArray<A> => Array.from({ length: 5 }, () => messages).flat()

const lanesAndAttempts = [0, 1].flatMap((lane) => [1, 2, 3].map((attempt) => ({ lane, attempt })))

const receiveMessages: ReadonlyArray<ReceiveMessage> = [
  ...often<ReceiveMessage>(
    ReceiveMessage.PeerUp(),
    ReceiveMessage.PeerDown(),
    ReceiveMessage.Begin(),
    ReceiveMessage.OfferedAgain({ listing: false }),
    ...lanesAndAttempts.flatMap((each) => [
      ReceiveMessage.LaneUp(each),
      ReceiveMessage.Attached(each),
      ReceiveMessage.LaneEnded({ ...each, reason: "lost", prospect: good })
    ]),
    ReceiveMessage.Listed({ lanes: 2 }),
    ReceiveMessage.Turn({ given: true }),
    ReceiveMessage.Turn({ given: true }),
    ReceiveMessage.Turn({ given: false }),
    ReceiveMessage.Paused({ by: "here" }),
    ReceiveMessage.Paused({ by: "peer" }),
    ReceiveMessage.Resumed({ by: "here" }),
    ReceiveMessage.Resumed({ by: "peer" }),
    ReceiveMessage.Progress({ lane: 0 }),
    ReceiveMessage.Progress({ lane: 1 }),
    ReceiveMessage.Accept(),
    ReceiveMessage.Received()
  ),
  ReceiveMessage.Published({ outcome: done }),
  ReceiveMessage.Unacceptable({ reason: "bad" }),
  ReceiveMessage.Decline({ reason: "no" }),
  ReceiveMessage.Cancelled({ by: "here", reason: "enough" }),
  ReceiveMessage.Cancelled({ by: "peer", reason: "enough" }),
  ReceiveMessage.Broken({ reason: "disk" }),
  ReceiveMessage.Expired()
]

const sendMessages: ReadonlyArray<SendMessage> = [
  ...often<SendMessage>(
    SendMessage.PeerUp(),
    SendMessage.PeerDown(),
    SendMessage.Listed(),
    SendMessage.Accepted(),
    SendMessage.Status({ status: "queued" }),
    SendMessage.Status({ status: "publishing" }),
    SendMessage.Changed(),
    SendMessage.Quiet(),
    SendMessage.Paused({ by: "here" }),
    SendMessage.Paused({ by: "peer" }),
    SendMessage.Resumed({ by: "here" }),
    SendMessage.Resumed({ by: "peer" }),
    ...lanesAndAttempts.flatMap((each) => [
      SendMessage.Attached(each),
      SendMessage.Dialled(each),
      SendMessage.DialWanted(each),
      SendMessage.LaneEnded({ ...each, reason: "lost", prospect: good })
    ])
  ),
  SendMessage.Declined({ reason: "no" }),
  SendMessage.Over({ outcome: done }),
  SendMessage.Over({ outcome: { state: "failed", error: "why" } }),
  SendMessage.Cancelled({ by: "here", reason: "enough" }),
  SendMessage.Cancelled({ by: "peer", reason: "enough" }),
  SendMessage.Broken({ reason: "gone" }),
  SendMessage.Expired()
]

const choices = (max: number, length: number) =>
  Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max - 1 }))).check(Schema.isMaxLength(length))

const run = <State, Message, Action>(
  initial: State,
  step: (state: State, message: Message) => readonly [State, ReadonlyArray<Action>],
  messages: ReadonlyArray<Message>
) => {
  const states: Array<State> = [initial]
  const actions: Array<Action> = []
  let state = initial
  for (const message of messages) {
    const [next, more] = step(state, message)
    state = next
    states.push(state)
    actions.push(...more)
  }
  return { state, states, actions }
}

const tagsOf = (actions: ReadonlyArray<{ readonly _tag: string }>) => actions.map((action) => action._tag)
const count = (actions: ReadonlyArray<{ readonly _tag: string }>, ...tags: ReadonlyArray<string>) =>
  tagsOf(actions).filter((tag) => tags.includes(tag)).length

const validated = (unasked: boolean) =>
  run<Receiving, ReceiveMessage, ReceiveAction>(receiving({ peerUp: true, unasked }), stepReceiving, [
    ReceiveMessage.Begin(),
    ReceiveMessage.LaneUp({ lane: 0, attempt: 1 }),
    ReceiveMessage.Listed({ lanes: 1 }),
    ReceiveMessage.Turn({ given: true })
  ])

const losses = (prospect: "good" | "doubtful" | "none") => {
  let { state } = validated(true)
  for (let tries = 1; tries < 100; tries++) {
    const [next] = stepReceiving(
      state,
      ReceiveMessage.LaneEnded({ lane: 0, attempt: state.lanes[0]?.newest ?? 0, reason: "why", prospect })
    )
    if (next.outcome !== null) return { tries, outcome: next.outcome }
    assert.strictEqual(shownReceiving(next), "stalled")
    state = next
  }
  return undefined
}
describe("another run of a receiver", () => {
  it("counts its attempts from above all those of the runs before it", () => {
    const firstOf = (runs: number) => {
      const [, actions] = stepReceiving(receiving({ peerUp: true, unasked: true, runs }), ReceiveMessage.Begin())
      return actions.flatMap((action) => (action._tag === "OpenLane" ? [action.attempt] : []))[0] ?? 0
    }
    assert.isAbove(firstOf(1), 1_000_000)
    assert.isAbove(firstOf(2), firstOf(1) + 1_000_000)
  })
})

describe("Receiving", () => {
  it.prop(
    "keeps its promises under any messages",
    [choices(receiveMessages.length, 40), Schema.Boolean, Schema.Boolean],
    ([chosen, unasked, peerUp]) => {
      const messages = chosen.flatMap((at) => receiveMessages[at] ?? [])
      const { actions, state, states } = run<Receiving, ReceiveMessage, ReceiveAction>(
        receiving({ peerUp, unasked }),
        stepReceiving,
        messages
      )
      for (const lane of [0, 1]) {
        const attempts = actions.flatMap((action) =>
          action._tag === "OpenLane" && action.lane === lane ? [action.attempt] : []
        )
        assert.deepStrictEqual(
          attempts,
          [...new Set(attempts)].toSorted((a, b) => a - b),
          "attempts only grow"
        )
      }
      const turns = tagsOf(actions).filter((tag) => tag === "AskTurn" || tag === "LeaveTurn")
      for (const [at, tag] of turns.entries()) {
        assert.strictEqual(tag, at % 2 === 0 ? "AskTurn" : "LeaveTurn", "a turn is given up once for each asking")
      }
      if (state.outcome !== null) assert.strictEqual(turns.length % 2, 0, "what is over keeps no turn")
      assert.isAtMost(count(actions, "Take"), 1)
      assert.isAtMost(count(actions, "Publish"), count(actions, "Take"), "nothing is published that was not taken")
      assert.isAtMost(count(actions, "Ask"), 1)
      const told = count(actions, "TellDone", "TellDeclined", "TellCancelled")
      const byPeer = messages.some((message) => message._tag === "Cancelled" && message.by === "peer")
      if (state.outcome === null) assert.strictEqual(told, 0)
      else assert.include(byPeer ? [0, 1] : [1], told, "the sender hears how it ended, once")
      for (const [i, each] of states.entries()) {
        const before = states[i - 1]
        if (before?.outcome != null) assert.strictEqual(each, before, "what is over stays so")
        if (each.received) assert.isTrue(each.accepted && each.listed)
        const laned = each.lanes.filter((lane) => lane.attempt !== null)
        if (!each.peerUp || each.outcome !== null || isHeld(each.pause) || each.turn === "queued" || each.received) {
          assert.deepStrictEqual(laned, [], "no lane")
        }
        if (each.received) assert.isFalse(isHeld(each.pause) && !isHeld(before?.pause ?? each.pause))
        for (const [lane, wanted] of each.lanes.entries()) {
          if (each.lanes.every((other) => !other.up)) assert.isAtMost(wanted.failures, failuresMax + 1)
          if (lane > 0 && wanted.attempt !== null) assert.isTrue(each.listed && each.accepted)
        }
        if (isHeld(each.pause) && each.accepted && !each.received && each.outcome === null) {
          assert.strictEqual(shownReceiving(each), "paused")
        }
        if (each.outcome === null) assert.notInclude(["done", "partial", "failed"], shownReceiving(each))
      }
    }
  )

  it("asks, and opens another data link once the answer is yes", () => {
    const asked = validated(false)
    assert.deepStrictEqual(tagsOf(asked.actions), ["OpenLane", "DropLanes", "Ask"])
    assert.strictEqual(shownReceiving(asked.state), "offered")
    const [taken, actions] = stepReceiving(asked.state, ReceiveMessage.Accept())
    assert.deepStrictEqual(tagsOf(actions), ["TellAccepted", "Take", "AskTurn"])
    assert.strictEqual(shownReceiving(taken), "running")
    const [running, opened] = stepReceiving(taken, ReceiveMessage.Turn({ given: true }))
    assert.deepStrictEqual(tagsOf(opened), ["OpenLane"])
    assert.strictEqual(shownReceiving(running), "running")
  })

  it("takes a yes that comes before the list was read", () => {
    const early = run<Receiving, ReceiveMessage, ReceiveAction>(
      receiving({ peerUp: true, unasked: false }),
      stepReceiving,
      [
        ReceiveMessage.Begin(),
        ReceiveMessage.Accept(),
        ReceiveMessage.LaneUp({ lane: 0, attempt: 1 }),
        ReceiveMessage.Listed({ lanes: 1 })
      ]
    )
    assert.deepStrictEqual(tagsOf(early.actions), ["OpenLane", "TellAccepted", "Take", "AskTurn"])
  })

  it("gives up after so many lost data links in a row, and sooner where blocks come corrupt", () => {
    assert.strictEqual(losses("good")?.tries, failuresMax + 1)
    assert.match(losses("good")?.outcome.error ?? "", /failed 11 times: why/)
    assert.strictEqual(losses("doubtful")?.tries, corruptMax + 1)
    assert.deepStrictEqual(losses("none"), { tries: 1, outcome: { state: "failed", error: "why" } })
  })

  it("does not mind the end of a lane that it has given up before", () => {
    const { state } = validated(true)
    const [lost] = stepReceiving(
      state,
      ReceiveMessage.LaneEnded({ lane: 0, attempt: 1, reason: "why", prospect: good })
    )
    const [next, actions] = stepReceiving(
      lost,
      ReceiveMessage.LaneEnded({ lane: 0, attempt: 1, reason: "late", prospect: "none" })
    )
    assert.strictEqual(next, lost)
    assert.deepStrictEqual(actions, [])
  })

  it("counts anew after a block", () => {
    const { state } = validated(true)
    const [lost] = stepReceiving(
      state,
      ReceiveMessage.LaneEnded({ lane: 0, attempt: 1, reason: "why", prospect: good })
    )
    assert.strictEqual(lost.lanes[0]?.failures, 1)
    assert.strictEqual(stepReceiving(lost, ReceiveMessage.Progress({ lane: 0 }))[0].lanes[0]?.failures, 0)
  })

  it("takes only the inbound lane that it asked for", () => {
    const { state } = run<Receiving, ReceiveMessage, ReceiveAction>(
      receiving({ peerUp: true, unasked: true }),
      stepReceiving,
      [ReceiveMessage.Begin()]
    )
    for (const attempt of [0, 2]) {
      assert.deepStrictEqual(tagsOf(stepReceiving(state, ReceiveMessage.Attached({ lane: 0, attempt }))[1]), ["Refuse"])
    }
    const [up, actions] = stepReceiving(state, ReceiveMessage.Attached({ lane: 0, attempt: 1 }))
    assert.deepStrictEqual(actions, [ReceiveAction.RunLane({ lane: 0, attempt: 1 })])
    assert.deepStrictEqual(tagsOf(stepReceiving(up, ReceiveMessage.Attached({ lane: 0, attempt: 1 }))[1]), ["Refuse"])
  })
})

describe("Sending", () => {
  it.prop(
    "keeps its promises under any messages",
    [choices(sendMessages.length, 40), Schema.Boolean],
    ([chosen, peerUp]) => {
      const messages = chosen.flatMap((at) => sendMessages[at] ?? [])
      const { actions, states } = run<Sending, SendMessage, SendAction>(placed(peerUp), stepSending, messages)
      for (const lane of [0, 1]) {
        const served = actions.flatMap((action) =>
          action._tag === "Serve" && action.lane === lane ? [action.attempt] : []
        )
        assert.deepStrictEqual(
          served,
          [...new Set(served)].toSorted((a, b) => a - b),
          "a lower attempt never takes over"
        )
      }
      assert.isAtMost(count(actions, "TellCancelled"), 1)
      if (!messages.some((message) => message._tag === "Listed"))
        assert.strictEqual(count(actions, "Offer", "Serve"), 0)
      for (const [i, each] of states.entries()) {
        const before = states[i - 1]
        if (before?.outcome != null) assert.strictEqual(each, before)
        if (each.outcome?.state === "done") assert.isTrue(each.accepted)
        if (each.outcome === null) {
          assert.notInclude(["done", "partial", "failed"], shownSending(each))
          if (isHeld(each.pause)) assert.strictEqual(shownSending(each), "paused")
        }
      }
    }
  )

  it("does not believe that something is there that was never asked for", () => {
    const [state] = stepSending(sending(true), SendMessage.Over({ outcome: done }))
    assert.strictEqual(state.outcome?.state, "failed")
  })
})

/** The two machines, the frames between them, and two lanes, as a model. Each step one of the things that can happen. */
class Pair {
  sender = placed(true)
  receiver: Receiving
  toSender: Array<SendMessage> = []
  toReceiver: Array<ReceiveMessage> = []
  /** By lane: the receiver's try to open it, and the attempt that both have. */
  opening = new Map<number, number>()
  lanes = new Map<number, number>()
  blocks = 3
  publishing = false
  up = true
  offered = false
  turnAsked = false

  constructor(unasked: boolean) {
    this.receiver = receiving({ peerUp: true, unasked })
    this.send(SendMessage.Listed())
  }

  send(message: SendMessage): void {
    const [next, actions] = stepSending(this.sender, message)
    this.sender = next
    for (const action of actions) {
      if (action._tag === "DropLanes") this.drop(action.lane)
      else if (action._tag === "Serve") this.lanes.set(action.lane, action.attempt)
      else if (!this.up) continue
      else if (action._tag === "Offer") {
        this.toReceiver.push(this.offered ? ReceiveMessage.OfferedAgain({ listing: false }) : ReceiveMessage.Begin())
        this.offered = true
      } else if (action._tag === "TellPaused") this.toReceiver.push(ReceiveMessage.Paused({ by: "peer" }))
      else if (action._tag === "TellResumed") this.toReceiver.push(ReceiveMessage.Resumed({ by: "peer" }))
      else if (action._tag === "TellCancelled") {
        this.toReceiver.push(ReceiveMessage.Cancelled({ by: "peer", reason: action.reason }))
      }
    }
  }

  receive(message: ReceiveMessage): void {
    const [next, actions] = stepReceiving(this.receiver, message)
    this.receiver = next
    for (const action of actions) {
      if (action._tag === "OpenLane") this.opening.set(action.lane, action.attempt)
      else if (action._tag === "DropLanes") {
        if (action.lane === "all") this.opening.clear()
        else this.opening.delete(action.lane)
        this.drop(action.lane)
      } else if (action._tag === "Publish") this.publishing = true
      else if (action._tag === "AskTurn") this.turnAsked = true
      else if (action._tag === "LeaveTurn") this.turnAsked = false
      else if (!this.up) continue
      else if (action._tag === "TellAccepted") this.toSender.push(SendMessage.Accepted())
      else if (action._tag === "TellStatus") this.toSender.push(SendMessage.Status({ status: action.status }))
      else if (action._tag === "TellPaused") this.toSender.push(SendMessage.Paused({ by: "peer" }))
      else if (action._tag === "TellResumed") this.toSender.push(SendMessage.Resumed({ by: "peer" }))
      else if (action._tag === "TellDeclined") this.toSender.push(SendMessage.Declined({ reason: action.reason }))
      else if (action._tag === "TellDone") this.toSender.push(SendMessage.Over({ outcome: action.outcome }))
      else if (action._tag === "TellCancelled") {
        this.toSender.push(SendMessage.Cancelled({ by: "peer", reason: action.reason }))
      }
    }
  }

  /** Both sides see a lane end, whoever ended it. */
  drop(which: number | "all"): void {
    for (const [lane, attempt] of this.lanes) {
      if (which !== "all" && which !== lane) continue
      this.lanes.delete(lane)
      this.send(SendMessage.LaneEnded({ lane, attempt, reason: "lost", prospect: good }))
      this.receive(ReceiveMessage.LaneEnded({ lane, attempt, reason: "lost", prospect: good }))
    }
  }

  /** What may happen next, faults last. `usual` leads to the end; `persons` may do the rest at any moment. */
  steps(): { readonly usual: Array<() => void>; readonly faults: Array<() => void> } {
    const usual: Array<() => void> = []
    const faults: Array<() => void> = []
    const { toReceiver, toSender } = this
    if (toSender.length > 0) usual.push(() => this.send(toSender.shift() ?? SendMessage.Listed()))
    if (toReceiver.length > 0) {
      usual.push(() => this.receive(toReceiver.shift() ?? ReceiveMessage.Progress({ lane: 0 })))
    }
    for (const [lane, attempt] of this.opening) {
      usual.push(() => {
        this.opening.delete(lane)
        this.send(SendMessage.Attached({ lane, attempt }))
        if (this.lanes.get(lane) === attempt) this.receive(ReceiveMessage.LaneUp({ lane, attempt }))
        else this.receive(ReceiveMessage.LaneEnded({ lane, attempt, reason: "refused", prospect: good }))
      })
      faults.push(() => {
        this.opening.delete(lane)
        this.receive(ReceiveMessage.LaneEnded({ lane, attempt, reason: "unreachable", prospect: good }))
      })
    }
    for (const [lane, attempt] of this.lanes) {
      if (this.receiver.lanes[lane]?.attempt !== attempt) continue
      usual.push(() => this.work(lane))
      faults.push(() => this.drop(lane))
    }
    if (this.turnAsked) {
      if (this.receiver.turn !== "given") usual.push(() => this.receive(ReceiveMessage.Turn({ given: true })))
      faults.push(() => this.receive(ReceiveMessage.Turn({ given: false })))
    }
    if (this.publishing && this.receiver.outcome === null)
      usual.push(() => this.receive(ReceiveMessage.Published({ outcome: done })))
    if (this.receiver.listed && !this.receiver.accepted && this.receiver.outcome === null) {
      usual.push(() => this.receive(ReceiveMessage.Accept()))
    }
    faults.push(
      () => this.send(SendMessage.Paused({ by: "here" })),
      () => this.send(SendMessage.Resumed({ by: "here" })),
      () => this.receive(ReceiveMessage.Paused({ by: "here" })),
      () => this.receive(ReceiveMessage.Resumed({ by: "here" }))
    )
    if (this.up) faults.push(() => this.session(false))
    else usual.push(() => this.session(true))
    return { usual, faults }
  }

  /** The lane does the next thing it is for. */
  work(lane: number): void {
    if (!this.receiver.listed) return this.receive(ReceiveMessage.Listed({ lanes: 2 }))
    if (!this.receiver.accepted) return
    if (this.blocks === 0) return this.receive(ReceiveMessage.Received())
    this.blocks--
    this.receive(ReceiveMessage.Progress({ lane }))
  }

  /** Every word that is under way is heard. */
  settle(): void {
    for (let i = 0; i < 1000; i++) {
      const toSender = this.toSender.shift()
      if (toSender !== undefined) this.send(toSender)
      const toReceiver = this.toReceiver.shift()
      if (toReceiver !== undefined) this.receive(toReceiver)
      if (toSender === undefined && toReceiver === undefined) return
    }
    assert.fail("they never stop talking")
  }

  session(up: boolean): void {
    this.up = up
    this.toSender = []
    this.toReceiver = []
    if (up) {
      this.receive(ReceiveMessage.PeerUp())
      this.send(SendMessage.PeerUp())
      // A sender that offers what is over here is told so again.
      if (this.receiver.outcome !== null && this.sender.outcome === null) {
        this.toSender.push(SendMessage.Accepted(), SendMessage.Over({ outcome: this.receiver.outcome }))
      }
    } else {
      this.lanes.clear()
      this.opening.clear()
      this.send(SendMessage.PeerDown())
      this.receive(ReceiveMessage.PeerDown())
    }
  }
}

const troubled = (chosen: ReadonlyArray<number>, unasked: boolean): Pair => {
  const pair = new Pair(unasked)
  for (const choice of chosen) {
    const { faults, usual } = pair.steps()
    const all = choice % 3 === 0 ? [...usual, ...faults] : usual
    all[Math.floor(choice / 3) % Math.max(1, all.length)]?.()
    if (pair.receiver.outcome?.state === "failed") break
  }
  return pair
}

describe("the two together", () => {
  it.prop(
    "end the same way once faults cease, whatever they were, and nobody holds it",
    [choices(1000, 200), Schema.Boolean],
    ([chosen, unasked]) => {
      const pair = troubled(chosen, unasked)
      if (pair.receiver.outcome?.state === "failed") return
      // Whoever held it lets go; words that cross do not hold it again.
      if (!pair.up) pair.session(true)
      pair.settle()
      pair.send(SendMessage.Resumed({ by: "here" }))
      for (let i = 0; i < 400; i++) {
        const { usual } = pair.steps()
        usual[i % Math.max(1, usual.length)]?.()
      }
      assert.deepStrictEqual([pair.sender.outcome, pair.receiver.outcome], [done, done])
      assert.strictEqual(pair.blocks, 0)
      assert.isFalse(pair.turnAsked)
    }
  )

  it.prop(
    "show the same about who holds it, once every word is heard",
    [choices(1000, 100), Schema.Boolean],
    ([chosen, unasked]) => {
      const pair = troubled(chosen, unasked)
      if (!pair.up) pair.session(true)
      pair.settle()
      const { receiver, sender } = pair
      if (receiver.outcome !== null || sender.outcome !== null || receiver.received) return
      assert.deepStrictEqual(
        [sender.pause.here, sender.pause.peer],
        [receiver.pause.peer, receiver.pause.here],
        "each knows of the other"
      )
      if (isHeld(sender.pause)) assert.deepStrictEqual([...pair.lanes], [], "what is held has no lane")
    }
  )

  it("gives up a helping lane that cannot be had, and goes on with the first", () => {
    let { state } = run<Receiving, ReceiveMessage, ReceiveAction>(
      receiving({ peerUp: true, unasked: true }),
      stepReceiving,
      [
        ReceiveMessage.Begin(),
        ReceiveMessage.LaneUp({ lane: 0, attempt: 1 }),
        ReceiveMessage.Listed({ lanes: 2 }),
        ReceiveMessage.Turn({ given: true })
      ]
    )
    for (let tries = 1; tries < 10; tries++) {
      const { attempt } = state.lanes[1] ?? { attempt: null }
      if (attempt === null) {
        assert.strictEqual(tries, helperFailuresMax + 2)
        break
      }
      state = stepReceiving(state, ReceiveMessage.LaneEnded({ lane: 1, attempt, reason: "no", prospect: good }))[0]
    }
    assert.strictEqual(shownReceiving(state), "running")
    assert.strictEqual(state.lanes[0]?.attempt, 1)
  })
})

/** The pure machines of a transfer: alone under any messages, and the two against each other whatever comes between. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  corruptMax,
  failuresMax,
  type Outcome,
  ReceiveAction,
  ReceiveMessage,
  type Receiving,
  receiving,
  type SendAction,
  SendMessage,
  type Sending,
  sending,
  shownReceiving,
  shownSending,
  stepReceiving,
  stepSending
} from "../../src/actors/TransferState.ts"

const done: Outcome = { state: "done", error: null }
const good = "good" as const

/** What ends a transfer comes rarely, or nothing else would be tried. */
const often = <A>(...messages: ReadonlyArray<A>): ReadonlyArray<A> => Array.from({ length: 5 }, () => messages).flat()

const receiveMessages: ReadonlyArray<ReceiveMessage> = [
  ...often<ReceiveMessage>(
    ReceiveMessage.PeerUp(),
    ReceiveMessage.PeerDown(),
    ReceiveMessage.Begin(),
    ReceiveMessage.OfferedAgain(),
    ...[1, 2, 3].flatMap((attempt) => [
      ReceiveMessage.LaneUp({ attempt }),
      ReceiveMessage.Attached({ attempt }),
      ReceiveMessage.LaneEnded({ attempt, reason: "lost", prospect: good })
    ]),
    ReceiveMessage.Listed(),
    ReceiveMessage.Progress(),
    ReceiveMessage.Accept(),
    ReceiveMessage.Received()
  ),
  ReceiveMessage.Published({ outcome: done }),
  ReceiveMessage.Unacceptable({ reason: "bad" }),
  ReceiveMessage.Decline({ reason: "no" }),
  ReceiveMessage.Cancelled({ by: "here", reason: "enough" }),
  ReceiveMessage.Cancelled({ by: "peer", reason: "enough" }),
  ReceiveMessage.Broken({ reason: "disk" })
]

const sendMessages: ReadonlyArray<SendMessage> = [
  ...often<SendMessage>(
    SendMessage.PeerUp(),
    SendMessage.PeerDown(),
    SendMessage.Listed(),
    SendMessage.Accepted(),
    ...[1, 2, 3].flatMap((attempt) => [
      SendMessage.Attached({ attempt }),
      SendMessage.Dialled({ attempt }),
      SendMessage.DialWanted({ attempt }),
      SendMessage.LaneEnded({ attempt, reason: "lost", prospect: good })
    ])
  ),
  SendMessage.Declined({ reason: "no" }),
  SendMessage.Over({ outcome: done }),
  SendMessage.Over({ outcome: { state: "failed", error: "why" } }),
  SendMessage.Cancelled({ by: "here", reason: "enough" }),
  SendMessage.Cancelled({ by: "peer", reason: "enough" }),
  SendMessage.Broken({ reason: "gone" })
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
      const attempts = actions.flatMap((action) => (action._tag === "OpenLane" ? [action.attempt] : []))
      assert.deepStrictEqual(
        attempts,
        [...new Set(attempts)].toSorted((a, b) => a - b),
        "attempts only grow"
      )
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
        if (!each.peerUp || each.outcome !== null) assert.isNull(each.lane)
        assert.isAtMost(each.failures, failuresMax)
        if (each.outcome === null) assert.notInclude(["done", "partial", "failed"], shownReceiving(each))
      }
    }
  )

  const validated = (unasked: boolean) =>
    run<Receiving, ReceiveMessage, ReceiveAction>(receiving({ peerUp: true, unasked }), stepReceiving, [
      ReceiveMessage.Begin(),
      ReceiveMessage.LaneUp({ attempt: 1 }),
      ReceiveMessage.Listed()
    ])

  it("asks, and opens another data link once the answer is yes", () => {
    const asked = validated(false)
    assert.deepStrictEqual(tagsOf(asked.actions), ["OpenLane", "DropLane", "Ask"])
    assert.strictEqual(shownReceiving(asked.state), "offered")
    const [taken, actions] = stepReceiving(asked.state, ReceiveMessage.Accept())
    assert.deepStrictEqual(tagsOf(actions), ["TellAccepted", "Take", "OpenLane"])
    assert.strictEqual(shownReceiving(taken), "running")
  })

  it("takes a yes that comes before the list was read", () => {
    const early = run<Receiving, ReceiveMessage, ReceiveAction>(
      receiving({ peerUp: true, unasked: false }),
      stepReceiving,
      [ReceiveMessage.Begin(), ReceiveMessage.Accept(), ReceiveMessage.LaneUp({ attempt: 1 }), ReceiveMessage.Listed()]
    )
    assert.deepStrictEqual(tagsOf(early.actions), ["OpenLane", "TellAccepted", "Take"])
  })

  it("gives up after so many lost data links in a row, and sooner where blocks come corrupt", () => {
    const losses = (prospect: "good" | "doubtful" | "none") => {
      let { state } = validated(true)
      for (let tries = 1; tries < 100; tries++) {
        const [next] = stepReceiving(
          state,
          ReceiveMessage.LaneEnded({ attempt: state.newest, reason: "why", prospect })
        )
        if (next.outcome !== null) return { tries, outcome: next.outcome }
        assert.strictEqual(shownReceiving(next), "stalled")
        state = next
      }
      return undefined
    }
    assert.strictEqual(losses("good")?.tries, failuresMax + 1)
    assert.match(losses("good")?.outcome.error ?? "", /failed 11 times: why/)
    assert.strictEqual(losses("doubtful")?.tries, corruptMax + 1)
    assert.deepStrictEqual(losses("none"), { tries: 1, outcome: { state: "failed", error: "why" } })
  })

  it("does not mind the end of a lane that it has given up before", () => {
    const { state } = validated(true)
    const [lost] = stepReceiving(state, ReceiveMessage.LaneEnded({ attempt: 1, reason: "why", prospect: good }))
    const [next, actions] = stepReceiving(
      lost,
      ReceiveMessage.LaneEnded({ attempt: 1, reason: "late", prospect: "none" })
    )
    assert.strictEqual(next, lost)
    assert.deepStrictEqual(actions, [])
  })

  it("counts anew after a block", () => {
    const { state } = validated(true)
    const [lost] = stepReceiving(state, ReceiveMessage.LaneEnded({ attempt: 1, reason: "why", prospect: good }))
    assert.strictEqual(lost.failures, 1)
    assert.strictEqual(stepReceiving(lost, ReceiveMessage.Progress())[0].failures, 0)
  })

  it("takes only the inbound lane that it asked for", () => {
    const { state } = run<Receiving, ReceiveMessage, ReceiveAction>(
      receiving({ peerUp: true, unasked: true }),
      stepReceiving,
      [ReceiveMessage.Begin()]
    )
    for (const attempt of [0, 2]) {
      assert.deepStrictEqual(tagsOf(stepReceiving(state, ReceiveMessage.Attached({ attempt }))[1]), ["Refuse"])
    }
    const [up, actions] = stepReceiving(state, ReceiveMessage.Attached({ attempt: 1 }))
    assert.deepStrictEqual(actions, [ReceiveAction.RunLane({ attempt: 1 })])
    assert.deepStrictEqual(tagsOf(stepReceiving(up, ReceiveMessage.Attached({ attempt: 1 }))[1]), ["Refuse"])
  })
})

describe("Sending", () => {
  it.prop(
    "keeps its promises under any messages",
    [choices(sendMessages.length, 40), Schema.Boolean],
    ([chosen, peerUp]) => {
      const messages = chosen.flatMap((at) => sendMessages[at] ?? [])
      const { actions, states } = run<Sending, SendMessage, SendAction>(sending(peerUp), stepSending, messages)
      const served = actions.flatMap((action) => (action._tag === "Serve" ? [action.attempt] : []))
      assert.deepStrictEqual(
        served,
        [...new Set(served)].toSorted((a, b) => a - b),
        "a lower attempt never takes over"
      )
      assert.isAtMost(count(actions, "TellCancelled"), 1)
      if (!messages.some((message) => message._tag === "Listed"))
        assert.strictEqual(count(actions, "Offer", "Serve"), 0)
      for (const [i, each] of states.entries()) {
        const before = states[i - 1]
        if (before?.outcome != null) assert.strictEqual(each, before)
        if (each.outcome?.state === "done") assert.isTrue(each.accepted)
        if (each.outcome !== null) assert.isNull(each.lane)
        if (each.outcome === null) assert.notInclude(["done", "partial", "failed"], shownSending(each))
      }
    }
  )

  it("does not believe that something is there that was never asked for", () => {
    const [state] = stepSending(sending(true), SendMessage.Over({ outcome: done }))
    assert.strictEqual(state.outcome?.state, "failed")
  })
})

/** The two machines, the frames between them, and the lane, as a model. Each step one of the things that can happen. */
class Pair {
  sender = sending(true)
  receiver = receiving({ peerUp: true, unasked: true })
  toSender: Array<SendMessage> = []
  toReceiver: Array<ReceiveMessage> = []
  /** The receiver's try to open a lane, and the lane that both have. */
  opening: number | null = null
  lane: number | null = null
  blocks = 3
  publishing = false
  up = true
  offered = false

  constructor(unasked: boolean) {
    this.receiver = receiving({ peerUp: true, unasked })
    this.send(SendMessage.Listed())
  }

  send(message: SendMessage): void {
    const [next, actions] = stepSending(this.sender, message)
    this.sender = next
    for (const action of actions) {
      if (action._tag === "Offer" && this.up) {
        this.toReceiver.push(this.offered ? ReceiveMessage.OfferedAgain() : ReceiveMessage.Begin())
        this.offered = true
      } else if (action._tag === "TellCancelled" && this.up) {
        this.toReceiver.push(ReceiveMessage.Cancelled({ by: "peer", reason: action.reason }))
      } else if (action._tag === "DropLane") this.lane = null
      else if (action._tag === "Serve") this.lane = action.attempt
    }
  }

  receive(message: ReceiveMessage): void {
    const [next, actions] = stepReceiving(this.receiver, message)
    this.receiver = next
    for (const action of actions) {
      if (action._tag === "OpenLane") this.opening = action.attempt
      else if (action._tag === "DropLane") {
        this.opening = null
        if (this.lane !== null) this.send(SendMessage.LaneEnded({ attempt: this.lane, reason: "", prospect: good }))
        this.lane = null
      } else if (action._tag === "Publish") this.publishing = true
      else if (!this.up) continue
      else if (action._tag === "TellAccepted") this.toSender.push(SendMessage.Accepted())
      else if (action._tag === "TellDeclined") this.toSender.push(SendMessage.Declined({ reason: action.reason }))
      else if (action._tag === "TellDone") this.toSender.push(SendMessage.Over({ outcome: action.outcome }))
      else if (action._tag === "TellCancelled") {
        this.toSender.push(SendMessage.Cancelled({ by: "peer", reason: action.reason }))
      }
    }
  }

  /** What may happen next, faults last. */
  steps(): { readonly usual: Array<() => void>; readonly faults: Array<() => void> } {
    const usual: Array<() => void> = []
    const faults: Array<() => void> = []
    const { toReceiver, toSender } = this
    if (toSender.length > 0) usual.push(() => this.send(toSender.shift() ?? SendMessage.Listed()))
    if (toReceiver.length > 0) usual.push(() => this.receive(toReceiver.shift() ?? ReceiveMessage.Progress()))
    const { lane, opening } = this
    if (opening !== null) {
      usual.push(() => {
        this.opening = null
        this.send(SendMessage.Attached({ attempt: opening }))
        if (this.lane === opening) this.receive(ReceiveMessage.LaneUp({ attempt: opening }))
        else this.receive(ReceiveMessage.LaneEnded({ attempt: opening, reason: "refused", prospect: good }))
      })
      faults.push(() => {
        this.opening = null
        this.receive(ReceiveMessage.LaneEnded({ attempt: opening, reason: "unreachable", prospect: good }))
      })
    }
    if (lane !== null && this.receiver.lane?.attempt === lane) {
      usual.push(() => this.work())
      faults.push(() => {
        this.lane = null
        this.send(SendMessage.LaneEnded({ attempt: lane, reason: "lost", prospect: good }))
        this.receive(ReceiveMessage.LaneEnded({ attempt: lane, reason: "lost", prospect: good }))
      })
    }
    if (this.publishing && this.receiver.outcome === null)
      usual.push(() => this.receive(ReceiveMessage.Published({ outcome: done })))
    if (this.receiver.listed && !this.receiver.accepted && this.receiver.outcome === null) {
      usual.push(() => this.receive(ReceiveMessage.Accept()))
    }
    if (this.up) faults.push(() => this.session(false))
    else usual.push(() => this.session(true))
    return { usual, faults }
  }

  /** The lane does the next thing it is for. */
  work(): void {
    if (!this.receiver.listed) return this.receive(ReceiveMessage.Listed())
    if (!this.receiver.accepted) return
    if (this.blocks === 0) return this.receive(ReceiveMessage.Received())
    this.blocks--
    this.receive(ReceiveMessage.Progress())
  }

  session(up: boolean): void {
    this.up = up
    this.toSender = []
    this.toReceiver = []
    this.lane = null
    this.opening = null
    if (up) {
      this.receive(ReceiveMessage.PeerUp())
      this.send(SendMessage.PeerUp())
      // A sender that offers what is over here is told so again.
      if (this.receiver.outcome !== null && this.sender.outcome === null) {
        this.toSender.push(SendMessage.Accepted(), SendMessage.Over({ outcome: this.receiver.outcome }))
      }
    } else {
      this.send(SendMessage.PeerDown())
      this.receive(ReceiveMessage.PeerDown())
    }
  }
}

describe("the two together", () => {
  it.prop(
    "end the same way once faults cease, whatever they were",
    [choices(1000, 200), Schema.Boolean],
    ([chosen, unasked]) => {
      const pair = new Pair(unasked)
      for (const choice of chosen) {
        const { faults, usual } = pair.steps()
        const all = choice % 3 === 0 ? [...usual, ...faults] : usual
        all[Math.floor(choice / 3) % Math.max(1, all.length)]?.()
        if (pair.receiver.outcome?.state === "failed") return
      }
      for (let i = 0; i < 300; i++) pair.steps().usual[0]?.()
      assert.deepStrictEqual([pair.sender.outcome, pair.receiver.outcome], [done, done])
      assert.strictEqual(pair.blocks, 0)
    }
  )
})

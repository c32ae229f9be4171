/** The counting behind chat: whatever is cut off, repeated or forgotten, each message is shown once and in order. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  acknowledged,
  epochsMax,
  type Inbox,
  leastAdvanced,
  newSession,
  receive,
  type Session,
  writing
} from "../../src/services/chat/ChatState.ts"
import { someEpoch } from "../Some.ts"

const epoch = someEpoch(1)
const item = (seq: number, of = epoch) => ({ epoch: of, seq })

describe("a session", () => {
  it("says with each message which is the oldest unacknowledged, however long ago it began", () => {
    const three = writing(newSession, item(3))
    assert.deepStrictEqual(three, { epoch, first: 3, written: 3 })
    const four = writing(three ?? newSession, item(4))
    assert.deepStrictEqual(four, { epoch, first: 3, written: 4 })
    const acked = acknowledged(four ?? newSession, item(3))
    assert.deepStrictEqual(writing(acked, item(5)), { epoch, first: 4, written: 5 })
    assert.deepStrictEqual(writing(acknowledged(acked, item(4)), item(5)), { epoch, first: 5, written: 5 })
    assert.strictEqual(acknowledged(acked, item(1)).first, 4, "receipts do not go back")
  })

  it("does not write what was acknowledged since it was looked for", () => {
    const session = acknowledged(writing(newSession, item(1)) ?? newSession, item(5))
    assert.isUndefined(writing(session, item(2)))
    assert.isUndefined(writing(session, item(5)))
    assert.strictEqual(writing(session, item(6))?.first, 6)
  })

  it("begins anew with a new epoch, and takes no receipts of another", () => {
    const session = writing(newSession, item(7)) ?? newSession
    assert.deepStrictEqual(acknowledged(session, item(9, someEpoch(2))), session)
    assert.deepStrictEqual(writing(session, item(1, someEpoch(2))), { epoch: someEpoch(2), first: 1, written: 1 })
  })
})

const take = (inbox: Inbox, first: number, seq: number, of = epoch) => receive(inbox, { epoch: of, first, seq })

describe("an inbox", () => {
  it("shows what follows the last, once", () => {
    const one = take([], 1, 1)
    assert.strictEqual(one.verdict, "new")
    assert.strictEqual(take(one.inbox, 1, 1).verdict, "again")
    assert.strictEqual(take(one.inbox, 1, 3).verdict, "gap")
    assert.strictEqual(take(one.inbox, 1, 3).last, 1, "nothing above the gap is acknowledged")
    assert.strictEqual(take(one.inbox, 1, 2).verdict, "new")
  })

  it("begins at `first` where it knows nothing", () => {
    assert.deepStrictEqual(take([], 5, 5).verdict, "new")
    assert.deepStrictEqual(take([], 5, 7).verdict, "gap")
    assert.deepStrictEqual(take([], 5, 4).verdict, "gap", "nonsense")
    assert.deepStrictEqual(take([], 0, 0).last, 0)
    // And where what it knows is older than what the sender knows it acknowledged.
    assert.deepStrictEqual(take([{ epoch, last: 2 }], 5, 5).verdict, "new")
    assert.deepStrictEqual(take([{ epoch, last: 2 }], 5, 6).verdict, "gap")
  })

  it("starts over with each epoch, and remembers a few", () => {
    let inbox: Inbox = []
    for (let n = 0; n < 20; n++) {
      const next = take(inbox, 1, 1, someEpoch(n))
      assert.strictEqual(next.verdict, "new")
      inbox = next.inbox
    }
    assert.lengthOf(inbox, epochsMax)
    assert.strictEqual(take(inbox, 1, 1, someEpoch(19)).verdict, "again")
    assert.strictEqual(take(inbox, 1, 1, someEpoch(20 - epochsMax)).verdict, "again")
  })

  it("jumps hurt only the one who jumps", () => {
    const far = Number.MAX_SAFE_INTEGER
    const jumped = take([], far, far)
    assert.strictEqual(jumped.verdict, "new")
    assert.strictEqual(take(jumped.inbox, 1, 1).verdict, "again")
  })
})

describe("a message's state", () => {
  it("is that of the least advanced recipient", () => {
    assert.strictEqual(leastAdvanced(["read", "delivered", "sent", "queued"]), "queued")
    assert.strictEqual(leastAdvanced(["read", "delivered", "sent"]), "sent")
    assert.strictEqual(leastAdvanced(["read", "delivered"]), "delivered")
    assert.strictEqual(leastAdvanced(["read"]), "read")
    assert.strictEqual(leastAdvanced(["read", "expired"]), "expired")
  })
})

describe("two nodes and a link", () => {
  /** What may happen. A link keeps order; its end loses whatever is on it, in both directions. */
  const Step = Schema.Literals([
    "say",
    "say",
    "write",
    "write",
    "arrive",
    "arrive",
    "receipt",
    "receipt",
    "end",
    "repeat",
    "overtake",
    "restartSender"
  ])

  it.prop(
    "each message is shown exactly once, in order, and none is called delivered that was not",
    [Schema.Array(Step)],
    ([steps]) => {
      let epochs = 1
      let current = someEpoch(epochs)
      /** What the sender's store holds: all that is not acknowledged, and how many it numbered. */
      let pending: ReadonlyArray<{ readonly seq: number; readonly value: number }> = []
      let last = 0
      let session: Session = newSession
      let inbox: Inbox = []
      let link: Array<{
        readonly epoch: typeof epoch
        readonly first: number
        readonly seq: number
        readonly value: number
      }> = []
      let back: Array<{ readonly epoch: typeof epoch; readonly seq: number; readonly state: "delivered" }> = []
      const said: Array<number> = []
      const shown: Array<number> = []
      const delivered: Array<number> = []
      const abandoned = new Set<number>()

      const write = () => {
        const item = pending.find((one) => one.seq > session.written)
        if (item === undefined) return
        const next = writing(session, { epoch: current, seq: item.seq })
        if (next !== undefined) link.push({ epoch: current, first: next.first, ...item })
        session = next ?? { ...session, written: item.seq }
      }
      const arrive = () => {
        const frame = link.shift()
        if (frame === undefined) return
        const { inbox: next, verdict, last } = receive(inbox, frame)
        inbox = next
        if (verdict === "new") shown.push(frame.value)
        if (verdict !== "gap" && last > 0) back.push({ epoch: frame.epoch, seq: last, state: "delivered" })
      }
      const takeReceipt = () => {
        const next = back.shift()
        if (next === undefined || next.epoch !== current || next.seq > last) return
        session = acknowledged(session, next)
        delivered.push(...pending.filter((one) => one.seq <= next.seq).map((one) => one.value))
        pending = pending.filter((one) => one.seq > next.seq)
      }
      const end = () => {
        link = []
        back = []
        session = newSession
      }

      for (const step of steps) {
        switch (step) {
          case "say":
            said.push(said.length)
            pending = [...pending, { seq: ++last, value: said.length - 1 }]
            break
          case "write":
            write()
            break
          case "arrive":
            arrive()
            break
          case "receipt":
            takeReceipt()
            break
          case "end":
            end()
            break
          case "repeat": {
            // A sender that begins again without need.
            session = newSession
            break
          }
          case "overtake": {
            // The first frame of a new session overtakes the word that there is one.
            const item = pending.find((one) => one.seq > session.written)
            const next = item === undefined ? undefined : writing(session, { epoch: current, seq: item.seq })
            end()
            if (item !== undefined && next !== undefined) link.push({ epoch: current, first: next.first, ...item })
            break
          }
          case "restartSender":
            // It loses its outbox: what was not acknowledged may be shown or not, but never out of order or twice.
            end()
            for (const { value } of pending) abandoned.add(value)
            epochs += 1
            current = someEpoch(epochs)
            pending = []
            last = 0
            break
        }
        assert.isTrue(delivered.every((value) => shown.includes(value)))
      }
      // Let all that is under way arrive, over a new session.
      end()
      for (let i = 0; i < said.length; i++) write()
      while (link.length > 0) arrive()
      while (back.length > 0) takeReceipt()

      assert.deepStrictEqual(
        shown,
        shown.toSorted((a, b) => a - b),
        "in order"
      )
      assert.lengthOf(new Set(shown), shown.length, "once")
      assert.deepStrictEqual(
        said.filter((value) => !shown.includes(value) && !abandoned.has(value)),
        [],
        "each"
      )
      assert.deepStrictEqual(
        said.filter((value) => !delivered.includes(value) && !abandoned.has(value)),
        []
      )
    },
    { arbitrary: { runs: 2000, size: 60 } }
  )
})

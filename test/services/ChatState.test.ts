/** The counting behind chat: whatever is cut off, repeated or forgotten, each message is shown once and in order. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  acknowledge,
  emptyOutbox,
  enqueue,
  epochsMax,
  first,
  type Inbox,
  leastAdvanced,
  nextToWrite,
  type Outbox,
  receive,
  rewind,
  unreadMax,
  writing
} from "../../src/services/ChatState.ts"
import { someEpoch } from "../Some.ts"

const epoch = someEpoch(1)
const filled = (...values: ReadonlyArray<number>): Outbox<number> =>
  values.reduce<Outbox<number>>(enqueue, emptyOutbox(epoch))

/** Writes everything that is to be written. */
const writeAll = (outbox: Outbox<number>): readonly [Outbox<number>, ReadonlyArray<number>] => {
  const written: Array<number> = []
  for (let item = nextToWrite(outbox); item !== undefined; item = nextToWrite(outbox)) {
    written.push(item.value)
    outbox = writing(outbox, item)
  }
  return [outbox, written]
}

const receipt = (seq: number, state: "delivered" | "read" = "delivered", of = epoch) => ({ epoch: of, seq, state })

describe("an outbox", () => {
  it("writes in order, and after a session's end again from the first unacknowledged", () => {
    const [once, written] = writeAll(filled(10, 20, 30))
    assert.deepStrictEqual(written, [10, 20, 30])
    assert.isUndefined(nextToWrite(once))
    const half = acknowledge(once, receipt(1))
    assert.deepStrictEqual(half?.advanced, [10])
    const again = rewind(half?.outbox ?? once)
    assert.strictEqual(first(again), 2)
    assert.deepStrictEqual(writeAll(again)[1], [20, 30])
    assert.deepStrictEqual(writeAll(enqueue(again, 40))[1], [20, 30, 40])
  })

  it("takes receipts for what was written, once, and no others", () => {
    const [outbox] = writeAll(filled(1, 2, 3))
    assert.isUndefined(acknowledge(outbox, receipt(4)), "never sent")
    assert.isUndefined(acknowledge(outbox, receipt(2 ** 53 - 1)))
    assert.isUndefined(acknowledge(outbox, receipt(1, "delivered", someEpoch(2))), "another epoch")
    assert.isUndefined(acknowledge(filled(1), receipt(1)), "not written yet")
    const two = acknowledge(outbox, receipt(2))
    assert.deepStrictEqual(two?.advanced, [1, 2])
    for (const older of [0, 1, 2]) {
      const same = acknowledge(two?.outbox ?? outbox, receipt(older))
      assert.deepStrictEqual(same?.advanced, [])
      assert.deepStrictEqual(same?.outbox.pending, two?.outbox.pending)
    }
  })

  it("takes a receipt for what an earlier session wrote", () => {
    const [outbox] = writeAll(filled(1, 2, 3))
    const result = acknowledge(rewind(outbox), receipt(2))
    assert.deepStrictEqual(result?.advanced, [1, 2])
    assert.deepStrictEqual(writeAll(result?.outbox ?? outbox)[1], [3])
  })

  it("knows delivered from read", () => {
    const [outbox] = writeAll(filled(1, 2, 3))
    const delivered = acknowledge(outbox, receipt(2))?.outbox ?? outbox
    const read = acknowledge(delivered, receipt(1, "read"))
    assert.deepStrictEqual(read?.advanced, [1])
    assert.deepStrictEqual(acknowledge(read?.outbox ?? outbox, receipt(1, "read"))?.advanced, [])
    // Read implies delivered.
    const rest = acknowledge(read?.outbox ?? outbox, receipt(3, "read"))
    assert.deepStrictEqual(rest?.advanced, [2, 3])
    assert.lengthOf(rest?.outbox.pending ?? [0], 0)
    assert.lengthOf(rest?.outbox.unread ?? [0], 0)
  })

  it("waits for only so many to be read", () => {
    const [outbox] = writeAll(filled(...Array.from({ length: unreadMax + 10 }, (_, i) => i)))
    assert.lengthOf(acknowledge(outbox, receipt(unreadMax + 10))?.outbox.unread ?? [], unreadMax)
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
      let outbox: Outbox<number> = emptyOutbox(someEpoch(epochs))
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
        const item = nextToWrite(outbox)
        if (item === undefined) return
        link.push({ epoch: outbox.epoch, first: first(outbox), seq: item.seq, value: item.value })
        outbox = writing(outbox, item)
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
        if (next === undefined) return
        const result = acknowledge(outbox, next)
        if (result === undefined) return
        outbox = result.outbox
        delivered.push(...result.advanced)
      }
      const end = () => {
        link = []
        back = []
        outbox = rewind(outbox)
      }

      for (const step of steps) {
        switch (step) {
          case "say":
            said.push(said.length)
            outbox = enqueue(outbox, said.length - 1)
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
            outbox = rewind(outbox)
            break
          }
          case "overtake": {
            // The first frame of a new session overtakes the word that there is one.
            const item = nextToWrite(outbox)
            end()
            if (item !== undefined)
              link.push({ epoch: outbox.epoch, first: first(outbox), seq: item.seq, value: item.value })
            break
          }
          case "restartSender":
            // It loses its outbox: what was not acknowledged may be shown or not, but never out of order or twice.
            end()
            for (const item of outbox.pending) abandoned.add(item.value)
            epochs += 1
            outbox = emptyOutbox(someEpoch(epochs))
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

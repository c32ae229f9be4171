/** What the page knows of its node, event by event. */
import { assert, describe, it } from "@effect/vitest"
import type { Message } from "../../src/schema/Message.ts"
import type { Peer } from "../../src/schema/Peer.ts"
import * as Model from "../../src/web/state/Model.ts"
import { someId, someMessage } from "../Some.ts"

const me = someId(0)
const bob = someId(1)

const peer: Peer = {
  id: bob,
  name: "bob",
  state: "connected",
  trust: "unverified",
  addresses: [],
  accept: null,
  lastSeen: null
}

const message = (n: number, change: Partial<Message> = {}): Message => ({
  id: someMessage(n),
  from: bob,
  to: me,
  text: `message ${n}`,
  sentAt: n,
  state: "delivered",
  recipients: [],
  ...change
})

const known = Model.make({
  node: { id: me, name: "alice", addresses: [], fingerprint: "", version: "", received: "", apiUrl: "" },
  peers: [peer],
  messages: { items: [message(11), message(10)], before: 10 },
  unread: [{ peer: bob, count: 2 }],
  transfers: [],
  verifications: [],
  alarms: []
})

describe("the model of the page", () => {
  it("takes a new message as the last, and counts it once", () => {
    const event = { _tag: "MessageAdded" as const, message: message(12) }
    const once = Model.apply(known, event)
    assert.deepStrictEqual(
      once.messages.map(({ sentAt }) => sentAt),
      [10, 11, 12]
    )
    assert.strictEqual(once.unread.get(bob), 3)
    assert.deepStrictEqual(Model.apply(once, event), once, "the list at the beginning may hold what is told after it")
  })

  it("changes a message where it stands, and leaves out one that is older than what it knows", () => {
    const changed = Model.apply(known, { _tag: "MessageChanged", message: message(10, { state: "read" }) })
    assert.deepStrictEqual(
      changed.messages.map(({ state }) => state),
      ["read", "delivered"]
    )
    // Written long ago, and delivered now that its recipient is back.
    const late = message(3, { from: me, to: bob })
    assert.strictEqual(Model.apply(known, { _tag: "MessageChanged", message: late }), known)
  })

  it("counts nothing of a peer that is forgotten", () => {
    const without = Model.apply(known, { _tag: "PeerRemoved", id: bob })
    assert.deepStrictEqual([without.peers.size, without.unread.size], [0, 0])
  })
})

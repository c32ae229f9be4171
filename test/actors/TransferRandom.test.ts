/**
 * Whatever two persons do to transfers in both directions, and whatever happens to the network and the nodes meanwhile:
 * both sides show the same once it is quiet, every transfer ends the same on both, and what is done is equal. Whole
 * nodes in simulated time; a failure names its seed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { isOver, type Transfer as View, type TransferPriority } from "../../src/schema/Offer.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../../src/testing/SimulatedPeer.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { noise } from "./TransferNode.ts"

type Peer = SimulatedPeer.SimulatedPeer

/** Numbers below `below` that are the same for the same seed. */
const chance = (seed: number) => {
  let state = (seed * 2654435761 + 12345) >>> 0
  return (below: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) % below
  }
}

const list = (peer: Peer) => peer.run(Transfer.use((transfer) => transfer.list))

const does = <A, E>(peer: Peer, order: (transfer: Transfer["Service"]) => Effect.Effect<A, E>) =>
  elapse(peer.run(Transfer.use((transfer) => Effect.result(order(transfer)))), { within: "15 seconds" })

const mirrored = { here: "peer", peer: "here", both: "both" } as const

/** What one side has to show where the other shows this, while both are there and nothing is on its way. */
const agree = (one: View, other: View, seed: number) => {
  const what = `seed ${seed}: ${JSON.stringify([one, other])}`
  const pausedBy = one.pausedBy ?? null
  assert.strictEqual(other.pausedBy ?? null, pausedBy === null ? null : mirrored[pausedBy], what)
  // What is not accepted yet is shown as offered, whoever holds it.
  if (one.state === "offered" || other.state === "offered") return
  assert.strictEqual(other.state === "paused", one.state === "paused", what)
  assert.strictEqual(other.state === "queued", one.state === "queued", what)
  assert.strictEqual(other.state === "cancelled", one.state === "cancelled", what)
}

const history = Effect.fnUntraced(function* (seed: number) {
  const random = chance(seed)
  const network = yield* SimulatedNetwork.make({ seed, bandwidth: 1_000_000 })
  const alice = yield* SimulatedPeer.start(network, "alice", { discovery: false, accept: "everyone" })
  const bob = yield* SimulatedPeer.start(network, "bob", { discovery: false, accept: "everyone" })
  yield* elapse(alice.run(Connection.use(({ add }) => add("bob:9090"))))
  const sides = [alice, bob]
  const other = (side: Peer) => (side === alice ? bob : alice)
  const ids = new Map<string, Peer>()
  const withdrawn = new Set<string>()

  const send = Effect.fnUntraced(function* (side: Peer) {
    const name = `${side.name} ${ids.size}`
    for (let i = 0; i < 1 + random(8); i++) {
      side.disk.write(`/${name}/${i}`, noise(i, [0, random(2000), random(300_000), random(1_500_000)][random(4)] ?? 0))
    }
    const sent = yield* does(side, (transfer) => transfer.send([`/${name}`], [other(side).id]))
    if (Result.isSuccess(sent)) for (const { id } of sent.success) ids.set(id, side)
  })

  const order = Effect.fnUntraced(function* (side: Peer) {
    const id = [...ids.keys()][random(ids.size)] as View["id"] | undefined
    if (id === undefined) return
    const kind = random(10)
    if (kind < 4) yield* does(side, (transfer) => transfer.pause(id))
    else if (kind < 7) yield* does(side, (transfer) => transfer.resume(id))
    else if (kind < 9) {
      const priority = (["low", "normal", "high"] as const)[random(3)] ?? ("normal" satisfies TransferPriority)
      yield* does(side, (transfer) => transfer.prioritise(id, priority))
    } else {
      const cancelled = yield* does(side, (transfer) => transfer.cancel(id))
      if (Result.isSuccess(cancelled) && ids.get(id) === side) withdrawn.add(id)
    }
  })

  const fault = Effect.fnUntraced(function* () {
    if (random(3) > 0) return network.cut("alice", "bob")
    const side = sides[random(2)] ?? alice
    yield* random(2) === 0 ? side.kill : elapse(side.stop, { within: "20 seconds" })
    yield* TestClock.adjust(random(3000))
    yield* side.start
  })

  const quiet = Effect.gen(function* () {
    yield* elapse(Effect.all([alice.meets(bob), bob.meets(alice)]), { within: "3 minutes" })
    // Longer than anything is tried again.
    yield* TestClock.adjust("3 seconds")
    const [here, there] = [yield* list(alice), yield* list(bob)]
    for (const view of here) {
      const seen = there.find(({ id }) => id === view.id)
      if (seen !== undefined && !withdrawn.has(view.id)) agree(view, seen, seed)
    }
  })

  yield* send(alice)
  yield* send(bob)
  for (let i = 0; i < 24; i++) {
    yield* TestClock.adjust(random(500))
    const dice = random(12)
    if (dice < 3 && ids.size < 6) yield* send(sides[random(2)] ?? alice)
    else if (dice < 10) yield* order(sides[random(2)] ?? alice)
    else yield* fault()
    if (i % 8 === 7) yield* quiet
  }

  // Nobody holds anything any more.
  yield* quiet
  for (const id of ids.keys()) yield* does(sides[random(2)] ?? alice, (transfer) => transfer.resume(id as View["id"]))
  const over = Effect.map(Effect.all([list(alice), list(bob)]), (lists) =>
    lists.flat().every(({ state }) => isOver(state))
  )
  yield* elapse(Effect.repeat(Effect.andThen(Effect.sleep(100), over), { until: (all) => all }), {
    within: "10 minutes",
    step: "100 millis"
  })
  const [here, there] = [yield* list(alice), yield* list(bob)]
  for (const [id, from] of ids) {
    const to = other(from)
    const sent = (from === alice ? here : there).find((view) => view.id === id)
    const got = (from === alice ? there : here).find((view) => view.id === id)
    const what = `seed ${seed}: ${JSON.stringify([sent, got])}`
    const name = sent?.name ?? ""
    if (sent === undefined || got === undefined) {
      // Cancelled before the other side had heard of it.
      assert.strictEqual((sent ?? got)?.state, "cancelled", what)
      continue
    }
    // Whoever takes back what has just arrived is too late to be told.
    if (withdrawn.has(id)) assert.strictEqual(sent.state, "cancelled", what)
    else assert.strictEqual(sent.state, got.state, what)
    assert.include(["done", "cancelled"], got.state, what)
    const arrived = `${to.received}/${name}`
    if (got.state === "done") assert.deepStrictEqual(to.disk.tree(arrived), from.disk.tree(`/${name}`), what)
    else assert.isFalse(to.disk.list(to.received).includes(name), what)
  }
  for (const side of sides) {
    assert.notInclude(side.disk.list(side.received), ".kith", `seed ${seed}`)
    const mine = [...ids].filter(([, from]) => from === side).map(([id]) => id)
    const kept = side.disk.list(`/home/${side.name}/.kith/transfers`)
    assert.deepStrictEqual(
      kept.filter((id) => mine.includes(id)),
      [],
      `seed ${seed}`
    )
  }
}, Effect.scoped)

describe("what two persons do to transfers", () => {
  for (let seed = 1; seed <= 12; seed++) {
    it.effect(`ends the same on both sides (seed ${seed})`, () => history(seed))
  }
})

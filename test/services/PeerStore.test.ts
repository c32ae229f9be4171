/** Peers are read as they were kept, in the order they became known. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import { Address, tcp } from "../../src/schema/Address.ts"
import { AcceptPolicy, Trust } from "../../src/schema/Peer.ts"
import { Database } from "../../src/services/Database.ts"
import { MessageStore } from "../../src/services/MessageStore.ts"
import { PeerStore, type StoredPeer } from "../../src/services/PeerStore.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"

const memory = Layer.mergeAll(PeerStore.layer, MessageStore.layer).pipe(Layer.provideMerge(Database.layerMemory))

const bob: StoredPeer = {
  id: someId(1),
  name: "bob",
  trust: "verified",
  trustAt: 1_700_000_000_000,
  trustHow: "words",
  accept: "everyone",
  wanted: true,
  added: true,
  removed: false,
  lastSeen: 1_700_000_000_001,
  addresses: [tcp("192.0.2.7", 9090), tcp("fe80::1%eth0", 9091)]
}
const stranger: StoredPeer = {
  ...bob,
  id: someId(2),
  name: "名前 '; --",
  trust: "unverified",
  trustAt: null,
  trustHow: null,
  accept: null,
  wanted: false,
  added: false,
  removed: true,
  lastSeen: null,
  addresses: []
}

/** What a test changes, one peer at a time. */
const Change = Schema.Struct({
  peer: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
  isRemoved: Schema.Boolean,
  name: Schema.String.check(Schema.makeFilter((text: string) => text.isWellFormed())),
  trust: Trust,
  accept: Schema.NullOr(AcceptPolicy),
  wanted: Schema.Boolean,
  added: Schema.Boolean,
  lastSeen: Schema.NullOr(Schema.Natural),
  addresses: Schema.Array(Address).check(Schema.isMaxLength(4))
})

describe("PeerStore", () => {
  it.effect("keeps all of a peer", () =>
    Effect.gen(function* () {
      const store = yield* PeerStore
      assert.deepStrictEqual(yield* store.load, [])
      yield* store.save([stranger, bob])
      assert.deepStrictEqual(yield* store.load, [stranger, bob])
    }).pipe(Effect.provide(memory))
  )

  it.effect.prop("is what a map would be, whatever is changed in whatever order", [Schema.Array(Change)], ([changes]) =>
    Effect.gen(function* () {
      const store = yield* PeerStore
      const model = new Map<string, StoredPeer>()
      for (const { peer, isRemoved, ...change } of changes) {
        const id = someId(peer)
        if (isRemoved) {
          model.delete(id)
          yield* store.remove(id)
        } else {
          const stored = { ...bob, ...change, id }
          model.set(id, stored)
          yield* store.save([stored])
        }
      }
      assert.deepStrictEqual(yield* store.load, [...model.values()])
    }).pipe(Effect.provide(memory))
  )

  it.effect("forgets a peer and keeps what was said with it", () =>
    Effect.gen(function* () {
      const peers = yield* PeerStore
      const messages = yield* MessageStore
      yield* peers.save([bob])
      yield* messages.receive([
        { peer: bob.id, to: null, id: someMessage(1), epoch: someEpoch(1), first: 1, seq: 1, sentAt: 0, text: "hello" }
      ])
      yield* peers.remove(bob.id)
      assert.deepStrictEqual(yield* peers.load, [])
      assert.strictEqual((yield* messages.history({ limit: 10, peer: bob.id })).items.length, 1)
      yield* peers.save([bob])
      assert.deepStrictEqual(yield* peers.load, [bob])
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps all of a batch or none", () =>
    Effect.gen(function* () {
      const store = yield* PeerStore
      const sql = yield* SqlClient
      yield* sql`CREATE TRIGGER refuse BEFORE INSERT ON peers WHEN new.name = 'bad' BEGIN SELECT raise(ABORT, 'no'); END`
      const error = yield* Effect.flip(store.save([bob, { ...stranger, name: "bad" }]))
      assert.strictEqual(error._tag, "DatabaseError")
      assert.deepStrictEqual(yield* store.load, [])
    }).pipe(Effect.provide(memory))
  )

  it.effect("does not take a row for a peer that is none", () =>
    Effect.gen(function* () {
      const store = yield* PeerStore
      const sql = yield* SqlClient
      yield* sql`INSERT INTO keys (n, id) VALUES (1, 'not an id')`
      yield* sql`INSERT INTO peers (key, name, trust, wanted, removed) VALUES (1, 'x', 'verified', 1, 0)`
      const error = yield* Effect.flip(store.load)
      assert.strictEqual(error.reason, "corrupt")
      assert.match(error.message, /a row of the database is not what this program wrote/)
    }).pipe(Effect.provide(memory))
  )
})

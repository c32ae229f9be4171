/** Peers as they are kept across restarts: those worth knowing again, with what a person decided about them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import { Address } from "../schema/Address.ts"
import { AcceptPolicy, Trust } from "../schema/Peer.ts"
import { PeerId } from "../schema/PeerId.ts"
import { Database, type DatabaseError } from "./Database.ts"
import { TextFromBytes } from "./database/DatabaseText.ts"

/** What is kept of a peer. Times are milliseconds since 1970. */
export interface StoredPeer {
  readonly id: PeerId
  readonly name: string
  readonly trust: Trust
  /** When its trust last changed, and how (`words`, `ticket`, `person`), or null where it never did. */
  readonly trustAt: number | null
  readonly trustHow: string | null
  readonly accept: AcceptPolicy | null
  readonly wanted: boolean
  /** A person added it, and it was not removed since. */
  readonly added: boolean
  /** A person removed it: it is not dialled until a person acts. */
  readonly removed: boolean
  readonly lastSeen: number | null
  /** The most recently useful first. */
  readonly addresses: ReadonlyArray<Address>
}

export class PeerStore extends Context.Service<
  PeerStore,
  {
    /** All of them, in the order they became known. */
    readonly load: Effect.Effect<ReadonlyArray<StoredPeer>, DatabaseError>
    /** Keeps these peers as they are now, new ones after those that are known. All of them or, at an error, none. */
    readonly save: (peers: ReadonlyArray<StoredPeer>) => Effect.Effect<void, DatabaseError>
    /** Forgets what is kept of it. Messages and transfers with it stay. */
    readonly remove: (id: PeerId) => Effect.Effect<void, DatabaseError>
  }
>()("kith/services/PeerStore") {
  static readonly layer: Layer.Layer<PeerStore, never, Database | SqlClient> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const Row = Schema.Struct({
  id: PeerId,
  name: TextFromBytes,
  trust: Trust,
  trustAt: Schema.NullOr(Schema.Int),
  trustHow: Schema.NullOr(Schema.String),
  accept: Schema.NullOr(AcceptPolicy),
  wanted: Schema.BooleanFromBit,
  added: Schema.BooleanFromBit,
  removed: Schema.BooleanFromBit,
  lastSeen: Schema.NullOr(Schema.Int),
  addresses: Schema.fromJsonString(Schema.Array(Address))
})
const decodeRows = Schema.decodeUnknownEffect(Schema.Array(Row))
const encodeAddresses = Schema.encodeEffect(Schema.fromJsonString(Schema.Array(Address)))

const make = Effect.gen(function* () {
  const database = yield* Database
  const sql = yield* SqlClient

  const load = database
    .read(
      Effect.flatMap(
        sql`
          SELECT k.id, CAST(p.name AS BLOB) AS name, p.trust, p.trust_at AS trustAt, p.trust_how AS trustHow, p.accept, p.wanted, p.added, p.removed,
            p.last_seen AS lastSeen,
            (SELECT json_group_array(json(a.address) ORDER BY a.place) FROM addresses a WHERE a.peer = p.key) AS addresses
          FROM peers p JOIN keys k ON k.n = p.key
          ORDER BY p.place`,
        decodeRows
      )
    )
    .pipe(Effect.withSpan("PeerStore.load"))

  const keep = Effect.fnUntraced(function* (peer: StoredPeer) {
    const key = sql`(SELECT n FROM keys WHERE id = ${peer.id})`
    yield* sql`INSERT INTO keys (id) VALUES (${peer.id}) ON CONFLICT DO NOTHING`
    yield* sql`
      INSERT INTO peers (key, name, trust, trust_at, trust_how, accept, wanted, added, removed, last_seen)
      VALUES (${key}, ${peer.name}, ${peer.trust}, ${peer.trustAt}, ${peer.trustHow}, ${peer.accept}, ${peer.wanted},
        ${peer.added}, ${peer.removed}, ${peer.lastSeen})
      ON CONFLICT (key) DO UPDATE SET name = excluded.name, trust = excluded.trust, trust_at = excluded.trust_at,
        trust_how = excluded.trust_how, accept = excluded.accept, wanted = excluded.wanted, added = excluded.added,
        removed = excluded.removed, last_seen = excluded.last_seen`
    yield* sql`DELETE FROM addresses WHERE peer = ${key}`
    yield* sql`
      INSERT INTO addresses (peer, place, address)
      SELECT ${key}, j.key, j.value FROM json_each(${yield* encodeAddresses(peer.addresses)}) j`
  })

  const save = Effect.fn("PeerStore.save")((peers: ReadonlyArray<StoredPeer>) =>
    database.write(Effect.forEach(peers, keep, { discard: true }))
  )

  const remove = Effect.fn("PeerStore.remove")((id: PeerId) =>
    database.write(Effect.asVoid(sql`DELETE FROM peers WHERE key = (SELECT n FROM keys WHERE id = ${id})`))
  )

  return PeerStore.of({ load, save, remove })
})

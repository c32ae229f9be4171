/** PeerRegistry: what is listed is what the events told, within bounds, and a person's words find one peer or none. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { limits } from "../../src/config.ts"
import { tcp } from "../../src/schema/Address.ts"
import type { Event } from "../../src/schema/Event.ts"
import { type Peer, PeerConnectionState, Trust } from "../../src/schema/Peer.ts"
import { grouped, type PeerId, short } from "../../src/schema/PeerId.ts"
import { Database, DatabaseError, makeMemory } from "../../src/services/Database.ts"
import { Events } from "../../src/services/Events.ts"
import { makeRegistry, PeerRegistry, type PeerRecord, searchPeers, viewPeer } from "../../src/services/PeerRegistry.ts"
import { PeerStore } from "../../src/services/PeerStore.ts"
import { someId } from "../Some.ts"

/** Nothing is kept from one test to the next. */
const store = PeerStore.layer.pipe(Layer.provide(Database.layerMemory), Layer.fresh)

/** Events that only remember what was published. */
const recorder = () => {
  const published: Array<Event> = []
  const events = Layer.mock(Events, { publish: (event) => Effect.sync(() => void published.push(event)) })
  return { published, events }
}

/** What someone who only reads events believes the list to be. */
const believed = (events: ReadonlyArray<Event>): ReadonlyArray<Peer> => {
  const peers = new Map<PeerId, Peer>()
  for (const event of events) {
    if (event._tag === "PeerChanged") peers.set(event.peer.id, event.peer)
    if (event._tag === "PeerRemoved") {
      assert.isTrue(peers.delete(event.id), "removed without having been there")
    }
  }
  return [...peers.values()]
}

const withRegistry = <E>(
  test: (registry: PeerRegistry["Service"], published: ReadonlyArray<Event>) => Effect.Effect<void, E>,
  bounds: Parameters<typeof makeRegistry>[0] = limits
) =>
  Effect.suspend(() => {
    const { published, events } = recorder()
    return makeRegistry(bounds).pipe(
      Effect.flatMap((registry) => test(registry, published)),
      Effect.provide([events, store])
    )
  }).pipe(Effect.scoped)

const set = (change: Partial<PeerRecord>) => (peer: PeerRecord) => ({ ...peer, ...change })

describe("PeerRegistry.update", () => {
  it.effect("makes a stranger of a new id, and shows it", () =>
    withRegistry((registry, published) =>
      Effect.gen(function* () {
        const id = someId(1)
        const record = yield* registry.update(id, (peer) => peer)
        assert.deepStrictEqual(record, {
          id,
          name: short(id),
          state: "discovered",
          trust: "unverified",
          addresses: [],
          accept: null,
          lastSeen: null,
          wanted: false
        })
        assert.deepStrictEqual(yield* registry.get(id), Option.some(record))
        assert.deepStrictEqual(yield* registry.get(someId(2)), Option.none())
        assert.deepStrictEqual(published, [{ _tag: "PeerChanged", peer: viewPeer(record) }])
      })
    )
  )

  it.effect("publishes what is shown, and nothing when nothing shown changed", () =>
    withRegistry((registry, published) =>
      Effect.gen(function* () {
        const id = someId(1)
        const addresses = [tcp("192.0.2.7", 9090), tcp("fe80::1%eth0", 9090)]
        yield* registry.update(id, set({ addresses }))
        yield* registry.update(id, set({ wanted: true }))
        yield* registry.update(id, set({ addresses: [...addresses] }))
        assert.lengthOf(published, 1)
        const changes: ReadonlyArray<Partial<PeerRecord>> = [
          { name: "alice" },
          { state: "connected" },
          { trust: "verified" },
          { accept: "nobody" },
          { lastSeen: 5 },
          { addresses: addresses.toReversed() },
          { addresses: addresses.slice(1) }
        ]
        for (const change of changes) yield* registry.update(id, set(change))
        assert.lengthOf(published, 1 + changes.length)
        const [peer] = yield* registry.list
        assert.deepStrictEqual(believed(published), yield* registry.list)
        assert.deepStrictEqual(peer?.addresses, ["[fe80::1%eth0]:9090"])
      })
    )
  )

  it.effect("keeps each address once and only so many, and never another id", () =>
    withRegistry((registry) =>
      Effect.gen(function* () {
        const addresses = Array.from({ length: 100 }, (_, i) => tcp(`192.0.2.${i % 50}`, 9090))
        const record = yield* registry.update(someId(1), set({ addresses, id: someId(2) }))
        assert.deepStrictEqual(record.addresses, addresses.slice(0, limits.addressesMax))
        assert.strictEqual(record.id, someId(1))
        assert.lengthOf(yield* registry.list, 1)
      })
    )
  )

  it.effect("a change that throws changes nothing and blocks nobody", () =>
    withRegistry((registry, published) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(
          registry.update(someId(1), () => {
            throw new Error("a defect")
          })
        )
        assert.isTrue(Exit.hasDies(exit))
        assert.lengthOf(yield* registry.list, 0)
        yield* registry.update(someId(1), (peer) => peer)
        assert.lengthOf(published, 1)
      })
    )
  )
})

describe("PeerRegistry.remove", () => {
  it.effect("forgets, says so once, and says nothing of a stranger", () =>
    withRegistry((registry, published) =>
      Effect.gen(function* () {
        yield* registry.update(someId(1), set({ trust: "verified" }))
        yield* registry.remove(someId(1))
        yield* registry.remove(someId(1))
        yield* registry.remove(someId(2))
        assert.deepStrictEqual(published.slice(1), [{ _tag: "PeerRemoved", id: someId(1) }])
        assert.lengthOf(yield* registry.list, 0)
      })
    )
  )
})

const ids = (registry: PeerRegistry["Service"]) => Effect.map(registry.list, (peers) => peers.map((peer) => peer.id))

describe("PeerRegistry's bounds", () => {
  const bounds = { peersMax: 4, discoveredMax: 3, addressesMax: 2 }

  it.effect("the hearsay updated longest ago makes room, others do not", () =>
    withRegistry(
      (registry, published) =>
        Effect.gen(function* () {
          yield* registry.update(someId(100), set({ trust: "blocked" }))
          yield* registry.update(someId(101), set({ state: "connected" }))
          for (const n of [1, 2, 3]) yield* registry.update(someId(n), set({ state: "connecting", wanted: true }))
          // Heard again: 2 is now the one heard longest ago.
          yield* registry.update(someId(1), (peer) => peer)
          yield* registry.update(someId(4), (peer) => peer)
          assert.deepStrictEqual(yield* ids(registry), [100, 101, 1, 3, 4].map(someId))
          assert.deepStrictEqual(published.at(-1), { _tag: "PeerRemoved", id: someId(2) })
          // One that connects leaves its class, so that there is room again.
          yield* registry.update(someId(3), set({ state: "connected", lastSeen: 1 }))
          yield* registry.update(someId(5), (peer) => peer)
          assert.deepStrictEqual(yield* ids(registry), [100, 101, 1, 3, 4, 5].map(someId))
        }),
      bounds
    )
  )

  it.effect("beyond peersMax an unverified peer that is away makes room, never a decided or connected one", () =>
    withRegistry(
      (registry) =>
        Effect.gen(function* () {
          yield* registry.update(someId(1), set({ trust: "verified", state: "away" }))
          yield* registry.update(someId(2), set({ state: "away", lastSeen: 1, wanted: true }))
          yield* registry.update(someId(3), set({ trust: "blocked" }))
          yield* registry.update(someId(4), set({ accept: "everyone", state: "away" }))
          yield* registry.update(someId(5), set({ state: "connected", lastSeen: 2 }))
          assert.deepStrictEqual(yield* ids(registry), [1, 3, 4, 5].map(someId))
          yield* registry.update(someId(6), set({ state: "connected", lastSeen: 3 }))
          assert.deepStrictEqual(yield* ids(registry), [1, 3, 4, 5, 6].map(someId))
          // When one of these goes away, it is over the bound, and goes.
          yield* registry.update(someId(5), set({ state: "away" }))
          assert.deepStrictEqual(yield* ids(registry), [1, 3, 4, 6].map(someId))
        }),
      bounds
    )
  )

  it.effect("who makes room elsewhere is forgotten, unless a person decided about it or it is connected", () =>
    withRegistry((registry) =>
      Effect.gen(function* () {
        yield* registry.update(someId(1), set({ trust: "verified", state: "away" }))
        yield* registry.update(someId(2), set({ trust: "blocked" }))
        yield* registry.update(someId(3), set({ accept: "nobody" }))
        yield* registry.update(someId(4), set({ state: "connected", lastSeen: 1 }))
        yield* registry.update(someId(5), set({ state: "away", lastSeen: 1, wanted: true }))
        yield* registry.update(someId(6), (peer) => peer)
        yield* registry.update(someId(8), set({ state: "away", added: true }))
        for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) yield* registry.forget(someId(n))
        assert.deepStrictEqual(yield* ids(registry), [1, 2, 3, 4, 8].map(someId))
      })
    )
  )

  it.effect("50,000 made-up ids cost no more than the bound", () =>
    withRegistry((registry, published) =>
      Effect.gen(function* () {
        yield* registry.update(someId(0), set({ trust: "verified" }))
        for (let n = 1; n <= 50_000; n++) yield* registry.update(someId(n), set({ wanted: true }))
        const peers = yield* registry.list
        assert.lengthOf(peers, limits.discoveredMax + 1)
        assert.strictEqual(peers[0]?.id, someId(0))
        assert.strictEqual(peers.at(-1)?.id, someId(50_000))
        assert.deepStrictEqual(believed(published), peers)
      })
    )
  )
})

describe("PeerRegistry and its watchers", () => {
  const Change = Schema.Struct({
    who: Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7]),
    change: Schema.NullOr(
      Schema.Struct({
        state: PeerConnectionState,
        trust: Trust,
        name: Schema.Literals(["a", "b"]),
        lastSeen: Schema.NullOr(Schema.Literals([1, 2]))
      })
    )
  })

  it.effect.prop("at every event, a reader of events alone knows the list", [Schema.Array(Change)], ([changes]) =>
    withRegistry(
      (registry, published) =>
        Effect.gen(function* () {
          for (const { who, change } of changes) {
            if (change === null) yield* registry.remove(someId(who))
            else yield* registry.update(someId(who), set(change))
            assert.deepStrictEqual(believed(published), yield* registry.list)
            const peers = yield* registry.list
            assert.isAtMost(
              peers.filter(
                (peer) => peer.lastSeen === null && peer.trust === "unverified" && peer.state !== "connected"
              ).length,
              2
            )
          }
        }),
      { peersMax: 3, discoveredMax: 2, addressesMax: 2 }
    )
  )

  it.effect("changes made at the same time are told one at a time, in the order they happened", () =>
    Effect.gen(function* () {
      const published: Array<Event> = []
      // A publish that lets others run in its middle.
      const slow = Layer.mock(Events, {
        publish: (event) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void published.push(event))
          )
      })
      const registry = yield* makeRegistry(limits).pipe(Effect.provide([slow, store]))
      const writers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) =>
          Effect.forkChild(
            Effect.gen(function* () {
              for (let round = 0; round < 20; round++) {
                yield* registry.update(someId(n % 5), set({ name: `${n}.${round}` }))
                if (round % 7 === 0) yield* registry.remove(someId(n % 5))
              }
            })
          )
      )
      yield* Effect.forEach(writers, Fiber.join)
      assert.deepStrictEqual(believed(published), yield* registry.list)
    })
  )
})

const update = (n: number, change: Partial<PeerRecord>) =>
  PeerRegistry.use((registry) => registry.update(someId(n), set(change)))

describe("PeerRegistry after a restart", () => {
  /** A registry over what earlier ones kept, until `use` is over. */
  const runs = Effect.map(makeMemory, (memory) => {
    const layer = PeerRegistry.layer.pipe(
      Layer.provideMerge(PeerStore.layer),
      Layer.provide(Events.layer),
      Layer.provide(memory.layer),
      Layer.fresh
    )
    return <A, E>(use: Effect.Effect<A, E, PeerRegistry | PeerStore>) => Effect.provide(use, layer)
  })
  const kept = PeerStore.use((store) => Effect.map(store.load, (peers) => peers.map((peer) => peer.id)))
  const met: Partial<PeerRecord> = { name: "alice", state: "connected", lastSeen: 7, wanted: true }

  it.effect("knows who was met and what was decided, in the order they became known, all of them away", () =>
    Effect.gen(function* () {
      const run = yield* runs
      const addresses = [tcp("192.0.2.7", 9090), tcp("fe80::1%eth0", 9091)]
      const before = yield* run(
        Effect.gen(function* () {
          yield* update(2, { ...met, addresses })
          yield* update(1, { trust: "verified", trustAt: 5, trustHow: "words", accept: "everyone", name: "bob" })
          yield* update(3, { trust: "blocked", trustAt: 6, trustHow: "person" })
          yield* update(4, { wanted: true, addresses })
          return yield* PeerRegistry.use((registry) => registry.list)
        })
      )
      assert.lengthOf(before, 4)
      const registry = yield* run(PeerRegistry.use((registry) => Effect.all([registry.list, registry.get(someId(2))])))
      assert.deepStrictEqual(
        registry[0],
        before.slice(0, 3).map((peer) => ({ ...peer, state: "away" }))
      )
      assert.isTrue(Option.getOrThrow(registry[1]).wanted)
      assert.deepStrictEqual(Option.getOrThrow(registry[1]).addresses, addresses)
    })
  )

  it.effect("a decision is kept before its update returns, the rest a moment later; hearsay never", () =>
    Effect.gen(function* () {
      const run = yield* runs
      yield* run(
        Effect.gen(function* () {
          yield* update(1, { trust: "verified" })
          assert.deepStrictEqual(yield* kept, [someId(1)])
          yield* update(2, met)
          yield* update(3, { wanted: true })
          assert.deepStrictEqual(yield* kept, [someId(1)])
          yield* TestClock.adjust(limits.peersWritten)
          assert.deepStrictEqual(yield* kept, [someId(1), someId(2)])
          yield* update(1, { trust: "unverified" })
          assert.deepStrictEqual(yield* kept, [someId(2)], "it is hearsay again")
          yield* PeerRegistry.use((registry) => registry.markRemoved(someId(4), true))
          assert.deepStrictEqual(yield* kept, [someId(2), someId(4)], "and so is that it was removed")
          yield* update(5, { added: true })
          assert.deepStrictEqual(yield* kept, [someId(2), someId(4), someId(5)], "or added")
        })
      )
    })
  )

  it.effect("a removed peer stays removed, and forgotten, until a person wants it again", () =>
    Effect.gen(function* () {
      const run = yield* runs
      const look = PeerRegistry.use((registry) => Effect.all([registry.list, registry.isRemoved(someId(1))]))
      yield* run(
        Effect.gen(function* () {
          const registry = yield* PeerRegistry
          yield* update(1, { ...met, accept: "everyone" })
          yield* registry.markRemoved(someId(1), true)
          yield* registry.remove(someId(1))
        })
      )
      assert.deepStrictEqual(yield* run(look), [[], true])
      // It came by itself: it is shown, and still not dialled.
      yield* run(update(1, met))
      const [[shown], isRemoved] = yield* run(look)
      assert.strictEqual(shown?.name, "alice")
      assert.isNull(shown?.accept)
      assert.isTrue(isRemoved)
      yield* run(PeerRegistry.use((registry) => registry.markRemoved(someId(1), false)))
      assert.isFalse((yield* run(look))[1])
    })
  )

  it.effect("keeps no more than its bounds, and forgets on disk what it forgets", () =>
    Effect.gen(function* () {
      const bounds = { peersMax: 3, discoveredMax: 1, addressesMax: 1 }
      const store = PeerStore.layer.pipe(Layer.provide(Database.layerMemory), Layer.provideMerge(Events.layer))
      yield* Effect.gen(function* () {
        const registry = yield* makeRegistry(bounds)
        for (let n = 0; n < 100; n++) {
          yield* registry.update(someId(n), set({ ...met, state: "away" }))
          yield* registry.markRemoved(someId(1000 + n), true)
        }
        yield* TestClock.adjust(limits.peersWritten)
        assert.deepStrictEqual((yield* kept).toSorted(), [97, 98, 99, 1097, 1098, 1099].map(someId).toSorted())
      }).pipe(Effect.provide(Layer.fresh(store)))
    })
  )

  it.effect("what the disk refuses is said once and written when it can be", () =>
    Effect.gen(function* () {
      let isFull = true
      const saved: Array<PeerId> = []
      const full = new DatabaseError({ reason: "full", path: "kith.db", problem: "the disk is full", remedy: "" })
      const flaky = Layer.succeed(PeerStore, {
        load: Effect.succeed([]),
        save: (peers) =>
          Effect.suspend(() =>
            isFull ? Effect.fail(full) : Effect.sync(() => void saved.push(...peers.map((peer) => peer.id)))
          ),
        remove: () => Effect.void
      })
      const lines: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(message))])
      yield* Effect.gen(function* () {
        const registry = yield* makeRegistry(limits)
        for (const n of [1, 2, 3]) yield* registry.update(someId(n), set({ trust: "blocked" }))
        assert.lengthOf(lines, 1)
        isFull = false
        yield* TestClock.adjust(limits.faultRetry)
        assert.deepStrictEqual(saved, [1, 2, 3].map(someId))
      }).pipe(Effect.provide([flaky, Events.layer, logger]))
    })
  )
})

const named = (n: number, name: string): PeerRecord => ({
  id: someId(n),
  name,
  state: "away",
  trust: "unverified",
  addresses: [],
  accept: null,
  lastSeen: null,
  wanted: false
})

const refusal = (peers: ReadonlyArray<PeerRecord>, query: string) =>
  Result.getOrThrow(Result.flip(searchPeers(peers, query))).message

describe("PeerRegistry.find", () => {
  const victim = someId(3)
  const peers = [
    named(0, "alice"),
    named(1, "Bob"),
    named(2, "bob"),
    named(3, "carol"),
    named(4, "dave's laptop"),
    named(5, "twin"),
    named(6, "twin"),
    named(7, "Ærø")
  ]
  const found = (query: string, among = peers) =>
    Result.match(searchPeers(among, query), {
      onSuccess: (peer): string | PeerId => peer.id,
      onFailure: (error) => error._tag
    })

  it("by exact name, letter case counting only where it must", () => {
    assert.strictEqual(found("alice"), someId(0))
    assert.strictEqual(found("ALICE"), someId(0))
    assert.strictEqual(found("Bob"), someId(1))
    assert.strictEqual(found("bob"), someId(2))
    assert.strictEqual(found("BOB"), "AmbiguousPeer")
    assert.strictEqual(found("dave's laptop"), someId(4))
    assert.strictEqual(found("æRØ"), someId(7))
    assert.strictEqual(found("twin"), "AmbiguousPeer")
    assert.strictEqual(found("ali"), "UnknownPeer")
    assert.strictEqual(found(""), "UnknownPeer")
  })

  it("by short id, longer beginning, whole id, grouped or not, in any case", () => {
    for (const length of [4, 5, 8, 20, 51, 52]) {
      const query = victim.slice(0, length)
      assert.strictEqual(found(query), victim, query)
      assert.strictEqual(found(query.toUpperCase()), victim, query)
    }
    assert.strictEqual(found(grouped(victim)), victim)
    assert.strictEqual(found(grouped(victim).slice(0, 9)), victim)
    assert.strictEqual(found(victim.slice(0, 3)), "UnknownPeer")
    assert.strictEqual(found(`${victim}a`), "UnknownPeer")
  })

  it("a peer cannot take another's place by calling itself by its id", () => {
    const impostor = named(8, short(victim))
    const impostors = [...peers, impostor]
    assert.strictEqual(found(short(victim), impostors), "AmbiguousPeer")
    assert.strictEqual(found(victim.slice(0, 12), impostors), victim)
    assert.strictEqual(found(victim, [named(8, victim), ...peers]), victim)
    const message = refusal(impostors, short(victim))
    assert.include(message, victim, "the short id cannot help, so the whole one is shown")
    assert.include(message, impostor.id)
  })

  it("says who is known, or which are meant", () => {
    assert.strictEqual(refusal([], "zed"), `no peer is called "zed", and none is known yet`)
    assert.include(refusal(peers, "zed"), "alice, Bob")
    assert.strictEqual(
      refusal(peers, "twin"),
      `"twin" may be any of twin (${short(someId(5))}), twin (${short(someId(6))}). Use the short id`
    )
  })

  layer(PeerRegistry.layerMemory.pipe(Layer.provide(Events.layer)))("as a service", (it) => {
    it.effect("finds what was put in", () =>
      Effect.gen(function* () {
        const registry = yield* PeerRegistry
        yield* registry.update(someId(1), set({ name: "alice" }))
        assert.strictEqual((yield* registry.find("alice")).id, someId(1))
        const error = yield* Effect.flip(registry.find("bob"))
        assert.strictEqual(error._tag, "UnknownPeer")
      })
    )
  })
})

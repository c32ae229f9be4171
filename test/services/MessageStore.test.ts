/** MessageStore: what it says and keeps is what a few lists in memory would, across restarts and page by page. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Context from "effect/Context"
import { SqlClient } from "effect/sql/SqlClient"
import { join } from "node:path"
import { limits } from "../../src/config.ts"
import type { Epoch } from "../../src/schema/Id.ts"
import type { Message } from "../../src/schema/Message.ts"
import { chatMaxBytes } from "../../src/schema/Text.ts"
import { epochsMax } from "../../src/services/chat/ChatState.ts"
import { Database, layerFile, type Query } from "../../src/services/Database.ts"
import { type Arrival, MessageStore, type Progress } from "../../src/services/MessageStore.ts"
import { migrations } from "../../src/services/database/Migrations.ts"
import { PeerStore } from "../../src/services/PeerStore.ts"
import { someEpoch, someId, someMessage } from "../Some.ts"
import { temporaryDirectory } from "./DatabaseDirectory.ts"
import { makeModel, peerOf, self, Step } from "./MessageStoreModel.ts"

const memory = MessageStore.layer.pipe(Layer.provideMerge(Database.layerMemory))
const file = (directory: string) => MessageStore.layer.pipe(Layer.provideMerge(layerFile(join(directory, "kith.db"))))

const [alice, bob, carol] = [peerOf(0), peerOf(1), peerOf(2)]

const message = (n: number, text: string, recipients: ReadonlyArray<Message["from"]>): Message => ({
  id: someMessage(n),
  from: self,
  to: recipients.length === 1 ? (recipients[0] ?? null) : null,
  text,
  sentAt: n,
  state: "queued",
  recipients: recipients.map((peer) => ({ peer, state: "queued" }))
})

const arrival = (n: number, text: string, more: Partial<Arrival> = {}): Arrival => ({
  peer: alice,
  to: self,
  id: someMessage(1000 + n),
  epoch: someEpoch(1),
  first: 1,
  seq: n,
  sentAt: n,
  text,
  ...more
})

/** The same for every recipient. */
const epochs = (epoch: Epoch) => [epoch, epoch, epoch, epoch]

const texts = (page: { readonly items: ReadonlyArray<Message> }) => page.items.map((one) => one.text)

/** A store that may be closed and opened again over the same file. */
const reopening = Effect.gen(function* () {
  const directory = yield* temporaryDirectory
  const open = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.build(file(directory)).pipe(Scope.provide(scope))
    return { store: Context.get(context, MessageStore), close: Scope.close(scope, Exit.void) }
  })
  let current = yield* open
  yield* Effect.addFinalizer(() => Effect.suspend(() => current.close))
  const reopen = Effect.gen(function* () {
    yield* current.close
    current = yield* open
  })
  return { store: () => current.store, reopen }
})

/** One message of an epoch. */
const numbered = (epoch: number, seq: number, n: number) =>
  arrival(seq, "x", { epoch: someEpoch(epoch), id: someMessage(n) })

const find = (query: string) =>
  Effect.gen(function* () {
    const store = yield* MessageStore
    return (yield* store.search(query, { limit: 100 })).items.map((one) => one.message.text)
  })

describe("MessageStore", () => {
  it.live.prop(
    "does and keeps what lists in memory would, whatever happens in whatever order",
    [Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(60))],
    ([steps]) =>
      Effect.gen(function* () {
        const model = makeModel()
        const { reopen, store } = yield* reopening
        let fresh = 100
        // So that everyone's recipients stand in one order.
        const everyone = [0, 1, 2, 3].map(peerOf)
        const hello = { ...message(0, "hello", everyone), id: model.nextId() }
        assert.deepStrictEqual(yield* store().append(hello, epochs(someEpoch(99))), model.append(hello, someEpoch(99)))

        for (const step of steps) {
          switch (step._tag) {
            case "Append": {
              const to = step.to === null ? everyone : [peerOf(step.to)]
              const one = { ...message(fresh, `text ${fresh}`, to), id: model.nextId() }
              const epoch = someEpoch(++fresh)
              assert.sameDeepMembers([...(yield* store().append(one, epochs(epoch)))], model.append(one, epoch))
              break
            }
            case "Advance": {
              const counter = model.counterOf(peerOf(step.peer))
              const progress = {
                epoch: counter?.epoch ?? someEpoch(0),
                seq: Math.max(0, (counter?.next ?? 1) - 1 + step.back),
                state: step.state
              }
              assert.deepStrictEqual(
                yield* store().advance(peerOf(step.peer), progress),
                model.advance(peerOf(step.peer), progress)
              )
              break
            }
            case "Requeue": {
              const peer = step.peer === null ? null : peerOf(step.peer)
              assert.deepStrictEqual(yield* store().requeue(peer), model.requeue(peer))
              break
            }
            case "Renumber": {
              const epoch = someEpoch(++fresh)
              yield* store().renumber(peerOf(step.peer), epoch)
              model.renumber(peerOf(step.peer), epoch)
              break
            }
            case "Receive": {
              const arrivals: Array<Arrival> = []
              const expected = step.arrivals.map(({ ahead, epoch, first, isRepeated, peer }) => {
                const id = model.nextId()
                const last = model.lastShown(peerOf(peer), someEpoch(epoch))
                const one = arrival(Math.max(1, last + 1 + ahead), `text ${id}`, {
                  peer: peerOf(peer),
                  to: first % 2 === 0 ? null : self,
                  id: isRepeated ? (arrivals.at(-1)?.id ?? id) : id,
                  epoch: someEpoch(epoch),
                  first: Math.max(1, last + 1 - first)
                })
                arrivals.push(one)
                return model.receive(one)
              })
              assert.deepStrictEqual(yield* store().receive(arrivals), expected)
              break
            }
            case "MarkRead": {
              const peer = step.peer === null ? null : peerOf(step.peer)
              // Any message at all, this node's own too: of another conversation it means nothing.
              const id = step.back === null ? undefined : (model.kept.at(-1 - step.back)?.message.id ?? someMessage(0))
              const read = yield* store().markRead(peer, id)
              const expected = model.markRead(peer, id)
              assert.strictEqual(read.isChanged, expected.isChanged)
              assert.sameDeepMembers([...read.receipts], expected.receipts)
              break
            }
            case "Reopen":
              yield* reopen
          }
        }

        yield* reopen
        assert.deepStrictEqual((yield* store().history({ limit: 1000 })).items, model.history())
        assert.sameDeepMembers([...(yield* store().outboxes)], model.outboxes())
        const unread = yield* store().unread
        for (const peer of everyone) {
          assert.deepStrictEqual((yield* store().history({ limit: 1000, peer })).items, model.history(peer))
          assert.deepStrictEqual(yield* store().outbox(peer, { after: 0, limit: 1000 }), model.outbox(peer))
          for (const toEveryone of [true, false]) {
            const count = unread.find((one) => one.peer === peer && one.toEveryone === toEveryone)?.count ?? 0
            assert.strictEqual(count, model.unread(peer, toEveryone))
          }
        }
      }),
    { arbitrary: { runs: 20 } }
  )

  it.live("shows a message once, however often and after however many restarts it comes", () =>
    Effect.gen(function* () {
      const { reopen, store } = yield* reopening
      const shown: Array<string> = []
      for (let round = 0; round < 5; round++) {
        for (let n = 1; n <= 20; n++) {
          for (const one of yield* store().receive([arrival(n, `m${n}`), arrival(n, `m${n}`)])) {
            if (one.message !== null) shown.push(one.message.text)
            assert.isAtLeast(one.last, n)
          }
        }
        yield* reopen
      }
      assert.deepStrictEqual(
        shown,
        Array.from({ length: 20 }, (_, n) => `m${n + 1}`)
      )
      assert.strictEqual((yield* store().history({ limit: 100 })).items.length, 20)
    })
  )

  it.effect("gives callers at once their numbers without a gap, and receives what many bring at once", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const numbers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, n) => message(n, `t${n}`, n % 2 === 0 ? [bob] : [bob, carol])),
        (one) => store.append(one, epochs(someEpoch(7))),
        { concurrency: "unbounded" }
      )
      const ofBob = numbers.flat().filter((one) => one.peer === bob)
      assert.sameMembers(
        ofBob.map((one) => one.seq),
        Array.from({ length: 200 }, (_, n) => n + 1)
      )
      assert.strictEqual(numbers.flat().filter((one) => one.peer === carol).length, 100)
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) => store.receive([arrival(1, "first", { peer: someId(100 + n) })]),
        { concurrency: "unbounded" }
      )
      assert.strictEqual((yield* store.history({ limit: 1000 })).items.length, 250)
    }).pipe(Effect.provide(memory))
  )

  it.effect("does not let one peer take the place of another's message by copying its id", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const copied = arrival(1, "copy", { peer: bob })
      const own = arrival(1, "own", { peer: alice, id: copied.id })
      const received = yield* store.receive([copied, own])
      assert.deepStrictEqual(
        received.map((one) => one.verdict),
        ["new", "new"]
      )
      const found = yield* store.get(alice, own.id)
      assert.strictEqual(Option.getOrThrow(found).text, "own")
      assert.isTrue(Option.isNone(yield* store.get(carol, own.id)))
    }).pipe(Effect.provide(memory))
  )

  it.effect("remembers so many epochs of a peer, those heard last", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      for (let epoch = 0; epoch <= epochsMax; epoch++) yield* store.receive([numbered(epoch, 1, 2000 + epoch)])
      assert.strictEqual((yield* store.receive([numbered(epochsMax, 1, 3000)]))[0]?.verdict, "again")
      assert.strictEqual((yield* store.receive([numbered(1, 1, 3001)]))[0]?.verdict, "again")
      // The first was forgotten, and only the peer itself can make use of that.
      assert.strictEqual((yield* store.receive([numbered(0, 1, 3002)]))[0]?.verdict, "new")
    }).pipe(Effect.provide(memory))
  )

  it.effect("advances what a receipt speaks of, only forward, and is the least advanced of its recipients", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      for (let n = 1; n <= 3; n++) yield* store.append(message(n, `m${n}`, [bob, carol]), epochs(someEpoch(1)))
      const states = Effect.map(store.history({ limit: 10, peer: bob }), ({ items }) =>
        items.toReversed().map(({ recipients, state }) => [state, ...recipients.map((one) => one.state)])
      )
      const to = (peer: Message["from"], seq: number, state: Progress["state"]) =>
        store.advance(peer, { epoch: someEpoch(1), seq, state })
      yield* to(bob, 3, "sent")
      yield* to(bob, 2, "delivered")
      yield* to(carol, 3, "delivered")
      const read = yield* to(bob, 1, "read")
      assert.deepStrictEqual(
        read.changed.map((one) => one.text),
        ["m1"]
      )
      yield* to(bob, 3, "sent")
      yield* to(carol, 3, "delivered")
      const wanted = [
        ["delivered", "read", "delivered"],
        ["delivered", "delivered", "delivered"],
        ["sent", "sent", "delivered"]
      ]
      assert.deepStrictEqual(yield* states, wanted)
      // The session is over, and after it the counter is found to be behind.
      const requeued = yield* store.requeue(bob)
      assert.deepStrictEqual(
        requeued.map((one) => [one.text, one.state]),
        [["m3", "queued"]]
      )
      yield* to(bob, 3, "sent")
      yield* store.renumber(bob, someEpoch(2))
      assert.deepStrictEqual((yield* states)[2], ["queued", "queued", "delivered"])
      assert.deepStrictEqual(
        (yield* store.outbox(bob, { after: 0, limit: 10 })).map((one) => [one.text, one.seq]),
        [["m3", 1]]
      )
      // Read at last, by the numbers they had.
      assert.strictEqual((yield* to(bob, 3, "read")).changed.length, 1)
      assert.deepStrictEqual((yield* states)[1], ["delivered", "read", "delivered"])
    }).pipe(Effect.provide(memory))
  )

  it.effect("goes on with whichever epoch of a peer is heard", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const heard = [numbered(1, 1, 1), numbered(2, 1, 2), numbered(2, 2, 3), numbered(1, 2, 4), numbered(2, 3, 5)]
      for (const one of heard) assert.strictEqual((yield* store.receive([one]))[0]?.verdict, "new")
      for (const one of heard) assert.strictEqual((yield* store.receive([one]))[0]?.verdict, "again")
    }).pipe(Effect.provide(memory))
  )

  it.effect("says so when a peer has seen more than this database ever sent, and lets it be numbered anew", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      yield* store.append(message(1, "after the copy was restored", [bob]), epochs(someEpoch(1)))
      const receipt = { epoch: someEpoch(1), seq: 5, state: "delivered" } as const
      assert.deepStrictEqual(yield* store.advance(bob, receipt), { changed: [], isAhead: true })
      yield* store.renumber(bob, someEpoch(2))
      const [waiting] = yield* store.outbox(bob, { after: 0, limit: 10 })
      assert.deepInclude(waiting, { epoch: someEpoch(2), seq: 1 })
      const again = yield* store.advance(bob, { epoch: someEpoch(2), seq: 1, state: "delivered" })
      assert.deepStrictEqual(
        again.changed.map((one) => one.state),
        ["delivered"]
      )
    }).pipe(Effect.provide(memory))
  )

  it.effect("takes no more room for a peer that has itself numbered anew all the time", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const sql = yield* SqlClient
      yield* store.append(message(1, "read at last", [bob]), epochs(someEpoch(1)))
      yield* store.advance(bob, { epoch: someEpoch(1), seq: 1, state: "delivered" })
      yield* store.append(message(2, "waits", [bob]), epochs(someEpoch(1)))
      for (let n = 2; n < 50; n++) yield* store.renumber(bob, someEpoch(n))
      assert.lengthOf(yield* sql`SELECT n FROM outgoing`, 2)
      const [waiting] = yield* store.outbox(bob, { after: 0, limit: 10 })
      assert.deepInclude(waiting, { text: "waits", epoch: someEpoch(49), seq: 1 })
      const read = yield* store.advance(bob, { epoch: someEpoch(1), seq: 1, state: "read" })
      assert.deepStrictEqual(
        read.changed.map((one) => [one.text, one.state]),
        [["read at last", "read"]]
      )
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps any text exactly", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const all = [
        "\u0000",
        "a\u0000b",
        "e\u0301 é 🎉👨‍👩‍👧",
        "'; DROP TABLE messages; --",
        "\u202etxt",
        " \n\t",
        "𐍈".repeat(chatMaxBytes / 4)
      ]
      yield* store.receive(all.map((text, n) => arrival(n + 1, text)))
      for (const text of all) yield* store.append(message(5000 + all.indexOf(text), text, [bob]), epochs(someEpoch(1)))
      const kept = texts(yield* store.history({ limit: 100 }))
      assert.deepStrictEqual(kept, [...all.toReversed(), ...all.toReversed()])
    }).pipe(Effect.provide(memory))
  )

  it.effect("is read page by page, each message once, while others are added", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      yield* store.receive(Array.from({ length: 250 }, (_, n) => arrival(n + 1, `m${n + 1}`)))
      const read: Array<string> = []
      let before: number | null = Number.MAX_SAFE_INTEGER
      while (before !== null) {
        const page: Effect.Success<ReturnType<typeof store.history>> = yield* store.history({ limit: 30, before })
        read.push(...texts(page))
        before = page.before
        yield* store.append(message(9000 + read.length, "meanwhile", [bob]), epochs(someEpoch(1)))
      }
      assert.deepStrictEqual(
        read,
        Array.from({ length: 250 }, (_, n) => `m${250 - n}`)
      )
      assert.strictEqual((yield* store.history({ limit: 0 })).items.length, 1)
      assert.deepStrictEqual(yield* store.history({ limit: 10, before: 0 }), { items: [], before: null })
      assert.deepStrictEqual(yield* store.history({ limit: 10, peer: someId(77) }), { items: [], before: null })
    }).pipe(Effect.provide(memory))
  )

  it.effect("ends a page early where messages are long", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const long = "x".repeat(chatMaxBytes)
      yield* store.receive(Array.from({ length: 100 }, (_, n) => arrival(n + 1, long)))
      const page = yield* store.history({ limit: 1000 })
      assert.isBelow(page.items.length, 70)
      const rest = yield* store.history({ limit: 1000, before: page.before ?? 0 })
      assert.strictEqual(page.items.length + rest.items.length, 100)
      assert.isNull(rest.before)
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps the newest beyond its bound, and what still waits for a peer", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const sql = yield* SqlClient
      yield* store.append(message(1, "waits", [bob]), epochs(someEpoch(1)))
      yield* store.append(message(2, "arrived", [carol]), epochs(someEpoch(1)))
      yield* store.advance(carol, { epoch: someEpoch(1), seq: 1, state: "delivered" })
      yield* store.receive(Array.from({ length: 30 }, (_, n) => arrival(n + 1, `old${n}`)))
      // As if so many messages of this node were kept that 31 are too many with those that come next.
      yield* sql`UPDATE said SET messages = ${limits.messagesMax - 69} WHERE messages = 2`
      yield* store.receive(Array.from({ length: 70 }, (_, n) => arrival(31 + n, `new${n}`)))
      const rows = yield* sql`SELECT text FROM messages ORDER BY n LIMIT 2`.values
      assert.deepStrictEqual(rows, [["waits"], ["new0"]])
      assert.deepStrictEqual(yield* store.search("old1", { limit: 10 }), { items: [], before: null })
      assert.strictEqual((yield* store.search("new1", { limit: 100 })).items.length, 11)
      assert.strictEqual((yield* store.unread)[0]?.count, 70)
    }).pipe(Effect.provide(memory))
  )
})

describe("MessageStore and strangers", () => {
  /** Takes so many messages of a peer, the next of its only epoch. */
  const talk = Effect.fnUntraced(function* (peer: Message["from"], from: number, count: number, text = "x") {
    const store = yield* MessageStore
    const epoch = someEpoch(1)
    for (let n = from; n < from + count; n += 128) {
      const some = Array.from({ length: Math.min(128, from + count - n) }, (_, i) => n + i)
      const told = yield* store.receive(some.map((seq) => arrival(seq, text, { peer, epoch })))
      assert.isTrue(told.every(({ verdict }) => verdict === "new"))
    }
  })
  const keptOf = Effect.fnUntraced(function* (peer: Message["from"]) {
    const sql = yield* SqlClient
    const [[messages, bytes] = []] = yield* sql`
      SELECT count(*), sum(octet_length(text)) FROM messages WHERE sender = (SELECT n FROM keys WHERE id = ${peer})`
      .values
    return { messages: Number(messages), bytes: Number(bytes ?? 0) }
  })
  const trust = (peer: Message["from"], trust: "verified" | "unverified") =>
    PeerStore.use((peers) => {
      const never = { accept: null, wanted: false, added: false, removed: false }
      const how = { trust, trustAt: null, trustHow: null, ...never, lastSeen: 1 }
      return peers.save([{ id: peer, name: "x", addresses: [], ...how }])
    })
  /** What comes between two looks: a batch of 128, and what was added since the last. */
  const between = 192
  const stored = PeerStore.layer.pipe(Layer.provideMerge(memory))

  it.effect("one of them pushes out nothing but its own oldest, none of which comes twice", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      yield* store.append(message(1, "own", [bob]), epochs(someEpoch(1)))
      yield* store.advance(bob, { epoch: someEpoch(1), seq: 1, state: "delivered" })
      yield* trust(bob, "verified")
      yield* talk(bob, 1, limits.unverifiedMessagesMax + 300)
      yield* trust(alice, "unverified")
      yield* talk(alice, 1, limits.unverifiedMessagesMax + 300)
      assert.strictEqual((yield* keptOf(self)).messages, 1)
      assert.strictEqual((yield* keptOf(bob)).messages, limits.unverifiedMessagesMax + 300)
      const { messages } = yield* keptOf(alice)
      assert.isAtLeast(messages, limits.unverifiedMessagesMax)
      assert.isAtMost(messages, limits.unverifiedMessagesMax + between)
      const unread = yield* store.unread
      assert.strictEqual(unread.find(({ peer }) => peer === alice)?.count, messages)
      // It was taken, and is gone: whoever did not hear that says it again, and it is not taken anew.
      const [again] = yield* store.receive([arrival(1, "x")])
      assert.deepStrictEqual(again, { verdict: "again", last: limits.unverifiedMessagesMax + 300, message: null })
      const [next] = yield* store.receive([arrival(limits.unverifiedMessagesMax + 301, "next")])
      assert.strictEqual(next?.verdict, "new")
      assert.deepStrictEqual(texts(yield* store.history({ limit: 1, peer: alice })), ["next"])
    }).pipe(Effect.provide(stored))
  )

  it.effect("bytes count as well, and all of them together, but for those whom someone here wrote to", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const sql = yield* SqlClient
      const text = "x".repeat(chatMaxBytes)
      const perOne = limits.unverifiedMessagesBytes / chatMaxBytes
      yield* store.append(message(1, "hello", [carol]), epochs(someEpoch(1)))
      yield* talk(carol, 1, perOne + 200, text)
      const friend = yield* keptOf(carol)
      assert.isAtLeast(friend.messages, perOne)
      assert.isAtMost(friend.messages, perOne + between)
      const crowd = [3, 4, 5].map(peerOf)
      for (const peer of crowd) yield* talk(peer, 1, perOne, text)
      const left = yield* Effect.forEach(crowd, keptOf)
      const bytes = left.reduce((sum, one) => sum + one.bytes, 0)
      assert.isAtLeast(bytes, limits.strangersMessagesBytes)
      assert.isAtMost(bytes, limits.strangersMessagesBytes + between * chatMaxBytes)
      assert.isBelow(left[0]?.messages ?? 0, between)
      assert.strictEqual(left[2]?.messages, perOne)
      assert.deepStrictEqual(yield* keptOf(carol), friend)
      const counted = yield* sql`SELECT peer, messages, bytes FROM said WHERE messages > 0 ORDER BY peer`.values
      const real = yield* sql`
        SELECT sender, count(*), sum(octet_length(text)) FROM messages GROUP BY sender ORDER BY sender`.values
      assert.deepStrictEqual(counted, real)
    }).pipe(Effect.provide(stored))
  )

  it.effect("what was kept before they were counted is counted", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const sql = yield* SqlClient
      yield* store.append(message(1, "hellø", [carol]), epochs(someEpoch(1)))
      yield* store.append(message(2, "to all", [bob, carol]), epochs(someEpoch(1)))
      yield* talk(alice, 1, 3, "é")
      const counts = sql`SELECT * FROM said ORDER BY peer`.values
      const before = yield* counts
      yield* sql`DROP VIEW said_unverified`
      yield* sql`DROP TRIGGER messages_said`
      yield* sql`DROP TRIGGER messages_unsaid`
      yield* sql`DROP TABLE said`
      const step = migrations.find(({ name }) => name === "how much each sender said")
      assert(step !== undefined)
      yield* step.up(sql)
      assert.lengthOf(before, 3)
      assert.deepStrictEqual(yield* counts, before)
    }).pipe(Effect.provide(stored))
  )
})

describe("MessageStore and its outbox", () => {
  it.effect("knows who has room, whoever it has to forget for that", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const room = { messages: 2, bytes: 10 }
      const crowd = Array.from({ length: limits.peersMax }, (_, n) => peerOf(n))
      const fresh = (count: number) => Array.from({ length: count }, (_, n) => someEpoch(n))
      yield* store.append(message(1, "a", crowd), fresh(crowd.length), room)
      // One more than is remembered.
      const numbers = yield* store.append(message(2, "b", [alice, peerOf(limits.peersMax)]), fresh(2), room)
      assert.deepStrictEqual(
        numbers.map(({ seq }) => seq),
        [2, 1]
      )
      const refused = yield* Effect.flip(store.append(message(3, "c", [alice]), fresh(1), room))
      assert.deepInclude(refused, { _tag: "OutboxFull", peer: alice, waiting: 2 })
    }).pipe(Effect.provide(memory))
  )

  it.effect("takes no more than there is room for, of any recipient, and keeps nothing of what it refuses", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const room = { messages: 2, bytes: 10 }
      yield* store.append(message(1, "12345", [bob]), epochs(someEpoch(1)), room)
      const bytes = yield* Effect.flip(store.append(message(2, "ééé", [carol, bob]), epochs(someEpoch(2)), room))
      assert.deepInclude(bytes, { _tag: "OutboxFull", peer: bob, waiting: 1 })
      yield* store.append(message(3, "é", [carol, bob]), epochs(someEpoch(3)), room)
      const count = yield* Effect.flip(store.append(message(4, "x", [alice, bob]), epochs(someEpoch(4)), room))
      assert.deepInclude(count, { _tag: "OutboxFull", peer: bob, waiting: 2 })
      assert.deepStrictEqual(texts(yield* store.history({ limit: 10 })), ["é", "12345"])
      yield* store.advance(bob, { epoch: someEpoch(1), seq: 1, state: "delivered" })
      const [numbered] = yield* store.append(message(5, "12345678", [bob]), epochs(someEpoch(5)), room)
      assert.deepStrictEqual(numbered, { peer: bob, epoch: someEpoch(1), seq: 3 })
    }).pipe(Effect.provide(memory))
  )

  it.live("keeps what many say at once as if one said it after the other", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      const room = { messages: 100, bytes: 100_000 }
      const said = Array.from({ length: 120 }, (_, n) =>
        message(n < 5 ? 0 : n, `t${n}\u0000`, n < 10 ? [bob, carol] : [bob])
      )
      const numbers = yield* Effect.forEach(
        said,
        (one, n) => Effect.result(store.append(one, epochs(someEpoch(n)), room)),
        { concurrency: "unbounded" }
      )
      const kept = numbers.flatMap((one) => (Result.isSuccess(one) ? [one.success] : []))
      const refused = numbers.flatMap((one) => (Result.isFailure(one) ? [one.failure] : []))
      // Four of the first five took the id of another, whoever of them was the first.
      assert.strictEqual(kept.filter((one) => one.length === 0).length, 4)
      const ofBob = kept.flat().filter((one) => one.peer === bob)
      assert.isAtMost(ofBob.length, 100)
      assert.isTrue(refused.length > 0 && refused.every((one) => one._tag === "OutboxFull" && one.peer === bob))
      assert.strictEqual(ofBob.length + refused.length + 4, 120)
      const waiting = yield* store.outbox(bob, { after: 0, limit: 1000 })
      assert.deepStrictEqual(
        waiting.map((one) => [one.seq, one.epoch]),
        ofBob.map((_, at) => [at + 1, ofBob[0]?.epoch])
      )
      for (const { id, text } of waiting) assert.isTrue(said.some((one) => one.id === id && one.text === text))
      assert.lengthOf(yield* store.outbox(carol, { after: 0, limit: 1000 }), 6)
      // The bytes are those of the first, and one more.
      const bytes = (waiting[0]?.text.length ?? 0) + 1
      assert.deepStrictEqual(yield* store.outbox(bob, { after: 0, limit: 1000, bytes }), waiting.slice(0, 2))
    }).pipe(Effect.provide(Layer.unwrap(Effect.map(temporaryDirectory, file))))
  )

  it.effect("shows what waits only once it is safe", () =>
    Effect.gen(function* () {
      const isSafe = yield* Latch.make(false)
      const slow = Layer.effect(
        Database,
        Effect.map(Database, (database) => ({
          ...database,
          together: <I, A>(atOnce: number, work: (asked: ReadonlyArray<I>) => Query<ReadonlyArray<A>>) => {
            const ask = database.together(atOnce, work)
            return (asked: I) => Effect.tap(ask(asked), isSafe.await)
          }
        }))
      ).pipe(Layer.provideMerge(Database.layerMemory))
      yield* Effect.gen(function* () {
        const store = yield* MessageStore
        const kept = yield* Effect.forkChild(store.append(message(1, "one", [bob]), epochs(someEpoch(1))), {
          startImmediately: true
        })
        assert.lengthOf((yield* store.history({ limit: 10 })).items, 1)
        assert.lengthOf(yield* store.outbox(bob, { after: 0, limit: 10 }), 0)
        yield* isSafe.open
        yield* Fiber.join(kept)
        assert.lengthOf(yield* store.outbox(bob, { after: 0, limit: 10 }), 1)
      }).pipe(Effect.provide(Layer.fresh(MessageStore.layer.pipe(Layer.provide(slow)))))
    })
  )

  it.effect("lets go of what is too old, never leaving a gap, and says how far each sender was read", () =>
    Effect.gen(function* () {
      const store = yield* MessageStore
      // By the clock, which stepped back, the second is the oldest.
      for (const [n, sentAt] of [
        [1, 50],
        [2, 10],
        [3, 60],
        [4, 20]
      ] as const) {
        yield* store.append({ ...message(n, `m${n}`, [bob]), sentAt }, epochs(someEpoch(1)))
      }
      const waiting = Effect.map(store.outbox(bob, { after: 0, limit: 10 }), (all) => all.map(({ seq }) => seq))
      assert.deepStrictEqual(yield* store.expire(30), [], "what comes before it still waits")
      const expired = yield* store.expire(55)
      assert.deepStrictEqual(
        expired.map(({ state, text }) => `${text} ${state}`),
        ["m1 expired", "m2 expired"]
      )
      assert.deepStrictEqual(yield* waiting, [3, 4])
      yield* store.advance(bob, { epoch: someEpoch(1), seq: 4, state: "read" })
      assert.strictEqual(Option.getOrThrow(yield* store.get(self, someMessage(1))).state, "expired")

      const some = [1, 2, 3].map((seq) => arrival(seq, `a${seq}`, { to: seq === 2 ? null : self }))
      yield* store.receive([...some, arrival(1, "b1", { epoch: someEpoch(2), id: someMessage(2000) })])
      const readUpTo = Effect.map(store.readUpTo(alice), (all) => all.map(({ epoch, seq }) => [epoch, seq]))
      assert.deepStrictEqual(yield* readUpTo, [
        [someEpoch(1), 0],
        [someEpoch(2), 0]
      ])
      yield* store.markRead(alice, someMessage(1001))
      assert.deepStrictEqual((yield* readUpTo)[0], [someEpoch(1), 1])
      yield* store.markRead(alice, someMessage(2000))
      assert.deepStrictEqual(yield* readUpTo, [
        [someEpoch(1), 1],
        [someEpoch(2), 1]
      ])
      assert.deepStrictEqual(yield* store.unread, [{ peer: alice, toEveryone: true, count: 1 }])
      assert.deepStrictEqual(yield* store.markRead(null), {
        isChanged: true,
        receipts: [
          { peer: alice, epoch: someEpoch(1), seq: 3 },
          { peer: alice, epoch: someEpoch(2), seq: 1 }
        ]
      })
      assert.deepStrictEqual(yield* store.markRead(null), { isChanged: false, receipts: [] })
      assert.deepStrictEqual(yield* readUpTo, [
        [someEpoch(1), 3],
        [someEpoch(2), 1]
      ])
      assert.deepStrictEqual(yield* store.readUpTo(carol), [])
    }).pipe(Effect.provide(memory))
  )
})

describe("MessageStore.search", () => {
  const said = [
    "The quick brown fox",
    "Le café est prêt à Orléans",
    "私は明日東京に行きます",
    "party 🎉🎉 tonight 👍🏽",
    'she said "hello there" AND left',
    "foo_bar-baz v1.2.3 user@example.org",
    "ＦＵＬＬ width STRASSE"
  ]
  const filled = Effect.gen(function* () {
    const store = yield* MessageStore
    yield* store.receive(said.map((text, n) => arrival(n + 1, text)))
    return store
  })
  const cases: ReadonlyArray<readonly [query: string, found: ReadonlyArray<number>]> = [
    ["quick", [0]],
    ["QUI", [0]],
    ["qu", []],
    ["fox quick", [0]],
    ["fox cafe", []],
    ['"quick brown"', [0]],
    ['"brown quick"', []],
    ['"quick bro', []],
    ["cafe", [1]],
    ["PRÊT orleans", [1]],
    ["東京", [2]],
    ["明日 東京", [2]],
    ["京東", []],
    ["🎉", [3]],
    ["🎉🎉", [3]],
    ["👍", [3]],
    ["hello AND", [4]],
    ["said OR", []],
    ["foo_bar", [5]],
    ["user@example.org", [5]],
    ["v1.2", [5]],
    ["2.3", [5]],
    ["full", [6]],
    ["the", [4, 0]],
    ["", []],
    ["   ", []],
    ["!!! *", []]
  ]
  for (const [query, found] of cases) {
    it.effect(`${JSON.stringify(query)} finds ${found.length}`, () =>
      Effect.gen(function* () {
        yield* filled
        assert.deepStrictEqual(
          yield* find(query),
          found.map((n) => said[n])
        )
      }).pipe(Effect.provide(memory))
    )
  }

  it.effect("takes whatever is typed for words, and never for an error", () =>
    Effect.gen(function* () {
      const store = yield* filled
      const typed = [
        '"',
        '""',
        '"a" "',
        "a*",
        "*",
        "(",
        ")",
        "a AND",
        "NOT",
        "NEAR(a b, 3)",
        "words:a",
        "{who} : k1",
        "^a",
        "a + b",
        "-a",
        "'; --",
        "\u0000",
        "\ud800",
        "ﷺ ½ ⑴",
        "a".repeat(100_000),
        '" '.repeat(5000)
      ]
      for (const query of typed) yield* store.search(query, { limit: 5 })
      for (const query of typed) yield* store.search(query, { limit: 5, peer: alice })
    }).pipe(Effect.provide(memory))
  )

  it.effect.prop("takes any text at all", [Schema.String], ([query]) =>
    Effect.gen(function* () {
      const store = yield* filled
      yield* store.search(query, { limit: 5 })
    }).pipe(Effect.provide(memory))
  )

  it.effect("shows where it stands", () =>
    Effect.gen(function* () {
      const store = yield* filled
      yield* store.receive([arrival(said.length + 1, `${"before ".repeat(100)}Tōkyō 東京 ${"after ".repeat(100)}`)])
      const { items } = yield* store.search("tokyo", { limit: 5 })
      const pieces = items[0]?.excerpt ?? []
      assert.deepStrictEqual(
        pieces.filter((one) => one.isMatch).map((one) => one.text),
        ["Tōkyō"]
      )
      assert.isBelow(pieces.map((one) => one.text).join("").length, 220)
      assert.isTrue(pieces[0]?.text === "…" && pieces.at(-1)?.text === "…")
    }).pipe(Effect.provide(memory))
  )

  it.effect("narrows to a conversation, both ways, and pages", () =>
    Effect.gen(function* () {
      const store = yield* filled
      yield* store.append(message(1, "the answer", [alice, bob]), epochs(someEpoch(1)))
      yield* store.append(message(2, "the other answer", [bob]), epochs(someEpoch(1)))
      const of = (peer: Message["from"]) =>
        Effect.map(store.search("the", { limit: 100, peer }), ({ items }) => items.map((one) => one.message.text))
      assert.deepStrictEqual(yield* of(alice), ["the answer", said[4], said[0]])
      assert.deepStrictEqual(yield* of(bob), ["the other answer", "the answer"])
      assert.deepStrictEqual(yield* of(someId(50)), [])
      const first = yield* store.search("the", { limit: 3 })
      const toAll = { ...message(3, "the last for all", [alice, bob]), to: null }
      yield* store.append(toAll, epochs(someEpoch(1)))
      const everyone = { limit: 100, to: "everyone" } as const
      const foundForAll = (yield* store.search("the", everyone)).items.map((one) => one.message)
      const readForAll = (yield* store.history(everyone)).items
      const all = (yield* store.history({ limit: 100 })).items.filter((one) => one.to === null)
      assert.isAbove(all.length, 0)
      assert.isBelow(all.length, (yield* store.history({ limit: 100 })).items.length)
      assert.deepStrictEqual(readForAll, all)
      assert.deepStrictEqual(
        foundForAll,
        all.filter((one) => /\bthe/i.test(one.text))
      )
      const second = yield* store.search("the", { limit: 3, before: first.before ?? 0 })
      assert.deepStrictEqual(
        [...first.items, ...second.items].map((one) => one.message.text),
        ["the other answer", "the answer", said[4], said[0]]
      )
      assert.isNull(second.before)
    }).pipe(Effect.provide(memory))
  )
})

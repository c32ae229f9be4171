/**
 * A node whose services answer from memory and do nothing: the real registry and events, and stand-ins for the rest
 * that remember what was asked of them. For tests of the API and of the command line alone.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { NodeConfig, type NodeSettings } from "../../src/config.ts"
import { parse, tcp } from "../../src/schema/Address.ts"
import { GroupId, Instance, TransferId, VerificationId } from "../../src/schema/Id.ts"
import type { ListedEntry } from "../../src/schema/ListedEntry.ts"
import type { Message } from "../../src/schema/Message.ts"
import { isOver, type Transfer as View } from "../../src/schema/Offer.ts"
import { base32, type PeerId } from "../../src/schema/PeerId.ts"
import { chatMaxBytes, byteLength } from "../../src/schema/Text.ts"
import type { Verification } from "../../src/schema/Verification.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Chat, MessageRefused } from "../../src/services/Chat.ts"
import { Connection, NotConnected, SessionError } from "../../src/services/Connection.ts"
import { Database } from "../../src/services/Database.ts"
import { DatabaseError } from "../../src/services/database/DatabaseError.ts"
import { Discovery } from "../../src/services/Discovery.ts"
import { Events } from "../../src/services/Events.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type PeerRecord, PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Profile } from "../../src/services/Profile.ts"
import { SettingsStore } from "../../src/services/SettingsStore.ts"
import { SpeedCaps } from "../../src/services/SpeedCaps.ts"
import { NotPossible, SendRefused, Transfer, UnknownTransfer } from "../../src/services/Transfer.ts"
import { DialError, Transport } from "../../src/services/Transport.ts"
import { InviteRefused, TicketMistyped, TicketUsed, Trust, UnknownVerification } from "../../src/services/Trust.ts"
import { someId, someMessage } from "../Some.ts"

const random = (n: number) => base32(new Uint8Array(16).fill(n))
export const someTransfer = (n: number): TransferId => TransferId.make(random(n))

export const damaged = new DatabaseError({
  reason: "corrupt",
  path: "/home/me/kith.db",
  problem: "the database is damaged",
  remedy: "Restore a copy of it"
})

/** What the services were asked to do, in order. */
export class Asked extends Context.Service<Asked, Array<string>>()("test/api/Asked") {
  static readonly layer = Layer.sync(this, () => [])
}

export const me = someId(0)
export const bob = someId(1)
export const carol = someId(2)

export const aTransfer = (id: TransferId, change: Partial<View> = {}): View => ({
  id,
  direction: "send",
  state: "offered",
  group: GroupId.make(random(99)),
  peer: bob,
  name: "photos",
  files: 3,
  directories: 1,
  bytes: 0,
  totalBytes: 3 * 1024 * 1024,
  bytesPerSecond: 0,
  error: null,
  published: [],
  problems: [],
  problemCount: 0,
  startedAt: 1_700_000_000_000,
  ...change
})

const identity = Layer.succeed(Identity, {
  id: me,
  instance: Instance.make(random(7)),
  certificate: "",
  privateKey: Redacted.make("")
})

const transport = Layer.succeed(Transport, {
  port: 9090,
  addresses: Effect.succeed([tcp("192.0.2.1", 9090), tcp("fe80::1%eth0", 9090)]),
  dial: () => Effect.die("not here"),
  accept: () => Effect.void
})

const discovery = Layer.succeed(Discovery, {
  watch: () => Effect.void,
  sightings: Stream.empty,
  announce: Effect.void,
  report: Effect.succeed({
    interfaces: [
      {
        name: "eth0",
        address: "192.0.2.1",
        sent: [{ to: "192.0.2.255", count: 3, error: null }],
        heard: 2,
        answered: 1
      }
    ],
    dropped: 1,
    deaf: null
  })
})

/** Adds whoever listens on 192.0.2.2; 192.0.2.3 refuses, 192.0.2.4 says goodbye. */
const connection = Layer.effect(
  Connection,
  Effect.gen(function* () {
    const registry = yield* PeerRegistry
    const asked = yield* Asked
    return {
      open: Effect.void,
      add: Effect.fnUntraced(function* (text: string) {
        const address = yield* Effect.fromResult(parse(text))
        if (address.host === "192.0.2.3") {
          return yield* new DialError({ problem: "refused", address: text, detail: "ECONNREFUSED" })
        }
        if (address.host === "192.0.2.4") {
          return yield* new SessionError({ address: text, reason: "blocked", detail: "" })
        }
        yield* registry.update(bob, (peer) => ({ ...peer, name: "bob", state: "connected", addresses: [address] }))
        return bob
      }),
      suggest: () => Effect.void,
      remove: (id: PeerId) =>
        Effect.andThen(
          Effect.sync(() => asked.push(`remove ${id}`)),
          registry.remove(id)
        ),
      send: () => Effect.void,
      connected: Effect.map(registry.list, (peers) =>
        peers.filter((peer) => peer.state === "connected").map((peer) => peer.id)
      ),
      inbox: () => Effect.die("not here"),
      openDataLink: () => Effect.die("not here"),
      reach: () => Effect.die("not here"),
      want: () => Effect.die("not here"),
      expel: () => Effect.die("not here"),
      exportKey: () => Effect.die("not here"),
      changedKeys: Stream.never
    }
  })
)

const stateAt = (peer: PeerId) => (peer === bob ? ("delivered" as const) : ("queued" as const))

/** Bob gets everything at once, carol never. */
const chat = Layer.effect(
  Chat,
  Effect.gen(function* () {
    const registry = yield* PeerRegistry
    const events = yield* Events
    const asked = yield* Asked
    const kept: Array<Message> = []
    return {
      say: Effect.fnUntraced(function* (text: string, to: PeerId | null) {
        if (byteLength(text) > chatMaxBytes) {
          return yield* new MessageRefused({ problem: `it is ${byteLength(text)} bytes of UTF-8, of at most 65536` })
        }
        const peers = to === null ? (yield* registry.list).map((peer) => peer.id) : [to]
        const recipients = peers.map((peer) => ({ peer, state: stateAt(peer) }))
        const message: Message = {
          id: someMessage(kept.length),
          from: me,
          to,
          text,
          sentAt: 1_700_000_000_000 + kept.length,
          state: recipients.some((recipient) => recipient.state === "queued") ? "queued" : "delivered",
          recipients
        }
        kept.push(message)
        yield* events.publish({ _tag: "MessageAdded", message })
        return message
      }),
      settled: (id) =>
        Effect.suspend(() => {
          const found = kept.find((message) => message.id === id)
          return found === undefined ? Effect.fail(new MessageRefused({ problem: "unknown" })) : Effect.succeed(found)
        }),
      history: ({ limit, peer }) =>
        Effect.sync(() => kept.filter((message) => peer === undefined || message.to === peer).slice(-limit)),
      page: ({ before = kept.length, limit, peer, to }) =>
        Effect.sync(() => {
          const until = kept
            .slice(0, before)
            .filter(
              (message) => (to === undefined || message.to === null) && (peer === undefined || message.to === peer)
            )
          const items = until.slice(-limit).toReversed()
          const last = items.at(-1)
          return { items, before: last !== undefined && until.length > limit ? kept.indexOf(last) : null }
        }),
      // What a real one does when its disk is lost while it runs.
      search: (text, { limit, peer, to }) =>
        text === "damaged"
          ? Effect.die(damaged)
          : Effect.sync(() => ({
              items: kept
                .filter((message) => to === undefined || message.to === null)
                .filter((message) => message.text.includes(text) && (peer === undefined || message.to === peer))
                .toReversed()
                .slice(0, limit)
                .map((message) => ({ message, excerpt: [] })),
              before: null
            })),
      unread: Effect.succeed([
        { peer: bob, toEveryone: true, count: 2 },
        { peer: carol, toEveryone: true, count: 3 },
        { peer: carol, toEveryone: false, count: 4 }
      ]),
      markRead: (conversation, upTo) => Effect.sync(() => void asked.push(`read ${conversation} up to ${upTo}`))
    }
  })
)

/** A list with a name that would be markup in a page, and one that would be a command in a terminal. */
const listOf = (files: number): ReadonlyArray<ListedEntry> =>
  Array.from({ length: files }, (_, index) => ({
    index,
    path: ["photos/<img src=x>.jpg", "photos/\u202egpj.exe", "photos/plain.jpg"][index] ?? `photos/${index}.jpg`,
    kind: "f",
    size: 1024,
    mtime: 1_700_000_000_000,
    executable: false,
    state: "offered",
    reason: null,
    digest: null
  }))

/** Sends become what the first path says: done, declined, failed, or (by any other name) wait. */
const transfer = Layer.effect(
  Transfer,
  Effect.gen(function* () {
    const events = yield* Events
    const asked = yield* Asked
    const all = new Map<string, View>()
    const change = Effect.fnUntraced(function* (view: View) {
      all.set(view.id, view)
      yield* events.publish({ _tag: "TransferChanged", transfer: view })
      return view
    })
    const get = (id: string) =>
      Effect.suspend(() => {
        const found = all.get(id)
        return found === undefined
          ? Effect.fail(new UnknownTransfer({ query: id, candidates: [] }))
          : Effect.succeed(found)
      })
    const decide = (action: string, state: View["state"]) =>
      Effect.fnUntraced(function* (id: TransferId) {
        const view = yield* get(id)
        if (isOver(view.state)) return yield* new NotPossible({ transfer: id, action, state: view.state })
        asked.push(`${action} ${id}`)
        return yield* change({ ...view, state })
      })
    const finish = (view: View, outcome: string): Effect.Effect<unknown> => {
      const published = [view.name]
      switch (outcome) {
        case "done":
          return Effect.andThen(
            change({ ...view, state: "running", bytes: 1024 * 1024, bytesPerSecond: 1024 * 1024 }),
            change({ ...view, state: "done", bytes: view.totalBytes, published })
          )
        case "declined":
          return change({ ...view, state: "declined", error: "the receiver declined" })
        case "failed":
          return change({ ...view, state: "failed", error: "no space is left on the receiver's disk" })
        case "partial":
          return change({
            ...view,
            state: "partial",
            problems: [{ kind: "failed", path: "a", reason: "it changed" }],
            problemCount: 1,
            failedCount: 1
          })
        default:
          return Effect.void
      }
    }
    return {
      send: Effect.fnUntraced(function* (paths: ReadonlyArray<string>, to: ReadonlyArray<PeerId>) {
        const name = paths[0]?.split("/").at(-1) ?? ""
        asked.push(`send ${paths.join(" ")} to ${to.join(" ")}`)
        if (name === "missing") return yield* new SendRefused({ path: paths[0] ?? "", problem: "it does not exist" })
        const views = to.map((peer) => aTransfer(someTransfer(all.size + 1 + to.indexOf(peer)), { peer, name }))
        for (const view of views) yield* change(view)
        for (const view of views) yield* finish(view, name)
        return views
      }),
      again: Effect.fnUntraced(function* (id: TransferId) {
        const view = yield* get(id)
        if (!isOver(view.state)) return yield* new NotPossible({ transfer: id, action: "again", state: view.state })
        asked.push(`again ${id}`)
        if (view.name === "gone") return yield* new SendRefused({ path: "/srv/gone", problem: "it is not there" })
        const fresh = aTransfer(someTransfer(all.size + 1), { peer: view.peer, name: view.name })
        yield* change(fresh)
        yield* finish(fresh, "done")
        return [fresh]
      }),
      list: Effect.sync(() => [...all.values()].toReversed()),
      find: (query: string) =>
        Effect.suspend(() => {
          const found = [...all.values()].filter((view) => view.id.startsWith(query))
          const [only, another] = found
          return only === undefined || another !== undefined
            ? Effect.fail(new UnknownTransfer({ query, candidates: found.map((view) => view.id) }))
            : Effect.succeed(only)
        }),
      entries: Effect.fnUntraced(function* (id: TransferId, { from, limit }: { from: number; limit: number }) {
        const view = yield* get(id)
        if (isOver(view.state)) return yield* new NotPossible({ transfer: id, action: "list", state: view.state })
        return listOf(view.files).slice(from, from + limit)
      }),
      accept: (id, { conflict, only, ranges }) => {
        const part =
          only !== undefined ? ` only ${only.join(" ")}` : ranges === undefined ? "" : ` of ${ranges.join(" ")}`
        asked.push(`conflict ${conflict}${part}`)
        return decide("accept", "running")(id)
      },
      decline: decide("decline", "declined"),
      cancel: decide("cancel", "cancelled"),
      pause: decide("pause", "paused"),
      resume: decide("resume", "running"),
      prioritise: (id, priority) =>
        Effect.flatMap(decide("prioritise", "queued")(id), (view) => change({ ...view, priority }))
    }
  })
)

export const compared: Verification = {
  id: VerificationId.make("a".repeat(26)),
  peer: bob,
  begunBy: "here",
  state: "comparing",
  words: ["educate", "stereo", "poem", "guard"],
  reason: null
}

/** Compares with bob alone; the one ticket it takes is bob's. */
const trust = Layer.effect(
  Trust,
  Effect.gen(function* () {
    const registry = yield* PeerRegistry
    const asked = yield* Asked
    const change = (id: PeerId, change: Partial<PeerRecord>) =>
      Effect.asVoid(registry.update(id, (peer) => ({ ...peer, ...change })))
    const over = (id: VerificationId, state: Verification["state"]) =>
      id === compared.id
        ? Effect.succeed({ ...compared, words: [], state, reason: state === "verified" ? null : "it was said" })
        : Effect.fail(new UnknownVerification())
    return {
      verify: (peer) => (peer === bob ? Effect.succeed(compared) : Effect.fail(new NotConnected({ peer }))),
      verifications: Effect.succeed([compared]),
      answer: (id, same) => over(id, same ? "verified" : "mismatch"),
      cancel: (id) => over(id, "cancelled"),
      settled: (id) => over(id, "verified"),
      invite: ({ expires }) => {
        const seconds = Duration.toSeconds(expires ?? "10 minutes")
        asked.push(`ticket for ${seconds} s`)
        return seconds > 604_800
          ? Effect.fail(new InviteRefused({ problem: "it can last from a second to 7d" }))
          : Effect.succeed({ ticket: Redacted.make("kith1:ticket"), expires: 1000 })
      },
      join: (ticket) =>
        Redacted.value(ticket) === "kith1:bob"
          ? Effect.as(change(bob, { name: "bob", trust: "verified", trustAt: 5, trustHow: "ticket" }), bob)
          : Effect.fail(
              Redacted.value(ticket) === "kith1:used" ? new TicketUsed() : new TicketMistyped({ problem: "a letter" })
            ),
      block: (id) => change(id, { trust: "blocked", trustAt: 6, trustHow: "person" }),
      unblock: (id) => change(id, { trust: "unverified", trustAt: 7, trustHow: "person" })
    }
  })
)

/** Kept in memory. */
const alarms = Alarms.layer.pipe(
  Layer.provideMerge(Events.layer),
  Layer.provide([SettingsStore.layer.pipe(Layer.provide(Database.layerMemory)), SecureRandom.layerWebCrypto])
)

/** The services of a node called alice that does nothing. */
export const layer = (settings: { readonly dataDir: string } & Partial<NodeSettings>) =>
  Layer.mergeAll(connection, chat, transfer, trust).pipe(
    Layer.provideMerge(Layer.mergeAll(identity, transport, discovery, Asked.layer)),
    Layer.provideMerge(PeerRegistry.layerMemory),
    Layer.provideMerge(Layer.merge(alarms, SpeedCaps.layerMemory)),
    Layer.provideMerge(Profile.layerMemory),
    Layer.provideMerge(NodeConfig.layer({ name: "alice", apiPort: 0, ...settings }))
  )

/**
 * The node under attack and its friend: two whole nodes in this process, on loopback, with directories of their own.
 * `wellbeing` is asserted after each attack: the same session as before still carries a message each way, and nothing
 * is left in the receive folder or beside it that nobody agreed to.
 */
import { assert } from "@effect/vitest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs"
import { createSocket } from "node:dgram"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { Loopback } from "../../src/api/Loopback.ts"
import * as LoopbackServer from "../../src/api/LoopbackServer.ts"
import * as Kith from "../../src/app.ts"
import { NodeConfig, type NodeSettings } from "../../src/config.ts"
import type { Event } from "../../src/schema/Event.ts"
import type { Transfer as View } from "../../src/schema/Offer.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Database } from "../../src/services/Database.ts"
import { Datagrams } from "../../src/services/Datagrams.ts"
import * as DatagramsUdp from "../../src/services/discovery/DatagramsUdp.ts"
import { Discovery } from "../../src/services/Discovery.ts"
import { Events } from "../../src/services/Events.ts"
import * as FileStoreNode from "../../src/services/files/FileStoreNode.ts"
import { Identity } from "../../src/services/Identity.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { Transport } from "../../src/services/Transport.ts"
import { Trust } from "../../src/services/Trust.ts"
import * as TransportTls from "../../src/services/transport/TransportTls.ts"

/** A directory that is gone when the scope ends. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-hostile-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** Discovery speaks on the loopback only: a test must not be heard by the network it runs in. */
const onlyLoopback = Layer.effect(
  Datagrams,
  Effect.map(Datagrams, (datagrams) => ({
    ...datagrams,
    interfaces: Effect.map(datagrams.interfaces, (all) => all.filter(({ loopback }) => loopback))
  }))
).pipe(Layer.provide(DatagramsUdp.layer))

/** As in app.ts, but for the interfaces of discovery. */
const machine = Layer.mergeAll(TransportTls.layer, onlyLoopback, FileStoreNode.layer).pipe(
  Layer.provideMerge(Identity.layer),
  Layer.provideMerge(Database.layer),
  Layer.provideMerge(SecureRandom.layerWebCrypto)
)

export const freeUdpPort = Effect.callback<number>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "0.0.0.0", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(port)))
  })
})

/** Every path below a directory, links with where they lead. */
export const tree = (dir: string): Array<string> =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return relative(dir, path) + (entry.isSymbolicLink() ? ` -> ${readlinkSync(path)}` : "")
    })
    .toSorted()

/** Every path below a node's home but for what it keeps for itself. */
export const filesOf = ({ home }: { readonly home: string }): Array<string> =>
  tree(home).filter((path) => !path.startsWith("data/"))

/** A whole node, and what it tells. */
export const startNode = Effect.fnUntraced(function* (settings: Partial<NodeSettings> = {}) {
  const home = yield* temporaryDirectory
  const dataDir = join(home, "data")
  const received = join(home, "received")
  mkdirSync(received)
  const lines: Array<string> = []
  const logger = Logger.map(Logger.formatLogFmt, (text) => void lines.push(text))
  const config = NodeConfig.layer({
    name: "target",
    dataDir,
    received,
    host: "127.0.0.1",
    port: 0,
    apiPort: 0,
    discovery: false,
    ...settings
  })
  const layer = Kith.layerOn(machine).pipe(
    Layer.provideMerge(config),
    Layer.provide([Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Info")])
  )
  const context = yield* Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), yield* Effect.scope)
  const events: Array<Event> = []
  yield* Context.get(context, Events).stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  const { port } = Context.get(context, Transport)
  return {
    id: Context.get(context, Identity).id,
    instance: Context.get(context, Identity).instance,
    port,
    address: `127.0.0.1:${port}`,
    /** Serves its API until the scope ends. */
    api: Effect.gen(function* () {
      const served = LoopbackServer.layer.pipe(Layer.provide(Layer.succeedContext(context)))
      const { port, token, url } = Context.get(yield* Layer.build(served), Loopback)
      return { port, url, token: Redacted.value(token) }
    }).pipe(Effect.orDie),
    home,
    dataDir,
    received,
    /** Log lines at info and above. */
    lines,
    events,
    /** Kept from the first moment on, before anybody can listen to events. */
    alarms: Context.get(context, Alarms),
    chat: Context.get(context, Chat),
    connection: Context.get(context, Connection),
    discovery: Context.get(context, Discovery),
    registry: Context.get(context, PeerRegistry),
    transfer: Context.get(context, Transfer),
    trust: Context.get(context, Trust)
  }
})
export type Node = Effect.Success<ReturnType<typeof startNode>>

/** Waits until this is so; a test that waits in vain says for what. */
export const until = (what: string, isSo: () => boolean, wait = 10_000): Effect.Effect<void> =>
  Effect.suspend(() => {
    const end = performance.now() + wait
    return Effect.callback<void>((resume) => {
      let timer: NodeJS.Timeout
      const look = () => {
        if (isSo()) return resume(Effect.void)
        if (performance.now() > end) return resume(Effect.die(new Error(`${what}: not within ${wait} ms`)))
        timer = setTimeout(look, 5)
      }
      look()
      return Effect.sync(() => clearTimeout(timer))
    })
  })

export class Target extends Context.Service<
  Target,
  Node & {
    readonly friend: Node
    /** The friend is connected by the session of the beginning, and both can talk. */
    readonly wellbeing: Effect.Effect<void>
    /** What became of a transfer, once it is over. */
    readonly outcome: (id: string) => Effect.Effect<View>
  }
>()("test/hostile/Target") {}

const say = Effect.fnUntraced(function* (from: Node, to: Node) {
  const text = `still there? ${Math.random()}`
  const { id } = yield* from.chat.say(text, to.id)
  assert.strictEqual((yield* from.chat.settled(id, "5 seconds")).state, "delivered")
  const arrived = (yield* to.chat.history({ limit: 1, peer: from.id })).at(-1)
  assert.strictEqual(arrived?.text, text)
}, Effect.orDie)

/** `settings`: of the node under attack; the friend has the discovery port, if any. */
export const layer = (settings: Partial<NodeSettings> = {}): Layer.Layer<Target> =>
  Layer.effect(
    Target,
    Effect.gen(function* () {
      const node = yield* startNode(settings)
      const friend = yield* startNode({ name: "friend" })
      yield* friend.connection.add(node.address)
      const states = () => statesOf(node.events, friend.id)
      yield* until("the friend", () => states().at(-1) === "connected")
      const before = states()
      const wellbeing = Effect.gen(function* () {
        assert.deepStrictEqual(states(), before, "the friend's session was disturbed")
        yield* say(friend, node)
        yield* say(node, friend)
      })
      const outcome = (id: string) =>
        until(`the end of ${id}`, () =>
          node.events.some(
            (event) => event._tag === "TransferChanged" && event.transfer.id === id && isOver(event.transfer)
          )
        ).pipe(Effect.andThen(Effect.orDie(node.transfer.find(id))))
      return Target.of({ ...node, friend, wellbeing, outcome })
    }).pipe(Effect.orDie)
  )

const isOver = ({ state }: View) => ["done", "partial", "failed", "cancelled", "declined"].includes(state)

/** The states that this peer was in, one after the other, each once. */
const statesOf = (events: ReadonlyArray<Event>, id: PeerId): Array<string> => {
  const states: Array<string> = []
  for (const event of events) {
    if (event._tag !== "PeerChanged" || event.peer.id !== id || states.at(-1) === event.peer.state) continue
    states.push(event.peer.state)
  }
  return states
}

/** Runs an attack written with promises. */
export const attack = <A>(body: () => Promise<A>): Effect.Effect<A> => Effect.promise(body)

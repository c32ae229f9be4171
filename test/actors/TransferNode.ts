/**
 * Nodes that only transfer: the live Transfer over real files, on whatever transport the test gives, and sessions that
 * the test joins and cuts itself. What a node shows can be waited for.
 */
import { it } from "@effect/vitest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TransferActors from "../../src/actors/transfers/TransferActors.ts"
import { NodeConfig, type NodeSettings } from "../../src/config.ts"
import { type Address, tcp } from "../../src/schema/Address.ts"
import type { Frame } from "../../src/schema/Frame.ts"
import type { TransferId } from "../../src/schema/Id.ts"
import { isOver, type Transfer as View } from "../../src/schema/Offer.ts"
import type { PeerId } from "../../src/schema/PeerId.ts"
import { Connection } from "../../src/services/Connection.ts"
import { Events } from "../../src/services/Events.ts"
import { FileStore } from "../../src/services/FileStore.ts"
import * as FileStoreNode from "../../src/services/files/FileStoreNode.ts"
import { Identity } from "../../src/services/Identity.ts"
import { PeerRegistry, type PeerRecord } from "../../src/services/PeerRegistry.ts"
import { SpeedCaps } from "../../src/services/SpeedCaps.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { TransferStore } from "../../src/services/TransferStore.ts"
import { layerFile } from "../../src/services/Database.ts"
import { DialError, Transport } from "../../src/services/Transport.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import * as FakeConnection from "../services/FakeConnection.ts"

/** What is tested here is not the disk: files in memory are quicker where there is room for them. */
const memory = fs.existsSync("/dev/shm") ? "/dev/shm" : fs.realpathSync(os.tmpdir())

/** A directory that is gone with the scope. */
export const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(memory, "kith-transfer-"))),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

export interface NodeOptions {
  readonly id: PeerId
  readonly transport: Transport["Service"]
  /** Where its transport is dialled. */
  readonly address: Address
  /** What it knows of its peers, beyond their being there. */
  readonly known?: ReadonlyMap<PeerId, Partial<PeerRecord>>
  /** Takes everyone's offers, unless told otherwise. */
  readonly settings?: Partial<NodeSettings>
  /** Where its files are, to start it again with what it had; a fresh directory unless told otherwise. */
  readonly root?: string
  /** In place of the file store over node:fs. */
  readonly store?: (real: FileStore["Service"]) => FileStore["Service"]
}

/** What a node showed, so that a test can wait for it. */
class Shown {
  readonly all: Array<View> = []
  private readonly waiting = new Set<{
    readonly test: (view: View) => boolean
    readonly done: Deferred.Deferred<View>
  }>()

  readonly events = Layer.succeed(Events, {
    publish: (event) =>
      Effect.sync(() => {
        if (event._tag !== "TransferChanged") return
        this.all.push(event.transfer)
        for (const one of this.waiting)
          if (one.test(event.transfer)) Deferred.doneUnsafe(one.done, Effect.succeed(event.transfer))
      }),
    stream: Stream.never
  })

  until(test: (view: View) => boolean): Effect.Effect<View> {
    return Effect.suspend(() => {
      const now = this.all.findLast(test)
      if (now !== undefined) return Effect.succeed(now)
      const done = Deferred.makeUnsafe<View>()
      this.waiting.add({ test, done })
      return Deferred.await(done)
    })
  }
}

export const startTransferNode = Effect.fnUntraced(function* (options: NodeOptions) {
  const root = options.root ?? (yield* temporary)
  const received = path.join(root, "received")
  const sources = path.join(root, "sources")
  fs.mkdirSync(sources, { recursive: true })
  const shown = new Shown()
  const control = FakeConnection.make()
  const places = new Map<PeerId, Address>()
  const connection = Layer.effect(
    Connection,
    Effect.map(Connection, (fake) =>
      Connection.of({
        ...fake,
        openDataLink: (peer) => {
          const at = places.get(peer)
          return at === undefined
            ? Effect.fail(new DialError({ problem: "unreachable", address: "?", detail: "the test says so" }))
            : options.transport.dial(at, { protocol: "kith-data/1", expect: peer })
        }
      })
    )
  ).pipe(Layer.provide(control.layer))
  const registry = Layer.mock(PeerRegistry, {
    get: (id) =>
      Effect.succeedSome({
        id,
        name: "peer",
        state: "connected",
        trust: "unverified",
        addresses: [],
        accept: null,
        lastSeen: null,
        wanted: true,
        ...options.known?.get(id)
      } satisfies PeerRecord)
  })
  const config = NodeConfig.layer({
    name: "test",
    dataDir: path.join(root, "data"),
    received,
    accept: "everyone",
    ...options.settings
  })
  const store = Layer.effect(
    FileStore,
    Effect.map(FileStore, (real) => options.store?.(real) ?? real)
  ).pipe(Layer.provide(FileStoreNode.layer))
  const context = yield* Layer.build(
    TransferActors.layer.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          SpeedCaps.layerMemory,
          connection,
          store,
          registry,
          shown.events,
          SecureRandom.layerWebCrypto,
          TransferStore.layer.pipe(Layer.provide(layerFile(path.join(root, "kith.db")))),
          Layer.succeed(Transport, options.transport)
        )
      ),
      Layer.provide(config)
    )
  )
  return {
    id: options.id,
    transfer: Context.get(context, Transfer),
    caps: Context.get(context, SpeedCaps),
    transport: options.transport,
    address: options.address,
    control,
    places,
    root,
    received,
    sources,
    shown: shown.all,
    until: (test: (view: View) => boolean) => shown.until(test),
    over: (id: TransferId) => shown.until((view) => view.id === id && isOver(view.state))
  }
})
export type TransferNode = Effect.Success<ReturnType<typeof startTransferNode>>

/** Joins two nodes by a session; `dials` says which of them can open data links. */
export const join = Effect.fnUntraced(function* (
  one: TransferNode,
  other: TransferNode,
  options: {
    readonly oneDials?: boolean
    readonly otherDials?: boolean
    readonly filter?: (frame: Frame) => boolean
  } = {}
) {
  if (options.oneDials ?? true) one.places.set(other.id, other.address)
  if (options.otherDials ?? true) other.places.set(one.id, one.address)
  const passes = options.filter ?? (() => true)
  const to = (from: TransferNode, node: TransferNode) => (frame: Frame) =>
    passes(frame) ? node.control.deliver(from.id, frame) : Effect.void
  // Both are there before either speaks.
  yield* Effect.all([one.control.up(other.id, to(one, other)), other.control.up(one.id, to(other, one))])
})

export const part = (one: TransferNode, other: TransferNode): Effect.Effect<void> =>
  Effect.andThen(one.control.down(other.id), other.control.down(one.id))

/** A node on a host of the simulated network. */
export const startOn = Effect.fnUntraced(function* (
  network: SimulatedNetwork.SimulatedNetwork,
  name: string,
  options: Partial<NodeOptions> = {}
) {
  const host = network.host(name)
  const context = yield* Layer.build(host.layer)
  const transport = Context.get(context, Transport)
  const { id } = Context.get(context, Identity)
  const address = tcp(host.addresses()[0] ?? "", transport.port)
  return yield* startTransferNode({ id, transport, address, ...options })
})

/** A node that can be stopped and started again with its files. */
export const restartable = Effect.fnUntraced(function* (
  network: SimulatedNetwork.SimulatedNetwork,
  name: string,
  options: Partial<NodeOptions> = {}
) {
  const root = yield* temporary
  const parent = yield* Effect.scope
  let scope = yield* Scope.fork(parent)
  const start = (more: Partial<NodeOptions> = {}) =>
    Effect.gen(function* () {
      yield* Scope.close(scope, Exit.void)
      scope = yield* Scope.fork(parent)
      return yield* Scope.provide(startOn(network, name, { ...options, root, ...more }), scope)
    })
  return { root, start, stop: Effect.suspend(() => Scope.close(scope, Exit.void)) }
})

/** Two nodes on one segment, not joined yet. */
export const pair = Effect.fnUntraced(function* (bobs: Partial<NodeOptions> = {}, alices: Partial<NodeOptions> = {}) {
  const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
  const alice = yield* startOn(network, "alice", alices)
  const bob = yield* startOn(network, "bob", bobs)
  return { network, alice, bob }
})

/** Waits until a person can be asked: the list was found good. */
export const idle = (node: TransferNode, id: TransferId) => node.until((view) => view.id === id && view.totalBytes > 0)

/** A test in real time (the files are real) that logs only what went wrong. */
export const quietly = <A, E>(name: string, test: () => Effect.Effect<A, E, Scope.Scope>) =>
  it.live(name, () => test().pipe(Effect.provideService(References.MinimumLogLevel, "Error")), 30_000)

/** `size` bytes that are the same for the same seed, and compress badly. */
export const noise = (seed: number, size: number): Buffer => {
  const bytes = Buffer.allocUnsafe(size)
  let state = (seed * 2654435761 + 1) >>> 0
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

/** Every file and directory below, with kind, digest, time and executable bit. */
export const treeOf = (root: string): ReadonlyMap<string, string> => {
  const tree = new Map<string, string>()
  for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true })) {
    const location = path.join(entry.parentPath, entry.name)
    const stats = fs.lstatSync(location)
    const content = entry.isFile()
      ? createHash("sha256").update(fs.readFileSync(location)).digest("hex").slice(0, 16)
      : entry.isDirectory()
        ? "directory"
        : "other"
    const mode = entry.isFile() ? String((stats.mode & 0o111) !== 0) : ""
    tree.set(path.relative(root, location), `${content} ${Math.floor(stats.mtimeMs)} ${mode}`)
  }
  return new Map([...tree].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

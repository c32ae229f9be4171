/**
 * The live layer of Transfer: an actor for each transfer, which is brought what comes over control links and inbound
 * data links (TransferInbox), what a person decides (TransferOrders), and what an earlier run left (TransferRevival). It owns the FiberMap of actors (by transfer), the one of walks (by group),
 * the memory for blocks, and the fiber that reads Connection's inbox; all end with the layer.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { limits, NodeConfig } from "../../config.ts"
import type { GroupId, TransferId } from "../../schema/Id.ts"
import { Connection } from "../../services/Connection.ts"
import { Events } from "../../services/Events.ts"
import { FileStore } from "../../services/FileStore.ts"
import { PeerRegistry } from "../../services/PeerRegistry.ts"
import { makePeerWords } from "../../services/peers/PeerWords.ts"
import { Transfer } from "../../services/Transfer.ts"
import { TransferStore } from "../../services/TransferStore.ts"
import { SpeedCaps } from "../../services/SpeedCaps.ts"
import { Transport } from "../../services/Transport.ts"
import { BlockPool } from "./BlockPool.ts"
import { RateLimiter } from "./RateLimiter.ts"
import { hear, inbound, inboxTags } from "./TransferInbox.ts"
import { makeReports } from "./TransferActor.ts"
import * as Orders from "./TransferOrders.ts"
import { goOn } from "./TransferRevival.ts"
import { TransferRuns } from "./TransferRuns.ts"
import { GroupReads } from "./send/SharedReads.ts"
import { TransferBook } from "./TransferBook.ts"
import { Turns } from "./Turns.ts"

const make = Effect.gen(function* () {
  const late = yield* FiberMap.make<TransferId, void>()
  const pool = new BlockPool()
  const connection = yield* Connection
  const runs = new TransferRuns({
    connection,
    store: yield* FileStore,
    history: yield* TransferStore,
    pool,
    reads: new GroupReads(pool),
    book: new TransferBook(yield* Events, (id, run) =>
      Effect.asVoid(FiberMap.run(late, id, run, { onlyIfMissing: true }))
    ),
    turns: new Turns(),
    places: new Turns({ max: limits.transfersMax, isForGood: true }),
    limiter: yield* RateLimiter.make(yield* SpeedCaps),
    reports: makeReports(),
    lanes: (yield* NodeConfig).lanes ?? NodeConfig.defaults.lanes,
    registry: yield* PeerRegistry,
    config: yield* NodeConfig,
    random: yield* SecureRandom.SecureRandom,
    words: yield* makePeerWords(connection),
    actors: yield* FiberMap.make<TransferId, void>(),
    walks: yield* FiberMap.make<GroupId, void>()
  })
  // Sessions may begin while a slow disk is read: what is said in them waits here, and is dealt with only once it is
  // known what there is to go on with, since that is the first thing to be said in return.
  const inbox = yield* connection.inbox(...inboxTags)
  yield* goOn(runs)
  for (const peer of yield* connection.connected) runs.up.add(peer)
  yield* Effect.forkScoped(
    Effect.gen(function* () {
      while (true) yield* hear(runs, yield* Queue.take(inbox))
    })
  )
  const transport = yield* Transport
  yield* transport.accept("kith-data/1", (link) => inbound(runs, link))
  return Transfer.of({
    send: (paths, to, options) => Orders.send(runs, paths, to, options?.priority ?? "normal"),
    again: (id) => Orders.again(runs, id),
    list: Effect.sync(() => runs.tools.book.all.map((record) => record.view).toReversed()),
    find: (query) => Effect.map(Orders.find(runs, query), (record) => record.view),
    entries: (id, part) => Orders.entries(runs, id, part),
    accept: (id, options) => Orders.decide(runs, id, { _tag: "accept", ...options }),
    decline: (id) => Orders.decide(runs, id, { _tag: "decline" }),
    cancel: (id) => Orders.decide(runs, id, { _tag: "cancel" }),
    pause: (id) => Orders.decide(runs, id, { _tag: "pause" }),
    resume: (id) => Orders.decide(runs, id, { _tag: "resume" }),
    prioritise: (id, priority) => Orders.decide(runs, id, { _tag: "prioritise", priority })
  })
})

export const layer: Layer.Layer<
  Transfer,
  never,
  | Connection
  | Transport
  | PeerRegistry
  | Events
  | FileStore
  | TransferStore
  | NodeConfig
  | SpeedCaps
  | SecureRandom.SecureRandom
> = Layer.effect(Transfer, make)

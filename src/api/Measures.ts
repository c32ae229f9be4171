/**
 * Takes the measures of the node when somebody asks, and writes them as Prometheus text. It owns the count of
 * transfers that ended, for as long as its layer lives, and the watch on the event loop, which begins with the first
 * reading: it wakes the processor many times a second.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Stream from "effect/Stream"
import { readdir } from "node:fs/promises"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { limits, programVersion } from "../config.ts"
import { isOver, type Transfer as View, TransferState } from "../schema/Offer.ts"
import { PeerConnectionState } from "../schema/Peer.ts"
import { Discovery } from "../services/Discovery.ts"
import { Events } from "../services/Events.ts"
import * as Metrics from "../services/Metrics.ts"
import { PeerRegistry } from "../services/PeerRegistry.ts"
import { Transfer } from "../services/Transfer.ts"

export class Measures extends Context.Service<
  Measures,
  {
    /** Brings what is only sampled up to date in the registry of metrics. */
    readonly take: Effect.Effect<void>
    /** Everything, in the Prometheus text format. */
    readonly text: Effect.Effect<string>
  }
>()("kith/api/Measures") {
  static readonly layer: Layer.Layer<Measures, never, Discovery | Events | PeerRegistry | Transfer> = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const set = (metric: Metric.Gauge<number>, labels: Metrics.Labels, value: number) =>
  Metric.update(Metric.withAttributes(metric, labels), value)

const isCounter = (metric: Metric.Counter<number> | Metric.Gauge<number>): metric is Metric.Counter<number> =>
  metric.type === "Counter"

const quantiles = { "0.5": 50, "0.99": 99 }

const make = Effect.gen(function* () {
  const registry = yield* PeerRegistry
  const transfer = yield* Transfer
  const discovery = yield* Discovery
  const samples = yield* Metrics.CurrentSamples
  // Requests may be served with another registry than the one in which this node counts.
  const context = Context.make(Metric.MetricRegistry, yield* Metric.MetricRegistry)
  yield* countEndings

  /** What a counter of which only the sum is known was told so far. */
  const told = new Map<string, number>()
  const advance = Effect.fnUntraced(function* (metric: Metric.Counter<number>, labels: Metrics.Labels, total: number) {
    const key = `${metric.id} ${JSON.stringify(labels)}`
    const before = told.get(key) ?? 0
    told.set(key, Math.max(before, total))
    yield* Metric.update(Metric.withAttributes(metric, labels), Math.max(0, total - before))
  })

  const sampled = Effect.gen(function* () {
    for (const { labels, longest, metric, now } of samples.sums()) {
      if (isCounter(metric)) yield* advance(metric, labels, now)
      else yield* set(metric, labels, now)
      if (metric === Metrics.queueDepth) yield* set(Metrics.queueLongest, labels, longest)
    }
  })

  const known = Effect.gen(function* () {
    const peers = yield* registry.list
    const transfers = yield* transfer.list
    for (const state of PeerConnectionState.literals) {
      yield* set(Metrics.peers, { state }, peers.filter((peer) => peer.state === state).length)
    }
    for (const state of TransferState.literals.filter((state) => !isOver(state))) {
      yield* set(Metrics.transfers, { state }, transfers.filter((view) => view.state === state).length)
    }
    yield* advance(Metrics.datagramsDropped, {}, (yield* discovery.report).dropped)
  })

  let loop: ReturnType<typeof monitorEventLoopDelay> | undefined
  const machine = Effect.gen(function* () {
    if (loop === undefined) {
      loop = monitorEventLoopDelay({ resolution: 10 })
      loop.enable()
    }
    // What it measures contains its own interval.
    for (const [quantile, percent] of Object.entries(quantiles)) {
      const late = loop.count === 0 ? 0 : Math.max(0, loop.percentile(percent) / 1e9 - 0.01)
      yield* set(Metrics.eventLoopDelay, { quantile }, late)
    }
    loop.reset()
    const memory = process.memoryUsage()
    yield* set(Metrics.resident, {}, memory.rss)
    yield* set(Metrics.heap, {}, memory.heapUsed)
    yield* set(Metrics.external, {}, memory.external)
    const used = process.cpuUsage()
    yield* advance(Metrics.cpu, { mode: "user" }, used.user / 1e6)
    yield* advance(Metrics.cpu, { mode: "system" }, used.system / 1e6)
    yield* set(Metrics.uptime, {}, process.uptime())
    yield* set(Metrics.version, { version: programVersion }, 1)
    const open = yield* openDescriptors
    if (open !== undefined) yield* set(Metrics.descriptors, {}, open)
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => loop?.disable()))

  const take = sampled.pipe(Effect.andThen(known), Effect.andThen(machine), Effect.provideContext(context))
  return Measures.of({
    take,
    text: Effect.andThen(take, PrometheusMetrics.format()).pipe(Effect.provideContext(context))
  })
})

/** Linux lists them; elsewhere it is not known. */
const openDescriptors = Effect.promise(() =>
  readdir("/proc/self/fd").then(
    // One of them is the listing's own.
    (names) => names.length - 1,
    () => undefined
  )
)

/** Counts each transfer once when it is over. */
const countEndings = Effect.gen(function* () {
  const events = yield* Events
  const transfer = yield* Transfer
  const counted = new Set<string>()
  const note = Effect.fnUntraced(function* (view: View) {
    if (!isOver(view.state) || counted.has(view.id)) return
    counted.add(view.id)
    const [oldest] = counted
    if (counted.size > 2 * limits.transfersShownMax && oldest !== undefined) counted.delete(oldest)
    yield* Metrics.count(Metrics.transfersEnded, { direction: view.direction, outcome: view.state })
  })
  // Those of an earlier run of the node were counted then.
  for (const view of yield* transfer.list) if (isOver(view.state)) counted.add(view.id)
  yield* events.stream.pipe(
    Stream.runForEach((event) => {
      if (event._tag === "TransferChanged") return note(event.transfer)
      if (event._tag !== "Missed") return Effect.void
      return Effect.flatMap(transfer.list, (views) => Effect.forEach(views, note, { discard: true }))
    }),
    Effect.forkScoped({ startImmediately: true })
  )
})

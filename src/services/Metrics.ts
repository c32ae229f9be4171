/**
 * What a node measures of itself: every metric with its meaning, and the samples that are only taken when somebody
 * asks. Counters and gauges are effect's (`Metric`), in the registry of the context; docs/OPERATIONS.md lists them
 * all, and a test compares the two.
 *
 * Whoever holds something worth counting (a link its bytes, a queue its length) says once how to read it (`sample`);
 * that costs nothing until it is read, and ends with its scope.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })
const gauge = (name: string, description: string) => Metric.gauge(name, { description })

/** Counted where it happens. */
export const handshakeFailures = counter(
  "kith_handshake_failures_total",
  "Inbound connections that did not become a link, by reason"
)
export const helloFailures = counter(
  "kith_hello_failures_total",
  "Inbound links that did not become a session, by reason"
)
export const dialFailures = counter("kith_dial_failures_total", "Dials that did not become a link, by reason")
export const apiRefusals = counter("kith_api_refused_total", "Requests to the API that were refused, by reason")
export const transfersEnded = counter("kith_transfers_total", "Transfers that are over, by direction and outcome")
export const newcomersLeftOut = counter(
  "kith_newcomers_left_out_total",
  "Announcements of new nodes that were not followed by a dial, since too many came"
)

/** Of kinds that this node does not know, or does not handle. */
export const framesSkipped = counter("kith_frames_skipped_total", "Frames that were read and are nobody's")
export const framesRefused = counter("kith_frames_refused_total", "Frames that their schema refused")
/** From a peer that errs or lies. */
export const chatFramesIgnored = counter(
  "kith_chat_frames_ignored_total",
  "Chat frames and receipts that were not acted on, by reason"
)
export const alarmsSuppressed = counter(
  "kith_alarms_suppressed_total",
  "Alarms about keys that were not shown again, since there were too many"
)

/** Sampled when somebody asks. */
export const bytes = counter("kith_link_bytes_total", "Bytes of links on the network, TLS included, by direction")
export const datagramsDropped = counter(
  "kith_datagrams_dropped_total",
  "Datagrams on the discovery port that were no announcement, or came too fast"
)
export const links = gauge("kith_links", "Links that are open, by protocol")
export const queueDepth = gauge("kith_queue_depth", "What waits in the queues of one kind, all together")
export const queueLongest = gauge("kith_queue_longest", "What waits in the fullest queue of one kind")
export const peers = gauge("kith_peers", "Peers that are known, by state")
export const transfers = gauge("kith_transfers", "Transfers that are not over, by state")
export const uploads = gauge("kith_uploads", "Uploads of the page that are kept")
export const eventLoopDelay = gauge(
  "kith_event_loop_delay_seconds",
  "How late timers were since the last reading, by quantile"
)
export const resident = gauge("kith_resident_bytes", "Memory of the process")
export const heap = gauge("kith_heap_used_bytes", "Memory of the JavaScript heap in use")
export const external = gauge("kith_external_bytes", "Memory of buffers outside the JavaScript heap")
export const cpu = counter("kith_cpu_seconds_total", "Processor time of the process, by mode")
export const descriptors = gauge("kith_open_descriptors", "File descriptors that are open, where the system tells")
export const uptime = gauge("kith_uptime_seconds", "Since the start of the process")
export const version = gauge("kith_info", "1, with the version of the program as a label")

/** What samples are summed up by. */
export type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly metric: Metric.Gauge<number> | Metric.Counter<number>
  readonly labels: Labels
  readonly read: () => number
}

interface Sum {
  readonly metric: Sample["metric"]
  readonly labels: Labels
  now: number
  longest: number
}

/** Everything that can be sampled now. */
export class Samples {
  readonly #live = new Set<Sample>()
  /** Of counters: what those that have ended came to. */
  readonly #ended = new Map<string, number>()
  readonly #known = new Map<string, Pick<Sum, "metric" | "labels">>()

  add(sample: Sample): () => void {
    this.#live.add(sample)
    this.#known.set(keyOf(sample), sample)
    return () => {
      if (!this.#live.delete(sample) || sample.metric.type !== "Counter") return
      const key = keyOf(sample)
      this.#ended.set(key, (this.#ended.get(key) ?? 0) + sample.read())
    }
  }

  /** The sums by metric and labels; those of which nothing is left now too. */
  sums(): ReadonlyArray<Sum> {
    const sums = new Map<string, Sum>()
    for (const [key, { labels, metric }] of this.#known) {
      sums.set(key, { metric, labels, now: this.#ended.get(key) ?? 0, longest: 0 })
    }
    for (const sample of this.#live) {
      const sum = sums.get(keyOf(sample))
      if (sum === undefined) continue
      const value = sample.read()
      sum.now += value
      sum.longest = Math.max(sum.longest, value)
    }
    return [...sums.values()]
  }
}

const keyOf = ({ labels, metric }: Pick<Sum, "metric" | "labels">): string => `${metric.id} ${JSON.stringify(labels)}`

/** One for the process unless a node brings its own (`layer`), as with effect's registry of metrics. */
export const CurrentSamples = Context.Reference<Samples>("kith/services/Metrics/CurrentSamples", {
  defaultValue: () => new Samples()
})

/** Says how to read these values for as long as the scope lives. `read` must be quick, and safe after the end. */
export const sample = (...some: ReadonlyArray<Sample>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.map(CurrentSamples, (samples) => some.map((one) => samples.add(one))),
      (ends) => Effect.sync(() => ends.forEach((end) => end()))
    )
  )

/** How many wait in one queue of this kind. */
export const sampleQueue = (queue: string, read: () => number) =>
  sample({ metric: queueDepth, labels: { queue }, read })

/** Counts one, under these labels. */
export const count = (metric: Metric.Counter<number>, labels: Labels) =>
  Metric.update(Metric.withAttributes(metric, labels), 1)

/** The reason as a label: of those that are expected, or "other", since peers could make up as many as they like. */
export const reasonOf = (expected: ReadonlyArray<string>, reason: string): string =>
  expected.includes(reason) ? reason : "other"

const goodbyes =
  "shutdown duplicate replaced self idMismatch version protocol removed blocked silent full closed".split(" ")

/** Why a link did not become a session, as a label: peers may say any word. */
export const goodbyeReason = (reason: string): string => reasonOf(goodbyes, reason)

/** Why an inbound connection did not become a link, as a label. */
export const handshakeReason = (reason: string): "closed" | "timeout" | "crowded" | "notKith" | "tls" => {
  if (reason === "it hung up" || reason === "ECONNRESET") return "closed"
  if (/^no (handshake|turn) within/.test(reason)) return "timeout"
  if (/too many|links/.test(reason)) return "crowded"
  return /certificate|ALPN|old session/.test(reason) ? "notKith" : "tls"
}

/** Measures of this node alone, though others may live in the same process. */
export const layer: Layer.Layer<never> = Layer.effectContext(
  Effect.sync(() =>
    Context.make(CurrentSamples, new Samples()).pipe(
      Context.add(Metric.MetricRegistry, new Map()),
      Context.add(Metric.FiberRuntimeMetrics, Metric.FiberRuntimeMetricsImpl)
    )
  )
)

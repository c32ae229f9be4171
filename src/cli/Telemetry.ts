/**
 * Traces, logs and metrics to a collector (OTLP over HTTP, as JSON), where the standard variables ask for it. Loaded
 * only then. It owns the exporters; at their end they get a moment to hand over what they hold, and no more, so that a
 * collector that is down holds up nothing.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { Measures } from "../api/Measures.ts"
import { programVersion } from "../config.ts"
import { Failed } from "./Ending.ts"

type Env = Readonly<Record<string, string | undefined>>

/** Milliseconds for the last export. */
const lastWords = 500

/** Sampled measures are taken this often, which is at least as often as they are exported. */
const measureEvery = "10 seconds"

/** The standard variables with what follows from our own rule: an endpoint is enough, and the end is quick. */
const variables = (env: Env): Record<string, string> => {
  const given = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, value]]
  )
  return {
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_LOGS_EXPORTER: "otlp",
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_SERVICE_NAME: "kith",
    ...Object.fromEntries(given),
    OTEL_EXPORTER_OTLP_TIMEOUT: String(lastWords)
  }
}

const standing = (env: Env) =>
  Layer.mergeAll(
    FetchHttpClient.layer,
    OtlpSerialization.layerJson,
    ConfigProvider.layer(ConfigProvider.fromEnv({ env: variables(env) }))
  )

const resource = { serviceVersion: programVersion }

/** A variable that is not what it should be: the exporters die of it, and a person is told in a line. */
const explained = <A, R>(layer: Layer.Layer<A, never, R>): Layer.Layer<A, Failed, R> =>
  Layer.catchCause(layer, (cause) => {
    const problem = cause.reasons.map((reason) => ("defect" in reason ? String(reason.defect) : "")).join("; ")
    return Layer.effectContext(
      Effect.fail(new Failed({ problem: `the OTEL_ variables cannot be used: ${problem.replaceAll(/\s+/g, " ")}` }))
    )
  })

/** Traces and logs of everything that runs with it. The node's own log stays. */
export const layer = (env: Env) =>
  explained(
    Layer.merge(
      OtlpTracer.layerFromConfig({ resource }),
      OtlpLogger.layerFromConfig({ resource, mergeWithExisting: true })
    ).pipe(Layer.provide(standing(env)))
  )

/** Exports the metrics of the node whose services these are, for as long as the scope lives. */
export const metrics = (env: Env) =>
  Effect.gen(function* () {
    const measures = yield* Measures
    yield* Layer.build(explained(OtlpMetrics.layerFromConfig({ resource }).pipe(Layer.provide(standing(env)))))
    yield* measures.take.pipe(Effect.andThen(Effect.sleep(measureEvery)), Effect.forever, Effect.forkScoped)
  })

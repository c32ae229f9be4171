/** The API served over a fake node, in a data directory of its own; and raw requests to it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { request as open, type IncomingHttpHeaders } from "node:http"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Loopback } from "../../src/api/Loopback.ts"
import * as LoopbackServer from "../../src/api/LoopbackServer.ts"
import type { NodeSettings } from "../../src/config.ts"
import { Api } from "../../src/schema/Api.ts"
import * as FakeNode from "./FakeNode.ts"

/** A directory that is gone when the scope ends. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-api-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

export const layer = (settings: Partial<NodeSettings> = {}) =>
  Layer.unwrap(
    Effect.map(temporaryDirectory, (dataDir) =>
      LoopbackServer.layer.pipe(Layer.provideMerge(FakeNode.layer({ dataDir, ...settings })))
    )
  ).pipe(Layer.provideMerge(NodeHttpClient.layerNodeHttp))

/** The typed client, with the right token. */
export const client = Effect.gen(function* () {
  const { token, url } = yield* Loopback
  return yield* HttpApiClient.make(Api, {
    baseUrl: url,
    transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(Redacted.value(token)))
  })
})

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request as any program could make it: the right Host and token, except as given. */
export const raw = Effect.fnUntraced(function* (
  method: string,
  path: string,
  options: { readonly headers?: Record<string, string | null>; readonly body?: string } = {}
) {
  const { port, token } = yield* Loopback
  const given: Record<string, string | null> = {
    host: `127.0.0.1:${port}`,
    authorization: `Bearer ${Redacted.value(token)}`,
    ...(options.body !== undefined && { "content-type": "application/json" }),
    ...options.headers
  }
  const headers = Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]))
  )
  return yield* Effect.callback<Answer, Error>((resume) => {
    const outgoing = open({ host: "127.0.0.1", port, method, path, headers, agent: false }, (incoming) => {
      let body = ""
      incoming.setEncoding("utf8")
      incoming.on("data", (chunk: string) => (body += chunk))
      incoming.on("end", () =>
        resume(Effect.succeed({ status: incoming.statusCode ?? 0, headers: incoming.headers, body }))
      )
      incoming.on("error", (error) => resume(Effect.fail(error)))
    })
    outgoing.on("error", (error) => resume(Effect.fail(error)))
    outgoing.end(options.body)
    return Effect.sync(() => outgoing.destroy())
  })
})

/** A problem's own error, from an answer. */
export const problemOf = (
  answer: Answer
): { readonly type: string; readonly detail: string; readonly status: number } => JSON.parse(answer.body)

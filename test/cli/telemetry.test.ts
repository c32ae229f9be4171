/** Traces, logs and metrics reach a collector where the standard variables name one; one that is down holds up nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { temporaryDirectory } from "../api/Served.ts"
import { ended, listening, quiet } from "./Nodes.ts"
import { run, start } from "./Run.ts"

const up = Effect.fnUntraced(function* (dir: string, env: Record<string, string>) {
  const node = yield* start(["up", "--data-dir", dir, "--received", join(dir, "in"), "--name", "alice", ...quiet], {
    env
  })
  yield* node.until((printed) => printed.includes("API "))
  return node
})

describe("telemetry", () => {
  it.live("goes to the collector", () =>
    Effect.gen(function* () {
      const got = new Map<string, string>()
      const server = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
        request.on("end", () => {
          got.set(request.url ?? "", (got.get(request.url ?? "") ?? "") + body)
          response.writeHead(200, { "content-type": "application/json" }).end("{}")
        })
      })
      const port = yield* listening(server)
      const dir = yield* temporaryDirectory
      const node = yield* up(dir, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/base` })
      const { token } = JSON.parse(readFileSync(join(dir, "control.json"), "utf8"))
      yield* run(["--data-dir", dir, "add", "127.0.0.1:1"])
      node.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(node)).code, 0)
      server.closeAllConnections()
      assert.deepStrictEqual([...got.keys()].toSorted(), ["/base/v1/logs", "/base/v1/metrics", "/base/v1/traces"])
      assert.include(got.get("/base/v1/traces"), "Connection.dialByHand")
      assert.include(got.get("/base/v1/traces"), '"stringValue":"kith"')
      assert.include(got.get("/base/v1/logs"), "Made a new identity")
      assert.include(got.get("/base/v1/metrics"), "kith_peers")
      for (const body of got.values()) assert.notInclude(body, token)
      // The node's own log goes on.
      assert.include(node.err, "Made a new identity")
    })
  )

  it.live("delays nothing where the collector is down, and names a variable that is wrong", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const node = yield* up(dir, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" })
      const before = performance.now()
      node.child.kill("SIGTERM")
      assert.strictEqual((yield* ended(node)).code, 0)
      assert.isBelow(performance.now() - before, 2000)
      const refused = yield* run(["up", "--data-dir", dir, ...quiet], {
        env: { OTEL_EXPORTER_OTLP_ENDPOINT: "ftp://x" }
      })
      assert.deepStrictEqual(refused, {
        code: 2,
        out: "",
        err: `kith: OTEL_EXPORTER_OTLP_ENDPOINT is "ftp://x"; allowed is an http or https URL, such as http://127.0.0.1:4318\n`
      })
    })
  )
})

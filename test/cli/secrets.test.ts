/**
 * Two nodes that log everything they can, as JSON and to a collector, while all that a node does is done: nothing that
 * was said, sent, compared or kept secret is in it, and what was done can be followed on both ends by its ids.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { temporaryDirectory } from "../api/Served.ts"
import { ended, listening, quiet } from "./Nodes.ts"
import { run, start } from "./Run.ts"

/** A node that logs all it can, as JSON, and to the collector too. */
const up = Effect.fnUntraced(function* (dataDir: string, endpoint: string, name: string) {
  const received = join(dataDir, "received_files")
  const args = ["--data-dir", dataDir, "--received", received, "--name", name, "--accept", "everyone"]
  const node = yield* start(["up", ...args, ...quiet, "--log-format", "json", "--log-level", "trace"], {
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }
  })
  yield* node.until((printed) => printed.includes("The node is up."))
  return { node, dataDir, kith: (...verb: ReadonlyArray<string>) => run(["--data-dir", dataDir, ...verb]) }
})
type Node = Effect.Success<ReturnType<typeof up>>

interface Control {
  readonly url: string
  readonly token: string
}

const controlOf = (node: Node): Control => JSON.parse(readFileSync(join(node.dataDir, "control.json"), "utf8"))

const ask = (node: Node, method: string, path: string, body?: unknown) =>
  Effect.promise(async () => {
    const { token, url } = controlOf(node)
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": body instanceof Uint8Array ? "application/octet-stream" : "application/json"
      },
      ...(body !== undefined && { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) })
    })
    const text = await answer.text()
    assert.isBelow(answer.status, 500, `${method} ${path}: ${text}`)
    return text === "" ? undefined : JSON.parse(text)
  })

/** Asks again until it is so. */
const until = <A>(question: Effect.Effect<A>, isSo: (answer: A) => boolean): Effect.Effect<A> =>
  Effect.filterOrElse(question, isSo, () => until(question, isSo))

const collector = Effect.gen(function* () {
  let got = ""
  const server = createServer((request, response) => {
    request.setEncoding("utf8").on("data", (chunk: string) => (got += chunk))
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end("{}"))
  })
  const port = yield* listening(server)
  return { endpoint: `http://127.0.0.1:${port}`, got: () => got, close: () => server.closeAllConnections() }
})

const over = (view: { readonly state: string }) => ["done", "failed", "partial"].includes(view.state)

describe("what a node logs", () => {
  it.live("holds no secret and no content, and the same ids on both ends", () =>
    Effect.gen(function* () {
      const traces = yield* collector
      const alice = yield* up(yield* temporaryDirectory, traces.endpoint, "alice")
      const bob = yield* up(yield* temporaryDirectory, traces.endpoint, "bob")
      const secrets = new Map<string, string>()
      const secret = (what: string, text: string) => {
        secrets.set(what, text)
        return text
      }
      const told: Array<string> = []
      const kith = Effect.fnUntraced(function* (node: Node, ...verb: ReadonlyArray<string>) {
        const { code, err, out } = yield* node.kith(...verb, "--log-level", "trace")
        assert.strictEqual(code, 0, `${verb.join(" ")}: ${err}${out}`)
        told.push(err)
        return out
      })
      for (const [name, node] of [
        ["alice", alice],
        ["bob", bob]
      ] as const) {
        secret(`token of ${name}`, controlOf(node).token)
        const key = readFileSync(join(node.dataDir, "identity.pem"), "utf8")
        secret(`key of ${name}`, /PRIVATE KEY-----\n([^\n]{20,})/.exec(key)?.[1] ?? "none")
      }

      // A ticket that is used, one that is mistyped, and words that are compared.
      const { ticket } = yield* ask(alice, "POST", "/api/tickets", {})
      secret("ticket", ticket)
      secret("part of the ticket", ticket.slice(-24))
      yield* ask(bob, "POST", "/api/tickets/join", { ticket: `${ticket}x` })
      yield* kith(bob, "join", ticket)
      const [peer] = yield* ask(alice, "GET", "/api/peers")
      const [self] = yield* ask(bob, "GET", "/api/peers")
      const verification = yield* ask(alice, "POST", `/api/peers/${peer.id}/verify`)
      secret("words", verification.words.join(" "))
      secret("words in JSON", verification.words.join('","'))
      for (const node of [alice, bob]) {
        const [{ id }] = yield* until(ask(node, "GET", "/api/verifications"), (all) => all.length > 0)
        yield* ask(node, "POST", `/api/verifications/${id}/answer`, { same: true })
      }

      // Messages both ways, read and looked for; one that is refused; a page's code; a request with another token.
      yield* kith(alice, "say", secret("message", "the-treasure-is-buried"), "--to", "bob")
      yield* ask(bob, "POST", "/api/messages", { text: secret("answer", "below-the-oak"), to: null })
      yield* ask(alice, "POST", "/api/messages", { text: secret("refused", "for-nobody-at-all"), to: "zzz" })
      assert.include(yield* kith(alice, "history"), "the-treasure-is-buried")
      yield* ask(alice, "GET", "/api/messages/search?text=the-treasure-is-buried")
      const { url } = yield* ask(alice, "POST", "/api/code")
      const code = secret("code", /code=(.+)$/.exec(url)?.[1] ?? "none")
      yield* ask(alice, "POST", "/open", { code })
      yield* Effect.promise(() =>
        fetch(`${controlOf(alice).url}/api/node`, {
          headers: { authorization: `Bearer ${secret("wrong token", "w".repeat(43))}` }
        })
      )

      // Files, by path and handed over as the page does.
      const source = join(alice.dataDir, "source")
      mkdirSync(source)
      writeFileSync(join(source, "map.txt"), secret("file", "north-by-northwest-nine-paces"))
      const [sent] = yield* ask(alice, "POST", "/api/transfers", { paths: [source], to: ["bob"] })
      const upload = yield* ask(alice, "POST", "/api/uploads", {})
      const body = new TextEncoder().encode(secret("upload", "and-then-dig-very-deep"))
      yield* ask(alice, "PUT", `/api/uploads/${upload.id}/file?path=dig.txt&size=${body.length}`, body)
      yield* ask(alice, "POST", `/api/uploads/${upload.id}/send`, { to: ["bob"] })
      for (const node of [alice, bob]) {
        const views = yield* until(ask(node, "GET", "/api/transfers"), (all) => all.filter(over).length === 2)
        for (const view of views) assert.strictEqual(view.state, "done", JSON.stringify(view))
      }
      yield* alice.kith("doctor", "--log-level", "trace")

      for (const node of [alice, bob]) {
        node.node.child.kill("SIGTERM")
        assert.strictEqual((yield* ended(node.node)).code, 0)
      }
      traces.close()
      const said = {
        "alice's log": alice.node.out + alice.node.err,
        "bob's log": bob.node.out + bob.node.err,
        traces: traces.got(),
        "what the verbs say beside their answer": told.join("")
      }
      assert.isAbove(secrets.size, 12)
      for (const [where, text] of Object.entries(said)) {
        for (const [what, one] of secrets) {
          assert.isAbove(one.length, 2)
          assert.isFalse(text.includes(one), `${what} (${one}) is in ${where}`)
        }
      }
      assert.isAbove(said.traces.length, 10_000)

      // The transfer by its id on both ends, each with the id of the other.
      for (const [node, id] of [
        [alice, peer.id],
        [bob, self.id]
      ] as const) {
        const lines = node.node.out
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line))
        const ended = lines.filter((line) => line.transfer === sent.id && line.message === "A transfer is over: done")
        assert.lengthOf(ended, 1)
        assert.strictEqual(ended[0].peer, id)
      }
    })
  )
})

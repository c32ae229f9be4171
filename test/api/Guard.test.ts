/** Who may ask, and how refusals look: by raw requests, since a client of ours would not make them. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { refusal } from "../../src/api/Guard.ts"
import { Loopback } from "../../src/api/Loopback.ts"
import { prove } from "../../src/api/Proof.ts"
import { problemOf, raw } from "./Served.ts"
import * as Served from "./Served.ts"

describe("refusal", () => {
  const server = { port: 9091, token: "t".repeat(43) }
  const good = { host: "127.0.0.1:9091", authorization: `Bearer ${server.token}` }
  const status = (headers: Record<string, string | undefined>, url = "/api/peers", method = "GET") =>
    refusal(server, { method, url, headers: { ...good, ...headers } })?.status

  it("lets its own in", () => {
    assert.isUndefined(status({}))
    assert.isUndefined(status({ host: "localhost:9091" }))
    assert.isUndefined(status({ origin: "http://127.0.0.1:9091" }))
    assert.isUndefined(status({ origin: "http://localhost:9091" }))
    assert.isUndefined(status({ authorization: `bearer ${server.token}` }))
  })

  it("refuses every other Host", () => {
    for (const host of [
      "evil.example",
      "evil.example:9091",
      "127.0.0.1",
      "127.0.0.1:9092",
      "127.0.0.1:9091.evil.example",
      "localhost:9091@evil.example",
      "LOCALHOST:9091x",
      "[::1]:9091",
      "",
      undefined
    ]) {
      assert.strictEqual(status({ host }), 421, host ?? "none")
    }
  })

  it("refuses every other Origin", () => {
    for (const origin of ["null", "", "http://evil.example", "https://127.0.0.1:9091", "http://127.0.0.1:9092"]) {
      assert.strictEqual(status({ origin }), 403, origin)
    }
    // One that begins like ours, or ends so.
    for (const origin of ["http://127.0.0.1:90910", "http://localhost:9091.evil.example", "http://x@localhost:9091"]) {
      assert.strictEqual(status({ origin }), 403, origin)
    }
  })

  it("refuses every other token, and tokens elsewhere", () => {
    const { token } = server
    for (const authorization of [
      undefined,
      "",
      "Bearer",
      "Bearer ",
      token,
      `Basic ${token}`,
      `Bearer ${token}x`,
      `Bearer ${token.slice(1)}`,
      `Bearer ${token} ${token}`,
      `Bearer ${"u".repeat(43)}`
    ]) {
      assert.strictEqual(status({ authorization }), 401, authorization ?? "none")
    }
    assert.strictEqual(status({ authorization: undefined }, `/api/peers?token=${token}`), 401)
    assert.strictEqual(status({ authorization: undefined, cookie: `token=${token}` }), 401)
  })

  it("opens the page and the exchange of its code, to its own name and origin alone", () => {
    const authorization = undefined
    const open = [
      ["GET", "/"],
      ["HEAD", "/"],
      ["GET", "/assets/index-abc.js"],
      ["GET", "/page/icon.svg"],
      ["POST", "/open"]
    ]
    for (const [method, url] of open) {
      assert.isUndefined(status({ authorization }, url, method), url)
      assert.strictEqual(status({ authorization, host: "evil.example" }, url, method), 421, url)
      assert.strictEqual(status({ authorization, origin: "http://evil.example" }, url, method), 403, url)
    }
    const closed = [
      ["POST", "/"],
      ["GET", "/open"],
      ["GET", "/assets"],
      ["GET", "/assets/%2e%2e/api"],
      ["GET", "/metrics"],
      ["GET", "/openapi.json"],
      ["POST", "/api/code"],
      ["GET", "/page/../api/node"]
    ]
    for (const [method, url] of closed) assert.strictEqual(status({ authorization }, url, method), 401, url)
  })

  it("opens nothing but /healthz itself", () => {
    const stranger = { host: "x", authorization: undefined }
    assert.isUndefined(status(stranger, "/healthz"))
    assert.isUndefined(status(stranger, "/healthz?nonce=1"))
    for (const url of ["/healthz/", "/healthz/../api/peers", "//healthz", "/healthz%3f/api", "/api/peers#/healthz"]) {
      assert.strictEqual(status(stranger, url), 421, url)
    }
  })
})

layer(Served.layer(), { excludeTestServices: true })("the guarded server", (it) => {
  const expect = Effect.fnUntraced(function* (status: number, tag: string, request: ReturnType<typeof raw>) {
    const answer = yield* request
    assert.strictEqual(answer.status, status, answer.body)
    const problem = problemOf(answer)
    assert.strictEqual(problem.type, `urn:kith:problem:${tag}`)
    assert.strictEqual(problem.status, status)
    assert.isNotEmpty(problem.detail)
    assert.strictEqual(answer.headers["content-type"], "application/problem+json")
    assert.strictEqual(answer.headers["cache-control"], "no-store")
    assert.isUndefined(answer.headers["access-control-allow-origin"])
    return problem
  })

  const routes = [
    ["GET", "/api/node"],
    ["GET", "/api/events"],
    ["GET", "/api/peers"],
    ["POST", "/api/messages"],
    ["GET", "/openapi.json"],
    ["GET", "/metrics"],
    ["OPTIONS", "/api/peers"],
    ["DELETE", "/nowhere"]
  ] as const

  it.effect("refuses foreign Host, Origin and token on every route, known or not", () =>
    Effect.gen(function* () {
      for (const [method, path] of routes) {
        yield* expect(421, "WrongHost", raw(method, path, { headers: { host: "evil.example" } }))
        yield* expect(403, "ForeignOrigin", raw(method, path, { headers: { origin: "null" } }))
        const unauthorized = yield* expect(401, "Unauthorized", raw(method, path, { headers: { authorization: null } }))
        assert.include(unauthorized.detail, "token")
        yield* expect(401, "Unauthorized", raw(method, path, { headers: { authorization: "Bearer wrong" } }))
      }
    })
  )

  it.effect("takes no request a form of another site could send", () =>
    expect(
      403,
      "ForeignOrigin",
      raw("POST", "/api/messages", {
        headers: { "content-type": "text/plain", origin: "https://evil.example" },
        body: `{"text":"hi","to":null}`
      })
    )
  )

  it.effect("says what is not there", () =>
    Effect.gen(function* () {
      const problem = yield* expect(404, "NoSuchRoute", raw("GET", "/api/nothing?secret=1"))
      assert.include(problem.detail, "GET /api/nothing")
      assert.notInclude(problem.detail, "secret")
      yield* expect(404, "NoSuchRoute", raw("PATCH", "/api/peers"))
      yield* expect(404, "NoSuchRoute", raw("GET", "/api/../../etc/passwd"))
      yield* expect(404, "NoSuchRoute", raw("GET", "/%2e%2e/%5c"))
    })
  )

  it.effect("names the part of a request that is not valid", () =>
    Effect.gen(function* () {
      const say = (body: string) => expect(400, "InvalidRequest", raw("POST", "/api/messages", { body }))
      assert.include((yield* say("{")).detail, "JSON")
      assert.include((yield* say("")).detail, "payload")
      assert.include((yield* say(`{"text":1,"to":null}`)).detail, "text")
      assert.include((yield* say(`{"text":"hi"}`)).detail, "to")
      assert.include((yield* say(`{"text":"hi","to":null,"wait":-1}`)).detail, "wait")
      assert.include((yield* expect(400, "InvalidRequest", raw("GET", "/api/messages?limit=many"))).detail, "limit")
      assert.include((yield* expect(400, "InvalidRequest", raw("DELETE", "/api/peers/nobody"))).detail, "params")
      const long = yield* say(`{"text":"hi","to":"${"x".repeat(10_000)}"}`)
      assert.isBelow(long.detail.length, 700)
    })
  )

  it.effect("says that the database fails, and what to do", () =>
    Effect.gen(function* () {
      const problem = yield* expect(503, "StorageFailed", raw("GET", "/api/messages/search?text=damaged"))
      assert.strictEqual(problem.detail, "/home/me/kith.db: the database is damaged. Restore a copy of it")
      const api = yield* Served.client
      const error = yield* Effect.flip(api.messages.search({ query: { text: "damaged" } }))
      assert.strictEqual(error._tag, "StorageFailed")
      assert.strictEqual(error.message, problem.detail)
      assert.isNotEmpty((yield* api.messages.unread()).items)
    })
  )

  it.effect("takes no body beyond its limit, and goes on", () =>
    Effect.gen(function* () {
      const text = "x".repeat(1024 * 1024)
      yield* expect(413, "BodyTooLarge", raw("POST", "/api/messages", { body: JSON.stringify({ text, to: null }) }))
      assert.strictEqual((yield* raw("GET", "/api/node")).status, 200)
    })
  )

  it.effect("proves at /healthz that it knows the token, for this URL only", () =>
    Effect.gen(function* () {
      const { token, url } = yield* Loopback
      const secret = Redacted.value(token)
      const nonce = "0123456789abcdef0123456789abcdef"
      const open = { headers: { authorization: null } }
      const plain = yield* raw("GET", "/healthz", open)
      assert.deepStrictEqual(JSON.parse(plain.body), { status: "ok" })
      const proven = yield* raw("GET", `/healthz?nonce=${nonce}`, open)
      assert.strictEqual(proven.status, 200)
      assert.deepStrictEqual(JSON.parse(proven.body), { status: "ok", proof: prove(secret, nonce, url) })
      assert.notInclude(proven.body, secret)
      assert.notStrictEqual(JSON.parse(proven.body).proof, prove(secret, nonce, "http://127.0.0.1:1"))
      // A chosen nonce must not be able to stand for another nonce and URL.
      for (const bad of ["", "short", "x".repeat(129), "http://127.0.0.1:1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]) {
        yield* expect(400, "InvalidRequest", raw("GET", `/healthz?nonce=${encodeURIComponent(bad)}`, open))
      }
    })
  )

  it.effect("describes itself to who may ask", () =>
    Effect.gen(function* () {
      const answer = yield* raw("GET", "/openapi.json")
      assert.strictEqual(answer.status, 200)
      const document = JSON.parse(answer.body)
      assert.includeMembers(Object.keys(document.paths), [
        "/healthz",
        "/api/peers",
        "/api/events",
        "/api/transfers/{id}"
      ])
      assert.deepStrictEqual(document.security, [{ token: [] }])
    })
  )
})

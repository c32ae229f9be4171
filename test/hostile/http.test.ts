/**
 * Cases 75 to 84: requests to the API as a page of another site, another user's program, or a fuzzer would make them,
 * written to the socket byte by byte. Each is answered with 4xx or hung up on, and changes nothing.
 *
 * 80: there are no WebSockets; an upgrade is refused like any request, and bodies have their limit. 81: headers here;
 * a body has 15 s, too long for a test. Decisions of the guard alone, on every route: test/api/Guard.test.ts.
 */
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { connectRaw, type Raw } from "./Attacker.ts"
import { attack, Target } from "./Target.ts"
import * as Targets from "./Target.ts"

interface Api {
  readonly port: number
  readonly url: string
  readonly token: string
}
class Served extends Context.Service<Served, Api>()("test/hostile/Served") {}

const served = Layer.effect(
  Served,
  Effect.flatMap(Target, ({ api }) => api)
).pipe(Layer.provideMerge(Targets.layer()))

/** Lines of a request as they are; the answer's status (0: none came) and all of its text. */
const ask = async (
  port: number,
  request: string | Buffer
): Promise<{ readonly status: number; readonly text: string }> => {
  const raw = await connectRaw(port)
  raw.socket.write(request)
  await raw.closed
  const text = raw.received.toString("latin1")
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text }
}

interface Parts {
  readonly method?: string
  readonly path?: string
  readonly host?: string | null
  readonly token?: string | null
  readonly headers?: ReadonlyArray<string>
  readonly body?: string
}

const written = (
  api: Api,
  { body = "", headers = [], host, method = "GET", path = "/api/peers", token }: Parts
): string =>
  [
    `${method} ${path} HTTP/1.1`,
    ...(host === null ? [] : [`Host: ${host ?? `127.0.0.1:${api.port}`}`]),
    ...(token === null ? [] : [`Authorization: Bearer ${token ?? api.token}`]),
    ...(body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    ...headers,
    "Connection: close",
    "",
    body
  ].join("\r\n")

const say = JSON.stringify({ text: "from a stranger", to: null })
const post = { method: "POST", path: "/api/messages", body: say }
const json = "Content-Type: application/json"
const upgrade = [
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Origin: http://evil.example"
]

/** [number, what, the request, the statuses that are right (0: hung up on)]. */
const cases: ReadonlyArray<readonly [number, string, (api: Api) => Parts, ReadonlyArray<number>]> = [
  [75, "a foreign Host", () => ({ host: "evil.example" }), [421]],
  [75, "a foreign Host with our port", ({ port }) => ({ host: `evil.example:${port}` }), [421]],
  [75, "a Host that begins like ours", ({ port }) => ({ host: `127.0.0.1:${port}.evil.example` }), [421]],
  [75, "no Host", () => ({ host: null }), [400]],
  [75, "two Hosts", ({ port }) => ({ host: "evil.example", headers: [`Host: 127.0.0.1:${port}`] }), [400, 421]],
  [75, "another place in the request line", () => ({ path: "http://evil.example/api/peers" }), [400, 404, 421]],
  [76, "a foreign Origin", () => ({ ...post, headers: [json, "Origin: https://evil.example"] }), [403]],
  [76, "the Origin null", () => ({ ...post, headers: [json, "Origin: null"] }), [403]],
  [76, "our Origin by https", ({ port }) => ({ headers: [`Origin: https://127.0.0.1:${port}`] }), [403]],
  [76, "another port's Origin", () => ({ headers: ["Origin: http://127.0.0.1:1"] }), [403]],
  [76, "a preflight", () => ({ method: "OPTIONS", token: null, headers: ["Origin: http://evil.example"] }), [403]],
  [77, "no token", () => ({ ...post, token: null, headers: [json] }), [401]],
  [77, "a wrong token", () => ({ ...post, token: "x".repeat(43), headers: [json] }), [401]],
  [77, "a token that begins right", ({ token }) => ({ token: token.slice(0, -1) }), [401]],
  [77, "a token of 15 kB", () => ({ token: "x".repeat(15_000) }), [401, 431]],
  [77, "a token in a cookie", ({ token }) => ({ token: null, headers: [`Cookie: token=${token}`] }), [401]],
  [77, "two tokens", ({ token }) => ({ token: "x", headers: [`Authorization: Bearer ${token}`] }), [400, 401]],
  [
    78,
    "a form, as any page may send it",
    () => ({ ...post, token: null, headers: ["Content-Type: text/plain", "Origin: http://evil.example"] }),
    [403]
  ],
  [78, "a form with our token", () => ({ ...post, headers: ["Content-Type: text/plain"] }), [400, 415]],
  [
    79,
    "a WebSocket of a foreign Origin",
    () => ({ path: "/api/events", token: null, headers: upgrade }),
    [400, 403, 0]
  ],
  [80, "a WebSocket with our token", () => ({ headers: upgrade.slice(0, 3) }), [200, 400, 404, 426, 0]],
  [80, "a body beyond the limit", () => ({ ...post, headers: [json], body: "x".repeat(2 ** 20 + 1) }), [413]],
  [82, "dots in the path", () => ({ path: "/../../../../etc/passwd" }), [400, 404]],
  [82, "encoded dots", () => ({ path: "/%2e%2e/%2e%2e/etc/passwd" }), [404]],
  [82, "encoded backslashes", () => ({ path: "/assets/..%5c..%5cidentity.pem" }), [404]],
  [82, "dots encoded twice", () => ({ path: "/%252e%252e/identity.pem" }), [404]],
  [82, "a NUL", () => ({ path: "/%00" }), [400, 404]],
  [82, "a malformed escape", () => ({ path: "/api/peers/%zz" }), [400, 404]],
  [83, "the token in the URL", ({ token }) => ({ token: null, path: `/api/peers?token=${token}` }), [401]],
  [83, "the token as a user", ({ token }) => ({ token: null, path: `/api/peers?access_token=${token}` }), [401]],
  [84, "a header of 64 kB", () => ({ headers: [`X-Long: ${"x".repeat(65_536)}`] }), [431]],
  [84, "two thousand headers", () => ({ headers: Array.from({ length: 2000 }, (_, n) => `X-${n}: x`) }), [200, 431]],
  [84, "a header named __proto__", () => ({ token: null, headers: ["__proto__: x"] }), [401]],
  [84, "a length and chunks", () => ({ ...post, headers: [json, "Transfer-Encoding: chunked"] }), [400]],
  [84, "a length of -1", () => ({ method: "POST", headers: ["Content-Length: -1"] }), [400]],
  [84, "a method nobody knows", () => ({ method: "BREW" }), [400]],
  [84, "CONNECT", () => ({ method: "CONNECT", path: "evil.example:443" }), [0, 400, 404, 405]],
  [84, "TRACE", () => ({ method: "TRACE" }), [404, 405]]
]

layer(served, { excludeTestServices: true })("http:", (it) => {
  for (const [number, what, parts, statuses] of cases) {
    it.effect(`${number} ${what} is answered with ${statuses.join(" or ")}`, () =>
      Effect.gen(function* () {
        const api = yield* Served
        const target = yield* Target
        const before = (yield* target.chat.history({ limit: 1000 })).length
        const { status, text } = yield* attack(() => ask(api.port, written(api, parts(api))))
        assert.include(statuses, status, text.slice(0, 500))
        if (status >= 400) {
          const secrets = [api.token, "PRIVATE KEY", "root:"]
          for (const secret of secrets) assert.notInclude(text, secret)
          assert.notMatch(text, /access-control-allow-origin|\n {4}at /i)
        }
        assert.notInclude(text, " 101 ")
        assert.strictEqual((yield* target.chat.history({ limit: 1000 })).length, before)
      })
    )
  }

  it.effect("77 how much of a token is right takes no longer to say", () =>
    Effect.gen(function* () {
      const api = yield* Served
      const median = async (token: string) => {
        const times: Array<number> = []
        for (let count = 0; count < 40; count++) {
          const began = performance.now()
          await ask(api.port, written(api, { token }))
          times.push(performance.now() - began)
        }
        return times.toSorted((a, b) => a - b)[20] ?? 0
      }
      const [wrong, nearly] = yield* attack(async () => [
        await median("x".repeat(43)),
        await median(`${api.token.slice(0, 42)}~`)
      ])
      // Both are far below what a network adds; a comparison by length and prefix would not show here, a slow one would.
      assert.isBelow(Math.abs((wrong ?? 0) - (nearly ?? 0)), 5)
    })
  )

  it.effect(
    "81 headers that come a byte a second are hung up on after 5 s",
    () =>
      Effect.gen(function* () {
        const api = yield* Served
        const target = yield* Target
        const lives = yield* attack(() =>
          Promise.all(
            ["", "GET /api/peers HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "].map(async (head) => {
              const raw = await connectRaw(api.port)
              raw.socket.write(head)
              const slow = setInterval(() => raw.socket.write("x"), 1000)
              const life = await raw.closed
              clearInterval(slow)
              return life
            })
          )
        )
        for (const life of lives) assert.isBelow(life, 9000)
        yield* target.wellbeing
      }),
    20_000
  )

  it.effect("84 five hundred idle connections leave room; more are hung up on; all is well when they are gone", () =>
    Effect.gen(function* () {
      const api = yield* Served
      const target = yield* Target
      const well = () => ask(api.port, written(api, {}))
      const idle: Array<Raw> = []
      yield* attack(async () => {
        for (let count = 0; count < 500; count++) idle.push(await connectRaw(api.port))
      })
      assert.strictEqual((yield* attack(well)).status, 200)
      yield* attack(async () => {
        for (let count = 0; count < 100; count++) idle.push(await connectRaw(api.port))
      })
      const dropped = idle.slice(-50).map((raw) => raw.closed)
      yield* attack(() => Promise.all(dropped))
      yield* target.wellbeing
      for (const raw of idle) raw.end()
      yield* attack(() => Promise.all(idle.map((raw) => raw.closed)))
      yield* attack(async () => {
        while ((await well().catch(() => ({ status: 0 }))).status !== 200);
      })
    })
  )

  it.effect("refusals write one line a minute, without what was sent", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const api = yield* Served
      const lines = target.lines.filter((line) => line.includes("refused"))
      assert.isAtMost(lines.length, 1)
      assert.notInclude(target.lines.join("\n"), api.token)
      assert.notInclude(target.lines.join("\n"), "evil.example")
    })
  )
})

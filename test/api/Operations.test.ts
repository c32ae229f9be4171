/** What runs a node, over HTTP: profile, measures, check-up, the page and its one-time codes, and lists by page. */
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Loopback } from "../../src/api/Loopback.ts"
import { NodeConfig, programVersion } from "../../src/config.ts"
import { short } from "../../src/schema/PeerId.ts"
import { Chat } from "../../src/services/Chat.ts"
import { Events } from "../../src/services/Events.ts"
import * as Metrics from "../../src/services/Metrics.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { someId } from "../Some.ts"
import { bob } from "./FakeNode.ts"
import * as Served from "./Served.ts"
import { client, problemOf, raw } from "./Served.ts"

const posted = (path: string, body: unknown, headers: Record<string, string | null> = {}) =>
  raw("POST", path, { headers, body: JSON.stringify(body) })

const patch = (body: unknown) => raw("PATCH", "/api/profile", { body: JSON.stringify(body) })

layer(Served.layer(), { excludeTestServices: true })("a running node", (it) => {
  it.effect("changes its profile, and refuses what is none by name", () =>
    Effect.gen(function* () {
      const api = yield* client
      const before = yield* api.profile.get()
      assert.deepStrictEqual(before, { name: "alice", status: "available", statusText: "", accept: "ask" })
      const away = yield* api.profile.change({ payload: { status: "away", statusText: "back at 3" } })
      assert.deepStrictEqual(away, { ...before, status: "away", statusText: "back at 3" })
      const renamed = yield* api.profile.change({ payload: { name: "alice 2", accept: "everyone" } })
      assert.deepStrictEqual(renamed, { ...away, name: "alice 2", accept: "everyone" })
      assert.strictEqual((yield* api.node.info()).name, "alice 2")
      assert.include(yield* NodeConfig, { name: "alice 2", accept: "everyone" })
      assert.strictEqual((yield* api.profile.change({ payload: { status: "busy" } })).statusText, "")
      for (const [body, named] of [
        [{ name: "" }, '["name"]'],
        [{ name: "x".repeat(65) }, '["name"]'],
        [{ status: "asleep" }, '["status"]'],
        [{ accept: "some" }, '["accept"]'],
        [{ statusText: "\ud800" }, '["statusText"]']
      ] as const) {
        const answer = yield* patch(body)
        assert.strictEqual(answer.status, 400, answer.body)
        assert.include(problemOf(answer).detail, named)
      }
      assert.strictEqual((yield* api.profile.get()).name, "alice 2")
      yield* api.profile.change({ payload: before })
    })
  )

  it.effect("lists open alarms, and puts them away", () =>
    Effect.gen(function* () {
      const api = yield* client
      const events = yield* Events
      const noted = yield* events.stream.pipe(
        Stream.filter((event) => event._tag === "AlarmsChanged"),
        Stream.runHead,
        Effect.forkChild({ startImmediately: true })
      )
      yield* events.publish({ _tag: "Alarm", kind: "changedKey", peer: bob, text: "another key" })
      yield* Fiber.join(noted)
      const [alarm, ...others] = yield* api.alarms.list()
      assert(alarm !== undefined)
      assert.deepInclude(alarm, { kind: "changedKey", peer: bob, text: "another key" })
      assert.deepStrictEqual(others, [])
      yield* api.alarms.dismiss({ params: { id: alarm.id } })
      assert.deepStrictEqual(yield* api.alarms.list(), [])
      const gone = yield* Effect.flip(api.alarms.dismiss({ params: { id: alarm.id } }))
      assert.strictEqual(gone._tag, "UnknownAlarm")
      assert.strictEqual((yield* posted("/api/alarms/x/dismiss", {})).status, 400)
    })
  )

  it.effect("measures itself", () =>
    Effect.gen(function* () {
      const registry = yield* PeerRegistry
      const transfer = yield* Transfer
      yield* registry.update(bob, (peer) => ({ ...peer, state: "connected" }))
      const [declined] = yield* transfer.send(["/home/declined"], [bob])
      assert(declined !== undefined)
      // What is shown again has not ended again.
      yield* (yield* Events).publish({ _tag: "TransferChanged", transfer: yield* transfer.find(declined.id) })
      yield* raw("GET", "/api/node", { headers: { authorization: null } })
      const answer = yield* raw("GET", "/metrics")
      assert.strictEqual(answer.status, 200)
      assert.strictEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      for (const line of [
        `kith_info{version="${programVersion}"} 1`,
        `kith_peers{state="connected"} 1`,
        `kith_peers{state="away"} 0`,
        `kith_transfers_total{direction="send",outcome="declined"} 1`,
        `kith_transfers{state="running"} 0`,
        `kith_api_refused_total{reason="Unauthorized"} 1`,
        `kith_datagrams_dropped_total 1`,
        `# TYPE kith_cpu_seconds_total counter`,
        `# TYPE kith_resident_bytes gauge`
      ]) {
        assert.include(answer.body.split("\n"), line)
      }
      assert.match(answer.body, /kith_event_loop_delay_seconds\{quantile="0.99"\} [\d.e-]+\n/)
      // A second reading counts nothing twice.
      assert.include((yield* raw("GET", "/metrics")).body, "kith_datagrams_dropped_total 1\n")
    })
  )

  it.effect("writes its measures as Prometheus reads them", () =>
    Effect.gen(function* () {
      const registry = yield* PeerRegistry
      yield* registry.update(bob, (peer) => ({ ...peer, state: "connected" }))
      yield* Metrics.count(Metrics.helloFailures, { reason: 'odd "words"\\ and\na line' })
      const { body } = yield* raw("GET", "/metrics")
      assert.isTrue(body.endsWith("\n"))
      const types = new Map<string, string>()
      const described = new Set<string>()
      const seen = new Set<string>()
      const label = String.raw`[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"`
      const sample = new RegExp(
        String.raw`^([a-zA-Z_:][\w:]*)(\{${label}(?:,${label})*\})? (-?[\d.]+(?:e[+-]?\d+)?|NaN|[+-]Inf)$`
      )
      let family = ""
      for (const line of body.trimEnd().split("\n")) {
        const help = /^# HELP (\w+) \S/.exec(line)
        const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line)
        if (help?.[1] !== undefined) {
          assert.isFalse(described.has(help[1]), `described twice: ${line}`)
          described.add(help[1])
          continue
        }
        if (type?.[1] !== undefined && type[2] !== undefined) {
          assert.isFalse(types.has(type[1]), `all samples of one name stand together: ${line}`)
          types.set(type[1], type[2])
          family = type[1]
          continue
        }
        const [, name = "", labels = "", value = ""] = sample.exec(line) ?? []
        assert.isNotEmpty(name, `not a sample: ${line}`)
        assert.strictEqual(name.replace(/_(bucket|sum|count)$/, ""), family.replace(/_(sum|count)$/, ""), line)
        assert.isFalse(seen.has(name + labels), `given twice: ${line}`)
        seen.add(name + labels)
        if (types.get(family) !== "counter") continue
        assert.isAtLeast(Number(value), 0, line)
        if (name.startsWith("kith_")) assert.match(name, /_total$/)
      }
      for (const name of types.keys()) {
        if (name.startsWith("kith_")) assert.isTrue(described.has(name), `${name} has no description`)
      }
      assert.isAbove(seen.size, 20)
      assert.include(body, String.raw`kith_hello_failures_total{reason="odd \"words\"\\ and\na line"} 1`)
    })
  )

  it.effect("gives its page the token for a code, once", () =>
    Effect.gen(function* () {
      const api = yield* client
      const { token, url } = yield* Loopback
      const link = (yield* api.code()).url
      const [place, code = ""] = link.split("/#code=")
      assert.strictEqual(place, url)
      assert.match(code, /^[\w-]{43}$/)
      const foreign = yield* posted("/open", { code }, { authorization: null, origin: "http://evil.example" })
      assert.strictEqual(foreign.status, 403)
      const opened = yield* posted("/open", { code }, { authorization: null, origin: url })
      assert.deepStrictEqual(JSON.parse(opened.body), { token: Redacted.value(token) })
      for (const stale of [code, "", "x".repeat(43)]) {
        const refused = yield* posted("/open", { code: stale }, { authorization: null })
        assert.strictEqual(refused.status, 403)
        assert.strictEqual(problemOf(refused).type, "urn:kith:problem:CodeRefused")
        assert.notInclude(refused.body, Redacted.value(token))
      }
      const first = (yield* api.code()).url.split("/#code=")[1]
      for (let i = 0; i < 8; i++) yield* api.code()
      assert.strictEqual((yield* posted("/open", { code: first }, { authorization: null })).status, 403)
    })
  )

  it.effect("serves its page without a token, and with a policy", () =>
    Effect.gen(function* () {
      const page = yield* raw("GET", "/", { headers: { authorization: null } })
      assert.strictEqual(page.status, 200)
      assert.match(page.headers["content-type"] ?? "", /^text\/html/)
      assert.include(page.body, "Kith")
      assert.include(page.headers["content-security-policy"], "default-src 'none'")
      assert.notInclude(page.body, Redacted.value((yield* Loopback).token))
      const missing = yield* raw("GET", "/assets/../../../etc/passwd", { headers: { authorization: null } })
      assert.strictEqual(missing.status, 401)
      const nothing = yield* raw("GET", "/assets/nothing.js")
      assert.strictEqual(nothing.status, 404)
    })
  )

  it.effect("lists by page, though items go and come meanwhile", () =>
    Effect.gen(function* () {
      const api = yield* client
      const registry = yield* PeerRegistry
      const ids = [41, 42, 43, 44, 45].map(someId)
      for (const peer of yield* registry.list) yield* registry.remove(peer.id)
      for (const id of ids) yield* registry.update(id, (peer) => ({ ...peer, wanted: true }))
      const sorted = ids.toSorted()
      const one = yield* api.peers.page({ query: { limit: 2 } })
      assert.deepStrictEqual(
        one.items.map(({ id }) => id),
        sorted.slice(0, 2)
      )
      assert(one.next !== null)
      // The cursor's own peer goes: nobody else is skipped or told twice.
      yield* registry.remove(one.next)
      const two = yield* api.peers.page({ query: { limit: 2, after: one.next } })
      assert.deepStrictEqual(
        two.items.map(({ id }) => id),
        sorted.slice(2, 4)
      )
      const three = yield* api.peers.page({ query: { limit: 2, ...(two.next !== null && { after: two.next }) } })
      assert.deepStrictEqual(three, { items: three.items, next: null })
      assert.deepStrictEqual(
        three.items.map(({ id }) => id),
        sorted.slice(4)
      )
      for (const query of ["limit=0", "limit=1001", "limit=x", "after=x"]) {
        assert.strictEqual((yield* raw("GET", `/api/peers/page?${query}`)).status, 400, query)
      }

      const transfer = yield* Transfer
      yield* transfer.send(["/home/a"], [bob])
      yield* transfer.send(["/home/b"], [bob])
      const all = yield* api.transfers.page({ query: {} })
      const seen: Array<string> = []
      let next: string | null = ""
      while (next !== null) {
        const page: typeof all = yield* api.transfers.page({ query: { limit: 1, ...(next !== "" && { after: next }) } })
        seen.push(...page.items.map(({ id }) => id))
        next = page.next
      }
      assert.deepStrictEqual(
        seen,
        all.items.map(({ id }) => id)
      )

      const chat = yield* Chat
      for (const text of ["one", "two", "three"]) yield* chat.say(text, bob)
      const newest = yield* api.messages.page({ query: { limit: 2 } })
      assert.deepStrictEqual(
        newest.items.map(({ text }) => text),
        ["three", "two"]
      )
      assert(newest.before !== null)
      const rest = yield* api.messages.page({ query: { limit: 2, before: newest.before } })
      assert.deepStrictEqual([rest.items.map(({ text }) => text), rest.before], [["one"], null])
    })
  )

  it.effect("says what may be wrong with it", () =>
    Effect.gen(function* () {
      const findings = yield* (yield* client).doctor()
      assert(findings.length > 5)
      assert.deepStrictEqual(findings.find(({ check }) => check === "node")?.severity, "ok")
      const eth0 = findings.find(({ subject }) => subject.startsWith("eth0"))
      assert.strictEqual(eth0?.text, "announced 3 times, heard 2 announcements of others")
      assert.notInclude(JSON.stringify(findings), short(bob))
    })
  )
})

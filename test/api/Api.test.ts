/** Every endpoint through the typed client, over HTTP: what it answers, and that errors come back as themselves. */
import { assert, describe, it, layer } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { Loopback } from "../../src/api/Loopback.ts"
import * as LoopbackServer from "../../src/api/LoopbackServer.ts"
import { NodeConfig, programVersion } from "../../src/config.ts"
import { rangesMax } from "../../src/schema/ListedEntry.ts"
import { grouped } from "../../src/schema/PeerId.ts"
import { Events } from "../../src/services/Events.ts"
import { someId } from "../Some.ts"
import * as FakeNode from "./FakeNode.ts"
import { bob, carol, me, someTransfer } from "./FakeNode.ts"
import * as Served from "./Served.ts"
import { client, problemOf, raw, temporaryDirectory } from "./Served.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"

const removed = (n: number) => ({ _tag: "PeerRemoved" as const, id: someId(n) })

it("states the version of the package", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
  assert.strictEqual(programVersion, version)
})

layer(Served.layer({ received: "/srv/received" }), { excludeTestServices: true })("the API", (it) => {
  it.effect("says who the node is and what discovery does", () =>
    Effect.gen(function* () {
      const { url } = yield* Loopback
      const api = yield* client
      assert.deepStrictEqual(yield* api.node.info(), {
        id: me,
        name: "alice",
        addresses: ["192.0.2.1:9090", "[fe80::1%eth0]:9090"],
        fingerprint: grouped(me),
        version: programVersion,
        received: "/srv/received",
        apiUrl: url
      })
      const report = yield* api.node.discovery()
      assert.strictEqual(report.interfaces[0]?.sent[0]?.to, "192.0.2.255")
    })
  )

  it.effect("adds, finds, lists and removes peers, and says why not", () =>
    Effect.gen(function* () {
      const api = yield* client
      const added = yield* api.peers.add({ payload: { address: "192.0.2.2:9090" } })
      assert.strictEqual(added.name, "bob")
      assert.deepStrictEqual(added.addresses, ["192.0.2.2:9090"])
      assert.deepStrictEqual(yield* api.peers.list(), [added])
      assert.deepStrictEqual(yield* api.peers.find({ query: { query: "bob" } }), added)

      const malformed = yield* Effect.flip(api.peers.add({ payload: { address: "host:99999" } }))
      assert(malformed._tag === "MalformedAddress")
      assert.include(malformed.message, `"host:99999" is not an address`)
      const refused = yield* Effect.flip(api.peers.add({ payload: { address: "192.0.2.3:1" } }))
      assert(refused._tag === "DialError")
      assert.strictEqual(refused.problem, "refused")
      const goodbye = yield* Effect.flip(api.peers.add({ payload: { address: "192.0.2.4:1" } }))
      assert.strictEqual(goodbye._tag, "SessionError")
      const unknown = yield* Effect.flip(api.peers.find({ query: { query: "../carol" } }))
      assert(unknown._tag === "UnknownPeer")
      assert.deepStrictEqual(unknown.known, ["bob"])
      assert.strictEqual(unknown.message, `no peer is called "../carol". Known: bob`)

      yield* api.peers.remove({ params: { id: bob } })
      assert.deepStrictEqual(yield* api.peers.list(), [])
      assert.include(yield* FakeNode.Asked, `remove ${bob}`)
    })
  )

  it.effect("says who is meant by an ambiguous name", () =>
    Effect.gen(function* () {
      const registry = yield* PeerRegistry
      const api = yield* client
      for (const n of [11, 12]) yield* registry.update(someId(n), (peer) => ({ ...peer, name: "twin", wanted: true }))
      const ambiguous = yield* Effect.flip(api.messages.say({ payload: { text: "hi", to: "twin" } }))
      assert(ambiguous._tag === "AmbiguousPeer")
      assert.deepStrictEqual(
        ambiguous.candidates.map((peer) => peer.id),
        [someId(11), someId(12)]
      )
      for (const n of [11, 12]) yield* registry.remove(someId(n))
    })
  )

  it.effect("says and tells", () =>
    Effect.gen(function* () {
      const api = yield* client
      yield* api.peers.add({ payload: { address: "192.0.2.2:9090" } })
      const text = "grüße 👋\n\u0000 and \u001b[31m"
      const said = yield* api.messages.say({ payload: { text, to: "bob", wait: 1000 } })
      assert.strictEqual(said.text, text)
      assert.strictEqual(said.state, "delivered")
      const everyone = yield* api.messages.say({ payload: { text: "all", to: null } })
      assert.isNull(everyone.to)
      assert.deepStrictEqual(yield* api.messages.history({ query: {} }), [said, everyone])
      assert.deepStrictEqual(yield* api.messages.history({ query: { limit: 1 } }), [everyone])
      assert.deepStrictEqual(yield* api.messages.history({ query: { peer: "bob" } }), [said])
      const long = yield* Effect.flip(api.messages.say({ payload: { text: "\u0001".repeat(65_537), to: null } }))
      assert(long._tag === "MessageRefused")
      assert.include(long.message, "65537 bytes")
      const nobody = yield* Effect.flip(api.messages.history({ query: { peer: "nobody" } }))
      assert.strictEqual(nobody._tag, "UnknownPeer")
    })
  )

  it.effect("finds messages, counts the unread ones, and notes what was read", () =>
    Effect.gen(function* () {
      const api = yield* client
      yield* api.peers.add({ payload: { address: "192.0.2.2:9090" } })
      const said = yield* api.messages.say({ payload: { text: "needle & pin", to: "bob" } })
      const all = yield* api.messages.say({ payload: { text: "a needle", to: null } })
      const found = (query: { readonly text: string; readonly peer?: string; readonly limit?: number }) =>
        Effect.map(api.messages.search({ query }), ({ items }) => items)
      assert.deepStrictEqual(yield* found({ text: "needle" }), [all, said])
      assert.deepStrictEqual(yield* found({ text: "needle", limit: 1 }), [all])
      assert.deepStrictEqual(yield* found({ text: "needle & pin", peer: "bob" }), [said])
      assert.deepStrictEqual(yield* found({ text: "nothing" }), [])
      const everyone = { to: "everyone" } as const
      assert.deepStrictEqual((yield* api.messages.search({ query: { text: "needle", ...everyone } })).items, [all])
      const page = (yield* api.messages.page({ query: everyone })).items
      assert.deepStrictEqual([page[0], page.every((one) => one.to === null)], [all, true])
      assert.strictEqual((yield* raw("GET", "/api/messages/page?to=bob")).status, 400)
      const nobody = yield* Effect.flip(api.messages.search({ query: { text: "x", peer: "nobody" } }))
      assert.strictEqual(nobody._tag, "UnknownPeer")
      for (const bad of ["", "?text=", `?text=${"x".repeat(1025)}`, "?text=x&limit=0", "?text=x&before=-1"]) {
        assert.strictEqual((yield* raw("GET", `/api/messages/search${bad}`)).status, 400, bad)
      }

      const everyones = { peer: null, count: 5 }
      assert.deepStrictEqual((yield* api.messages.unread()).items, [everyones], "carol is not known any more")
      yield* (yield* PeerRegistry).update(carol, (peer) => peer)
      assert.deepStrictEqual(yield* api.messages.unread(), {
        items: [everyones, { peer: carol, count: 4 }]
      })
      const asked = yield* FakeNode.Asked
      yield* api.messages.read({ payload: { peer: carol, upTo: said.id } })
      yield* api.messages.read({ payload: { peer: null } })
      assert.includeMembers(asked, [`read ${carol} up to ${said.id}`, "read null up to undefined"])
      for (const bad of ["{}", '{"peer":"carol"}', '{"peer":null,"upTo":"x"}']) {
        assert.strictEqual((yield* raw("POST", "/api/messages/read", { body: bad })).status, 400, bad)
      }
    })
  )

  it.effect("sends, accepts, declines and cancels", () =>
    Effect.gen(function* () {
      const api = yield* client
      const asked = yield* FakeNode.Asked
      yield* api.peers.add({ payload: { address: "192.0.2.2:9090" } })
      const [sent] = yield* api.transfers.send({ payload: { paths: ["/home/photos"], to: ["bob", bob] } })
      assert(sent !== undefined)
      assert.include(asked, `send /home/photos to ${bob}`)
      assert.deepStrictEqual(yield* api.transfers.list(), [sent])
      assert.deepStrictEqual(yield* api.transfers.get({ params: { id: sent.id } }), sent)
      assert.deepStrictEqual(yield* api.transfers.find({ query: { query: sent.id.slice(0, 8) } }), sent)
      const params = { id: sent.id }
      yield* api.transfers.accept({ params, payload: { conflict: "skip" } })
      assert.include(asked, "conflict skip")
      yield* api.transfers.accept({ params, payload: {} })
      assert.strictEqual((yield* api.transfers.decline({ params })).state, "declined")
      const late = yield* Effect.flip(api.transfers.cancel({ params }))
      assert(late._tag === "NotPossible")
      assert.strictEqual(late.message, `transfer ${sent.id.slice(0, 8)} is declined: there is nothing to cancel`)
      const [again] = yield* api.transfers.again({ params })
      assert.include(again, { peer: sent.peer, name: sent.name, direction: "send" })
      const [other] = yield* api.transfers.send({ payload: { paths: ["/home/other"], to: ["bob"] } })
      const part = yield* api.transfers.accept({
        params: { id: other?.id ?? sent.id },
        payload: {
          ranges: [
            [0, 2],
            [5, 1]
          ]
        }
      })
      assert.include(asked, "conflict undefined of 0,2 5,1")
      const accept = (body: unknown) =>
        raw("POST", `/api/transfers/${part.id}/accept`, {
          body: JSON.stringify(body),
          headers: { "content-type": "application/json" }
        })
      const wrong: ReadonlyArray<readonly [unknown, string]> = [
        [{ ranges: [[0, 1]], only: ["x"] }, "only and ranges exclude each other"],
        [
          {
            ranges: [
              [5, 1],
              [0, 2]
            ]
          },
          "not in order"
        ],
        [
          {
            ranges: [
              [0, 2],
              [1, 2]
            ]
          },
          "or overlap"
        ],
        [{ ranges: [[0, 0]] }, "ranges"],
        [{ ranges: [[-1, 2]] }, "ranges"],
        [{ ranges: [] }, "ranges"],
        [{ ranges: Array.from({ length: rangesMax + 1 }, (_, at) => [at * 2, 1]) }, "ranges"]
      ]
      for (const [body, why] of wrong) {
        const answer = yield* accept(body)
        assert.strictEqual(answer.status, 400)
        assert.include(problemOf(answer).detail, why)
      }
      const unknown = { params: { id: someTransfer(77) } }
      assert.strictEqual((yield* Effect.flip(api.transfers.again(unknown)))._tag, "UnknownTransfer")
      const [all] = yield* api.transfers.send({ payload: { paths: ["/a"], to: null } })
      assert.strictEqual(all?.peer, bob)
    })
  )

  it.effect("lists what is in a transfer, page by page, with names as they are", () =>
    Effect.gen(function* () {
      const api = yield* client
      yield* api.peers.add({ payload: { address: "192.0.2.2:9090" } })
      const [sent] = yield* api.transfers.send({ payload: { paths: ["/home/photos"], to: ["bob"] } })
      assert(sent !== undefined)
      const params = { id: sent.id }
      const whole = yield* api.transfers.entries({ params, query: {} })
      assert.strictEqual(whole.next, null)
      assert.deepStrictEqual(
        whole.items.map(({ index, path }) => [index, path]),
        [
          [0, "photos/<img src=x>.jpg"],
          [1, "photos/\u202egpj.exe"],
          [2, "photos/plain.jpg"]
        ]
      )
      const first = yield* api.transfers.entries({ params, query: { limit: 2 } })
      assert.deepStrictEqual([first.items, first.next], [whole.items.slice(0, 2), 1])
      const rest = yield* api.transfers.entries({ params, query: { limit: 2, after: 1 } })
      assert.deepStrictEqual([rest.items, rest.next], [whole.items.slice(2), null])
      assert.deepStrictEqual(yield* api.transfers.entries({ params, query: { after: 2 } }), { items: [], next: null })

      for (const query of ["limit=0", "limit=1001", "limit=x", "after=-1", "after=1.5", "after=9007199254740992"]) {
        assert.strictEqual((yield* raw("GET", `/api/transfers/${sent.id}/entries?${query}`)).status, 400, query)
      }
      const answer = yield* raw("GET", `/api/transfers/${sent.id}/entries`)
      assert.include(answer.headers["content-type"], "application/json")
      const unknown = yield* Effect.flip(api.transfers.entries({ params: { id: someTransfer(30) }, query: {} }))
      assert.strictEqual(unknown._tag, "UnknownTransfer")
      yield* api.transfers.decline({ params })
      assert.strictEqual((yield* Effect.flip(api.transfers.entries({ params, query: {} })))._tag, "NotPossible")
    })
  )

  it.effect("refuses to send what it cannot", () =>
    Effect.gen(function* () {
      const api = yield* client
      const registry = yield* PeerRegistry
      const send = (paths: ReadonlyArray<string>, to: ReadonlyArray<string> | null) =>
        Effect.flip(api.transfers.send({ payload: { paths, to } }))
      const relative = yield* send(["/fine", "photos"], ["bob"])
      assert(relative._tag === "SendRefused")
      assert.strictEqual(relative.path, "photos")
      assert.strictEqual((yield* send(["/missing"], ["bob"]))._tag, "SendRefused")
      assert.strictEqual((yield* send(["/a"], ["nobody"]))._tag, "UnknownPeer")
      yield* registry.remove(bob)
      const nobody = yield* send(["/a"], null)
      assert.strictEqual("message" in nobody && nobody.message, "nothing was sent: no peer is connected")
      assert.strictEqual((yield* Effect.flip(api.transfers.find({ query: { query: "zzz" } })))._tag, "UnknownTransfer")
      const params = { id: someTransfer(30) }
      for (const ask of [api.transfers.get, api.transfers.decline, api.transfers.cancel]) {
        assert.strictEqual((yield* Effect.flip(ask({ params })))._tag, "UnknownTransfer")
      }
    })
  )

  it.effect("streams events from the moment it says so, and what came after the last one seen", () =>
    Effect.gen(function* () {
      const api = yield* client
      const events = yield* Events
      const publish = (n: number) => events.publish({ _tag: "PeerRemoved", id: someId(n) })
      const watch = Effect.fnUntraced(function* (lastId?: string) {
        const stream = yield* api.node.events({
          headers: lastId === undefined ? {} : { "last-event-id": lastId }
        })
        const seen = yield* Queue.unbounded<{ readonly id: string; readonly data: unknown }, Cause.Done | unknown>()
        yield* Effect.forkScoped(Stream.runIntoQueue(stream, seen))
        return seen
      })

      const first = yield* watch()
      yield* publish(1)
      yield* publish(2)
      const [one, two] = [yield* Queue.take(first), yield* Queue.take(first)]
      assert.deepStrictEqual([one.data, two.data], [removed(1), removed(2)])

      // Whoever comes later sees only what is new, unless it names what it has seen.
      const late = yield* watch()
      const back = yield* watch(one.id)
      assert.deepStrictEqual((yield* Queue.take(back)).data, removed(2))
      yield* publish(3)
      const [lateThree, backThree] = [yield* Queue.take(late), yield* Queue.take(back)]
      assert.deepStrictEqual([lateThree.data, backThree.data], [removed(3), removed(3)])
      assert.strictEqual(lateThree.id, backThree.id)

      // An id of another run, or nonsense: told that something may be missing.
      for (const id of ["elsewhere.1", "", "a.b.c", `${one.id.split(".")[0]}.-1`]) {
        const told = yield* Queue.take(yield* watch(id))
        assert.include(JSON.stringify(told.data), "Missed", id)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("sends a comment first, so that a reader knows the watch has begun", () =>
    Effect.gen(function* () {
      const { port, token } = yield* Loopback
      const head = yield* Effect.promise(async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/events`, {
          headers: { authorization: `Bearer ${Redacted.value(token)}` }
        })
        const reader = answer.body?.getReader()
        const { value } = (await reader?.read()) ?? {}
        await reader?.cancel()
        return { type: answer.headers.get("content-type"), text: new TextDecoder().decode(value) }
      })
      assert.deepStrictEqual(head, { type: "text/event-stream", text: ": watching\n\n" })
    })
  )
})

describe("the loopback server", () => {
  const start = Effect.fnUntraced(function* (dataDir: string, apiPort = 0) {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      LoopbackServer.layer.pipe(Layer.provideMerge(FakeNode.layer({ dataDir, apiPort }))),
      scope
    )
    return { context, stop: Scope.close(scope, Exit.void) }
  })

  it.live("keeps control.json for its owner alone, and takes it along", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory
      const path = join(dataDir, "control.json")
      const { context, stop } = yield* start(dataDir)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const control = JSON.parse(readFileSync(path, "utf8"))
      const { token, url } = yield* Effect.provide(Loopback, context)
      assert.deepStrictEqual(control, { url, token: Redacted.value(token) })
      assert.strictEqual(control.token.length, 43)
      yield* stop
      assert.isFalse(existsSync(path))
    })
  )

  it.live("leaves a control.json that another node has written since", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory
      const path = join(dataDir, "control.json")
      const { stop } = yield* start(dataDir)
      const other = JSON.stringify({ url: "http://127.0.0.1:1", token: "o".repeat(43) })
      writeFileSync(path, other)
      yield* stop
      assert.strictEqual(readFileSync(path, "utf8"), other)
    })
  )

  it.live("takes another port when the wanted one is taken", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const address = taken.address()
      assert(address !== null && typeof address === "object")
      const { context, stop } = yield* start(dataDir, address.port)
      const { port } = yield* Effect.provide(Loopback, context)
      assert.notStrictEqual(port, address.port)
      assert.strictEqual((yield* raw("GET", "/api/node").pipe(Effect.provide(context))).status, 200)
      yield* stop
    })
  )

  it.live("ends within a second though somebody watches", () =>
    Effect.gen(function* () {
      const { context, stop } = yield* start(yield* temporaryDirectory)
      const watching = yield* raw("GET", "/api/events").pipe(Effect.provide(context), Effect.exit, Effect.forkChild)
      yield* Effect.provide(NodeConfig, context)
      yield* raw("GET", "/api/node").pipe(Effect.provide(context))
      const before = performance.now()
      yield* stop
      assert.isBelow(performance.now() - before, 1000)
      assert(Exit.isSuccess(yield* Fiber.await(watching)))
    })
  )

  it.live("says why it cannot write control.json", () =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const failed = yield* Effect.flip(start(join(dir, "missing")))
      assert.strictEqual(failed._tag, "LoopbackError")
      assert.include(failed.message, "control.json")
    })
  )
})

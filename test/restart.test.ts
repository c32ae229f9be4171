/** Whole nodes on this machine that are stopped and started again: what a person said and decided is there. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Uploads } from "../src/api/uploads/Uploads.ts"
import * as Kith from "../src/app.ts"
import { NodeConfig, type NodeSettings } from "../src/config.ts"
import { isOver } from "../src/schema/Offer.ts"
import type { PeerId } from "../src/schema/PeerId.ts"
import { RelativePath } from "../src/schema/RelativePath.ts"
import { Chat } from "../src/services/Chat.ts"
import { Connection } from "../src/services/Connection.ts"
import { Events } from "../src/services/Events.ts"
import { Identity } from "../src/services/Identity.ts"
import { PeerRegistry } from "../src/services/PeerRegistry.ts"
import { Profile } from "../src/services/Profile.ts"
import { SpeedCaps } from "../src/services/SpeedCaps.ts"
import { Transfer } from "../src/services/Transfer.ts"
import { Transport } from "../src/services/Transport.ts"
import { Trust } from "../src/services/Trust.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-restart-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** A node on this directory, until `stop`. It meets nobody by itself. */
const start = Effect.fnUntraced(function* (
  dataDir: string,
  settings: Partial<NodeSettings> & { readonly name: string }
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const layer = Kith.layer({
    dataDir,
    received: join(dataDir, "received"),
    host: "127.0.0.1",
    port: 0,
    discovery: false,
    ...settings
  })
  const context = yield* Layer.build(Layer.fresh(layer)).pipe(
    Scope.provide(scope),
    Effect.provide(Logger.layer([])),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
  const faces = yield* Layer.build(Uploads.layer.pipe(Layer.provide(SecureRandom.layerWebCrypto))).pipe(
    Scope.provide(scope),
    Effect.provide(context)
  )
  const events = Context.get(context, Events)
  const registry = Context.get(context, PeerRegistry)
  return {
    id: Context.get(context, Identity).id,
    port: Context.get(context, Transport).port,
    address: `127.0.0.1:${Context.get(context, Transport).port}`,
    chat: Context.get(context, Chat),
    config: Context.get(context, NodeConfig),
    connection: Context.get(context, Connection),
    profile: Context.get(context, Profile),
    caps: Context.get(context, SpeedCaps),
    registry,
    transfer: Context.get(context, Transfer),
    uploads: Context.get(faces, Uploads),
    trust: Context.get(context, Trust),
    /** Waits until it has so many transfers that are over. */
    over: (count: number) =>
      events.stream.pipe(
        Stream.map(() => undefined),
        Stream.merge(Stream.succeed(undefined)),
        Stream.mapEffect(() => Context.get(context, Transfer).list),
        Stream.filter((views) => views.filter((view) => isOver(view.state)).length === count),
        Stream.runHead
      ),
    /** Waits until there is a session with this peer. */
    meets: (peer: PeerId) =>
      events.stream.pipe(
        Stream.map(() => undefined),
        // What was there before the stream began.
        Stream.merge(Stream.succeed(undefined)),
        Stream.mapEffect(() => registry.get(peer)),
        Stream.filter(Option.exists((record) => record.state === "connected")),
        Stream.runHead
      ),
    stop: Scope.close(scope, Exit.void)
  }
})

const texts = (node: Effect.Success<ReturnType<typeof start>>) =>
  Effect.map(node.chat.history({ limit: 100 }), (messages) => messages.map(({ state, text }) => `${text} ${state}`))

describe("a node that is started again", () => {
  it.live("has its messages, and delivers what waited, once, to a peer that it dials where it was", () =>
    Effect.gen(function* () {
      const [home, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      let alice = yield* start(home, { name: "alice" })
      let bob = yield* start(other, { name: "bob" })
      yield* alice.connection.add(bob.address)
      yield* alice.chat.settled((yield* alice.chat.say("one", bob.id)).id, "5 seconds")
      yield* bob.stop
      yield* alice.chat.say("two", bob.id)
      yield* alice.stop
      alice = yield* start(home, { name: "alice" })
      assert.deepStrictEqual(yield* texts(alice), ["one delivered", "two queued"])
      const three = yield* alice.chat.say("three", bob.id)
      // Nobody tells where it is: it is remembered, as is whom it was with.
      bob = yield* start(other, { name: "bob", port: bob.port, portIsFixed: true })
      assert.strictEqual((yield* alice.chat.settled(three.id, "10 seconds")).state, "delivered")
      assert.deepStrictEqual(yield* texts(bob), ["one delivered", "two delivered", "three delivered"])
      assert.deepStrictEqual(yield* texts(alice), ["one delivered", "two delivered", "three delivered"])
      // Counters go on on both sides.
      yield* alice.stop
      alice = yield* start(home, { name: "alice" })
      yield* alice.meets(bob.id)
      yield* alice.chat.settled((yield* alice.chat.say("four", bob.id)).id, "5 seconds")
      assert.strictEqual((yield* texts(bob)).at(-1), "four delivered")
      assert.lengthOf(yield* texts(bob), 4)
    })
  )

  it.live("shows how its transfers ended, on both sides, as it did before", () =>
    Effect.gen(function* () {
      const [home, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      let alice = yield* start(home, { name: "alice" })
      let bob = yield* start(other, { name: "bob", accept: "everyone" })
      yield* alice.connection.add(bob.address)
      const path = join(home, "a.txt")
      writeFileSync(path, "something")
      for (let count = 1; count <= 3; count++) {
        yield* alice.transfer.send([path], [bob.id])
        yield* Effect.all([alice.over(count), bob.over(count)])
      }
      const atBob = yield* bob.transfer.list
      yield* bob.stop
      // Of this one bob does not hear.
      const [gone] = yield* alice.transfer.send([path], [bob.id])
      if (gone !== undefined) yield* alice.transfer.cancel(gone.id)
      yield* alice.over(4)
      const before = [yield* alice.transfer.list, atBob]
      // The second time nothing is left of them but this.
      for (let restart = 0; restart < 2; restart++) {
        yield* Effect.all([alice.stop, bob.stop])
        alice = yield* start(home, { name: "alice", fallbacks: [] })
        bob = yield* start(other, { name: "bob", accept: "everyone" })
        assert.deepStrictEqual([yield* alice.transfer.list, yield* bob.transfer.list], before)
        yield* alice.connection.add(bob.address)
      }
      // They are over: nothing can be done to them, and they are found like any other.
      const [view] = before[0] ?? []
      assert.strictEqual((yield* alice.transfer.find(view?.id.slice(0, 8) ?? "")).id, view?.id)
      if (view !== undefined) {
        const refused = yield* Effect.flip(alice.transfer.resume(view.id))
        assert.strictEqual(refused._tag, "NotPossible")
      }
    })
  )

  it.live("still has the files that its page handed over, until they are sent", () =>
    Effect.gen(function* () {
      const [home, other] = [yield* temporaryDirectory, yield* temporaryDirectory]
      let alice = yield* start(home, { name: "alice" })
      let bob = yield* start(other, { name: "bob", accept: "everyone" })
      yield* alice.connection.add(bob.address)
      yield* bob.stop
      const { id } = yield* alice.uploads.begin(null)
      const file = { path: RelativePath.make("note.txt"), size: 4, mtime: null }
      yield* alice.uploads.file(id, file, Stream.make(new TextEncoder().encode("note")))
      yield* alice.uploads.send(id, [bob.id])
      yield* alice.stop
      alice = yield* start(home, { name: "alice" })
      assert.deepStrictEqual(
        (yield* alice.uploads.list).map((upload) => upload.id),
        [id]
      )
      bob = yield* start(other, { name: "bob", accept: "everyone", port: bob.port, portIsFixed: true })
      yield* Effect.all([alice.over(1), bob.over(1)])
      assert.strictEqual(readFileSync(join(other, "received", "note.txt"), "utf8"), "note")
      while (readdirSync(join(home, "uploads")).length > 0) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
    })
  )

  it.live("knows whom it trusts, whom not, what was decided of each, and who was removed", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const others = yield* Effect.forEach(["bob", "carol", "dave"], (name) =>
        Effect.flatMap(temporaryDirectory, (directory) => start(directory, { name }))
      )
      let alice = yield* start(home, { name: "alice" })
      for (const other of others) yield* alice.connection.add(other.address)
      const [bob, carol, dave] = others
      assert(bob !== undefined && carol !== undefined && dave !== undefined)
      yield* alice.registry.update(bob.id, (peer) => ({
        ...peer,
        trust: "verified",
        trustAt: 5,
        trustHow: "words",
        accept: "everyone"
      }))
      yield* alice.trust.block(carol.id)
      yield* alice.connection.remove(dave.id)
      yield* alice.stop
      alice = yield* start(home, { name: "alice" })
      const shown = (yield* alice.registry.list).map((peer) => [
        peer.id,
        peer.name,
        peer.trust,
        peer.trustHow,
        peer.accept
      ])
      assert.deepStrictEqual(shown, [
        [bob.id, "bob", "verified", "words", "everyone"],
        [carol.id, "carol", "blocked", "person", null]
      ])
      yield* alice.meets(bob.id)
      // What is heard of the removed one is nothing, until a person acts.
      yield* alice.connection.suggest(dave.id, { _tag: "Tcp", host: "127.0.0.1", port: dave.port })
      assert.isTrue(Option.isNone(yield* alice.registry.get(dave.id)))
      yield* alice.connection.add(dave.address)
      yield* alice.stop
      alice = yield* start(home, { name: "alice" })
      yield* alice.meets(dave.id)
      assert.notInclude(yield* alice.connection.connected, carol.id)
    })
  )

  it.live("is called and behaves as it was told while it ran, unless its start says otherwise", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const unchosen = { name: "host", fallbacks: ["name", "accept"] as const }
      let node = yield* start(home, unchosen)
      assert.strictEqual(node.config.name, "host")
      yield* node.profile.change({ name: "alice", accept: "nobody" })
      yield* node.profile.change({ status: "away", statusText: "back at 5" })
      yield* node.stop
      node = yield* start(home, { name: "typed", accept: "everyone" })
      const overruled = { name: "typed", accept: "everyone", status: "away", statusText: "back at 5" }
      assert.deepStrictEqual(yield* node.profile.current, overruled)
      yield* node.profile.change({ status: "available" })
      yield* node.stop
      node = yield* start(home, { name: "typed" })
      const half = { name: "typed", accept: "nobody", status: "available", statusText: "" }
      assert.deepStrictEqual(yield* node.profile.current, half)
      yield* node.stop
      node = yield* start(home, unchosen)
      assert.strictEqual(node.config.name, "alice")
      assert.strictEqual(node.config.accept, "nobody")
    })
  )

  it.live("keeps to the speeds it was told while it ran, unless its start says otherwise", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      let node = yield* start(home, { name: "alice" })
      yield* node.caps.set(null, { send: 100_000, receive: 200_000 })
      yield* node.caps.set(node.id, { send: 300_000 })
      yield* node.stop
      node = yield* start(home, { name: "alice", sendCap: 400_000 })
      assert.deepStrictEqual(yield* node.caps.get(null), { send: 400_000, receive: 200_000 })
      assert.deepStrictEqual(yield* node.caps.get(node.id), { send: 300_000, receive: null })
      yield* node.caps.set(null, { receive: null })
      yield* node.caps.set(node.id, { send: null })
      yield* node.stop
      node = yield* start(home, { name: "alice" })
      assert.deepStrictEqual(yield* node.caps.get(null), { send: 100_000, receive: null })
      assert.deepStrictEqual(yield* node.caps.get(node.id), { send: null, receive: null })
    })
  )

  it.live("has its directory for itself, and leaves a database alone that it cannot use", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const node = yield* start(home, { name: "alice" })
      const second = yield* Effect.flip(start(home, { name: "alice" }))
      assert.strictEqual(second._tag, "DataDirectoryError")
      yield* node.stop
      writeFileSync(join(home, "kith.db"), "this is no database, and long enough to be looked at as one".repeat(40))
      const third = yield* Effect.flip(start(home, { name: "alice" }))
      assert.strictEqual(third._tag, "DatabaseError")
      assert.include(third.message, "kith.db: the database is damaged")
    })
  )
})

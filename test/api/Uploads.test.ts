/** Files that a page hands over: written as they come, whole or not at all, inside their own directory, and gone after. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { Loopback } from "../../src/api/Loopback.ts"
import { limits, NodeConfig } from "../../src/config.ts"
import { RelativePath } from "../../src/schema/RelativePath.ts"
import { UploadId } from "../../src/schema/Upload.ts"
import { Events } from "../../src/services/Events.ts"
import { PeerRegistry } from "../../src/services/PeerRegistry.ts"
import { Transfer } from "../../src/services/Transfer.ts"
import { Asked, bob, someTransfer } from "./FakeNode.ts"
import * as Served from "./Served.ts"
import { client, problemOf, raw } from "./Served.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const path = RelativePath.make

const rootOf = Effect.fnUntraced(function* (id: UploadId) {
  return join((yield* NodeConfig).dataDir, "uploads", id)
})

const put = (id: UploadId, file: string, size: number, body: string) =>
  raw("PUT", `/api/uploads/${id}/file?path=${encodeURIComponent(file)}&size=${size}`, {
    body,
    headers: { "content-type": "application/octet-stream" }
  })

layer(Served.layer(), { excludeTestServices: true })("uploads", (it) => {
  it.effect("go to disk as they come, with their paths, and are sent and removed", () =>
    Effect.gen(function* () {
      const api = yield* client
      const registry = yield* PeerRegistry
      yield* registry.update(bob, (peer) => ({ ...peer, name: "bob", state: "connected" }))
      const begun = yield* api.uploads.begin({ payload: { bytes: 3_000_004 } })
      assert.include(begun, { files: 0, bytes: 0, totalBytes: 3_000_004 })
      const { id } = begun
      const root = yield* rootOf(id)
      assert.strictEqual(statSync(root).mode & 0o777, 0o700)
      // Larger than any body that is held in memory, and in pieces.
      const large = Stream.fromIterable(Array.from({ length: 30 }, (_, i) => new Uint8Array(100_000).fill(i)))
      const mtime = 1_600_000_000_000
      yield* api.uploads.file({
        params: { id },
        query: { path: path("photos/ünïcode/large.bin"), size: 3_000_000, mtime },
        payload: large
      })
      const file = { params: { id }, query: { path: path("note.txt"), size: 4 }, payload: Stream.make(bytes("note")) }
      assert.include(yield* api.uploads.file(file), { files: 2, bytes: 3_000_004 })
      const empty = { params: { id }, payload: { paths: [path("photos/empty"), path("photos/empty")] } }
      assert.include(yield* api.uploads.directories(empty), { directories: 1 })
      assert.strictEqual(readFileSync(join(root, "note.txt"), "utf8"), "note")
      const stat = statSync(join(root, "photos/ünïcode/large.bin"))
      assert.deepStrictEqual([stat.size, stat.mtimeMs, stat.mode & 0o777], [3_000_000, mtime, 0o600])

      const events = yield* Events
      const over = yield* events.stream.pipe(
        Stream.filter((event) => event._tag === "TransferChanged" && event.transfer.state === "cancelled"),
        Stream.take(1),
        Stream.runDrain,
        Effect.forkChild({ startImmediately: true })
      )
      const [sent] = yield* api.uploads.send({ params: { id }, payload: { to: ["bob"] } })
      assert(sent !== undefined)
      const asked = (yield* Asked).find((line) => line.startsWith(`send ${root}`))
      assert.include(asked, join(root, "photos"))
      assert.include(asked, join(root, "note.txt"))
      // While it is sent nothing can be added, and nothing taken away.
      assert.strictEqual((yield* Effect.flip(api.uploads.file(file)))._tag, "UploadRefused")
      assert.strictEqual((yield* Effect.flip(api.uploads.discard({ params: { id } })))._tag, "UploadRefused")
      assert.isTrue(existsSync(root))
      yield* (yield* Transfer).cancel(sent.id)
      yield* Fiber.join(over)
      while (existsSync(root)) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.strictEqual((yield* Effect.flip(api.uploads.get({ params: { id } })))._tag, "UnknownUpload")
    })
  )

  it.effect("stay where their transfer failed, and are sent again from there", () =>
    Effect.gen(function* () {
      const api = yield* client
      const registry = yield* PeerRegistry
      yield* registry.update(bob, (peer) => ({ ...peer, name: "bob", state: "connected" }))
      const { id } = yield* api.uploads.begin({ payload: {} })
      yield* put(id, "failed", 1, "x")
      const [sent] = yield* api.uploads.send({ params: { id }, payload: { to: ["bob"] } })
      assert(sent !== undefined)
      const root = yield* rootOf(id)
      assert.strictEqual((yield* (yield* Transfer).find(sent.id)).state, "failed")
      assert.isTrue(existsSync(root))
      const [again] = yield* api.transfers.again({ params: { id: sent.id } })
      assert(again !== undefined)
      // The fake node has it done at once.
      assert.isFalse(existsSync(root))
      assert.strictEqual((yield* Effect.flip(api.uploads.get({ params: { id } })))._tag, "UnknownUpload")
      // What makes room for others are those that are kept only for this.
      const kept = yield* Effect.forEach(Array.from({ length: limits.uploadsMax }), () =>
        Effect.gen(function* () {
          const { id } = yield* api.uploads.begin({ payload: {} })
          yield* put(id, "failed", 1, "x")
          yield* api.uploads.send({ params: { id }, payload: { to: ["bob"] } })
          return id
        })
      )
      const next = yield* api.uploads.begin({ payload: {} })
      const there = new Set((yield* api.uploads.list()).map((upload) => upload.id))
      assert.deepStrictEqual(
        kept.map((id) => there.has(id)),
        kept.map((_, at) => at > 0)
      )
      yield* api.uploads.discard({ params: { id: next.id } })
      for (const { transfers } of yield* api.uploads.list()) {
        for (const id of transfers) yield* api.transfers.again({ params: { id } })
      }
      assert.deepStrictEqual(yield* api.uploads.list(), [])
    })
  )

  it.effect("take no path that leads elsewhere, and no file twice", () =>
    Effect.gen(function* () {
      const api = yield* client
      const { id } = yield* api.uploads.begin({ payload: {} })
      for (const bad of ["../x", "/etc/x", "a/../../x", "a\\b", "", "a//b", "nul\0", ".kith/x", "x".repeat(300)]) {
        const answer = yield* put(id, bad, 1, "x")
        assert.strictEqual(answer.status, 400, bad)
        assert.include(problemOf(answer).detail, '["path"]')
      }
      assert.strictEqual((yield* put(id, "a/b", 1, "x")).status, 200)
      const twice = yield* put(id, "a/b", 1, "y")
      assert.strictEqual(twice.status, 422)
      assert.include(problemOf(twice).detail, "a/b was not taken: there is a file or directory of that name already")
      assert.include(problemOf(yield* put(id, "a/b/c", 1, "x")).detail, "was not taken")
      assert.include(problemOf(yield* put(id, "a", 1, "x")).detail, "was not taken")
      assert.strictEqual(readFileSync(join(yield* rootOf(id), "a/b"), "utf8"), "x")
      yield* api.uploads.discard({ params: { id } })
      assert.isFalse(existsSync(yield* rootOf(id)))
      assert.strictEqual((yield* put(id, "late", 1, "x")).status, 404)
    })
  )

  it.effect("take back what is longer, shorter or cut off", () =>
    Effect.gen(function* () {
      const api = yield* client
      const { id } = yield* api.uploads.begin({ payload: {} })
      const root = yield* rootOf(id)
      assert.include(problemOf(yield* put(id, "long", 3, "four")).detail, "it is longer than 3 bytes")
      assert.include(problemOf(yield* put(id, "short", 5, "four")).detail, "it ended after 4 of 5 bytes")
      const { port, token } = yield* Loopback
      const cut = Effect.callback<void>((resume) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.write(
            `PUT /api/uploads/${id}/file?path=cut&size=1000 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
              `Authorization: Bearer ${Redacted.value(token)}\r\nContent-Type: application/octet-stream\r\n` +
              `Content-Length: 1000\r\n\r\n${"x".repeat(10)}`
          )
        })
        const look = () => {
          if (!existsSync(join(root, "cut"))) return void setImmediate(look)
          socket.destroy()
          resume(Effect.void)
        }
        look()
      })
      yield* cut
      while (readdirSync(root).length > 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.include(yield* api.uploads.get({ params: { id } }), { files: 0, bytes: 0 })
      const nothing = yield* Effect.flip(api.uploads.send({ params: { id }, payload: { to: ["bob"] } }))
      assert.include(nothing._tag === "UploadRefused" && nothing.message, "there is nothing in it")
      yield* api.uploads.discard({ params: { id } })
    })
  )

  it.effect("are bounded in number and by the disk", () =>
    Effect.gen(function* () {
      const api = yield* client
      const huge = yield* Effect.flip(api.uploads.begin({ payload: { bytes: Number.MAX_SAFE_INTEGER } }))
      assert.include(huge._tag === "UploadRefused" && huge.message, "not enough room")
      // Some of the disk is left to others, and what one upload announced is not there for the next.
      const { bavail, bsize } = statfsSync((yield* NodeConfig).dataDir)
      const free = bavail * bsize
      const most = yield* Effect.flip(api.uploads.begin({ payload: { bytes: free - limits.uploadReserveBytes / 2 } }))
      assert.include(most._tag === "UploadRefused" && most.message, "not enough room")
      const half = { payload: { bytes: Math.floor((free - limits.uploadReserveBytes) * 0.6) } }
      const first = yield* api.uploads.begin(half)
      assert.strictEqual((yield* Effect.flip(api.uploads.begin(half)))._tag, "UploadRefused")
      yield* api.uploads.discard({ params: { id: first.id } })
      const begun = yield* Effect.forEach(Array.from({ length: limits.uploadsMax }), () =>
        api.uploads.begin({ payload: {} })
      )
      const many = yield* Effect.flip(api.uploads.begin({ payload: {} }))
      assert.include(many._tag === "UploadRefused" && many.message, `${limits.uploadsMax} uploads are under way`)
      for (const { id } of begun) yield* api.uploads.discard({ params: { id } })
      assert.deepStrictEqual(yield* api.uploads.list(), [])
    })
  )
})

describe("uploads of an earlier run", () => {
  it.effect("are removed, but for what is being sent", () =>
    Effect.gen(function* () {
      const dataDir = yield* Served.temporaryDirectory
      const home = join(dataDir, "uploads")
      const idOf = (letter: string) => UploadId.make(`${letter.repeat(25)}a`)
      const empty = { files: 1, directories: 0, bytes: 3, totalBytes: null, startedAt: 1 }
      const mark = (letter: string, transfers: ReadonlyArray<string>, expiresAt = 8e12) =>
        writeFileSync(
          join(home, `${idOf(letter)}.sent`),
          JSON.stringify({
            ...empty,
            expiresAt,
            id: idOf(letter),
            transfers
          })
        )
      for (const letter of "abcdf") {
        mkdirSync(join(home, idOf(letter)), { recursive: true })
        writeFileSync(join(home, idOf(letter), "file"), "one")
      }
      // Killed before it was known which transfers send it; its transfers are over; damaged; of a directory that is gone.
      mark("b", [])
      mark("c", [someTransfer(77)])
      writeFileSync(join(home, `${idOf("d")}.sent`), "{")
      mark("e", [])
      // Too old.
      mark("f", [], 0)
      writeFileSync(join(home, `${idOf("b")}.sent.new`), "{")
      writeFileSync(join(home, "notes.txt"), "")
      yield* Effect.gen(function* () {
        const api = yield* client
        while (existsSync(join(home, `${idOf("f")}.sent`))) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        const kept = yield* api.uploads.list()
        assert.deepStrictEqual(
          kept.map(({ bytes, id }) => ({ bytes, id })),
          [{ bytes: 3, id: idOf("b") }]
        )
        assert.deepStrictEqual(readdirSync(home).toSorted(), [idOf("b"), `${idOf("b")}.sent`, "notes.txt"])
        assert.strictEqual(readFileSync(join(home, idOf("b"), "file"), "utf8"), "one")
      }).pipe(Effect.provide(Served.layer({ dataDir })))
      assert.isTrue(existsSync(join(home, idOf("b"))), "an end of the node takes nothing away that is being sent")
    })
  )

  it.effect("that were begun and not sent go with the node", () =>
    Effect.gen(function* () {
      const dataDir = yield* Served.temporaryDirectory
      yield* Effect.gen(function* () {
        const api = yield* client
        const { id } = yield* api.uploads.begin({ payload: {} })
        yield* put(id, "a", 1, "x")
      }).pipe(Effect.provide(Served.layer({ dataDir })))
      assert.deepStrictEqual(readdirSync(join(dataDir, "uploads")), [])
    })
  )
})

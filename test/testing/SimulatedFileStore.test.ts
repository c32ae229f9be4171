/** The file store in memory: the contract of every file store, and what only a simulated disk can do. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { SimulatedDisk } from "../../src/testing/SimulatedDisk.ts"
import * as SimulatedFileStore from "../../src/testing/SimulatedFileStore.ts"
import { elapse } from "../../src/testing/SimulatedTime.ts"
import { bytes, fileStoreContract, whole, type World } from "../services/FileStoreContract.ts"

const world = Effect.sync((): World => {
  const disk = new SimulatedDisk()
  disk.directory("/sources")
  const received = "/home/alice/received_files"
  return {
    store: SimulatedFileStore.make(disk, received),
    sources: "/sources",
    received,
    write: (path, text, options) =>
      disk.write(path, text, {
        ...(options?.mtime === undefined ? {} : { mtime: options.mtime }),
        executable: ((options?.mode ?? 0) & 0o111) !== 0
      }),
    directory: (path) => void disk.directory(path),
    text: (path) => new TextDecoder().decode(disk.read(path) ?? assert.fail(`${path} is not there`)),
    stat: (path) => {
      const entry = disk.find(path)
      return entry && { mtime: entry.mtime, executable: entry.kind === "f" && entry.executable }
    },
    list: (path) => disk.list(path)
  }
})

describe("SimulatedFileStore", () => {
  describe("as every file store", () => fileStoreContract(world))

  it.effect("a full disk refuses, and takes again what fits once there is room", () =>
    Effect.gen(function* () {
      const disk = new SimulatedDisk()
      const store = SimulatedFileStore.make(disk, "/received")
      const staging = yield* store.stage("one")
      disk.capacity = 10
      yield* staging.write([whole("a", "12345678")])
      assert.strictEqual((yield* store.target).freeBytes, 2)
      assert.strictEqual((yield* Effect.flip(staging.write([whole("b", "123")]))).code, "ENOSPC")
      yield* staging.discard
      assert.strictEqual((yield* store.target).freeBytes, 10)
    })
  )

  it.effect("a crash keeps what was synced, zeroes what was not, and ends who was using the disk", () =>
    Effect.gen(function* () {
      const disk = new SimulatedDisk()
      const store = SimulatedFileStore.make(disk, "/received")
      const staging = yield* store.stage("one")
      yield* staging.write([{ ...whole("f", "safe"), finish: false }])
      yield* staging.sync
      yield* staging.write([{ ...whole("f", "lost"), offset: 4 }])
      disk.crash()
      assert.deepStrictEqual(disk.read("/received/.kith/one/data/f"), bytes("safe\0\0\0\0"))
      assert.strictEqual((yield* Effect.flip(staging.write([whole("g", "x")]))).code, "EIO")
      assert.isDefined((yield* SimulatedFileStore.make(disk, "/received").target).freeBytes)
    })
  )

  it.effect("a slow disk takes its time", () =>
    Effect.gen(function* () {
      const disk = new SimulatedDisk()
      const staging = yield* SimulatedFileStore.make(disk, "/received").stage("one")
      disk.latency = 250
      const before = yield* Clock.currentTimeMillis
      yield* elapse(staging.write([whole("f", "x")]))
      assert.strictEqual((yield* Clock.currentTimeMillis) - before, 250)
      assert.deepStrictEqual(disk.tree("/received/.kith/one/data"), new Map([["f", bytes("x")]]))
    })
  )
})

/** What a disk refuses: the transfer is held up with the reason and what to do, others live, and it goes on after. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { FileStore, FileStoreError, Staging } from "../../src/services/FileStore.ts"
import { storeError } from "../../src/services/files/FileStoreSystem.ts"
import { join, noise, pair, quietly, treeOf } from "./TransferNode.ts"

const mebi = 1024 * 1024

type Step = "stage" | "write" | "sync" | "journal" | "publish"

/** A store of which one kind of step fails from the n-th on, until it is mended. */
const faulty = (step: Step, code: string, from = 0) => {
  let isBroken = true
  let count = 0
  /** Syncs of a staging of which one failed before. */
  let retried = 0
  const fails = <A, R>(at: Step, work: Effect.Effect<A, FileStoreError, R>) =>
    Effect.suspend((): Effect.Effect<A, FileStoreError, R> => {
      if (at !== step || !isBroken || count++ < from) return work
      return Effect.fail(storeError("/there/it", "written", Object.assign(new Error(code), { code })))
    })
  const wrap = (staging: Staging): Staging => {
    let hasFailed = false
    return {
      ...staging,
      write: (parts) => fails("write", staging.write(parts)),
      sync: Effect.suspend(() => {
        if (hasFailed) retried++
        return Effect.tapError(fails("sync", staging.sync), () => Effect.sync(() => void (hasFailed = true)))
      }),
      journal: { ...staging.journal, append: (bytes) => fails("journal", staging.journal.append(bytes)) },
      publish: (tops, policy, options) => fails("publish", staging.publish(tops, policy, options))
    }
  }
  const store = (real: FileStore["Service"]): FileStore["Service"] => ({
    ...real,
    stage: (id) => fails("stage", Effect.map(real.stage(id), wrap)),
    reopen: (root, id) => Effect.map(real.reopen(root, id), wrap)
  })
  return { store, mend: () => void (isBroken = false), retried: () => retried }
}

const cases: ReadonlyArray<readonly [Step, string, number, RegExp]> = [
  ["stage", "EACCES", 0, /Give this user the permission/],
  ["stage", "EROFS", 0, /read-only: choose another folder/],
  ["write", "ENOSPC", 3, /The disk is full: free some space/],
  ["write", "EDQUOT", 0, /quota/],
  ["write", "EIO", 5, /check the disk/],
  ["write", "EMFILE", 2, /raise the limit/],
  ["sync", "EIO", 0, /check the disk/],
  ["journal", "ENOSPC", 1, /free some space/],
  ["publish", "EACCES", 0, /permission/]
]

describe("a fault of the receiver's disk", () => {
  it.skipIf(process.platform !== "linux")("has the system's word for it where Node has none", () => {
    const quota = Object.assign(new Error("?"), { code: "Unknown system error -122", errno: -122 })
    const { code, remedy } = storeError("/f", "written", quota)
    assert.deepStrictEqual([code, /quota/.test(remedy)], ["EDQUOT", true])
    assert.strictEqual(storeError("/f", "written", { code: "Unknown system error -9999", errno: -9999 }).mayPass, true)
    assert.strictEqual(storeError("/f", "written", new Error("?")).code, "EUNKNOWN")
  })

  for (const [step, code, from, remedy] of cases) {
    quietly(`${code} at ${step} holds it up, and it goes on once it is mended`, () =>
      Effect.gen(function* () {
        const fault = faulty(step, code, from)
        const { alice, bob } = yield* pair({ store: fault.store })
        yield* join(alice, bob)
        fs.mkdirSync(path.join(alice.sources, "d"))
        fs.writeFileSync(path.join(alice.sources, "d/large"), noise(1, 9 * mebi))
        for (let i = 0; i < 20; i++) fs.writeFileSync(path.join(alice.sources, `d/${i}`), noise(i, 1000 * i))
        const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
        assert(sent !== undefined)
        const held = yield* bob.until((view) => view.id === sent.id && view.error !== null)
        assert.include(["paused", "running"], held.state)
        assert.include(held.error ?? "", code)
        assert.match(held.error ?? "", remedy)
        assert.deepStrictEqual(
          fs.existsSync(bob.received) ? fs.readdirSync(bob.received).filter((name) => name !== ".kith") : [],
          []
        )
        // The other direction is another matter.
        fs.writeFileSync(path.join(bob.sources, "back"), "back")
        const [back] = yield* bob.transfer.send([path.join(bob.sources, "back")], [alice.id])
        assert(back !== undefined)
        assert.strictEqual((yield* alice.over(back.id)).state, "done")
        yield* bob.until((view) => view.id === sent.id && view.state === "paused")
        fault.mend()
        yield* bob.transfer.resume(sent.id)
        const here = yield* bob.over(sent.id)
        assert.deepStrictEqual([here.state, here.error], ["done", null])
        assert.deepStrictEqual([here.bytes, here.filesDone], [here.totalBytes, 21])
        assert.strictEqual((yield* alice.over(sent.id)).state, "done")
        assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
        assert.strictEqual(fault.retried(), 0)
      })
    )
  }

  quietly("is not final for the one of several names that cannot be given yet", () =>
    Effect.gen(function* () {
      let isBroken = true
      const wrap = (staging: Staging): Staging => ({
        ...staging,
        publish: (tops, policy, options) =>
          Effect.suspend(() => {
            if (!isBroken || !tops.includes("b")) return staging.publish(tops, policy, options)
            const refused = storeError("/there/b", "published", { code: "EBUSY" })
            return Effect.map(
              staging.publish(
                tops.filter((top) => top !== "b"),
                policy,
                options
              ),
              (results) => [...results, Result.fail(refused)]
            )
          })
      })
      const { alice, bob } = yield* pair({
        store: (real) => ({
          ...real,
          stage: (id) => Effect.map(real.stage(id), wrap),
          reopen: (root, id) => Effect.map(real.reopen(root, id), wrap)
        })
      })
      yield* join(alice, bob)
      const paths = ["a", "b"].map((name) => path.join(alice.sources, name))
      for (const location of paths) fs.writeFileSync(location, location)
      const [sent] = yield* alice.transfer.send(paths, [bob.id])
      assert(sent !== undefined)
      const held = yield* bob.until((view) => view.state === "paused" && view.error !== null)
      assert.match(held.error ?? "", /EBUSY.*try again later/)
      assert.deepStrictEqual(fs.readdirSync(bob.received).toSorted(), [".kith", "a"])
      isBroken = false
      yield* bob.transfer.resume(sent.id)
      const here = yield* bob.over(sent.id)
      assert.deepStrictEqual([here.state, here.error], ["done", null])
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )

  quietly("is final where no waiting helps: the name is too long there", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ store: faulty("write", "ENAMETOOLONG").store })
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), "1")
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      const there = yield* alice.over(sent.id)
      assert.strictEqual(there.state, "failed")
      assert.match(there.error ?? "", /too long/)
      // It says so before it has cleaned up.
      yield* bob.over(sent.id)
      assert.deepStrictEqual(fs.readdirSync(bob.received), [])
    })
  )

  quietly("a staging that someone removed is filled again", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      let reads = 0
      const { alice, bob } = yield* pair(
        {},
        {
          store: (real) => ({
            ...real,
            open: (picked) =>
              Effect.map(real.open(picked), (source) => ({
                read: (parts, into) =>
                  Effect.suspend(() =>
                    ++reads === 5
                      ? Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(go))
                      : Effect.void
                  ).pipe(Effect.andThen(source.read(parts, into)))
              }))
          })
        }
      )
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "f"), noise(1, 9 * mebi))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "f")], [bob.id])
      assert(sent !== undefined)
      yield* Deferred.await(reached)
      yield* bob.until((view) => view.bytes > 0)
      fs.rmSync(path.join(bob.received, ".kith"), { recursive: true })
      yield* Deferred.succeed(go, undefined)
      const held = yield* bob.until((view) => view.state === "paused" && view.error !== null)
      assert.match(held.error ?? "", /ENOENT/)
      yield* bob.transfer.resume(sent.id)
      assert.strictEqual((yield* bob.over(sent.id)).state, "done")
      assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
    })
  )
})

describe("a disk that does not keep what is written", () => {
  /** A store that drops so many of the last parts of files, and says that it wrote them. */
  const dropping = (times: number) => {
    let left = times
    const wrap = (staging: Staging): Staging => ({
      ...staging,
      write: (parts) => staging.write(parts.filter((part) => !part.finish || --left < 0))
    })
    return {
      store: (real: FileStore["Service"]): FileStore["Service"] => ({
        ...real,
        stage: (id) => Effect.map(real.stage(id), wrap),
        reopen: (root, id) => Effect.map(real.reopen(root, id), wrap)
      }),
      mend: () => void (left = 0)
    }
  }

  for (const times of [1, 1_000_000]) {
    quietly(`is found out before anything has its name, ${times === 1 ? "and asked again" : "and said"}`, () =>
      Effect.gen(function* () {
        const disk = dropping(times)
        const { alice, bob } = yield* pair({ store: disk.store, settings: { lanes: 1 } })
        yield* join(alice, bob)
        fs.mkdirSync(path.join(alice.sources, "d"))
        fs.writeFileSync(path.join(alice.sources, "d/large"), noise(1, 3 * mebi))
        fs.writeFileSync(path.join(alice.sources, "d/small"), "small")
        const [sent] = yield* alice.transfer.send([path.join(alice.sources, "d")], [bob.id])
        assert(sent !== undefined)
        if (times > 1) {
          const held = yield* bob.until((view) => view.id === sent.id && view.state === "paused" && view.error !== null)
          assert.match(held.error ?? "", /could not be kept whole \(EIO\)\. .*check the disk/)
          assert.deepStrictEqual(fs.readdirSync(bob.received), [".kith"])
          disk.mend()
          yield* bob.transfer.resume(sent.id)
        }
        assert.strictEqual((yield* bob.over(sent.id)).state, "done")
        assert.deepStrictEqual(treeOf(bob.received), treeOf(alice.sources))
      })
    )
  }
})

/** The digest of each file and of all of them: made of the digests of blocks, the same at both ends, compared at the end. */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Digests } from "../../src/schema/Digests.ts"
import { Frame, type FrameOf } from "../../src/schema/Frame.ts"
import { Bytes32 } from "../../src/schema/Id.ts"
import { blockRecords, unpackDigests } from "../../src/schema/Journal.ts"
import { base32 } from "../../src/schema/PeerId.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, noise, pair, quietly, startOn, temporary } from "./TransferNode.ts"

const mebi = 1024 * 1024
const sha = (...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest()
}

const ofFile = (bytes: Buffer): Buffer => {
  const blocks: Array<Buffer> = []
  for (let at = 0; at < bytes.length; at += mebi) blocks.push(sha(bytes.subarray(at, at + mebi)))
  return sha(...blocks)
}

describe("digests", () => {
  it("of a file is that of its blocks' digests; of an empty one, that of nothing; unknown where a block's is", () => {
    const digests = new Digests()
    for (const number of [0, 1, 1023, 1024, 5000]) digests.set(number, sha(Buffer.from([number & 255])))
    const one = (number: number) => sha(Buffer.from([number & 255]))
    assert.strictEqual(digests.over(1023, 2), sha(one(1023), one(1024)).toString("hex"))
    assert.strictEqual(digests.over(7, 0), sha().toString("hex"))
    assert.strictEqual(digests.over(0, 3), undefined)
    const other = new Digests()
    other.merge(digests)
    assert.deepStrictEqual(other.get(5000), new Uint8Array(one(5000)))
    assert.strictEqual(other.get(2), undefined)
    const [record] = [...blockRecords(digests, [[0, 3]])]
    assert(record?._tag === "Blocks")
    assert.strictEqual(unpackDigests(record.digests).length, 2, "a run ends where one is not known")
  })
})

const files = { a: noise(1, 3 * mebi + 1), b: noise(2, 10), empty: Buffer.alloc(0) }
const expected = Bytes32.make(base32(sha(ofFile(files.a), ofFile(files.b))))

describe("the digest of a transfer", () => {
  quietly("is said with the last word, of what was taken", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair({ settings: { accept: "ask" } })
      const said: Array<FrameOf<"TransferDone">> = []
      yield* join(alice, bob, {
        filter: (frame) => {
          if (frame._tag === "TransferDone") said.push(frame)
          return true
        }
      })
      for (const [name, content] of Object.entries(files)) fs.writeFileSync(path.join(alice.sources, name), content)
      fs.writeFileSync(path.join(alice.sources, "not this"), "no")
      const paths = [...Object.keys(files), "not this"].map((name) => path.join(alice.sources, name))
      const [sent] = yield* alice.transfer.send(paths, [bob.id])
      assert(sent !== undefined)
      yield* bob.until((view) => view.listed === true)
      yield* bob.transfer.accept(sent.id, { only: Object.keys(files) })
      assert.deepStrictEqual([(yield* bob.over(sent.id)).state, (yield* alice.over(sent.id)).state], ["done", "done"])
      assert.deepStrictEqual(
        said.map(({ digest }) => digest),
        [expected]
      )
    })
  )

  for (const isRestarted of [false, true]) {
    quietly(`fails loudly where the ends disagree${isRestarted ? ", after a restart of the sender too" : ""}`, () =>
      Effect.gen(function* () {
        const network = yield* SimulatedNetwork.make({ seed: 1, latency: 0 })
        const gate = yield* Deferred.make<void>()
        const bob = yield* startOn(network, "bob")
        const root = yield* temporary
        let reads = 0
        const first = yield* Scope.fork(yield* Effect.scope)
        const begun = yield* Scope.provide(
          startOn(network, "alice", {
            root,
            store: (real) => ({
              ...real,
              open: (picked) =>
                Effect.map(real.open(picked), (source) => ({
                  read: (parts, into) =>
                    Effect.andThen(
                      isRestarted && ++reads > 2 ? Deferred.await(gate) : Effect.void,
                      source.read(parts, into)
                    )
                }))
            })
          }),
          first
        )
        const done = yield* Deferred.make<FrameOf<"TransferDone">>()
        const refused = yield* Deferred.make<FrameOf<"Refused">>()
        const filter = (frame: Frame): boolean => {
          if (frame._tag === "Refused") Deferred.doneUnsafe(refused, Effect.succeed(frame))
          if (frame._tag !== "TransferDone") return true
          Deferred.doneUnsafe(done, Effect.succeed(frame))
          return false
        }
        yield* join(begun, bob, { filter })
        for (const [name, content] of Object.entries(files)) fs.writeFileSync(path.join(begun.sources, name), content)
        const paths = Object.keys(files).map((name) => path.join(begun.sources, name))
        const [sent] = yield* begun.transfer.send(paths, [bob.id])
        assert(sent !== undefined)
        let alice = begun
        if (isRestarted) {
          yield* begun.until((view) => view.bytes >= 2 * mebi)
          yield* Scope.close(first, Exit.void)
          yield* bob.control.down(begun.id)
          alice = yield* startOn(network, "alice", { root })
          yield* join(alice, bob, { filter })
        }
        const word = yield* Deferred.await(done)
        assert.strictEqual(word.digest, expected)
        yield* alice.control.deliver(
          bob.id,
          Frame.cases.TransferDone.make({ ...word, digest: Bytes32.make("a".repeat(52)) })
        )
        const there = yield* alice.over(sent.id)
        assert.strictEqual(there.state, "failed")
        assert.match(there.error ?? "", /what the receiver has is not what was sent: its digest is a{52}, ours is /)
        assert.include(there.error ?? "", expected)
        assert.isUndefined(there.digest)
        assert.match((yield* Deferred.await(refused)).reason, /not what was sent/)
        assert.strictEqual((yield* bob.over(sent.id)).digest, expected)
      })
    )
  }

  quietly("is shown at both ends, once it is done there", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair()
      yield* join(alice, bob)
      fs.writeFileSync(path.join(alice.sources, "one"), noise(3 * 1024 * 1024, 1))
      const [sent] = yield* alice.transfer.send([path.join(alice.sources, "one")], [bob.id])
      assert(sent !== undefined)
      const [here, there] = [yield* alice.over(sent.id), yield* bob.over(sent.id)]
      assert.match(here.digest ?? "", /^[a-z2-7]{52}$/)
      assert.strictEqual(here.digest, there.digest)
    })
  )
})

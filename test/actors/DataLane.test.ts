/** Records as a lane takes them from a link that gives its bytes in pieces of any size. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import { DataLane } from "../../src/actors/transfers/DataLane.ts"
import { open } from "../../src/actors/transfers/RateLimiter.ts"
import { tcp } from "../../src/schema/Address.ts"
import { encodeBlockHead, encodeFrame } from "../../src/schema/Block.ts"
import { type Link, LinkClosed } from "../../src/services/Transport.ts"
import { persona } from "../hostile/Forge.ts"
import { PeerId } from "../../src/schema/PeerId.ts"

const peer = PeerId.make(persona().id)

/** A link that gives these bytes, at most so many at a time, and then ends. */
const giving = (all: Uint8Array, piece: number): Link => {
  let at = 0
  const closed = new LinkClosed({ clean: true, reason: "that was all" })
  const some = (most: number): Uint8Array => {
    const from = at
    at = Math.min(all.length, at + most)
    // What it gave before is not to be relied on.
    return new Uint8Array(all.subarray(from, at))
  }
  return {
    peer,
    protocol: "kith-data/1",
    side: "dialled",
    remote: tcp("127.0.0.1", 1),
    read: Effect.suspend(() => (at < all.length ? Effect.succeed(some(piece)) : Effect.fail(closed))),
    readFully: (into) =>
      all.length - at < into.length ? Effect.fail(closed) : Effect.sync(() => into.set(some(into.length))),
    write: () => Effect.void,
    close: Effect.void,
    exportKey: () => Effect.fail(closed)
  }
}

const blocks = [1, 30, 4096, 4096, 70_000, 4096, 64 * 1024, 2].map((length, at) => {
  const bytes = new Uint8Array(length).fill(at + 1)
  return { number: at * 2 ** 33 + at, bytes, digest: new Uint8Array(hash("sha256", bytes, "buffer")) }
})

const records = Buffer.concat(
  blocks.flatMap(({ bytes, digest, number }) => [
    encodeFrame({ _tag: "Same", number: 7 }),
    encodeBlockHead({ number, digest, length: bytes.length }),
    bytes
  ])
)

/** All that comes, as a receiver takes it. */
const taken = Effect.fnUntraced(function* (lane: DataLane) {
  const found: Array<unknown> = []
  while (found.length < 2 * blocks.length) {
    const { here } = lane
    if (here === undefined && lane.isPartial) {
      yield* lane.more
      continue
    }
    const next = here ?? (yield* lane.read)
    if (next._tag === "Frame") {
      found.push(next.frame)
      continue
    }
    const bytes = new Uint8Array(next.length)
    const isHere = lane.bodyNow(bytes, open)
    if (here !== undefined) assert.isTrue(isHere)
    if (!isHere) yield* lane.body(bytes)
    found.push({ number: next.number, bytes, digest: next.digest })
  }
  return found
})

describe("a lane", () => {
  for (const piece of [1, 4, 5, 44, 45, 46, 4141, 16_384, 65_536, records.length]) {
    it.effect(`takes records from pieces of ${piece} bytes`, () =>
      Effect.gen(function* () {
        const found = yield* taken(new DataLane(giving(records, piece)))
        assert.deepStrictEqual(
          found,
          blocks.flatMap((block) => [{ _tag: "Same", number: 7 }, block])
        )
      })
    )
  }

  it.effect("fails where the link ends within a block", () =>
    Effect.gen(function* () {
      const lost = yield* Effect.flip(taken(new DataLane(giving(records.subarray(0, -1), 1000))))
      assert.strictEqual(lost.problem, "lost")
    })
  )
})

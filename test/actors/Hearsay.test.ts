import { assert, describe, it } from "@effect/vitest"
import { limits } from "../../src/config.ts"
import { Hearsay } from "../../src/actors/peers/Hearsay.ts"
import { tcp } from "../../src/schema/Address.ts"
import { fromDigest, type PeerId } from "../../src/schema/PeerId.ts"

const somePeer = (n: number): PeerId => {
  const digest = new Uint8Array(32)
  new DataView(digest.buffer).setUint32(0, n)
  return fromDigest(digest)
}

/** How many of so many new peers are followed, announced from hosts that `hostOf` tells. */
const follow = (hearsay: Hearsay, count: number, now: number, hostOf: (n: number) => string, from = 0) => {
  let followed = 0
  for (let n = from; n < from + count; n++) {
    if (hearsay.isFollowed(somePeer(n), tcp(hostOf(n), 9090), now)) followed++
  }
  return followed
}
const one = () => "10.0.0.66"
const many = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`

describe("announcements of new nodes", () => {
  it("are followed at once and by the second, so many from one network", () => {
    const hearsay = new Hearsay()
    assert.strictEqual(follow(hearsay, 50_000, 0, one), limits.newcomersPerNetworkBurst)
    assert.strictEqual(follow(hearsay, 50_000, 1000, one, 50_000), limits.newcomersPerNetworkPerSecond)
    // Another network has its own share.
    assert.strictEqual(
      follow(hearsay, 10, 1000, () => "10.0.0.7", 200_000),
      10
    )
  })

  it("are followed so many a second in all, whatever their sources are", () => {
    const hearsay = new Hearsay()
    assert.strictEqual(follow(hearsay, 10_000, 0, many), limits.newcomersBurst)
    assert.strictEqual(follow(hearsay, 10_000, 10_000, many, 10_000), limits.newcomersBurst)
    assert.strictEqual(follow(hearsay, 10_000, 10_500, many, 20_000), limits.newcomersPerSecond / 2)
  })

  it("that were followed before always are, at the same place only", () => {
    const hearsay = new Hearsay()
    const [known, place] = [somePeer(1), tcp("10.0.0.66", 9090)]
    assert.isTrue(hearsay.isFollowed(known, place, 0))
    follow(hearsay, 1000, 0, one, 10)
    assert.isTrue(hearsay.isFollowed(known, place, 0))
    assert.isFalse(hearsay.isFollowed(known, tcp("10.0.0.66", 9091), 0))
    assert.isTrue(hearsay.isFollowed(known, tcp("10.0.0.7", 9090), 0))
  })
})

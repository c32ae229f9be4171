/** The block formula, at its borders. */
import { assert, describe, it } from "@effect/vitest"
import { blockCount, blockMaxBytes, blockSize, Size } from "../../src/schema/Manifest.ts"

const mebi = 1024 * 1024
const gibi = 1024 * mebi

describe("blocks of a file", () => {
  it("are 1, 2 and 4 MiB, so that there are at most 2,048 while that is possible", () => {
    const cases: ReadonlyArray<readonly [number, number, number]> = [
      [0, mebi, 0],
      [1, mebi, 1],
      [mebi - 1, mebi, 1],
      [mebi, mebi, 1],
      [mebi + 1, mebi, 2],
      [2 * gibi, mebi, 2048],
      [2 * gibi + 1, 2 * mebi, 1025],
      [4 * gibi, 2 * mebi, 2048],
      [4 * gibi + 1, 4 * mebi, 1025],
      [8 * gibi, 4 * mebi, 2048],
      [8 * gibi + 1, 4 * mebi, 2049],
      [Number.MAX_SAFE_INTEGER, 4 * mebi, 2 ** 31]
    ]
    for (const [size, block, count] of cases) {
      assert.strictEqual(blockSize(size), block, `size of the blocks of ${size}`)
      assert.strictEqual(blockCount(size), count, `number of blocks of ${size}`)
    }
  })

  it.prop("cover the file, with a last block that is not empty", [Size], ([size]) => {
    const block = blockSize(size)
    const count = blockCount(size)
    assert.isAtMost(block, blockMaxBytes)
    assert.isTrue(count * block >= size)
    if (count > 0) {
      const last = size - (count - 1) * block
      assert.isTrue(last > 0 && last <= block)
    } else {
      assert.isTrue(size === 0)
    }
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Journal from "../../src/schema/Journal.ts"

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const Records = Schema.Array(Journal.JournalRecord).check(Schema.isMaxLength(8))

describe("Journal", () => {
  it.prop("what was appended is read back, in order", [Records], ([records]) => {
    const bytes = join(records.map(Journal.encode))
    assert.deepStrictEqual(Journal.replay(bytes), { records, length: bytes.length })
  })

  it.prop(
    "a torn tail loses the torn record and nothing before it",
    [Records.check(Schema.isMinLength(1)), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))],
    ([records, cut]) => {
      const parts = records.map(Journal.encode)
      const bytes = join(parts)
      const kept = cut % bytes.length
      let whole = 0
      let length = 0
      for (const part of parts) {
        if (length + part.length > kept) break
        length += part.length
        whole += 1
      }
      assert.deepStrictEqual(Journal.replay(bytes.subarray(0, kept)), { records: records.slice(0, whole), length })
    }
  )

  it.prop(
    "a flipped bit ends belief at its record",
    [Records.check(Schema.isMinLength(1)), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8_000_000 }))],
    ([records, flip]) => {
      const parts = records.map(Journal.encode)
      const bytes = join(parts)
      const at = Math.floor(flip / 8) % bytes.length
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (flip % 8))
      let before = 0
      let length = 0
      for (const part of parts) {
        if (length + part.length > at) break
        length += part.length
        before += 1
      }
      const read = Journal.replay(bytes)
      assert.deepStrictEqual(read.records.slice(0, before), records.slice(0, before))
      assert.strictEqual(read.records.length, before)
      assert.strictEqual(read.length, length)
    }
  )

  it.prop("any bytes are read without a throw", [Schema.Uint8Array], ([bytes]) => {
    assert.isAtMost(Journal.replay(bytes).length, bytes.length)
  })

  it("zeros, as a file system may leave after power loss, are no records", () => {
    const record = Journal.encode({ _tag: "Resumed" })
    const read = Journal.replay(join([record, new Uint8Array(4096)]))
    assert.strictEqual(read.records.length, 1)
    assert.strictEqual(read.length, record.length)
  })

  it("a record of an unknown kind ends belief, though its checksum is right", () => {
    const known = Journal.encode({ _tag: "Resumed" })
    const forged = join([known])
    forged[forged.length - 3] = 0x78
    assert.strictEqual(Journal.replay(join([known, forged, known])).records.length, 1)
  })
})

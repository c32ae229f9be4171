/** The words: equal for the two ends of one session, and different as soon as anything differs. */
import { assert, describe, it } from "@effect/vitest"
import { wordlist } from "@scure/bip39/wordlists/english.js"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Bytes32, VerificationId } from "../../src/schema/Id.ts"
import { base32, fromBase32 } from "../../src/schema/PeerId.ts"
import { bytes32, commit, type Comparison, transcript, words } from "../../src/schema/Verify.ts"
import { someBytes32, someId, someVerification } from "../Some.ts"
import * as Wild from "./Wild.ts"

const comparison: Comparison = {
  verification: someVerification(1),
  initiator: someId(1),
  responder: someId(2),
  binding: someBytes32(3)
}
const nonces = { initiator: someBytes32(4), responder: someBytes32(5) }

describe("base32", () => {
  it.prop("gives back the bytes", [Wild.bytes], ([bytes]) => {
    assert.deepStrictEqual(fromBase32(base32(bytes)), bytes)
  })
})

/** What is not Unicode is never in a transcript. */
const clean = (list: ReadonlyArray<string>) => list.map((text) => text.toWellFormed())

describe("a transcript", () => {
  const texts = Arbitrary.array(Wild.text)

  it.prop("tells apart any two lists of texts", [texts, texts], ([one, other]) => {
    const same = JSON.stringify(clean(one)) === JSON.stringify(clean(other))
    assert.strictEqual(Buffer.compare(transcript(...clean(one)), transcript(...clean(other))) === 0, same)
  })

  it("tells apart where one part ends and the next begins", () => {
    assert.notDeepEqual(transcript("ab", "c"), transcript("a", "bc"))
    assert.notDeepEqual(transcript("ab"), transcript("ab", ""))
    assert.deepStrictEqual([...transcript("é")], [0, 0, 0, 2, 0xc3, 0xa9])
  })
})

describe("the words", () => {
  it("are four of the list, and the same each time", () => {
    const four = words(comparison, nonces)
    assert.lengthOf(four, 4)
    for (const word of four) assert.include(wordlist, word)
    assert.deepStrictEqual(words({ ...comparison }, { ...nonces }), four)
    // Whoever writes another node must come to the same.
    assert.deepStrictEqual(four, ["educate", "stereo", "poem", "guard"])
  })

  it.prop(
    "differ when anything differs: either nonce, either side, the session, or who began",
    [Bytes32, Schema.Literals([0, 1, 2, 3, 4, 5])],
    ([value, which]) => {
      const other = someId(9)
      const changed = [
        words(comparison, { ...nonces, initiator: value }),
        words(comparison, { ...nonces, responder: value }),
        words({ ...comparison, binding: value }, nonces),
        words({ ...comparison, initiator: other }, nonces),
        words({ ...comparison, responder: other }, nonces),
        words({ ...comparison, initiator: comparison.responder, responder: comparison.initiator }, nonces)
      ]
      assert.notDeepEqual(changed[which], words(comparison, nonces))
    }
  )

  it("use all of the list, each word about as often", () => {
    const counts = new Map<string, number>()
    for (let n = 0; n < 8192; n++) {
      for (const word of words({ ...comparison, binding: someBytes32(n) }, nonces)) {
        counts.set(word, (counts.get(word) ?? 0) + 1)
      }
    }
    // 16 times each on average.
    assert.strictEqual(counts.size, 2048)
    assert.isBelow(Math.max(...counts.values()), 45)
  })
})

describe("a commitment", () => {
  it.prop("binds the nonce, both sides and the session", [Bytes32], ([nonce]) => {
    const made = commit(comparison, nonces.initiator)
    assert.notStrictEqual(commit(comparison, nonce), made)
    assert.notStrictEqual(commit({ ...comparison, binding: nonce }, nonces.initiator), made)
    assert.notStrictEqual(commit({ ...comparison, verification: someVerification(2) }, nonces.initiator), made)
    // What one side sent cannot be sent back to it.
    const mirrored = { ...comparison, initiator: comparison.responder, responder: comparison.initiator }
    assert.notStrictEqual(commit(mirrored, nonces.initiator), made)
  })

  it("is 32 bytes in the one text that stands for them", () => {
    assert.strictEqual(bytes32(fromBase32(someBytes32(7))), someBytes32(7))
    assert.isTrue(Schema.is(Bytes32)(commit(comparison, nonces.initiator)))
    assert.isFalse(Schema.is(Bytes32)(`${"a".repeat(51)}b`))
    assert.isFalse(Schema.is(VerificationId)("a".repeat(25)))
  })
})

/** Values no one sends on purpose: any text, any bytes, and valid bytes with a few changes. */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

const integer = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Any code point, the dangerous ones as often as all others together. */
const codePoint = Arbitrary.flatMap(integer(0, 7), (kind) => {
  switch (kind) {
    case 0:
      return integer(0, 0x1f)
    case 1:
      return integer(0x20, 0x7e)
    case 2:
      return integer(0x2000, 0x206f)
    case 3:
      return integer(0xd800, 0xdfff)
    case 4:
      return integer(0x1f300, 0x1faff)
    case 5:
      return Arbitrary.schema(Schema.Literals([0, 0x2f, 0x5c, 0x2e, 0x3a, 0x22, 0x7b, 0x202e, 0x200b, 0xfeff, 0xfffd]))
    default:
      return integer(0, 0x10ffff)
  }
})

/** Any sequence of code points, lone surrogates too. */
export const text: Arbitrary.Arbitrary<string> = Arbitrary.map(Arbitrary.array(codePoint), (points) =>
  String.fromCodePoint(...points)
)

export const bytes: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(Arbitrary.array(integer(0, 255)), (values) =>
  Uint8Array.from(values)
)

/** A way to damage bytes: overwrite, insert, remove and cut, each at a place given as a fraction. */
const damage = Arbitrary.array(
  Arbitrary.all({ kind: integer(0, 3), place: integer(0, 1_000_000), byte: integer(0, 255) })
)

export type Damage = ReturnType<typeof damagedWith>

const damagedWith =
  (steps: ReadonlyArray<{ readonly kind: number; readonly place: number; readonly byte: number }>) =>
  (valid: Uint8Array): Uint8Array => {
    let result = [...valid]
    for (const { kind, place, byte } of steps) {
      const at = Math.floor((place / 1_000_001) * result.length)
      if (kind === 0) result[at] = byte
      else if (kind === 1) result.splice(at, 0, byte)
      else if (kind === 2) result.splice(at, 1)
      else if (place < 100_000) result = result.slice(0, at)
    }
    return Uint8Array.from(result)
  }

/** A function that damages whatever it is given. */
export const damaged: Arbitrary.Arbitrary<Damage> = Arbitrary.map(damage, damagedWith)

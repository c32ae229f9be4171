/** Some thousands of inputs for each decoder, other ones each time; a failure prints what to try again. */
import { assert, describe, it } from "@effect/vitest"
import { Chance, decoders, freshSeed, input, probe } from "./Fuzz.ts"

const inputs = 3000

describe("decoders under bytes that nobody sends on purpose", () => {
  for (const decoder of decoders) {
    it(`${decoder.name}: takes what is valid`, () => {
      for (const valid of decoder.valid) assert.isUndefined(probe(decoder, valid))
    })

    it(`${decoder.name}: a verdict, quickly, never an exception`, () => {
      const seed = freshSeed()
      const chance = new Chance(seed)
      for (let count = 0; count < inputs; count++) {
        const fault = probe(decoder, input(decoder, chance))
        assert.isUndefined(fault, `seed ${seed}, input ${count}: ${JSON.stringify(fault)}`)
      }
    })
  }
})

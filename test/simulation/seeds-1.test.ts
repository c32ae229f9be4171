/** A hundred random histories of whole nodes; what must be true of each stands in Checks.ts. */
import { describe, it } from "@effect/vitest"
import { playSeeds } from "./Seeds.ts"

describe("simulated histories", () => {
  for (const first of [1, 26, 51, 76]) it(`${first} to ${first + 24}`, { timeout: 120_000 }, () => playSeeds(first, 25))
})

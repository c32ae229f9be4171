/** docs/api says what the package exports: what a change adds or breaks is seen in its diff. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { entries, reportOf } from "../../scripts/api-report.ts"

describe("docs/api", () => {
  for (const entry of ["kith", "kith-testing", "kith-client"] as const) {
    it(`${entries[entry]} is as ${entry}.md says; where it is meant to differ, run: npm run api-report`, () => {
      const path = fileURLToPath(new URL(`../../docs/api/${entry}.md`, import.meta.url))
      assert.strictEqual(reportOf(entry), readFileSync(path, "utf8"))
    })
  }
})

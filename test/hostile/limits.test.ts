/** docs/SECURITY.md tells every limit, with the value it has. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { table } from "./LimitsTable.ts"

describe("docs/SECURITY.md", () => {
  it("tells every limit with its value", () => {
    const page = readFileSync(new URL("../../docs/SECURITY.md", import.meta.url), "utf8")
    const told = /<!-- limits -->\n([^]*?)\n<!-- \/limits -->/.exec(page)?.[1]
    assert.strictEqual(told, table, "run: node scripts/security-limits.ts")
  })
})

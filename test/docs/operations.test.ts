/** docs/OPERATIONS.md tells of every metric there is, and of none that is not; its unit file holds what the code needs. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const text = readFileSync(join(root, "docs/OPERATIONS.md"), "utf8")

const metricsIn = (source: string) => [...source.matchAll(/"(kith_[a-z_]+)"/g)].map((match) => match[1] ?? "")

describe("the page about operations", () => {
  it("names every metric", () => {
    const rows = [...text.matchAll(/^\| `(kith_[a-z_]+)` \|/gm)].map((match) => match[1] ?? "")
    const files = globSync("src/**/*.ts", { cwd: root })
    const defined = files.flatMap((file) => metricsIn(readFileSync(join(root, file), "utf8")))
    assert.deepStrictEqual(rows.toSorted(), [...new Set(defined)].toSorted())
  })

  it("names every field that all log lines share", () => {
    const logs = readFileSync(join(root, "src/cli/Logs.ts"), "utf8")
    for (const field of ["time", "level", "message", "cause"]) {
      assert.include(logs, `${field}:`)
      assert.include(text, `| \`${field}\` |`)
    }
  })
})

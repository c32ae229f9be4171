/**
 * Two sets of tests. `core` needs nothing but Node and stays under three minutes; `extra` needs root, a browser or
 * minutes, and says in one line what it skips where that is missing.
 */
import { defineConfig } from "vitest/config"

/** Many real processes, and long histories over real files: right for every change, too long for every save. */
const long = [
  "test/cli/{pair,stop,terminal,trust}.test.ts",
  "test/examples/**/*.test.ts",
  "test/actors/Transfer{Interrupted,Random}.test.ts"
]

const extra = ["test/network/**/*.test.ts", "test/crash/**/*.test.ts", "test/browser/**/*.test.ts", ...long]

export default defineConfig({
  test: {
    // Most of them wait for disks and sockets some of the time: a core is worth a worker.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "core",
          include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
          exclude: extra,
          testTimeout: 30_000
        }
      },
      { test: { name: "extra", include: extra, testTimeout: 120_000, fileParallelism: false } }
    ]
  }
})

/**
 * docs/OPERATIONS.md tells of every metric, setting, warning and error there is, and of none that is not; its unit file,
 * and what it shows of logs and metrics, is tried where the tools are.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeConfig } from "../../src/config.ts"
import { variable } from "../../src/cli/Settings.ts"
import { start } from "../cli/Run.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const text = readFileSync(join(root, "docs/OPERATIONS.md"), "utf8")
const sources = globSync("src/**/*.{ts,tsx}", { cwd: root, exclude: ["src/testing/**"] }).map((file) =>
  readFileSync(join(root, file), "utf8")
)

/** What stands between these two headings. */
const section = (heading: string): string => {
  const [, rest] = text.split(`\n${heading}\n`)
  assert.isDefined(rest, heading)
  return (rest ?? "").split(/\n#+ /)[0] ?? ""
}
const fenced = (kind: string): ReadonlyArray<string> =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(([, block = ""]) => block)

const metricsIn = (source: string) => [...source.matchAll(/"(kith_[a-z_]+)"/g)].map((match) => match[1] ?? "")

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-operations-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)
const has = (tool: string): boolean => {
  try {
    return execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "pipe" }).length > 0
  } catch {
    return false
  }
}

describe("the page about operations", () => {
  it("names every metric", () => {
    const rows = [...text.matchAll(/^\| `(kith_[a-z_]+)` \|/gm)].map((match) => match[1] ?? "")
    assert.deepStrictEqual(rows.toSorted(), [...new Set(sources.flatMap(metricsIn))].toSorted())
    // And in its advice no other.
    for (const [, name = ""] of text.matchAll(/`(kith_[a-z_]+)[`{]/g)) assert.include(rows, name)
  })

  it("names every setting, with its variable and its default", () => {
    const settings = readFileSync(join(root, "src/cli/Settings.ts"), "utf8")
    const typed = /interface Typed \{([^}]*)\}/.exec(settings)?.[1] ?? ""
    const flags = [...typed.matchAll(/readonly "?([a-z-]+)"?\?/g)].map(([, flag = ""]) => flag)
    assert.isAbove(flags.length, 10)
    const rows = [...text.matchAll(/^\| `--([a-z-]+)` \| `(KITH_[A-Z_]+)` \| (.*?) \|/gm)]
    assert.deepStrictEqual(rows.map(([, flag = ""]) => flag).toSorted(), flags.toSorted())
    const variables = flags.map((flag) => variable(flag as Parameters<typeof variable>[0]))
    for (const [, flag = "", name = ""] of rows) assert.strictEqual(name, variables[flags.indexOf(flag)])
    for (const [name] of text.matchAll(/KITH_[A-Z_]+/g)) assert.include(variables, name)
    const shown = new Map(rows.map(([, flag = "", , value = ""]) => [flag, value]))
    const { accept, apiPort, conflict, discoveryPort, host, port, received } = NodeConfig.defaults
    for (const [flag, value] of Object.entries({ accept, conflict, host, port, received })) {
      assert.include(shown.get(flag), `${value}`)
    }
    assert.include(shown.get("api-port"), `${apiPort}`)
    assert.include(shown.get("discovery-port"), `${discoveryPort}`)
  })

  it("names every field that all log lines share", () => {
    const logs = readFileSync(join(root, "src/cli/Logs.ts"), "utf8")
    for (const field of ["time", "level", "message", "cause"]) {
      assert.include(logs, `${field}:`)
      assert.include(text, `| \`${field}\` |`)
    }
  })

  it("names every warning and error of the log", () => {
    const plain = (sentence: string) => sentence.replaceAll(/\$\{[^}]*\}/g, "…").replace(/[.:]$/, "")
    const logged = sources.flatMap((source) =>
      [...source.matchAll(/Effect\.log(?:Warning|Error|Fatal)\(\s*(["`])(.*?)\1/g)].map((match) =>
        plain(match[2] ?? "")
      )
    )
    const told = [...section("### Warnings and errors").matchAll(/`([A-Z][^`]* [^`]*)`/g)].map(([, one = ""]) =>
      plain(one)
    )
    assert.deepStrictEqual(told.toSorted(), [...new Set(logged)].toSorted())
  })

  it.effect("has a unit file that systemd takes", () =>
    Effect.gen(function* () {
      const [unit = ""] = fenced("ini")
      assert.include(unit, "ExecStart=/usr/bin/env kith up\n")
      if (!has("systemd-analyze")) return
      const path = join(yield* folder, "kith.service")
      writeFileSync(path, unit.replace("User=kith\n", ""))
      const said = execFileSync("sh", ["-c", `systemd-analyze verify --man=no ${path} 2>&1 || true`], {
        encoding: "utf8"
      })
      // Of the machine that runs this, such as a unit that it lacks, it may say what it likes.
      assert.notMatch(said, /kith\.service:\d+:/)
    })
  )

  it.effect("shows of two logs what its command prints", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const [shown = ""] = fenced("json")
      const command = fenced("sh").find((block) => block.startsWith("jq")) ?? ""
      const transfer = /transfer == "([a-z2-7]{26})"/.exec(command)?.[1]
      assert.isDefined(transfer)
      if (!has("jq")) return
      const logs = new Map([
        ["alice.log", ""],
        ["bob.log", ""]
      ])
      for (const line of shown.trim().split("\n")) {
        const [time = "", file = "", message = "", peer = ""]: ReadonlyArray<string> = JSON.parse(line)
        const logged = `${JSON.stringify({ time, level: "info", message, transfer, peer })}\n`
        logs.set(file, `${logs.get(file)}${logged}${logged.replace(transfer ?? "", "a".repeat(26))}`)
      }
      for (const [file, lines] of logs) writeFileSync(join(cwd, file), lines)
      assert.strictEqual(execFileSync("sh", ["-c", command], { cwd, encoding: "utf8" }), shown)
    })
  )

  it.live("reads metrics by its command", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const alone = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0"]
      const node = yield* start(["--data-dir", cwd, "up", ...alone])
      yield* node.until((printed) => printed.includes("API "))
      if (!has("jq") || !has("curl")) return
      const command = fenced("sh").find((block) => block.startsWith("curl")) ?? ""
      const metrics = execFileSync("sh", ["-c", command], { cwd, encoding: "utf8", stdio: "pipe" })
      assert.match(metrics, /^kith_info\{.*version=/m)
      const told = new Set([...text.matchAll(/^\| `(kith_[a-z_]+)` \|/gm)].map(([, name = ""]) => name))
      const typed = [...metrics.matchAll(/^# TYPE (kith_[a-z_]+) /gm)].map(([, name = ""]) => name)
      assert.isAbove(typed.length, 8)
      for (const name of typed) assert.isTrue(told.has(name), name)
    })
  )
})

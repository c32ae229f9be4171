/**
 * What the documents tell people to type works: the story of the README is played with real nodes, and every other
 * command is one that this checkout knows, with arguments that it takes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createSocket } from "node:dgram"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { run, start } from "../cli/Run.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const documents = ["README.md", "CONTRIBUTING.md", ...globSync("docs/*.md", { cwd: root })]

/** The commands of each block that is meant for a shell, without comments. */
const blocksOf = (document: string): ReadonlyArray<ReadonlyArray<string>> =>
  [...readFileSync(join(root, document), "utf8").matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = ""]) =>
    block
      .replaceAll("\\\n", " ")
      .split("\n")
      .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
      .filter((line) => line !== "")
  )

const scripts: Record<string, string> = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts

/** As a shell would split it, for what stands in the documents. */
const words = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare ?? "")

const home = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-docs-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)

const freePort = Effect.callback<string>((resume) => {
  const socket = createSocket("udp4")
  socket.bind(0, "127.0.0.1", () => {
    const { port } = socket.address()
    socket.close(() => resume(Effect.succeed(`${port}`)))
  })
})

describe("what the documents tell to type", () => {
  const commands = documents.flatMap((document) =>
    blocksOf(document).flatMap((block) =>
      block.flatMap((line) => line.split(" && ").map((command) => ({ document, command })))
    )
  )

  for (const { command, document } of commands) {
    const [first = "", second = "", third = "", ...rest] = words(command.replace(/ &$/, ""))
    const verb =
      first === "npx" && second === "kith" ? [third, ...rest] : first === "kith" ? [second, third, ...rest] : []
    it.live(`${document}: ${command}`, () =>
      Effect.gen(function* () {
        if (first === "npm") {
          const script = second === "run" ? third : second
          assert.isTrue(script === "ci" || script in scripts, `package.json has no script ${script}`)
        } else if (first === "npx" && second === "vitest") {
          assert.isTrue(existsSync(join(root, rest.at(-1) ?? "")), `${rest.at(-1)} is not there`)
        } else if (verb.length > 0 && !verb.includes("up")) {
          const path = yield* home
          // It understands all of it, and then finds no node there.
          const at = verb.flatMap((word, place) =>
            word === "--data-dir" || verb[place - 1] === "--data-dir" ? [] : word
          )
          const { code, err } = yield* run(["--data-dir", path, ...at.filter((word) => word !== "")])
          assert.strictEqual(code, 3, err)
        } else if (verb.length === 0) {
          // Other people's tools: what the shell itself can say of it.
          execFileSync("sh", ["-n", "-c", command])
        }
      })
    )
  }

  it.live("README: five minutes to the first file", () =>
    Effect.gen(function* () {
      const cwd = yield* home
      mkdirSync(join(cwd, "photos"))
      writeFileSync(join(cwd, "photos", "sea.jpg"), "waves")
      writeFileSync(join(cwd, "report.pdf"), "figures")
      const lines = blocksOf("README.md").flat()
      const story = lines.filter((line) => /^npx kith --data-dir [AB] /.test(line)).map((line) => words(line).slice(2))
      const [nodes, told] = [story.filter((verb) => verb.includes("up")), story.filter((verb) => !verb.includes("up"))]
      assert.strictEqual(nodes.length, 2)
      assert.isAbove(told.length, 3)
      // On ports of its own, beside whatever runs on this machine.
      const alone = ["--port", "0", "--api-port", "0", "--discovery-port", yield* freePort]
      for (const node of nodes) {
        const running = yield* start([...node, ...alone], { cwd })
        yield* running.until((printed) => printed.includes("API "))
      }
      const met = (printed: string) => printed.includes('"state":"connected"')
      const watch = yield* start(["--data-dir", "A", "peers", "--json", "--watch"], { cwd })
      yield* watch.until(met)
      for (const verb of told) {
        const { code, err } = yield* run(verb, { cwd })
        assert.strictEqual(code, 0, `${verb.join(" ")}: ${err}`)
      }
      assert.strictEqual(readFileSync(join(cwd, "B/received_files/photos/sea.jpg"), "utf8"), "waves")
      assert.strictEqual(readFileSync(join(cwd, "B/received_files/report.pdf"), "utf8"), "figures")
    })
  )

  it("blocks of TypeScript are in the examples, to the letter", () => {
    const examples = globSync("examples/*.ts", { cwd: root }).map((path) => readFileSync(join(root, path), "utf8"))
    for (const document of documents) {
      for (const [, block = ""] of readFileSync(join(root, document), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
        assert.isTrue(
          examples.some((example) => example.includes(block)),
          `${document} shows what no example holds: ${block}`
        )
      }
    }
  })
})

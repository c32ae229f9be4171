/** What every document says of this repository is there: files, links, verbs; and no block of code is one that no test runs. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const documents = ["README.md", "CONTRIBUTING.md", ...globSync("docs/*.md", { cwd: root })]
const read = (document: string): string => readFileSync(join(root, document), "utf8")

/** Which test runs or recomputes the blocks of a kind. */
const runners: Record<string, string> = {
  sh: "commands.test.ts",
  ts: "commands.test.ts",
  ini: "operations.test.ts",
  json: "operations.test.ts",
  text: "documents.test.ts",
  "json *": "protocol.test.ts",
  "hex *": "protocol.test.ts",
  "text *": "protocol.test.ts"
}

const anchorsOf = (document: string): ReadonlySet<string> =>
  new Set(
    [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^a-z0-9 _-]/g, "")
        .replaceAll(" ", "-")
    )
  )

describe.each(documents)("%s", (document) => {
  it("has no block of code that nothing runs", () => {
    const opened = [...read(document).matchAll(/^```(.*)\n[\s\S]*?^```$/gm)].map(([, kind = ""]) => kind)
    for (const kind of opened) assert.property(runners, kind.replace(/ .*/, " *"))
  })

  it("links lead somewhere", () => {
    for (const [, target = ""] of read(document).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = "", anchor] = target.split("#")
      const file = path === "" ? document : join(dirname(document), path)
      assert.isTrue(existsSync(join(root, file)), target)
      if (anchor !== undefined) assert.isTrue(anchorsOf(file).has(anchor), target)
    }
  })

  it("names files that there are", () => {
    for (const [, path = ""] of read(document).matchAll(
      /[`\s(]((?:src|test|bench|scripts|examples|bin|docs|\.ci)\/[\w./*-]*\w)/g
    )) {
      const found = path.includes("*") ? globSync(`${path}*`, { cwd: root }).length > 0 : existsSync(join(root, path))
      assert.isTrue(found || existsSync(join(root, `${path}.ts`)) || existsSync(join(root, `${path}.test.ts`)), path)
    }
  })
})

describe("README.md's table", () => {
  it("has every verb", () => {
    const verbs = globSync("src/cli/**/*.ts", { cwd: root })
      .map((file) => basename(file, ".ts"))
      .filter((name) => /^[a-z]+$/.test(name) && name !== "complete")
    assert.isAbove(verbs.length, 15)
    for (const verb of verbs) assert.match(read("README.md"), new RegExp(`\`kith ${verb}[ \`]`), verb)
  })
})

describe("docs/ARCHITECTURE.md's drawings", () => {
  const [drawn = "", called = ""] = [...read("docs/ARCHITECTURE.md").matchAll(/^```text\n([\s\S]*?)^```$/gm)].map(
    ([, drawing = ""]) => drawing
  )

  it("have every part by its name", () => {
    const names = [...called.matchAll(/\b[A-Z][a-z]+[A-Za-z]*\b/g)].map(([name]) => name)
    assert.isAbove(names.length, 12)
    for (const name of names)
      assert.isAbove(globSync(`src/{services,actors}/**/${name}.ts`, { cwd: root }).length, 0, name)
  })

  it("have the rooms that there are", () => {
    const rooms = [...drawn.matchAll(/^src\/(\S+?)\/? /gm)].map(([, name = ""]) => name)
    const there = readdirSync(join(root, "src"))
    assert.deepStrictEqual(rooms.toSorted(), there.filter((name) => !name.startsWith(".")).toSorted())
  })
})

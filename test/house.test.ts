/** The house keeps its shape: imports go one way, and what touches the machine does so in few known rooms. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")

/** Each room, and the rooms it may import from besides itself. */
const arrows: Record<string, ReadonlyArray<string>> = {
  schema: [],
  config: ["schema"],
  client: ["schema"],
  services: ["schema", "config"],
  actors: ["schema", "config", "services"],
  api: ["schema", "config", "services"],
  cli: ["schema", "config", "services", "app", "api"],
  app: ["schema", "config", "services", "actors", "api"],
  main: ["cli", "app", "config"],
  web: ["schema"],
  testing: ["schema", "config", "services", "actors", "app"],
  index: ["schema", "config", "services", "actors", "api", "app"]
}

/** Node's own modules, and the only files (besides api/, cli/ and main, the edges) that may import them. */
const machine: Record<string, RegExp> = {
  "node:tls": /^src\/services\/transport\/T(ransportTls|lsLink)/,
  "node:net": /^src\/(services\/(transport\/(TransportTls|TlsLink|HandshakeGate)|discovery\/DatagramsUdp)|api\/)/,
  "node:dgram": /^src\/services\/discovery\/DatagramsUdp/,
  "node:fs": /^src\/(services\/(Identity|identity|files|database)|api\/|cli\/|main)/,
  "node:sqlite": /^src\/services\/(identity\/DataDirectory|database\/|Database)/
}

const room = (file: string): string => {
  const [, first = ""] = file.split("/")
  return first.replace(/\.ts$/, "")
}

const files = globSync("src/**/*.ts", { cwd: root }).map((file) => file.replaceAll("\\", "/"))

const imports = (file: string): ReadonlyArray<string> =>
  [...readFileSync(join(root, file), "utf8").matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1] ?? "")

describe("the house", () => {
  it("has only the rooms of the plan", () => {
    assert.deepStrictEqual(
      [...new Set(files.map(room))].filter((name) => !(name in arrows)),
      []
    )
  })

  it("has no arrow backwards", () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((target) => target.startsWith("."))
        .map((target) => relative(root, join(root, dirname(file), target)).replaceAll("\\", "/"))
        .filter((target) => room(target) !== room(file) && !(arrows[room(file)] ?? []).includes(room(target)))
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("touches the machine only in its edges", () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((target) => target in machine && machine[target]?.test(file) !== true)
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("imports effect by its parts, since its barrels cost half a second at start", () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((target) => /^(effect|effect\/[a-z-]+|@effect\/platform-node)$/.test(target))
        .map((target) => `${file} -> ${target}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("has no clock, chance or detached fiber of its own", () => {
    const own = /Date\.now\(|Math\.random\(|forkDetach\(|\bas any\b|as unknown as|Queue\.unbounded/
    const wrong = files.flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((line, at) => (own.test(line) ? [`${file}:${at + 1} ${line.trim()}`] : []))
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("has a client that runs in a browser", () => {
    const seen = new Set<string>()
    const walk = (file: string): ReadonlyArray<string> => {
      if (seen.has(file)) return []
      seen.add(file)
      return imports(file).flatMap((target) =>
        target.startsWith(".") ? walk(join(dirname(file), target).replaceAll("\\", "/")) : [`${file} -> ${target}`]
      )
    }
    const wrong = walk("src/client.ts").filter((arrow) => /-> (node:|@effect\/platform-node)/.test(arrow))
    assert.deepStrictEqual(wrong, [])
  })

  it("has all its metrics in one place", () => {
    const makers = files.filter((file) =>
      /Metric\.(counter|gauge|histogram)\(/.test(readFileSync(join(root, file), "utf8"))
    )
    assert.deepStrictEqual(
      makers,
      makers.filter((file) => file.endsWith("/Metrics.ts"))
    )
    assert.lengthOf(makers, 1)
  })

  it("exports nothing that nobody imports, but what its public entries give away", () => {
    const all = globSync(["{src,test,bench,examples,scripts}/**/*.{ts,tsx,js}"], { cwd: root }).map(
      (file) => [file.replaceAll("\\", "/"), readFileSync(join(root, file), "utf8")] as const
    )
    const entries = ["src/index.ts", "src/client.ts", "src/testing/index.ts"]
    const given = entries.flatMap((entry) =>
      [...readFileSync(join(root, entry), "utf8").matchAll(/export \* (?:as \w+ )?from "([^"]+)"/g)].map(
        ([, target = ""]) => join(dirname(entry), target).replaceAll("\\", "/")
      )
    )
    // Who else says a name: most names are said in few files.
    const sayers = new Map<string, Set<string>>()
    for (const [file, text] of all) {
      for (const [name] of text.matchAll(/[A-Za-z_$][\w$]*/g)) {
        const known = sayers.get(name)
        if (known === undefined) sayers.set(name, new Set([file]))
        else known.add(file)
      }
    }
    // A class that others fail with by inference has to be named in their declarations, though they do not import it.
    const exported = /^export (?:const|let|function\*?|type|interface|async function) ([A-Za-z_$][\w$]*)/gm
    const idle = all
      .filter(([file]) => file.startsWith("src/") && !entries.includes(file) && !given.includes(file))
      .flatMap(([file, text]) =>
        [...text.matchAll(exported)]
          .filter(([, name = ""]) => sayers.get(name)?.size === 1)
          .map(([, name]) => `${file}: ${name}`)
      )
    assert.deepStrictEqual([...new Set(idle)], [])
  })

  it("names peers and transfers in logs by their whole ids, so that the logs of two ends can be laid side by side", () => {
    const wrong = files.flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((line, at) => (/annotateLogs.*short\(/.test(line) ? [`${file}:${at + 1} ${line.trim()}`] : []))
    )
    assert.deepStrictEqual(wrong, [])
  })
})

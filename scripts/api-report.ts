/**
 * The public surface as text: every name that `kith`, `kith/testing` and `kith/client` export, with its declaration.
 * docs/api holds it, so that a change shows what it adds or breaks; a test keeps it true.
 *
 *     npm run api-report
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "rolldown/utils"

const dist = fileURLToPath(new URL("../dist", import.meta.url))

/** Where each entry's declarations are. */
export const entries = {
  kith: "index.d.ts",
  "kith-testing": "testing/index.d.ts",
  "kith-client": "client.d.ts"
} as const

/** Declarations by name. */
type Report = Map<string, string>

const withoutComments = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .join("\n")

/**
 * What is too long to be read is only named: the definition of the whole HTTP API, which /openapi.json shows better, and
 * whose parts the compiler writes in whatever order it came to know them.
 */
const linesMax = 150

const shortened = (what: string): string =>
  what.split("\n").length <= linesMax ? what : `${what.slice(0, what.indexOf("<"))}<...> // too long to be shown`

const fileOf = (from: string, specifier: string): string | undefined => {
  if (!specifier.startsWith(".")) return undefined
  const path = join(dirname(from), specifier.replace(/\.(js|ts)$/, ".d.ts"))
  return existsSync(path) ? path : undefined
}

/** What a file exports, by name; several declarations of one name stand together. */
const exportsOf = (path: string): Report => {
  const text = readFileSync(path, "utf8")
  const report: Report = new Map()
  const add = (name: string, what: string) => {
    const before = report.get(name)
    report.set(name, before === undefined || before === what ? what : `${before}\n${what}`)
  }
  for (const statement of parseSync(path, text, { lang: "dts" }).program.body) {
    if (statement.type === "ExportAllDeclaration") {
      const file = fileOf(path, statement.source.value)
      if (statement.exported !== null && statement.exported.type === "Identifier") {
        const inner = file === undefined ? [] : [...exportsOf(file)].toSorted()
        for (const [name, what] of inner) add(`${statement.exported.name}.${name}`, what)
      } else if (file !== undefined) for (const [name, what] of exportsOf(file)) add(name, what)
    }
    if (statement.type !== "ExportNamedDeclaration") continue
    const { declaration } = statement
    if (declaration !== null) {
      const base = declaration.type === "ClassDeclaration" ? declaration.superClass : null
      const above = base?.type === "Identifier" ? `${localOf(text, path, base.name)}\n` : ""
      const what = `${above}${withoutComments(text.slice(declaration.start, declaration.end))}`
      for (const name of namesOf(declaration)) add(name, shortened(what))
    }
    const file = statement.source === null ? undefined : fileOf(path, statement.source.value)
    const inner = file === undefined ? undefined : exportsOf(file)
    for (const { exported, local } of statement.specifiers) {
      if (exported.type !== "Identifier" || local.type !== "Identifier") continue
      add(exported.name, inner?.get(local.name) ?? localOf(text, path, local.name))
    }
  }
  return report
}

interface Named {
  readonly type: string
  readonly id?: unknown
  readonly declarations?: ReadonlyArray<{ readonly id: unknown }>
}

const namesOf = ({ declarations, id }: Named): ReadonlyArray<string> =>
  (declarations === undefined ? [id] : declarations.map((one) => one.id)).flatMap((one) =>
    typeof one === "object" && one !== null && "name" in one && typeof one.name === "string" ? [one.name] : []
  )

/** A name that is declared, or imported, above. */
const localOf = (text: string, path: string, name: string): string => {
  const found: Array<string> = []
  for (const statement of parseSync(path, text, { lang: "dts" }).program.body) {
    if (statement.type === "ImportDeclaration") {
      const one = statement.specifiers.find(({ local }) => local.name === name)
      const file = fileOf(path, statement.source.value)
      if (one === undefined) continue
      if (file === undefined) return `from ${statement.source.value}`
      const wanted = one.type === "ImportSpecifier" && one.imported.type === "Identifier" ? one.imported.name : name
      return exportsOf(file).get(wanted) ?? `from ${statement.source.value}`
    }
    if ("id" in statement || "declarations" in statement) {
      if (namesOf(statement).includes(name)) found.push(withoutComments(text.slice(statement.start, statement.end)))
    }
  }
  return found.join("\n")
}

/** The report of one entry. */
export const reportOf = (entry: keyof typeof entries): string => {
  const all = [...exportsOf(join(dist, entries[entry]))].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const parts = all.map(([name, what]) => `## ${name}\n\n\`\`\`ts\n${what}\n\`\`\`\n`)
  return `# ${entry.replace("-", "/")}\n\nEvery name it exports. Written by \`npm run api-report\`.\n\n${parts.join("\n")}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const docs = fileURLToPath(new URL("../docs/api", import.meta.url))
  mkdirSync(docs, { recursive: true })
  for (const entry of ["kith", "kith-testing", "kith-client"] as const) {
    writeFileSync(join(docs, `${entry}.md`), reportOf(entry))
  }
}

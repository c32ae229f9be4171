/**
 * The package as its users get it: packs the built program, installs the tarball into an empty project, and there
 * runs the command, serves the page, embeds a node, simulates two, bundles the client for a browser and compiles
 * against the types. On this Node, and on each other that is named: `node scripts/check-package.ts [22.19.0 24 ...]`.
 */
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const home = mkdtempSync(join(tmpdir(), "kith-package-"))
const app = join(home, "app")
mkdirSync(app)

const fail = (what: string): never => {
  throw new Error(what)
}

const told = ({ stderr, stdout }: SpawnSyncReturns<string>) => `${stdout}${stderr}`

/** npm speaks of this machine's own settings too: those are not the package's. */
const warnings = (text: string) =>
  text.split("\n").filter((line) => /\bwarn\b|deprecated/i.test(line) && !/user config|EBADENGINE/.test(line))

const npm = (cwd: string, ...args: ReadonlyArray<string>) => {
  const env = {
    ...process.env,
    npm_config_audit: "false",
    npm_config_fund: "false",
    npm_config_update_notifier: "false"
  }
  const ran = spawnSync("npm", args, { cwd, env, encoding: "utf8" })
  if (ran.status !== 0) fail(`npm ${args.join(" ")}: ${told(ran)}`)
  return ran
}

const step = (what: string) => process.stdout.write(`${what}\n`)

const install = (): void => {
  const packed: ReadonlyArray<{ readonly filename: string; readonly files: ReadonlyArray<{ readonly path: string }> }> =
    JSON.parse(npm(root, "pack", "--ignore-scripts", "--json", "--pack-destination", home).stdout)
  const [tarball] = packed
  if (tarball === undefined) return fail("nothing was packed")
  const strangers = tarball.files.filter(
    ({ path }) =>
      !/^(bin\/kith\.js|dist\/.*\.(js|d\.ts|map|html|css|svg|png|webmanifest)|package\.json|README\.md|LICENSE)$/.test(
        path
      )
  )
  if (strangers.length > 0) fail(`in the package, but of no use there: ${strangers.map(({ path }) => path).join(", ")}`)
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
  const noise = warnings(told(npm(app, "install", join(home, tarball.filename))))
  if (noise.length > 0) fail(`installing it warns: ${noise.join("\n")}`)
  step(`installed ${tarball.filename}, ${tarball.files.length} files`)
}

const embed = `
import * as Effect from "effect/Effect"
import { Identity, Kith } from "kith"
import { SimulatedNetwork } from "kith/testing"
import * as client from "kith/client"
const node = Kith.layer({ name: "app", dataDir: process.argv[2], host: "127.0.0.1", port: 0, discovery: false })
const { id } = await Effect.runPromise(Effect.provide(Identity, node))
if (id.length !== 52 || SimulatedNetwork === undefined || client.make === undefined) throw new Error("not whole")
console.log("embedded as", id.slice(0, 8))
`

/** The file store's thread, beside the library and beside the bundle: each has to be found, and to answer. */
const thread = `
import { once } from "node:events"
import { Worker } from "node:worker_threads"
for (const place of ["services/files", "bundle"]) {
  const worker = new Worker("./node_modules/kith/dist/" + place + "/FileStoreWorker.js")
  worker.postMessage({ number: 1, kind: "digests", args: [[{ at: 0, length: 1 }], new SharedArrayBuffer(1)] })
  const [{ done }] = await once(worker, "message")
  if (done.length !== 32) throw new Error("no digest from " + place)
  await worker.terminate()
}
`

/** Everything that is run, on one Node. */
const on = async (node: string): Promise<void> => {
  const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim()
  const data = join(home, `data-${version}`)
  const env = { ...process.env, PATH: `${join(node, "..")}${delimiter}${process.env["PATH"] ?? ""}`, NO_COLOR: "1" }
  writeFileSync(join(app, "embed.js"), embed)
  const embedded = spawnSync(node, ["embed.js", `${data}-app`], { cwd: app, env, encoding: "utf8" })
  if (embedded.status !== 0 || warnings(embedded.stderr).length > 0) fail(`${version}: embedding: ${told(embedded)}`)
  writeFileSync(join(app, "thread.js"), thread)
  const threads = spawnSync(node, ["thread.js"], { cwd: app, env, encoding: "utf8" })
  if (threads.status !== 0) fail(`${version}: the thread of the file store: ${told(threads)}`)
  const bin = join(app, "node_modules", "kith", "bin", "kith.js")
  const where = ["--data-dir", data, "--received", join(data, "received")]
  const alone = ["--no-discovery", "--host", "127.0.0.1", "--port", "0", "--api-port", "0"]
  const up = spawn(node, [bin, "up", ...where, ...alone], { cwd: app, env, stdio: ["ignore", "pipe", "pipe"] })
  try {
    const api = await new Promise<string>((resolve, reject) => {
      let text = ""
      const hear = (chunk: Buffer) => {
        text += chunk.toString()
        const found = /API +(http:\S+)/.exec(text)?.[1]
        if (found !== undefined) resolve(found)
      }
      up.stdout.on("data", hear)
      up.stderr.on("data", hear)
      up.once("exit", () => reject(new Error(`${version}: the node ended: ${text}`)))
    })
    const page = await (await fetch(`${api}/`)).text()
    const script = /src="(\/[^"]+\.js)"/.exec(page)?.[1]
    if (script === undefined || !(await fetch(`${api}${script}`)).ok) fail(`${version}: the page is not there: ${page}`)
    const id = spawnSync(node, [bin, "id", "--json", "--data-dir", data], { cwd: app, env, encoding: "utf8" })
    if (id.status !== 0 || id.stderr !== "") fail(`${version}: kith id: ${told(id)}`)
    JSON.parse(id.stdout)
  } finally {
    up.removeAllListeners("exit")
    up.kill("SIGTERM")
  }
  step(`${version}: ${embedded.stdout.trim().split("\n").at(-1)}; the command runs, the page is there`)
}

/** As a person would without installing anything. */
const npx = (): void => {
  const ran = npm(app, "exec", "--", "kith", "--version")
  if (!/\d+\.\d+\.\d+/.test(ran.stdout)) fail(`npx kith --version: ${told(ran)}`)
  step(`npx kith --version: ${ran.stdout.trim()}`)
}

const types = (): void => {
  const settings = {
    module: "nodenext",
    target: "es2022",
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true
  }
  const compilerOptions = { ...settings, types: [], lib: ["es2024", "dom", "dom.iterable"], skipLibCheck: true }
  writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["typed.ts"] }))
  cpSync(join(root, "scripts", "package-types.txt"), join(app, "typed.ts"))
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
  const ran = spawnSync(process.execPath, [tsc, "--project", app], { cwd: app, encoding: "utf8" })
  if (ran.status !== 0) fail(`its types do not compile: ${told(ran)}`)
  step("its types compile, and say what a node needs and fails with")
}

/** Nothing of Node's may be needed by the client. */
const browser = async (): Promise<void> => {
  const { rolldown } = await import("rolldown")
  writeFileSync(join(app, "page.js"), `import { make } from "kith/client"\nglobalThis.make = make\n`)
  const bundle = await rolldown({ input: join(app, "page.js"), platform: "browser", logLevel: "silent" })
  const { output } = await bundle.generate({ format: "esm" })
  const foreign = output.flatMap((chunk) => (chunk.type === "chunk" ? chunk.imports : []))
  if (foreign.length > 0) fail(`kith/client needs what no browser has: ${foreign.join(", ")}`)
  step("kith/client is bundled for a browser")
}

/** The binary of a version of Node, from the package that carries it. */
const nodeOf = (version: string): string => {
  const dir = join(home, `node-${version}`)
  mkdirSync(dir)
  writeFileSync(join(dir, "package.json"), "{}")
  const carrier = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  npm(dir, "install", "--ignore-scripts", `${carrier}@${version}`)
  const path = join(dir, "node_modules", carrier, "bin", "node")
  return existsSync(path) ? path : fail(`there is no Node ${version} at ${path}`)
}

try {
  if (!existsSync(join(root, "dist", "bundle", "main.js"))) fail("it is not built yet. Run: npm run build")
  if (readFileSync(join(root, "dist", "index.js.map"), "utf8").includes('"sourcesContent":[') === false)
    fail("source maps hold no sources")
  install()
  npx()
  types()
  await browser()
  for (const node of [process.execPath, ...process.argv.slice(2).map(nodeOf)]) await on(node)
} finally {
  rmSync(home, { recursive: true, force: true })
}

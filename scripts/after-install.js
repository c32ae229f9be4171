/**
 * Runs when dependencies were installed in a checkout: builds dist/, and links `kith` beside the commands of the
 * dependencies. npm runs it for a checkout only: those who install the package get it built. Plain JavaScript: it runs
 * before anything is built.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, "node_modules", ".bin")

const builders = [
  ["node_modules/typescript/bin/tsc", "--project", "tsconfig.build.json"],
  ["scripts/bundle.ts"],
  ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"]
]
for (const script of builders) {
  const step = spawnSync(process.execPath, script, { cwd: root, stdio: "inherit" })
  if (step.status !== 0) process.exit(step.status ?? 1)
}

if (existsSync(bin)) {
  chmodSync(join(root, "bin", "kith.js"), 0o755)
  for (const name of ["kith", "kith.cmd"]) rmSync(join(bin, name), { force: true })
  if (process.platform === "win32") writeFileSync(join(bin, "kith.cmd"), `@node "%~dp0\\..\\..\\bin\\kith.js" %*\r\n`)
  else symlinkSync(join("..", "..", "bin", "kith.js"), join(bin, "kith"))
}

/**
 * Puts the built program into few files, dist/bundle: Node spends more time on finding 330 modules than on running a
 * verb. The library in dist/ stays as it is; bin/kith.js takes the bundle where there is one.
 */
import { rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

const at = (path: string) => fileURLToPath(new URL(`../dist/${path}`, import.meta.url))

rmSync(at("bundle"), { recursive: true, force: true })
await build({
  input: at("main.js"),
  platform: "node",
  output: { dir: at("bundle"), format: "esm", chunkFileNames: "[name]-[hash].js" },
  logLevel: "warn"
})

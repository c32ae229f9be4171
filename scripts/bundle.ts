/**
 * Puts the built program into few files, dist/bundle: Node spends more time on finding 330 modules than on running a
 * verb. The library in dist/ stays as it is; bin/kith.js takes the bundle where there is one. The file store's thread is a
 * program of its own, beside whatever starts it, and small: it shares nothing with the rest but what it needs itself.
 */
import { rmSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"

const at = (path: string) => fileURLToPath(new URL(`../dist/${path}`, import.meta.url))

rmSync(at("bundle"), { recursive: true, force: true })
await build({
  input: { main: at("main.js"), FileStoreWorker: at("services/files/FileStoreWorker.js") },
  platform: "node",
  output: { dir: at("bundle"), format: "esm", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
  logLevel: "warn"
})

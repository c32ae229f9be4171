/**
 * Builds the page, src/web, into dist/web, from where the node serves it. Nothing is inlined as a data URL or a
 * script: the page runs under a content security policy that allows only files of its own origin.
 */
import tailwindcss from "@tailwindcss/vite"
import react from "@vitejs/plugin-react"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { defineConfig, type Plugin } from "vite"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** What the page may load of scripts in all, after gzip, in bytes. */
const scriptsMax = 200_000

/** Prints what the page weighs, and says where that is too much; the tests of the page refuse it. */
const weigh: Plugin = {
  name: "weigh",
  generateBundle(_, bundle) {
    let first = 0
    let all = 0
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== "chunk") continue
      const bytes = gzipSync(chunk.code, { level: 9 }).length
      all += bytes
      if (chunk.isEntry) first += bytes
    }
    process.stdout.write(
      `page: ${(first / 1000).toFixed(1)} kB of scripts first, ${(all / 1000).toFixed(1)} kB in all (gzip)\n`
    )
    if (all > scriptsMax) this.warn(`these are more than ${scriptsMax} bytes of scripts`)
  }
}

/** Puts the worker beside the page, with the names of what it keeps and a version that is theirs. */
const worker: Plugin = {
  name: "worker",
  enforce: "post",
  generateBundle(_, bundle) {
    const source = readFileSync(at("src/web/worker.js"), "utf8")
    const own = readdirSync(at("src/web/public/page")).map((file) => `page/${file}`)
    const version = createHash("sha256").update(source)
    for (const file of own) version.update(readFileSync(at(`src/web/public/${file}`)))
    for (const { fileName, type, ...rest } of Object.values(bundle)) {
      version.update(fileName).update(type === "asset" && "source" in rest ? rest.source : "")
    }
    const built = Object.keys(bundle).filter((name) => name.startsWith("assets/"))
    const kept = {
      version: version.digest("hex").slice(0, 16),
      paths: ["/", ...[...built, ...own].map((name) => `/${name}`)]
    }
    this.emitFile({
      type: "asset",
      fileName: "sw.js",
      source: source.replace(/\/\*KEPT\*\/.*\/\*KEPT\*\//, JSON.stringify(kept))
    })
  }
}

export default defineConfig({
  root: at("src/web"),
  base: "/",
  plugins: [react(), tailwindcss(), weigh, worker],
  build: {
    outDir: at("dist/web"),
    emptyOutDir: true,
    target: "es2024",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What a visitor loads: the build prints each file with its size after gzip.
    reportCompressedSize: true,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // What these packages hold at the top of a module is values; what nobody uses of it is left out.
      treeshake: {
        propertyReadSideEffects: false,
        unknownGlobalSideEffects: false,
        moduleSideEffects: [{ test: /node_modules\/(effect|lucide-react|@?radix-ui)\//, sideEffects: false }]
      }
    }
  }
})
